/* The worker's turn; see worker.h. */
#include "run/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/absence.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/log.h"
#include "core/task.h"
#include "run/holdings.h"
#include "run/lost.h"
#include "run/model_step.h"
#include "run/state_share.h"
#include "run/worker_sum.h"

#define HEARTBEAT_NS REEVE_SECOND_NS
#define MESSAGES_PER_TURN_MAX 64

struct reeve_worker {
    struct reeve_worker_config config;
    char host[256];
    reeve_transport *transport; /* borrowed */
    reeve_compute *compute;     /* borrowed; NULL: no training */
    reeve_executor *executor;   /* borrowed; NULL: no task list */
    uint32_t epoch;
    bool greeted, draining, said_goodbye, run_over;
    enum reeve_cause stop_cause;    /* the master told of; NONE: no stop was asked */
    bool rejoin_due;                /* after a regrouping, until the master's first word */
    struct reeve_holdings holds;    /* owned */
    struct reeve_state_share share; /* owned */
    size_t share_told;              /* its offset when the master was last told that it moves */
    struct reeve_worker_sum sum;
    struct reeve_model_step model;
    reeve_time_ns sent_ns, heard_ns, turn_ns;
    reeve_time_ns present_ns;       /* since when turns have come without a long gap */
    struct reeve_eviction eviction; /* what is measured of the master's words */
    size_t outbox_bytes;
    unsigned char outbox[REEVE_MESSAGE_BYTES_MAX];
    unsigned char inbox[REEVE_MESSAGE_BYTES_MAX];
    char text[REEVE_FRAME_TEXT_MAX + 1];
};

reeve_status reeve_worker_create(const struct reeve_worker_config *config, reeve_transport *transport,
                                 struct reeve_collectives collectives, reeve_compute *compute, reeve_executor *executor,
                                 reeve_worker **out, struct reeve_error *err)
{
    reeve_worker *w = calloc(1, sizeof(*w));
    if (w == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "worker %u: out of memory", config->id);
    w->config = *config;
    (void)snprintf(w->host, sizeof(w->host), "%s", config->host);
    w->transport = transport;
    w->compute = compute;
    w->sum = (struct reeve_worker_sum){.collectives = collectives, .compute = compute};
    w->executor = executor;
    if (executor != NULL) w->holds.ended_max = config->credits;
    w->heard_ns = reeve_clock_now();
    reeve_eviction_init(&w->eviction, config->evict_ns);
    w->rejoin_due = config->joins;
    if (config->joins) w->model.step = REEVE_STEP_NONE;
    *out = w;
    return REEVE_OK;
}

/* Give the sum in progress up. */
static void abandon(reeve_worker *w)
{
    reeve_worker_sum_abandon(&w->sum);
    reeve_state_share_end(&w->share);
}

void reeve_worker_destroy(reeve_worker *w)
{
    if (w == NULL) return;
    abandon(w);
    reeve_holdings_fini(&w->holds);
    free(w);
}

static reeve_status send_outbox(reeve_worker *w, reeve_time_ns now_ns, struct reeve_error *err)
{
    if (w->outbox_bytes == 0) return REEVE_OK;
    reeve_status st = w->transport->ops->send(w->transport, 0, w->outbox, w->outbox_bytes, err);
    w->outbox_bytes = 0;
    w->sent_ns = now_ns;
    return st;
}

/* Put one frame behind the others of this turn. */
static reeve_status say(reeve_worker *w, struct reeve_frame *frame, const char *text, reeve_time_ns now_ns,
                        struct reeve_error *err)
{
    frame->worker = w->config.id;
    if (reeve_frame_push(w->outbox, sizeof(w->outbox), &w->outbox_bytes, frame, text)) return REEVE_OK;
    reeve_status st = send_outbox(w, now_ns, err);
    if (st != REEVE_OK) return st;
    bool fits = reeve_frame_push(w->outbox, sizeof(w->outbox), &w->outbox_bytes, frame, text);
    REEVE_ASSERT(fits); /* an empty message holds the longest frame */
    return REEVE_OK;
}

/* ---- the sum ---- */

/* Somebody was lost, and the run survives that: all regroup, whichever heard of it first, the sum or the transport. Else
 * the master is told, which stops the run; but among GPUs a sum fails with a machine or a link. That leaves nothing to go
 * on with here, while the run can: to the others this is a worker that died. */
static reeve_status sum_failed(reeve_worker *w, const struct reeve_error *why, reeve_time_ns now_ns,
                               struct reeve_error *err)
{
    bool device = w->sum.stage == REEVE_SUM_STAGE_DEVICE;
    abandon(w);
    if (why->status == REEVE_WORKER_LOST && (device || w->config.stays)) {
        *err = *why;
        return REEVE_WORKER_LOST;
    }
    if (device) {
        reeve_log(REEVE_LOG_ERROR, "sum of step %llu over GPUs: %s; this process ends", (unsigned long long)w->sum.step,
                  why->text);
        reeve_end_as_lost();
    }
    struct reeve_frame f = {
        .kind = REEVE_FRAME_REDUCE_FAILED, .epoch = w->epoch, .step = w->sum.step, .arg = (uint32_t)why->status};
    return say(w, &f, why->text, now_ns, err);
}

static reeve_status move_reduce(reeve_worker *w, reeve_time_ns now_ns, bool *progress, struct reeve_error *err)
{
    /* The last to be told may still be in the sum that brought the state to a new worker. */
    if (w->sum.stage == REEVE_SUM_STAGE_UNSETTLED && w->share.active) return REEVE_OK;
    struct reeve_error why = {0};
    struct reeve_frame reduced;
    bool whole = false;
    reeve_status st = reeve_worker_sum_turn(&w->sum, progress, &whole, &reduced, &why);
    if (st != REEVE_OK) {
        why.status = st;
        return sum_failed(w, &why, now_ns, err);
    }
    if (!whole) return REEVE_OK;
    if (!w->sum.of_eval) w->model.summed = reduced.step;
    reduced.epoch = w->epoch;
    return say(w, &reduced, NULL, now_ns, err);
}

/* ---- the state, for those who are new ---- */

static reeve_status begin_share(reeve_worker *w, const struct reeve_frame *f, struct reeve_error *err)
{
    bool bare = w->model.step == REEVE_STEP_NONE;
    w->share_told = 0;
    reeve_status st = reeve_state_share_begin(&w->share, f, w->config.id, bare, err);
    if (st != REEVE_OK || !bare || reeve_compute_post(w->compute, f)) return st;
    return reeve_fail(err, REEVE_JOB_INTERNAL, "worker %u: no room for another command", w->config.id);
}

/* Whoever is new and cannot have it ends: the others then lose nobody that they had. For them it is a sum like others. */
static reeve_status move_share(reeve_worker *w, reeve_time_ns now_ns, bool *progress, struct reeve_error *err)
{
    if (!w->share.active) return REEVE_OK;
    bool done = false, takes = w->share.takes;
    struct reeve_error why = {0};
    reeve_status st = reeve_state_share_turn(&w->share, w->compute, w->sum.collectives.host, progress, &done, &why);
    if (st == REEVE_OK && done && takes) w->model.step = w->share.frame.step;
    if (st == REEVE_OK && done) reeve_state_share_end(&w->share);
    if (st == REEVE_OK) return REEVE_OK;
    why.status = st;
    if (!takes) return sum_failed(w, &why, now_ns, err);
    abandon(w);
    *err = why;
    return st;
}

/* ---- words of the master ---- */

static reeve_status say_out_of_step(reeve_worker *w, const struct reeve_frame *f, reeve_time_ns now_ns,
                                    struct reeve_error *err)
{
    struct reeve_error why;
    struct reeve_frame answer = {
        .kind = REEVE_FRAME_REDUCE_FAILED, .epoch = w->epoch, .step = f->step, .arg = REEVE_WORKER_DIVERGED};
    (void)reeve_fail(&why, REEVE_WORKER_DIVERGED,
                     "%s of step %llu does not fit the model of step %llu here: a word of the master was lost or came "
                     "twice; run the same command again to go on from the last checkpoint",
                     reeve_frame_name(f->kind), (unsigned long long)f->step, (unsigned long long)w->model.step);
    return say(w, &answer, why.text, now_ns, err);
}

static reeve_status post(reeve_worker *w, const struct reeve_frame *f, struct reeve_error *err)
{
    if (w->executor != NULL ? reeve_executor_post(w->executor, f) : reeve_compute_post(w->compute, f)) return REEVE_OK;
    return reeve_fail(err, REEVE_JOB_INTERNAL, "worker %u: the master granted more tasks than it may", w->config.id);
}

static reeve_status discard(reeve_worker *w, const struct reeve_frame *f, struct reeve_error *err)
{
    abandon(w);
    reeve_compute_drop_waiting(w->compute);
    reeve_holdings_wipe(&w->holds);
    return post(w, f, err);
}

/* Nothing that was computed with the weights of before may count. The master may not know that there is anything: its
 * journal can have lost the records of it. */
static reeve_status load(reeve_worker *w, const struct reeve_frame *f, struct reeve_error *err)
{
    const struct reeve_frame anew = {.kind = REEVE_FRAME_DISCARD, .epoch = f->epoch, .step = f->step};
    reeve_status st = discard(w, &anew, err);
    return st == REEVE_OK ? post(w, f, err) : st;
}

static reeve_status lease(reeve_worker *w, const struct reeve_frame *f, struct reeve_error *err)
{
    if (!reeve_holdings_add(&w->holds, f))
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "worker %u: no memory for another lease", w->config.id);
    return post(w, f, err);
}

static reeve_status apply(reeve_worker *w, const struct reeve_frame *f, struct reeve_error *err)
{
    reeve_holdings_wipe(&w->holds);
    return post(w, f, err);
}

static reeve_status revoke(reeve_worker *w, const struct reeve_frame *f)
{
    /* Started already: its answer will carry an old attempt, and nobody will want it. */
    if (w->executor != NULL) reeve_executor_revoke(w->executor, f->task, f->attempt); /* and that is answered */
    else (void)reeve_compute_revoke(w->compute, f->task, f->attempt);
    if (w->executor == NULL) reeve_holdings_revoke(&w->holds, f->task, f->attempt);
    return REEVE_OK;
}

/* Everything held, what has ended and may not have been heard, then the word that it was all. */
static reeve_status rejoin(reeve_worker *w, reeve_time_ns now_ns, struct reeve_error *err)
{
    reeve_status st = REEVE_OK;
    w->rejoin_due = false;
    for (uint32_t i = 0; i < w->holds.count && st == REEVE_OK; i++) {
        struct reeve_frame f = w->holds.list[i];
        f.epoch = w->epoch;
        st = say(w, &f, NULL, now_ns, err);
    }
    const struct reeve_frame *ended;
    for (uint32_t i = 0; st == REEVE_OK && (ended = reeve_holdings_ended(&w->holds, i)) != NULL; i++) {
        struct reeve_frame f = *ended;
        f.epoch = w->epoch;
        st = say(w, &f, NULL, now_ns, err);
    }
    struct reeve_frame f = {.kind = REEVE_FRAME_REJOIN, .epoch = w->epoch, .step = w->model.step, .a = w->model.summed};
    return st == REEVE_OK ? say(w, &f, NULL, now_ns, err) : st;
}

static reeve_status handle_frame(reeve_worker *w, const struct reeve_frame *f, reeve_time_ns now_ns,
                                 struct reeve_error *err)
{
    /* A master that is no longer master. (Not after a regrouping: this transport is new, and so is all that comes over
     * it.) */
    if (f->epoch < w->epoch && !w->rejoin_due) return REEVE_OK;
    bool of_training = f->kind == REEVE_FRAME_INIT || f->kind == REEVE_FRAME_RESTORE || f->kind == REEVE_FRAME_APPLY ||
                       f->kind == REEVE_FRAME_CHECKPOINT || f->kind == REEVE_FRAME_DISCARD ||
                       f->kind == REEVE_FRAME_REDUCE || f->kind == REEVE_FRAME_STATE;
    if (w->compute == NULL && of_training)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "worker %u: a word about training, but this run has a task list",
                          w->config.id);
    if (!reeve_model_step_fits(&w->model, f)) return say_out_of_step(w, f, now_ns, err);
    reeve_model_step_note(&w->model, f);
    switch (f->kind) {
    case REEVE_FRAME_FIRST: return REEVE_OK; /* said again for those who have not begun */
    case REEVE_FRAME_WELCOME: w->epoch = f->epoch; return w->rejoin_due ? rejoin(w, now_ns, err) : REEVE_OK;
    case REEVE_FRAME_INIT:
    case REEVE_FRAME_RESTORE: return load(w, f, err);
    case REEVE_FRAME_LEASE: return lease(w, f, err);
    case REEVE_FRAME_APPLY: return apply(w, f, err);
    case REEVE_FRAME_CHECKPOINT: return post(w, f, err);
    case REEVE_FRAME_DISCARD: return discard(w, f, err);
    case REEVE_FRAME_REVOKE: return revoke(w, f);
    case REEVE_FRAME_STATE: return begin_share(w, f, err);
    case REEVE_FRAME_REDUCE: reeve_worker_sum_begin(&w->sum, f->step, f->a == REEVE_TASK_EVAL); return REEVE_OK;
    case REEVE_FRAME_WIND_DOWN:
        if (w->executor != NULL) reeve_executor_wind_down(w->executor, f->arg);
        return REEVE_OK;
    case REEVE_FRAME_DRAIN: w->draining = true; return REEVE_OK;
    case REEVE_FRAME_END: w->run_over = true; return REEVE_OK;
    case REEVE_FRAME_HEARTBEAT:
        if (f->arg != REEVE_CAUSE_NONE && f->arg < REEVE_CAUSE_COUNT) w->stop_cause = (enum reeve_cause)f->arg;
        return REEVE_OK;
    default: reeve_log(REEVE_LOG_WARN, "dropped a frame of unknown kind %u from the master", f->kind); return REEVE_OK;
    }
}

static reeve_status take_messages(reeve_worker *w, reeve_time_ns now_ns, bool *progress, struct reeve_error *err)
{
    for (int n = 0; n < MESSAGES_PER_TURN_MAX; n++) {
        uint32_t peer = 0;
        size_t bytes = 0;
        reeve_status st = w->transport->ops->poll(w->transport, &peer, w->inbox, &bytes, err);
        if (st != REEVE_OK || bytes == 0) return st;
        *progress = true;
        reeve_eviction_heard(&w->eviction, now_ns - w->heard_ns);
        w->heard_ns = now_ns;
        size_t offset = 0;
        for (;;) {
            struct reeve_frame f;
            const char *text = NULL;
            _Bool end = false;
            if (reeve_frame_next(w->inbox, bytes, &offset, &f, &text, &end) != REEVE_OK)
                return reeve_fail(err, REEVE_JOB_INTERNAL, "worker %u: malformed message of %zu bytes from peer %u",
                                  w->config.id, bytes, peer);
            if (end) break;
            st = handle_frame(w, &f, now_ns, err);
            if (st != REEVE_OK) return st;
        }
    }
    return REEVE_OK;
}

static bool take_answer(reeve_worker *w, struct reeve_frame *f)
{
    if (w->executor != NULL) return reeve_executor_take(w->executor, f, w->text);
    return reeve_compute_take(w->compute, f, w->text);
}

static uint32_t waiting(const reeve_worker *w)
{
    return w->executor != NULL ? reeve_executor_waiting(w->executor) : reeve_compute_waiting(w->compute);
}

static bool is_about_a_lease(const struct reeve_frame *f)
{
    return f->kind == REEVE_FRAME_COMPUTED || f->kind == REEVE_FRAME_DONE || f->kind == REEVE_FRAME_FAILED ||
           f->kind == REEVE_FRAME_RELEASED;
}

static reeve_status take_answers(reeve_worker *w, reeve_time_ns now_ns, bool *progress, struct reeve_error *err)
{
    struct reeve_frame f;
    reeve_status st = REEVE_OK;
    while (st == REEVE_OK && take_answer(w, &f)) {
        *progress = true;
        if (is_about_a_lease(&f)) {
            if (!reeve_holdings_answer(&w->holds, &f)) continue;
            f.epoch = w->epoch; /* the lease may be older than the regrouping that it outlived */
        }
        if (w->config.tally != NULL) reeve_tally_count(w->config.tally, &f);
        st = say(w, &f, w->text, now_ns, err);
    }
    return st;
}

static reeve_status say_hello(reeve_worker *w, reeve_time_ns now_ns, struct reeve_error *err)
{
    w->greeted = true;
    struct reeve_frame f = {
        .kind = REEVE_FRAME_HELLO, .arg = w->config.credits, .a = reeve_digest64(w->host, strlen(w->host), 0)};
    return say(w, &f, w->host, now_ns, err);
}

/* What the compute thread does, without the time in which this process did not run; if nothing, whether the state for a new
 * worker moves. */
static void tell_pace(reeve_worker *w, reeve_time_ns now_ns, struct reeve_frame *heartbeat)
{
    bool first = false;
    reeve_time_ns since_ns = 0;
    enum reeve_pace pace = reeve_compute_pace(w->compute, &first, &since_ns);
    if (pace == REEVE_PACE_NONE && w->share.active && w->share.offset != w->share_told) pace = REEVE_PACE_OTHER;
    w->share_told = w->share.offset;
    if (since_ns < w->present_ns) since_ns = w->present_ns;
    reeve_eviction_tell(heartbeat, pace, first, pace != REEVE_PACE_NONE && now_ns > since_ns ? now_ns - since_ns : 0);
}

static reeve_status say_we_live(reeve_worker *w, reeve_time_ns now_ns, struct reeve_error *err)
{
    if (now_ns - w->sent_ns < HEARTBEAT_NS || w->epoch == 0) return REEVE_OK;
    struct reeve_frame f = {.kind = REEVE_FRAME_HEARTBEAT, .epoch = w->epoch, .b = waiting(w)};
    if (w->compute != NULL) tell_pace(w, now_ns, &f);
    return say(w, &f, NULL, now_ns, err);
}

reeve_status reeve_worker_turn(reeve_worker *w, reeve_time_ns now_ns, bool *progress, bool *ended,
                               struct reeve_error *err)
{
    *ended = false;
    if (reeve_absence(&w->turn_ns, now_ns, REEVE_ABSENCE_NS) > 0) w->heard_ns = w->present_ns = now_ns;
    reeve_status st = w->greeted ? REEVE_OK : say_hello(w, now_ns, err);
    if (st == REEVE_OK) st = take_messages(w, now_ns, progress, err);
    if (st == REEVE_OK) st = move_reduce(w, now_ns, progress, err);
    if (st == REEVE_OK) st = move_share(w, now_ns, progress, err);
    /* After a regrouping nothing is said before the master's first word: under the epoch before, it would be dropped. */
    bool heard = !w->rejoin_due;
    if (st == REEVE_OK && heard) st = take_answers(w, now_ns, progress, err);
    if (st == REEVE_OK) st = say_we_live(w, now_ns, err);
    if (st == REEVE_OK && heard && w->draining && !w->said_goodbye && waiting(w) == 0) {
        struct reeve_frame f = {.kind = REEVE_FRAME_GOODBYE, .epoch = w->epoch};
        st = say(w, &f, NULL, now_ns, err);
        w->said_goodbye = true;
    }
    if (st == REEVE_OK) st = send_outbox(w, now_ns, err);
    if (st == REEVE_OK && now_ns - w->heard_ns > w->config.silence_ns)
        st = reeve_fail(err, REEVE_JOB_DEADLINE, "worker %u: no word from the master for %lld s; giving up",
                        w->config.id, (long long)((now_ns - w->heard_ns) / REEVE_SECOND_NS));
    *ended = w->config.stays ? w->run_over : w->said_goodbye;
    /* Whoever is lost once the run is over is lost after its work: the master, usually, which told so and left. */
    return w->run_over && st == REEVE_WORKER_LOST ? REEVE_OK : st;
}

void reeve_worker_regroup(reeve_worker *w, reeve_transport *transport, struct reeve_collectives collectives)
{
    w->transport = transport;
    w->sum.collectives = collectives;
    w->sum.stage = REEVE_SUM_STAGE_NONE; /* it ends with the collectives that it went over */
    reeve_state_share_end(&w->share);
    w->outbox_bytes = 0;
    w->draining = w->said_goodbye = false; /* whether the run is over is said again: the record of it may be lost */
    w->rejoin_due = true;
    w->greeted = false; /* its first word may be among those that were lost, or the record of it; twice does no harm */
    w->heard_ns = reeve_clock_now();
}

enum reeve_cause reeve_worker_stop_cause(const reeve_worker *w)
{
    return w->stop_cause;
}

void reeve_worker_listen(const reeve_worker *w, reeve_time_ns now_ns, struct reeve_worker_ear *ear)
{
    ear->silence_ns = now_ns - w->heard_ns;
    ear->deadline_ns = reeve_eviction_deadline(&w->eviction, REEVE_PACE_WORD, false);
    if (w->config.evict_ns > 0 && ear->deadline_ns > w->config.silence_ns / 2)
        ear->deadline_ns = w->config.silence_ns / 2; /* well before this worker would give up */
    ear->heard = w->epoch != 0 && !w->rejoin_due;
}

bool reeve_worker_is_reducing(const reeve_worker *w)
{
    return w->sum.stage != REEVE_SUM_STAGE_NONE || w->share.active;
}
