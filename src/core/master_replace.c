/* Other processes in the places of lost workers (docs/adr/0008). One that is new holds no lease and has no state, so it
 * counts as one that has not settled: until the state is there, nothing is leased, summed or saved. A worker that has
 * settled brings its own, in a sum to which all others add nothing; so all are told, and whoever is lost on the way makes
 * a regrouping, in which it is asked for again. */
#include "core/master_decision.h"

uint32_t reeve_master_replaceable(const reeve_master *m, bool in_sums)
{
    bool sums = m->phase == REEVE_PHASE_REDUCE || m->phase == REEVE_PHASE_EVAL_REDUCE;
    bool open = m->phase == REEVE_PHASE_TRAIN || m->phase == REEVE_PHASE_EVAL || m->phase == REEVE_PHASE_LIST ||
                (sums && in_sums);
    bool ends = m->stop_reason != REEVE_OK || m->dead_reason != REEVE_OK || m->poisoned != UINT32_MAX || m->ended;
    if (!open || ends || m->rejoining > 0 || m->reload || m->ckpt.active) return 0;
    uint32_t lost = 0;
    for (uint32_t w = 1; w <= m->expected; w++)
        lost += m->workers[w].state == WORKER_LOST;
    return lost;
}

bool reeve_master_shares_state(const reeve_master *m)
{
    bool bare = false;
    for (uint32_t w = 1; w <= m->expected && m->sharing; w++)
        bare |= m->workers[w].state == WORKER_JOINED && m->workers[w].bare;
    return bare;
}

void master_decide_replaced(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d)
{
    uint32_t w = in->worker;
    if (w < 1 || w > m->expected || m->workers[w].state != WORKER_LOST) return;
    master_add_event(d, REEVE_EVENT_WORKER_REPLACED)->worker = w;
    d->sync = true;
}

void master_decide_bare(const reeve_master *m, uint32_t worker, struct reeve_decision *d)
{
    if (!m->workers[worker].bare) master_add_event(d, REEVE_EVENT_WORKER_BARE)->worker = worker;
}

void master_decide_state_there(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d)
{
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_WORKER_REJOINED);
    ev->worker = in->worker;
    ev->arg = in->frame->step != m->step;
}

/* Nobody has what it needs, or not for long: it goes back to a checkpoint with all others. */
static void give_up(uint32_t worker, struct reeve_decision *d)
{
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_WORKER_REJOINED);
    ev->worker = worker;
    ev->arg = 1;
}

/* The run ends with an error. What was committed is saved by those who have it. */
static void leave_out(uint32_t worker, struct reeve_decision *d)
{
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_WORKER_LOST);
    ev->worker = worker;
    ev->arg = REEVE_WORKER_LOST;
    d->sync = true;
}

void master_decide_state(const reeve_master *m, struct reeve_decision *d)
{
    bool failing = m->stop_reason != REEVE_OK && m->stop_reason != REEVE_JOB_STOPPED;
    uint32_t bare = 0, source = 0;
    for (uint32_t w = 1; w <= m->expected; w++) {
        const struct master_worker *at = &m->workers[w];
        if (at->state != WORKER_JOINED) continue;
        if (!at->bare && !at->settled) return; /* what it has is not known yet */
        if (at->bare && bare == 0) bare = w;
        if (!at->bare && source == 0) source = w;
    }
    if (bare == 0) return;
    if (failing && source != 0) {
        leave_out(bare, d);
        return;
    }
    if (m->sharing) return;
    if (source == 0 || m->reload) {
        give_up(bare, d);
        return;
    }
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_STATE_ASKED);
    ev->worker = source;
    ev->step = m->step;
    struct reeve_frame *f = master_add_frame(m, d, 0, REEVE_FRAME_STATE);
    f->step = m->step;
    f->arg = source;
}
