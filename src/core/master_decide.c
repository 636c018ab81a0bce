/* The master's thinking: const state, one input, a decision. What follows from what is all here.
 *
 * The life of a step:  STEP_OPENED -> (lease, compute) x M -> STEP_REDUCING -> all REDUCED and equal, coverage as the
 * plan says -> STEP_COMMITTED -> APPLY. Before STEP_COMMITTED everything can be thrown away (STEP_ABORTED); after it
 * every worker holds the same sum, so applying it gives the same bits on each and there is nothing to roll back. */
#include "core/master_state.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"

#define RETRY_BASE_NS (100 * REEVE_MILLISECOND_NS) /* first back-off; doubles with each failure, with jitter */
#define RETRY_DOUBLINGS_MAX 6
#define PICK_LOOK_MAX 16 /* hungry workers looked at per decision: bounds the work of a turn */

static struct reeve_event *add_event(struct reeve_decision *d, uint16_t kind)
{
    REEVE_ASSERT(d->event_count < REEVE_DECISION_EVENTS_MAX);
    struct reeve_event *ev = &d->events[d->event_count++];
    memset(ev, 0, sizeof(*ev));
    ev->kind = kind;
    return ev;
}

static struct reeve_frame *add_frame(const reeve_master *m, struct reeve_decision *d, uint32_t to, uint16_t kind)
{
    REEVE_ASSERT(d->frame_count < REEVE_DECISION_FRAMES_MAX);
    struct reeve_outgoing *o = &d->frames[d->frame_count++];
    memset(o, 0, sizeof(*o));
    o->to = to;
    o->frame.kind = kind;
    o->frame.epoch = m->epoch;
    return &o->frame;
}

static uint32_t active_workers(const reeve_master *m)
{
    return m->joined - m->gone;
}

/* ---- words from workers ---- */

static void decide_hello(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d)
{
    if (m->phase != REEVE_PHASE_GATHER || m->workers[in->worker].state != WORKER_ABSENT) {
        d->effect = REEVE_EFFECT_STALE;
        return;
    }
    struct reeve_event *ev = add_event(d, REEVE_EVENT_WORKER_JOINED);
    ev->worker = in->worker;
    ev->arg = in->worker;
    ev->a = in->frame->a;
    struct reeve_frame *f = add_frame(m, d, in->worker, REEVE_FRAME_WELCOME);
    f->worker = in->worker;
    f->arg = m->expected;
}

/* The task that this word is about, if it is under the lease that the word names. */
static const struct reeve_task *current_lease(const reeve_master *m, const struct reeve_master_input *in)
{
    const struct reeve_task *t = reeve_queue_task(m->queue, (reeve_task_id){in->frame->task});
    if (t == NULL || t->state != REEVE_STATE_LEASED || t->holder != in->worker || t->attempt != in->frame->attempt)
        return NULL;
    return t;
}

static struct reeve_event *task_event(struct reeve_decision *d, uint16_t kind, const struct reeve_master_input *in)
{
    struct reeve_event *ev = add_event(d, kind);
    ev->task = in->frame->task;
    ev->worker = in->worker;
    ev->attempt = in->frame->attempt;
    return ev;
}

static void decide_computed(const struct reeve_master_input *in, const struct reeve_task *t, struct reeve_decision *d)
{
    if (t->kind != REEVE_TASK_GRADIENT && t->kind != REEVE_TASK_EVAL) {
        d->effect = REEVE_EFFECT_MALFORMED;
        return;
    }
    struct reeve_event *ev = task_event(d, REEVE_EVENT_TASK_COMPUTED, in);
    ev->step = t->step;
    ev->arg = (uint32_t)t->key;
    ev->a = in->frame->a;
}

static void decide_done(const struct reeve_master_input *in, const struct reeve_task *t, struct reeve_decision *d)
{
    if (t->kind != REEVE_TASK_STAGE && t->kind != REEVE_TASK_GENERATE) {
        d->effect = REEVE_EFFECT_MALFORMED;
        return;
    }
    struct reeve_event *ev = task_event(d, REEVE_EVENT_TASK_DONE, in);
    ev->a = t->kind;
    ev->b = in->frame->a;
    if (t->kind == REEVE_TASK_GENERATE) d->effect = REEVE_EFFECT_TEXT;
}

/* What will fail anywhere and always is not worth another attempt. */
static bool is_permanent(reeve_status status)
{
    return status == REEVE_TASK_REJECTED || (status >= REEVE_INPUT_USAGE && status <= REEVE_INPUT_PERMISSION);
}

static void decide_failed(const reeve_master *m, const struct reeve_master_input *in, const struct reeve_task *t,
                          reeve_time_ns now_ns, struct reeve_decision *d)
{
    reeve_status reason = (reeve_status)in->frame->arg;
    d->effect = REEVE_EFFECT_PROBLEM;
    if (is_permanent(reason) || t->failures + 1u >= m->config.attempts_max) {
        struct reeve_event *ev = task_event(d, REEVE_EVENT_TASK_DEAD, in);
        ev->arg = (uint32_t)reason;
        ev->a = t->kind;
        ev->b = t->key;
        return;
    }
    uint32_t doublings = t->failures < RETRY_DOUBLINGS_MAX ? t->failures : RETRY_DOUBLINGS_MAX;
    reeve_time_ns delay = RETRY_BASE_NS << doublings;
    uint64_t jitter = reeve_random_below(m->config.seed, t->sequence, t->attempt, (uint64_t)delay / 2);
    struct reeve_event *ev = task_event(d, REEVE_EVENT_TASK_FAILED, in);
    ev->arg = (uint32_t)reason;
    ev->a = (uint64_t)(now_ns + delay + (reeve_time_ns)jitter);
}

static void decide_task_word(const reeve_master *m, const struct reeve_master_input *in, reeve_time_ns now_ns,
                             struct reeve_decision *d)
{
    const struct reeve_task *t = current_lease(m, in);
    if (t == NULL) {
        d->effect = REEVE_EFFECT_STALE;
        return;
    }
    if (in->frame->kind == REEVE_FRAME_COMPUTED) decide_computed(in, t, d);
    if (in->frame->kind == REEVE_FRAME_DONE) decide_done(in, t, d);
    if (in->frame->kind == REEVE_FRAME_FAILED) decide_failed(m, in, t, now_ns, d);
}

static void decide_reduced(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d)
{
    bool reducing = m->phase == REEVE_PHASE_REDUCE || m->phase == REEVE_PHASE_EVAL_REDUCE;
    if (!reducing || in->frame->step != m->open_step || m->workers[in->worker].reduced) {
        d->effect = REEVE_EFFECT_STALE;
        return;
    }
    struct reeve_event *ev = add_event(d, REEVE_EVENT_WORKER_REDUCED);
    ev->worker = in->worker;
    ev->step = m->open_step;
    ev->a = in->frame->a;
    ev->b = in->frame->b;
    ev->arg = (uint32_t)in->frame->d;
    ev = add_event(d, REEVE_EVENT_WORKER_LOSS);
    ev->step = m->open_step;
    ev->a = in->frame->c;
    ev->b = in->frame->d >> 32;
    ev->arg = in->frame->arg;
    ev->attempt = in->frame->attempt;
}

static void decide_checkpoint_word(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d)
{
    const struct reeve_frame *f = in->frame;
    if (!m->ckpt.active || m->ckpt.committing || f->step != m->ckpt.step) {
        d->effect = REEVE_EFFECT_STALE;
        return;
    }
    bool failed = f->kind == REEVE_FRAME_CKPT_PART_FAILED;
    struct reeve_event *ev =
        add_event(d, f->kind == REEVE_FRAME_WEIGHTS ? REEVE_EVENT_WORKER_WEIGHTS : REEVE_EVENT_CKPT_PART);
    ev->worker = in->worker;
    ev->step = f->step;
    ev->arg = f->arg;
    if (failed) {
        /* The others may still be writing: the checkpoint ends when all have answered, and only then is it tried again. */
        ev->attempt = f->a != REEVE_OK ? (uint32_t)f->a : REEVE_STORE_WRITE;
        d->effect = REEVE_EFFECT_PROBLEM;
        return;
    }
    ev->a = f->a;
    ev->b = f->b;
    ev->task = (uint32_t)f->c;
}

static void decide_loaded(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d)
{
    const struct master_worker *w = &m->workers[in->worker];
    if (m->phase != REEVE_PHASE_LOAD || in->frame->step != m->load_step || w->ready || w->restore_failed) {
        d->effect = REEVE_EFFECT_STALE;
        return;
    }
    bool ready = in->frame->kind == REEVE_FRAME_READY;
    bool damaged = (in->frame->arg >= REEVE_STORE_CORRUPT && in->frame->arg < REEVE_JOB_NO_MEMORY) ||
                   in->frame->arg == REEVE_INPUT_MISSING;
    if (!ready) d->effect = REEVE_EFFECT_PROBLEM;
    if (!ready && !damaged) { /* not the checkpoint's fault, so an older one would not help */
        add_event(d, REEVE_EVENT_STOP_ASKED)->arg = in->frame->arg;
        return;
    }
    struct reeve_event *ev = add_event(d, ready ? REEVE_EVENT_WORKER_READY : REEVE_EVENT_RESTORE_FAILED);
    ev->worker = in->worker;
    ev->step = in->frame->step;
    ev->a = in->frame->a;
    ev->b = in->frame->b;
    ev->arg = in->frame->arg;
}

static void decide_frame(const reeve_master *m, const struct reeve_master_input *in, reeve_time_ns now_ns,
                         struct reeve_decision *d)
{
    const struct reeve_frame *f = in->frame;
    if (in->worker < 1 || in->worker > m->expected || m->workers[in->worker].state == WORKER_LOST ||
        (f->kind != REEVE_FRAME_HELLO && f->epoch != m->epoch)) {
        d->effect = REEVE_EFFECT_STALE; /* a word of somebody given up for dead, or of another epoch */
        return;
    }
    struct reeve_event *heard = add_event(d, REEVE_EVENT_HEARTBEAT);
    heard->worker = in->worker;
    heard->a = (uint64_t)now_ns;
    switch (f->kind) {
    case REEVE_FRAME_HELLO: decide_hello(m, in, d); break;
    case REEVE_FRAME_READY:
    case REEVE_FRAME_RESTORE_FAILED: decide_loaded(m, in, d); break;
    case REEVE_FRAME_COMPUTED:
    case REEVE_FRAME_DONE:
    case REEVE_FRAME_FAILED: decide_task_word(m, in, now_ns, d); break;
    case REEVE_FRAME_REDUCED: decide_reduced(m, in, d); break;
    case REEVE_FRAME_REDUCE_FAILED:
        add_event(d, REEVE_EVENT_STOP_ASKED)->arg = f->arg;
        d->effect = REEVE_EFFECT_PROBLEM;
        break;
    case REEVE_FRAME_WEIGHTS:
    case REEVE_FRAME_CKPT_PART:
    case REEVE_FRAME_CKPT_PART_FAILED: decide_checkpoint_word(m, in, d); break;
    case REEVE_FRAME_GOODBYE: add_event(d, REEVE_EVENT_WORKER_GONE)->worker = in->worker; break;
    case REEVE_FRAME_HEARTBEAT:
    case REEVE_FRAME_APPLIED: break;
    default: d->effect = REEVE_EFFECT_MALFORMED; break;
    }
}

/* ---- what to do next ---- */

static bool decide_due(const reeve_master *m, reeve_time_ns now_ns, struct reeve_decision *d)
{
    reeve_task_id id;
    if (!reeve_queue_due(m->queue, now_ns, &id)) return false;
    const struct reeve_task *t = reeve_queue_task(m->queue, id);
    if (t->state == REEVE_STATE_DELAYED) {
        add_event(d, REEVE_EVENT_TASK_WOKEN)->task = id.v;
        return true;
    }
    /* A lease lapses only if its holder was silent for its whole term; and only idempotent work is given to another
     * while the holder may still live: a gradient sits in its holder's accumulator. */
    reeve_time_ns renewed_ns = m->workers[t->holder].heard_ns + m->config.lease_term_ns;
    if (renewed_ns <= now_ns && t->kind == REEVE_TASK_STAGE) {
        struct reeve_event *ev = add_event(d, REEVE_EVENT_TASK_RELEASED);
        ev->task = id.v;
        ev->worker = t->holder;
        ev->attempt = t->attempt;
        struct reeve_frame *f = add_frame(m, d, t->holder, REEVE_FRAME_REVOKE);
        f->task = id.v;
        f->attempt = t->attempt;
        return true;
    }
    struct reeve_event *ev = add_event(d, REEVE_EVENT_LEASE_RENEWED);
    ev->task = id.v;
    ev->b = (uint64_t)(renewed_ns > now_ns ? renewed_ns : now_ns + m->config.lease_term_ns);
    return true;
}

static void ask_load(const reeve_master *m, struct reeve_decision *d)
{
    if (m->checkpoint_count == 0 && m->checkpoint_seen && m->step > 0) {
        add_event(d, REEVE_EVENT_STOP_ASKED)->arg = REEVE_STORE_CORRUPT;
        return;
    }
    const struct reeve_master_checkpoint *c = m->checkpoint_count > 0 ? &m->checkpoints[m->checkpoint_count - 1] : NULL;
    add_event(d, REEVE_EVENT_LOAD_ASKED)->step = c != NULL ? c->step : 0;
    struct reeve_frame *f = add_frame(m, d, 0, c != NULL ? REEVE_FRAME_RESTORE : REEVE_FRAME_INIT);
    f->step = c != NULL ? c->step : 0;
    f->a = c != NULL ? c->digest64 : 0;
}

static void decide_load(const reeve_master *m, struct reeve_decision *d)
{
    if (m->load_answers < active_workers(m)) return;
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
        add_event(d, REEVE_EVENT_STOP_ASKED)->arg = REEVE_WORKER_DIVERGED;
        return;
    }
    if (m->runs > 1) {
        struct reeve_event *ev = add_event(d, REEVE_EVENT_RUN_RESUMED);
        ev->step = m->load_step;
        for (uint32_t i = 0; i < m->checkpoint_count; i++)
            if (m->checkpoints[i].step == m->load_step) ev->a = m->checkpoints[i].lsn;
        d->sync = true;
    }
    add_event(d, REEVE_EVENT_PHASE)->arg = REEVE_PHASE_TRAIN;
}

static void decide_abort(const reeve_master *m, reeve_status reason, struct reeve_decision *d)
{
    struct reeve_event *ev = add_event(d, REEVE_EVENT_STEP_ABORTED);
    ev->step = m->open_step;
    ev->arg = (uint32_t)reason;
    add_frame(m, d, 0, REEVE_FRAME_DISCARD)->step = m->open_step;
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
           m->sum_members == active_workers(m);
}

static void decide_reduce_end(const reeve_master *m, struct reeve_decision *d)
{
    if (m->reduced < active_workers(m)) return;
    if (!sums_agree(m)) {
        decide_abort(m, REEVE_WORKER_DIVERGED, d);
        if (m->aborts + 1 >= MASTER_ABORTS_MAX) add_event(d, REEVE_EVENT_STOP_ASKED)->arg = REEVE_WORKER_DIVERGED;
        return;
    }
    bool eval = m->phase == REEVE_PHASE_EVAL_REDUCE;
    struct reeve_event *ev = add_event(d, eval ? REEVE_EVENT_EVAL_COMMITTED : REEVE_EVENT_STEP_COMMITTED);
    ev->step = m->open_step;
    ev->arg = m->sum_samples;
    ev->a = (uint64_t)m->sum_loss;
    ev->b = eval ? m->sum_tokens : m->sum_coverage;
    d->sync = true;
    if (eval) return;
    bool refused = m->sum_flagged > 0;
    if (refused) ev->flags |= REEVE_EVENT_FLAG_REFUSED;
    if (m->config.fast) ev->flags |= REEVE_EVENT_FLAG_FAST;
    struct reeve_frame *f = add_frame(m, d, 0, REEVE_FRAME_APPLY);
    f->step = m->open_step;
    f->arg = refused;
    f->a = m->micro_batches;
    if (refused && m->refused_run + 1 >= m->config.refused_max)
        add_event(d, REEVE_EVENT_STOP_ASKED)->arg = REEVE_JOB_DIVERGED;
}

static void open_step(const reeve_master *m, struct reeve_decision *d)
{
    struct reeve_event *ev = add_event(d, REEVE_EVENT_STEP_OPENED);
    ev->step = m->step + 1;
    ev->arg = m->micro_batches;
    ev->a = m->step * m->config.global_batch;
    ev->b = m->config.global_batch;
}

static void begin_checkpoint(const reeve_master *m, struct reeve_decision *d)
{
    struct reeve_event *ev = add_event(d, REEVE_EVENT_CKPT_BEGUN);
    ev->step = m->step;
    ev->arg = active_workers(m);
    d->effect = REEVE_EFFECT_BEGIN_CHECKPOINT;
    d->effect_step = m->step;
    struct reeve_frame *f = add_frame(m, d, 0, REEVE_FRAME_CHECKPOINT);
    f->step = m->step;
    f->a = active_workers(m);
}

static void end_run(const reeve_master *m, uint16_t kind, struct reeve_decision *d)
{
    struct reeve_event *ev = add_event(d, kind);
    ev->step = m->step;
    ev->arg = kind == REEVE_EVENT_RUN_ENDED ? m->dead : (uint32_t)m->stop_reason;
    add_event(d, REEVE_EVENT_PHASE)->arg = REEVE_PHASE_DRAIN;
    (void)add_frame(m, d, 0, REEVE_FRAME_DRAIN);
    d->sync = true;
}

static void add_sample(const reeve_master *m, struct reeve_decision *d)
{
    struct reeve_event *ev = add_event(d, REEVE_EVENT_TASK_ADDED);
    ev->a = REEVE_TASK_GENERATE;
    ev->task = reeve_queue_next_free(m->queue);
}

/* True if nothing is left to wait for: the newest state is on disk, or cannot be brought there. */
static bool decide_last_checkpoint(const reeve_master *m, struct reeve_decision *d)
{
    uint64_t last = m->checkpoint_count > 0 ? m->checkpoints[m->checkpoint_count - 1].step : 0;
    if (m->ckpt.active) return false;
    if (last == m->step || m->step == 0) return true;
    if (m->ckpt.failures >= MASTER_CKPT_FAILURES_MAX) {
        if (m->stop_reason == REEVE_OK || m->stop_reason == REEVE_JOB_STOPPED)
            add_event(d, REEVE_EVENT_STOP_ASKED)->arg = REEVE_STORE_WRITE;
        return d->event_count == 0;
    }
    begin_checkpoint(m, d);
    return false;
}

static bool checkpoint_due(const reeve_master *m)
{
    if (m->step == 0 || m->ckpt.begun_step == m->step) return false;
    if (m->checkpoint_count > 0 && m->checkpoints[m->checkpoint_count - 1].step == m->step) return false;
    return m->save_asked || (m->config.checkpoint_every > 0 && m->step % m->config.checkpoint_every == 0);
}

/* Between two steps: evaluate, save, stop, end, or open the next. */
static void decide_boundary(const reeve_master *m, struct reeve_decision *d)
{
    bool last = m->step >= m->config.steps;
    if (m->config.stop_at > 0 && m->step >= m->config.stop_at && m->stop_reason == REEVE_OK && !last) {
        add_event(d, REEVE_EVENT_STOP_ASKED)->arg = REEVE_JOB_STOPPED;
        return;
    }
    if (m->stop_reason != REEVE_OK && !(last && m->stop_reason == REEVE_JOB_STOPPED)) {
        if (decide_last_checkpoint(m, d)) end_run(m, REEVE_EVENT_RUN_STOPPED, d);
        return;
    }
    bool eval_due = m->eval_batches > 0 && m->step > 0 && m->eval_step != m->step &&
                    (last || (m->config.eval_every > 0 && m->step % m->config.eval_every == 0));
    if (eval_due) {
        struct reeve_event *ev = add_event(d, REEVE_EVENT_EVAL_OPENED);
        ev->step = m->step;
        ev->arg = m->eval_batches;
        return;
    }
    if (last) {
        if (!decide_last_checkpoint(m, d)) return;
        if (m->config.sample_tokens > 0 && !m->sampled) {
            if (m->sample_task == UINT32_MAX) add_sample(m, d);
            return;
        }
        end_run(m, REEVE_EVENT_RUN_ENDED, d);
        return;
    }
    if (m->ckpt.failures >= MASTER_CKPT_FAILURES_MAX) {
        add_event(d, REEVE_EVENT_STOP_ASKED)->arg = REEVE_STORE_WRITE;
        return;
    }
    if (checkpoint_due(m)) {
        if (!m->ckpt.active) {
            begin_checkpoint(m, d);
            return;
        }
        /* The one before is still being written: never queue behind it; say so and go on. */
        add_event(d, REEVE_EVENT_CKPT_SKIPPED)->step = m->step;
        return;
    }
    open_step(m, d);
}

static bool decide_lease(const reeve_master *m, reeve_time_ns now_ns, struct reeve_decision *d)
{
    uint32_t w = m->hungry_head;
    for (uint32_t n = 0; w != 0 && n < PICK_LOOK_MAX; n++, w = m->workers[w].hungry_next) {
        reeve_task_id id;
        bool alone = active_workers(m) == 1;
        if (reeve_queue_pick(m->queue, (reeve_worker_id){w}, m->workers[w].node, alone, &id) != REEVE_OK) continue;
        const struct reeve_task *t = reeve_queue_task(m->queue, id);
        struct reeve_event *ev = add_event(d, REEVE_EVENT_TASK_LEASED);
        ev->task = id.v;
        ev->worker = w;
        ev->attempt = t->attempt + 1;
        ev->step = t->step;
        ev->arg = (uint32_t)t->key;
        ev->a = t->kind;
        ev->b = (uint64_t)(now_ns + m->config.lease_term_ns);
        struct reeve_frame *f = add_frame(m, d, w, REEVE_FRAME_LEASE);
        f->task = id.v;
        f->attempt = ev->attempt;
        f->step = t->step;
        f->arg = (uint32_t)t->key;
        f->a = t->kind;
        return true;
    }
    return false;
}

/* All that a checkpoint needs is there: if the workers hold the same weights, the index can be written. */
static bool decide_checkpoint_end(const reeve_master *m, struct reeve_decision *d)
{
    if (!m->ckpt.active || !m->ckpt.committing || m->ckpt.handed) return false;
    d->effect_step = m->ckpt.step;
    if (m->ckpt.failed != REEVE_OK) {
        struct reeve_event *ev = add_event(d, REEVE_EVENT_CKPT_FAILED);
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
        struct reeve_event *ev = add_event(d, REEVE_EVENT_CKPT_FAILED);
        ev->step = m->ckpt.step;
        ev->arg = REEVE_WORKER_DIVERGED;
        add_event(d, REEVE_EVENT_STOP_ASKED)->arg = REEVE_WORKER_DIVERGED;
        d->effect = REEVE_EFFECT_ABANDON_CHECKPOINT;
        return true;
    }
    add_event(d, REEVE_EVENT_CKPT_HANDED)->step = m->ckpt.step;
    d->effect = REEVE_EFFECT_COMMIT_CHECKPOINT;
    return true;
}

static void decide_tick(const reeve_master *m, reeve_time_ns now_ns, struct reeve_decision *d)
{
    if (decide_due(m, now_ns, d)) return;
    if (decide_checkpoint_end(m, d)) return;
    bool open = m->open_step != 0;
    bool training = m->phase == REEVE_PHASE_TRAIN || m->phase == REEVE_PHASE_EVAL;
    bool failing = m->stop_reason != REEVE_OK && m->stop_reason != REEVE_JOB_STOPPED;
    bool beginning = m->phase == REEVE_PHASE_GATHER || m->phase == REEVE_PHASE_LOAD;
    if (beginning && m->stop_reason != REEVE_OK) {
        end_run(m, REEVE_EVENT_RUN_STOPPED, d); /* nothing was begun, so there is nothing to save */
        return;
    }
    if (m->phase == REEVE_PHASE_GATHER && m->joined == m->expected) ask_load(m, d);
    if (m->phase == REEVE_PHASE_LOAD) decide_load(m, d);
    if (m->dead_reason != REEVE_OK && !failing) {
        add_event(d, REEVE_EVENT_STOP_ASKED)->arg = (uint32_t)m->dead_reason;
    } else if (failing && open) {
        decide_abort(m, m->stop_reason, d); /* it can never commit; what was committed is saved at the boundary */
    } else if (training && open && m->computed == m->open_count) {
        add_event(d, REEVE_EVENT_STEP_REDUCING)->step = m->open_step;
        struct reeve_frame *f = add_frame(m, d, 0, REEVE_FRAME_REDUCE);
        f->step = m->open_step;
        f->arg = active_workers(m);
        f->a = m->phase == REEVE_PHASE_EVAL ? REEVE_TASK_EVAL : REEVE_TASK_GRADIENT;
    } else if (m->phase == REEVE_PHASE_REDUCE || m->phase == REEVE_PHASE_EVAL_REDUCE) {
        decide_reduce_end(m, d);
    } else if (m->phase == REEVE_PHASE_TRAIN && !open) {
        decide_boundary(m, d);
    }
    if (m->phase == REEVE_PHASE_DRAIN && active_workers(m) == 0)
        add_event(d, REEVE_EVENT_PHASE)->arg = REEVE_PHASE_ENDED;
    if (d->event_count == 0 && m->phase < REEVE_PHASE_DRAIN) (void)decide_lease(m, now_ns, d);
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
        struct reeve_event *ev = add_event(d, REEVE_EVENT_CKPT_FAILED);
        ev->step = in->step;
        ev->arg = (uint32_t)in->status;
        d->effect = REEVE_EFFECT_ABANDON_CHECKPOINT;
        return;
    }
    struct reeve_event *ev = add_event(d, REEVE_EVENT_STEP_WEIGHTS);
    ev->step = in->step;
    ev->a = m->ckpt.weights[0];
    ev->b = m->ckpt.weights[1];
    ev = add_event(d, REEVE_EVENT_CKPT_COMMIT);
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
    d->sync = false;
    switch (in->kind) {
    case REEVE_INPUT_TICK: decide_tick(m, now_ns, d); break;
    case REEVE_INPUT_FRAME: decide_frame(m, in, now_ns, d); break;
    case REEVE_INPUT_STOP: add_event(d, REEVE_EVENT_STOP_ASKED)->arg = (uint32_t)in->status; break;
    case REEVE_INPUT_SAVE: add_event(d, REEVE_EVENT_SAVE_ASKED); break;
    case REEVE_INPUT_CKPT_DONE: decide_ckpt_done(m, in, d); break;
    case REEVE_INPUT_WORKER_LOST: {
        if (!reeve_master_worker_active(m, in->worker)) break;
        struct reeve_event *ev = add_event(d, REEVE_EVENT_WORKER_LOST);
        ev->worker = in->worker;
        ev->arg = (uint32_t)in->status;
        d->sync = true;
        break;
    }
    }
}
