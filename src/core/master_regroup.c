/* After a change of who is there: what every survivor holds against what the queue says of it (docs/adr/0005).
 *
 * Messages that were under way are lost with the communicator they travelled on, and a new master has only the
 * journal. So each worker names every lease that it knows, and then the step of its weights (REJOIN). What both sides
 * agree on stays as it is, accumulators included. A lease that the worker does not know never reached it: READY again.
 * Something that the queue does not know is in an accumulator that can then not be trusted: that worker starts the
 * step anew, alone. Invariant: no lease, sum or checkpoint is begun before all have settled. */
#include "core/master_decision.h"

void master_decide_lost(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d)
{
    uint32_t w = in->worker;
    if (w < 1 || w > m->expected || m->workers[w].state == WORKER_LOST) return;
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_WORKER_LOST);
    ev->worker = w;
    ev->arg = (uint32_t)in->status;
    d->sync = true;
}

/* The journal alone does not tell: a master that was given up may have chosen an epoch of which nothing is written yet,
 * and write it when it wakes up. Its round was an earlier one. */
static uint32_t next_epoch(const reeve_master *m, uint32_t round)
{
    uint32_t of_round = m->first_epoch + round;
    return of_round > m->epoch ? of_round : m->epoch + 1;
}

void master_decide_regrouped(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d)
{
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_REGROUPED);
    ev->worker = in->worker;
    ev->arg = next_epoch(m, in->round);
    ev->a = master_active_workers(m);
    d->sync = true;
    if (m->ckpt.active && !m->ckpt.handed) {
        d->effect = REEVE_EFFECT_ABANDON_CHECKPOINT;
        d->effect_step = m->ckpt.step;
    }
    if (m->ended || m->stopped) master_add_event(d, REEVE_EVENT_PHASE)->arg = REEVE_PHASE_DRAIN;
    struct reeve_frame *f = master_add_frame(m, d, 0, REEVE_FRAME_WELCOME);
    f->epoch = next_epoch(m, in->round);
    f->arg = m->expected;
}

/* ---- what a worker names ---- */

static bool is_summed(uint64_t kind)
{
    return kind == REEVE_TASK_GRADIENT || kind == REEVE_TASK_EVAL;
}

/* Part of something that is committed: the next APPLY wipes it out of the accumulator. */
static bool is_committed(const reeve_master *m, const struct reeve_frame *f)
{
    return f->a == REEVE_TASK_GRADIENT ? f->step <= m->step : f->step <= m->eval_step;
}

void master_decide_holding(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d)
{
    const struct reeve_frame *f = in->frame;
    const struct master_worker *w = &m->workers[in->worker];
    if (m->rejoining == 0 || w->rejoined) {
        d->effect = REEVE_EFFECT_STALE;
        return;
    }
    bool computed = f->c != 0;
    const struct reeve_task *t = reeve_queue_task(m->queue, (reeve_task_id){f->task});
    bool known = t != NULL && t->sequence == f->b && t->attempt == f->attempt && t->holder == in->worker &&
                 (t->state == REEVE_STATE_LEASED || (t->state == REEVE_STATE_COMPUTED && computed));
    if (!known && !is_summed(f->a)) {
        struct reeve_frame *revoke = master_add_frame(m, d, in->worker, REEVE_FRAME_REVOKE);
        revoke->task = f->task;
        revoke->attempt = f->attempt;
        return;
    }
    if (!known) {
        if (!is_committed(m, f)) master_add_event(d, REEVE_EVENT_WORKER_TAINTED)->worker = in->worker;
        return;
    }
    if (computed && t->state == REEVE_STATE_LEASED) { /* its report was lost */
        struct reeve_event *ev = master_add_event(d, REEVE_EVENT_TASK_COMPUTED);
        ev->task = f->task;
        ev->worker = in->worker;
        ev->attempt = f->attempt;
        ev->step = t->step;
        ev->arg = (uint32_t)t->key;
        ev->a = f->d;
    }
    master_add_event(d, REEVE_EVENT_TASK_CONFIRMED)->task = f->task;
}

void master_decide_rejoin(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d)
{
    const struct reeve_frame *f = in->frame;
    const struct master_worker *w = &m->workers[in->worker];
    if (m->rejoining == 0 || w->rejoined) {
        d->effect = REEVE_EFFECT_STALE;
        return;
    }
    bool training = m->config.tasks == NULL && m->phase > REEVE_PHASE_LOAD && m->phase < REEVE_PHASE_DRAIN;
    if (training && f->step == REEVE_STEP_NONE) {
        master_decide_bare(m, in->worker, d);
        return;
    }
    bool applies_last = f->step + 1 == m->step && f->a == m->step;
    if (m->phase == REEVE_PHASE_DRAIN) (void)master_add_frame(m, d, in->worker, REEVE_FRAME_DRAIN);
    else if (m->config.tasks != NULL && m->stop_reason != REEVE_OK) /* it may not have heard of it */
        master_add_frame(m, d, in->worker, REEVE_FRAME_WIND_DOWN)->arg = m->config.drain_s;
    if (training && applies_last) { /* committed, and its APPLY was lost: the sum is still there */
        struct reeve_frame *apply = master_add_frame(m, d, in->worker, REEVE_FRAME_APPLY);
        apply->step = m->step;
        apply->arg = m->last_refused;
        apply->a = m->micro_batches;
    }
    if (w->tainted) {
        master_add_event(d, REEVE_EVENT_WORKER_CLEARED)->worker = in->worker;
        master_add_frame(m, d, in->worker, REEVE_FRAME_DISCARD)->step = m->open_step;
    }
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_WORKER_REJOINED);
    ev->worker = in->worker;
    ev->arg = training && !applies_last && f->step != m->step;
}

/* ---- until all have settled ---- */

static bool settle(const reeve_master *m, uint32_t worker, struct reeve_decision *d)
{
    const struct master_worker *w = &m->workers[worker];
    reeve_task_id id;
    if (w->state != WORKER_JOINED || !w->rejoined || w->settled) return false;
    if (!reeve_queue_unconfirmed(m->queue, (reeve_worker_id){worker}, m->epoch, &id)) {
        master_add_event(d, REEVE_EVENT_WORKER_SETTLED)->worker = worker;
        return true;
    }
    const struct reeve_task *t = reeve_queue_task(m->queue, id);
    if (t->state == REEVE_STATE_COMPUTED) { /* it has forgotten what it once reported: nothing in it can be trusted */
        master_add_event(d, REEVE_EVENT_WORKER_CLEARED)->worker = worker;
        master_add_frame(m, d, worker, REEVE_FRAME_DISCARD)->step = m->open_step;
        return true;
    }
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_TASK_RELEASED);
    ev->task = id.v;
    ev->worker = worker;
    ev->attempt = t->attempt;
    return true;
}

void master_decide_settling(const reeve_master *m, struct reeve_decision *d)
{
    for (uint32_t w = m->settle_from; w <= m->expected; w++)
        if (settle(m, w, d)) return;
    master_decide_state(m, d);
}
