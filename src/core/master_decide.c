/* The master's thinking: const state, one input, a decision. What follows from what is all here.
 *
 * The life of a step:  STEP_OPENED -> (lease, compute) x M -> STEP_REDUCING -> all REDUCED and equal, coverage as the
 * plan says -> STEP_COMMITTED -> APPLY. Before STEP_COMMITTED everything can be thrown away (STEP_ABORTED); after it
 * every worker holds the same sum, so applying it gives the same bits on each and there is nothing to roll back. */
#include "core/master_list.h"
#include "core/master_pace.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"

#define PICK_LOOK_MAX 16 /* hungry workers looked at per decision: bounds the work of a turn */

struct reeve_event *master_add_event(struct reeve_decision *d, uint16_t kind)
{
    REEVE_ASSERT(d->event_count < REEVE_DECISION_EVENTS_MAX);
    struct reeve_event *ev = &d->events[d->event_count++];
    memset(ev, 0, sizeof(*ev));
    ev->kind = kind;
    return ev;
}

struct reeve_frame *master_add_frame(const reeve_master *m, struct reeve_decision *d, uint32_t to, uint16_t kind)
{
    REEVE_ASSERT(d->frame_count < REEVE_DECISION_FRAMES_MAX);
    struct reeve_outgoing *o = &d->frames[d->frame_count++];
    memset(o, 0, sizeof(*o));
    o->to = to;
    o->frame.kind = kind;
    o->frame.epoch = m->epoch;
    return &o->frame;
}

uint32_t master_active_workers(const reeve_master *m)
{
    return m->joined - m->gone;
}

/* ---- what to do next ---- */

static bool decide_due(const reeve_master *m, reeve_time_ns now_ns, struct reeve_decision *d)
{
    reeve_task_id id;
    if (!reeve_queue_due(m->queue, now_ns, &id)) return false;
    const struct reeve_task *t = reeve_queue_task(m->queue, id);
    if (t->state == REEVE_STATE_DELAYED) {
        master_add_event(d, REEVE_EVENT_TASK_WOKEN)->task = id.v;
        return true;
    }
    /* A lease lapses only if its holder was silent for its whole term; and only idempotent work is given to another
     * while the holder may still live: a gradient sits in its holder's accumulator. */
    reeve_time_ns renewed_ns = m->workers[t->holder].heard_ns + m->config.lease_term_ns;
    if (renewed_ns <= now_ns && t->kind == REEVE_TASK_STAGE) {
        struct reeve_event *ev = master_add_event(d, REEVE_EVENT_TASK_RELEASED);
        ev->task = id.v;
        ev->worker = t->holder;
        ev->attempt = t->attempt;
        struct reeve_frame *f = master_add_frame(m, d, t->holder, REEVE_FRAME_REVOKE);
        f->task = id.v;
        f->attempt = t->attempt;
        return true;
    }
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_LEASE_RENEWED);
    ev->task = id.v;
    ev->b = (uint64_t)(renewed_ns > now_ns ? renewed_ns : now_ns + m->config.lease_term_ns);
    return true;
}

static void ask_load(const reeve_master *m, struct reeve_decision *d)
{
    if (m->checkpoint_count == 0 && m->checkpoint_seen && m->step > 0) {
        master_add_event(d, REEVE_EVENT_STOP_ASKED)->arg = REEVE_STORE_CORRUPT;
        return;
    }
    const struct reeve_master_checkpoint *c = m->checkpoint_count > 0 ? &m->checkpoints[m->checkpoint_count - 1] : NULL;
    master_add_event(d, REEVE_EVENT_LOAD_ASKED)->step = c != NULL ? c->step : 0;
    struct reeve_frame *f = master_add_frame(m, d, 0, c != NULL ? REEVE_FRAME_RESTORE : REEVE_FRAME_INIT);
    f->step = c != NULL ? c->step : 0;
    f->a = c != NULL ? c->digest64 : 0;
}

static void decide_load(const reeve_master *m, struct reeve_decision *d)
{
    if (m->load_answers < master_active_workers(m)) return;
    bool diverged = false;
    const struct master_worker *first = NULL;
    for (uint32_t w = 1; w <= m->expected; w++) {
        const struct master_worker *at = &m->workers[w];
        if (at->state != WORKER_JOINED) continue;
        if (at->restore_failed) {
            ask_load(m, d); /* the next older checkpoint */
            return;
        }
        if (first == NULL) first = at;
        diverged |= memcmp(at->weights, first->weights, sizeof(first->weights)) != 0;
    }
    if (diverged) {
        master_add_event(d, REEVE_EVENT_STOP_ASKED)->arg = REEVE_WORKER_DIVERGED;
        return;
    }
    if (m->runs > 1 || m->step != m->load_step) {
        struct reeve_event *ev = master_add_event(d, REEVE_EVENT_RUN_RESUMED);
        ev->step = m->load_step;
        for (uint32_t i = 0; i < m->checkpoint_count; i++)
            if (m->checkpoints[i].step == m->load_step) ev->a = m->checkpoints[i].lsn;
        d->sync = true;
    }
    master_add_event(d, REEVE_EVENT_PHASE)->arg = REEVE_PHASE_TRAIN;
}

static void decide_abort(const reeve_master *m, reeve_status reason, struct reeve_decision *d)
{
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_STEP_ABORTED);
    ev->step = m->open_step;
    ev->arg = (uint32_t)reason;
    master_add_frame(m, d, 0, REEVE_FRAME_DISCARD)->step = m->open_step;
}

/* All have reduced: is it the sum of exactly what the plan says, and the same everywhere? */
static bool sums_agree(const reeve_master *m)
{
    const struct master_worker *first = NULL;
    for (uint32_t w = 1; w <= m->expected; w++) {
        const struct master_worker *at = &m->workers[w];
        if (at->state != WORKER_JOINED) continue;
        if (first == NULL) first = at;
        if (at->sum_digest != first->sum_digest) return false;
    }
    return m->sum_coverage == m->open_coverage && m->sum_samples == m->open_samples &&
           m->sum_members == master_active_workers(m);
}

static void decide_reduce_end(const reeve_master *m, struct reeve_decision *d)
{
    if (m->reduced < master_active_workers(m)) return;
    if (!sums_agree(m)) {
        decide_abort(m, REEVE_WORKER_DIVERGED, d);
        if (m->aborts + 1 >= MASTER_ABORTS_MAX)
            master_add_event(d, REEVE_EVENT_STOP_ASKED)->arg = REEVE_WORKER_DIVERGED;
        return;
    }
    bool eval = m->phase == REEVE_PHASE_EVAL_REDUCE;
    struct reeve_event *ev = master_add_event(d, eval ? REEVE_EVENT_EVAL_COMMITTED : REEVE_EVENT_STEP_COMMITTED);
    ev->step = m->open_step;
    ev->arg = m->sum_samples;
    ev->a = (uint64_t)m->sum_loss;
    ev->b = eval ? m->sum_tokens : m->sum_coverage;
    d->sync = true;
    bool refused = m->sum_flagged > 0;
    if (refused) ev->flags |= REEVE_EVENT_FLAG_REFUSED;
    if (eval && refused) ev->a = ev->b = 0; /* what is left of the sum is the loss of the other batches */
    if (eval) return;
    if (m->config.fast) ev->flags |= REEVE_EVENT_FLAG_FAST;
    struct reeve_frame *f = master_add_frame(m, d, 0, REEVE_FRAME_APPLY);
    f->step = m->open_step;
    f->arg = refused;
    f->a = m->micro_batches;
    if (refused && m->refused_run + 1 >= m->config.refused_max)
        master_add_event(d, REEVE_EVENT_STOP_ASKED)->arg = REEVE_JOB_DIVERGED;
}

bool master_pick(const reeve_master *m, uint32_t *worker, reeve_task_id *id)
{
    bool alone = master_active_workers(m) == 1;
    uint32_t w = m->hungry_head, n = 0, slow = 0;
    reeve_task_id at, slow_id = {0};
    for (; w != 0 && n < PICK_LOOK_MAX; n++, w = m->workers[w].hungry_next) {
        if (reeve_queue_pick(m->queue, (reeve_worker_id){w}, 0, alone, &at) != REEVE_OK) continue;
        if (!master_pace_leaves(m, w, reeve_queue_task(m->queue, at))) {
            *worker = w;
            *id = at;
            return true;
        }
        if (slow != 0) continue;
        slow = w;
        slow_id = at;
    }
    /* w == 0: all were asked, and the faster ones are busy; unless nobody is, since none may have what comes first. */
    if (slow == 0 || (w == 0 && reeve_queue_count(m->queue, REEVE_STATE_LEASED) > 0)) return false;
    *worker = slow;
    *id = slow_id;
    return true;
}

struct reeve_frame *master_lease(const reeve_master *m, uint32_t worker, reeve_task_id id, reeve_time_ns now_ns,
                                 struct reeve_decision *d)
{
    const struct reeve_task *t = reeve_queue_task(m->queue, id);
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_TASK_LEASED);
    ev->task = id.v;
    ev->worker = worker;
    ev->attempt = t->attempt + 1;
    ev->step = t->step;
    ev->arg = (uint32_t)t->key;
    ev->a = t->kind;
    ev->b = (uint64_t)(now_ns + m->config.lease_term_ns);
    struct reeve_frame *f = master_add_frame(m, d, worker, REEVE_FRAME_LEASE);
    f->task = id.v;
    f->attempt = ev->attempt;
    f->step = t->step;
    f->arg = (uint32_t)t->key;
    f->a = t->kind;
    f->c = t->sequence;
    return f;
}

static void decide_lease(const reeve_master *m, reeve_time_ns now_ns, struct reeve_decision *d)
{
    uint32_t worker;
    reeve_task_id id;
    if (master_pick(m, &worker, &id)) (void)master_lease(m, worker, id, now_ns, d);
}

/* All that a checkpoint needs is there: if the workers hold the same weights, the index can be written. */
static bool decide_checkpoint_end(const reeve_master *m, struct reeve_decision *d)
{
    if (!m->ckpt.active || !m->ckpt.committing || m->ckpt.handed) return false;
    d->effect_step = m->ckpt.step;
    if (m->ckpt.failed != REEVE_OK) {
        struct reeve_event *ev = master_add_event(d, REEVE_EVENT_CKPT_FAILED);
        ev->step = m->ckpt.step;
        ev->arg = (uint32_t)m->ckpt.failed;
        d->effect = REEVE_EFFECT_ABANDON_CHECKPOINT;
        return true;
    }
    const struct master_worker *first = NULL;
    for (uint32_t w = 1; w <= m->expected; w++) {
        const struct master_worker *at = &m->workers[w];
        if (!at->weighed) continue;
        if (first == NULL) first = at;
        if (memcmp(at->weights, first->weights, sizeof(first->weights)) == 0) continue;
        struct reeve_event *ev = master_add_event(d, REEVE_EVENT_CKPT_FAILED);
        ev->step = m->ckpt.step;
        ev->arg = REEVE_WORKER_DIVERGED;
        master_add_event(d, REEVE_EVENT_STOP_ASKED)->arg = REEVE_WORKER_DIVERGED;
        d->effect = REEVE_EFFECT_ABANDON_CHECKPOINT;
        return true;
    }
    master_add_event(d, REEVE_EVENT_CKPT_HANDED)->step = m->ckpt.step;
    d->effect = REEVE_EFFECT_COMMIT_CHECKPOINT;
    return true;
}

/* A task that takes its worker with it each time will take the others too. */
static bool decide_poison(const reeve_master *m, struct reeve_decision *d)
{
    if (m->poisoned == UINT32_MAX) return false;
    const struct reeve_task *t = reeve_queue_task(m->queue, (reeve_task_id){m->poisoned});
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_TASK_DEAD);
    ev->task = m->poisoned;
    ev->step = t->step;
    ev->attempt = t->attempt;
    ev->arg = REEVE_WORKER_LOST;
    ev->a = t->kind;
    ev->b = t->key;
    return true;
}

static void decide_tick(const reeve_master *m, reeve_time_ns now_ns, struct reeve_decision *d)
{
    if (m->rejoining > 0) {
        master_decide_settling(m, d);
        return;
    }
    if (decide_poison(m, d)) return;
    if (decide_due(m, now_ns, d)) return;
    if (m->config.tasks != NULL) {
        master_list_tick(m, now_ns, d);
        return;
    }
    if (decide_checkpoint_end(m, d)) return;
    bool open = m->open_step != 0;
    bool training = m->phase == REEVE_PHASE_TRAIN || m->phase == REEVE_PHASE_EVAL;
    bool failing = m->stop_reason != REEVE_OK && m->stop_reason != REEVE_JOB_STOPPED;
    bool beginning = m->phase == REEVE_PHASE_GATHER || m->phase == REEVE_PHASE_LOAD;
    if (beginning && m->stop_reason != REEVE_OK) {
        if (m->joined < m->expected) return; /* who comes after the end would be told of it by nobody, and wait */
        master_end_run(m, REEVE_EVENT_RUN_STOPPED, d); /* nothing was begun, so there is nothing to save */
        return;
    }
    if (m->reload && m->phase < REEVE_PHASE_DRAIN && !failing) {
        if (open) decide_abort(m, REEVE_WORKER_DIVERGED, d);
        else if (!m->ckpt.handed) ask_load(m, d); /* one that is being made durable is the newest in a moment */
        return;
    }
    if (m->phase == REEVE_PHASE_GATHER && m->joined == m->expected) ask_load(m, d);
    if (m->phase == REEVE_PHASE_LOAD) decide_load(m, d);
    if (m->dead_reason != REEVE_OK && !failing) {
        master_add_event(d, REEVE_EVENT_STOP_ASKED)->arg = (uint32_t)m->dead_reason;
    } else if (failing && open) {
        decide_abort(m, m->stop_reason, d); /* it can never commit; what was committed is saved at the boundary */
    } else if (training && open && m->computed == m->open_count) {
        master_add_event(d, REEVE_EVENT_STEP_REDUCING)->step = m->open_step;
        struct reeve_frame *f = master_add_frame(m, d, 0, REEVE_FRAME_REDUCE);
        f->step = m->open_step;
        f->arg = master_active_workers(m);
        f->a = m->phase == REEVE_PHASE_EVAL ? REEVE_TASK_EVAL : REEVE_TASK_GRADIENT;
    } else if (m->phase == REEVE_PHASE_REDUCE || m->phase == REEVE_PHASE_EVAL_REDUCE) {
        decide_reduce_end(m, d);
    } else if (m->phase == REEVE_PHASE_TRAIN && !open) {
        master_decide_boundary(m, d);
    }
    if (m->phase == REEVE_PHASE_DRAIN && master_active_workers(m) == 0)
        master_add_event(d, REEVE_EVENT_PHASE)->arg = REEVE_PHASE_ENDED;
    if (d->event_count == 0 && m->phase > REEVE_PHASE_LOAD && m->phase < REEVE_PHASE_DRAIN) decide_lease(m, now_ns, d);
}

static void decide_ckpt_done(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d)
{
    if (!m->ckpt.active || in->step != m->ckpt.step) {
        d->effect = REEVE_EFFECT_STALE;
        return;
    }
    d->effect_step = in->step;
    d->sync = true;
    if (in->status != REEVE_OK) {
        struct reeve_event *ev = master_add_event(d, REEVE_EVENT_CKPT_FAILED);
        ev->step = in->step;
        ev->arg = (uint32_t)in->status;
        d->effect = REEVE_EFFECT_ABANDON_CHECKPOINT;
        return;
    }
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_STEP_WEIGHTS);
    ev->step = in->step;
    ev->a = m->ckpt.weights[0];
    ev->b = m->ckpt.weights[1];
    ev = master_add_event(d, REEVE_EVENT_CKPT_COMMIT);
    ev->step = in->step;
    ev->a = in->digest64;
    ev->b = m->ckpt.lsn;
    ev->arg = m->ckpt.parts;
    d->effect = REEVE_EFFECT_RETAIN;
}

void reeve_master_decide(const reeve_master *m, const struct reeve_master_input *in, reeve_time_ns now_ns,
                         struct reeve_decision *d)
{
    d->event_count = d->frame_count = 0;
    d->effect = REEVE_EFFECT_NONE;
    d->effect_step = 0;
    d->sync = d->yield = false;
    switch (in->kind) {
    case REEVE_INPUT_TICK: decide_tick(m, now_ns, d); break;
    case REEVE_INPUT_FRAME: master_decide_frame(m, in, now_ns, d); break;
    case REEVE_INPUT_STOP:
        master_add_event(d, REEVE_EVENT_STOP_ASKED)->arg = (uint32_t)in->status;
        if (m->config.tasks != NULL) master_list_stop(m, d);
        break;
    case REEVE_INPUT_SAVE: master_add_event(d, REEVE_EVENT_SAVE_ASKED); break;
    case REEVE_INPUT_CKPT_DONE: decide_ckpt_done(m, in, d); break;
    case REEVE_INPUT_WORKER_LOST: master_decide_lost(m, in, d); break;
    case REEVE_INPUT_WORKER_REPLACED: master_decide_replaced(m, in, d); break;
    case REEVE_INPUT_REGROUPED: master_decide_regrouped(m, in, d); break;
    }
}
