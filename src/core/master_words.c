/* What a word of a worker means to the master: a frame that came in, and the events that follow from it. A word of a
 * worker given up for dead, of another epoch, or about a lease that is no longer its own changes nothing. */
#include "core/master_list.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"

#define RETRY_BASE_NS (100 * REEVE_MILLISECOND_NS) /* first back-off; doubles with each failure, with jitter */
#define RETRY_DOUBLINGS_MAX 6

static void decide_hello(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d)
{
    if (m->phase != REEVE_PHASE_GATHER || m->workers[in->worker].state != WORKER_ABSENT) {
        d->effect = REEVE_EFFECT_STALE;
        return;
    }
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_WORKER_JOINED);
    ev->worker = in->worker;
    ev->arg = in->worker;
    ev->a = in->frame->a;
    struct reeve_frame *f = master_add_frame(m, d, in->worker, REEVE_FRAME_WELCOME);
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
    struct reeve_event *ev = master_add_event(d, kind);
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
    if (reeve_task_is_listed(t->kind)) {
        master_list_word(m, in, t, now_ns, d);
        return;
    }
    if (in->frame->kind == REEVE_FRAME_RELEASED) d->effect = REEVE_EFFECT_MALFORMED;
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
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_WORKER_REDUCED);
    ev->worker = in->worker;
    ev->step = m->open_step;
    ev->a = in->frame->a;
    ev->b = in->frame->b;
    ev->arg = in->frame->task;
    ev = master_add_event(d, REEVE_EVENT_WORKER_LOSS);
    ev->step = m->open_step;
    ev->a = in->frame->c;
    ev->b = in->frame->d;
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
        master_add_event(d, f->kind == REEVE_FRAME_WEIGHTS ? REEVE_EVENT_WORKER_WEIGHTS : REEVE_EVENT_CKPT_PART);
    ev->worker = in->worker;
    ev->step = f->step;
    ev->arg = f->arg;
    if (failed) {
        /* The others may still be writing: the checkpoint ends when all have answered, and only then is it tried
         * again. */
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
    if (w->bare && m->sharing && in->frame->kind == REEVE_FRAME_READY) {
        master_decide_state_there(m, in, d);
        return;
    }
    if (m->phase != REEVE_PHASE_LOAD || in->frame->step != m->load_step || w->ready || w->restore_failed) {
        d->effect = REEVE_EFFECT_STALE;
        return;
    }
    bool ready = in->frame->kind == REEVE_FRAME_READY;
    bool damaged = (in->frame->arg >= REEVE_STORE_CORRUPT && in->frame->arg < REEVE_JOB_NO_MEMORY) ||
                   in->frame->arg == REEVE_INPUT_MISSING;
    if (!ready) d->effect = REEVE_EFFECT_PROBLEM;
    if (!ready && !damaged) { /* not the checkpoint's fault, so an older one would not help */
        master_add_event(d, REEVE_EVENT_STOP_ASKED)->arg = in->frame->arg;
        return;
    }
    struct reeve_event *ev = master_add_event(d, ready ? REEVE_EVENT_WORKER_READY : REEVE_EVENT_RESTORE_FAILED);
    ev->worker = in->worker;
    ev->step = in->frame->step;
    ev->a = in->frame->a;
    ev->b = in->frame->b;
    ev->arg = in->frame->arg;
}

void master_decide_frame(const reeve_master *m, const struct reeve_master_input *in, reeve_time_ns now_ns,
                         struct reeve_decision *d)
{
    const struct reeve_frame *f = in->frame;
    if (in->worker < 1 || in->worker > m->expected || m->workers[in->worker].state == WORKER_LOST ||
        (f->kind != REEVE_FRAME_HELLO && f->epoch != m->epoch)) {
        d->effect = REEVE_EFFECT_STALE; /* a word of somebody given up for dead, or of another epoch */
        return;
    }
    if (m->workers[in->worker].heard_ns != now_ns) { /* once a turn, however many words it says */
        struct reeve_event *heard = master_add_event(d, REEVE_EVENT_HEARTBEAT);
        heard->worker = in->worker;
        heard->a = (uint64_t)now_ns;
    }
    switch (f->kind) {
    case REEVE_FRAME_HELLO: decide_hello(m, in, d); break;
    case REEVE_FRAME_READY:
    case REEVE_FRAME_RESTORE_FAILED: decide_loaded(m, in, d); break;
    case REEVE_FRAME_COMPUTED:
    case REEVE_FRAME_DONE:
    case REEVE_FRAME_RELEASED:
    case REEVE_FRAME_FAILED: decide_task_word(m, in, now_ns, d); break;
    case REEVE_FRAME_REDUCED: decide_reduced(m, in, d); break;
    case REEVE_FRAME_REDUCE_FAILED:
        master_add_event(d, REEVE_EVENT_STOP_ASKED)->arg = f->arg;
        d->effect = REEVE_EFFECT_PROBLEM;
        break;
    case REEVE_FRAME_WEIGHTS:
    case REEVE_FRAME_CKPT_PART:
    case REEVE_FRAME_CKPT_PART_FAILED: decide_checkpoint_word(m, in, d); break;
    case REEVE_FRAME_HOLDING: master_decide_holding(m, in, d); break;
    case REEVE_FRAME_REJOIN: master_decide_rejoin(m, in, d); break;
    case REEVE_FRAME_GOODBYE: /* before the end it makes no sense: what that worker holds would be with nobody */
        if (m->phase == REEVE_PHASE_DRAIN) master_add_event(d, REEVE_EVENT_WORKER_GONE)->worker = in->worker;
        else d->effect = REEVE_EFFECT_MALFORMED;
        break;
    case REEVE_FRAME_HEARTBEAT:
    case REEVE_FRAME_APPLIED: break;
    default: d->effect = REEVE_EFFECT_MALFORMED; break;
    }
}
