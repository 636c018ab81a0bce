/* The master's eye on its workers: who says nothing, whose work does not end, and a sum that does not; see core/eviction.h
 * for the judgement. Where a worker cannot be put out of the job, its silence is told, and much later ends the run. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "run/master_loop_state.h"

#define SUMS_STUCK_MAX 3u
#define WHY_BYTES 96
#define LIVES_NS (3 * REEVE_SECOND_NS) /* it says so once a second */

/* ---- what is measured ---- */

void master_loop_watch_word(reeve_master_loop *l, uint32_t worker, const struct reeve_frame *word, reeve_time_ns now_ns)
{
    if (worker == 0 || worker > l->config.workers || (word->kind != REEVE_FRAME_HELLO && word->epoch != l->epoch))
        return;
    reeve_time_ns silence_ns = 0;
    if (reeve_master_silence(l->master, worker, now_ns, l->present_ns, &silence_ns))
        reeve_eviction_heard(&l->eviction, silence_ns);
    reeve_eviction_hear(&l->seen[worker], word);
    if (l->state_moved_ns != 0 && l->seen[worker].pace != REEVE_PACE_NONE) l->state_moved_ns = now_ns;
    if (word->kind == REEVE_FRAME_APPLIED)
        reeve_eviction_measure(&l->eviction, REEVE_PACE_APPLY, (reeve_time_ns)word->c);
    if (word->kind == REEVE_FRAME_READY) reeve_eviction_measure(&l->eviction, REEVE_PACE_LOAD, (reeve_time_ns)word->c);
    if (worker != l->silent_named) return;
    reeve_log(REEVE_LOG_INFO, "worker %u is back", worker);
    l->silent_named = 0;
}

static enum reeve_pace pace_of_task(const reeve_master_loop *l, uint32_t task)
{
    const struct reeve_task *t = reeve_master_task(l->master, task);
    return t != NULL && t->kind == REEVE_TASK_EVAL ? REEVE_PACE_EVAL : REEVE_PACE_GRADIENT;
}

void master_loop_watch_event(reeve_master_loop *l, const struct reeve_event *ev, reeve_time_ns now_ns)
{
    switch (ev->kind) {
    case REEVE_EVENT_TASK_COMPUTED:
        reeve_eviction_measure(&l->eviction, pace_of_task(l, ev->task), (reeve_time_ns)ev->a);
        break;
    case REEVE_EVENT_STEP_REDUCING: l->sum_began_ns = now_ns; break;
    case REEVE_EVENT_STEP_COMMITTED:
    case REEVE_EVENT_EVAL_COMMITTED:
        if (l->sum_began_ns != 0) reeve_eviction_measure(&l->eviction, REEVE_PACE_SUM, now_ns - l->sum_began_ns);
        l->sums_stuck = 0;
        l->sum_began_ns = 0;
        break;
    case REEVE_EVENT_STEP_ABORTED: l->sum_began_ns = 0; break;
    default: break;
    }
}

void master_loop_watch_regrouped(reeve_master_loop *l)
{
    l->sum_began_ns = l->state_moved_ns = 0;
    for (uint32_t w = 1; w <= l->config.workers; w++)
        l->seen[w] = (struct reeve_eviction_worker){0};
}

/* ---- who is put out ---- */

static bool end_worker(reeve_master_loop *l, uint32_t worker, bool if_stopped, const char *why, reeve_time_ns now_ns)
{
    if (l->config.evictor == NULL || !reeve_evictor_end(l->config.evictor, worker, if_stopped, why, now_ns))
        return false;
    (void)snprintf(l->put_out, sizeof(l->put_out), "worker %u, which %s", worker, why);
    return true;
}

/* Whoever is stopped goes first: others may say nothing because they wait for it. */
static void judge_worker(reeve_master_loop *l, uint32_t worker, bool stopped_ones, reeve_time_ns now_ns)
{
    const struct reeve_eviction_worker *at = &l->seen[worker];
    char why[WHY_BYTES];
    enum reeve_verdict verdict = reeve_eviction_judge(&l->eviction, at);
    bool if_stopped = stopped_ones || verdict == REEVE_VERDICT_SILENT_IF_STOPPED;
    if (verdict == REEVE_VERDICT_GOES_ON || (!stopped_ones && l->config.evictor->ended_ns != 0)) return;
    if (verdict == REEVE_VERDICT_STUCK)
        (void)snprintf(why, sizeof(why), "has not ended %s for %.1f s, and %.3f s are usual", reeve_pace_name(at->pace),
                       (double)at->lasts_ns * 1e-9, (double)reeve_recent_median(&l->eviction.took[at->pace]) * 1e-9);
    else (void)snprintf(why, sizeof(why), "has said nothing for %.1f s", (double)at->silence_ns * 1e-9);
    (void)end_worker(l, worker, if_stopped, why, now_ns);
}

/* The sum (SUM or STATE) that was begun, or moved, at since_ns, has it ended? */
static reeve_status judge_one_sum(reeve_master_loop *l, enum reeve_pace sum, reeve_time_ns since_ns,
                                  reeve_time_ns now_ns, struct reeve_error *err)
{
    if (since_ns == 0) return REEVE_OK;
    if (since_ns < l->present_ns) since_ns = l->present_ns;
    if (!reeve_eviction_sum_is_stuck(&l->eviction, sum, &l->seen[1], l->config.workers, now_ns - since_ns))
        return REEVE_OK;
    struct reeve_master_status s;
    reeve_master_get_status(l->master, &s);
    double seconds = (double)(now_ns - since_ns) * 1e-9;
    const char *what = sum == REEVE_PACE_STATE ? "the sum that brings the state to a new worker" : "the sum";
    if (++l->sums_stuck > SUMS_STUCK_MAX)
        return reeve_fail(err, REEVE_JOB_DEADLINE,
                          "%s after step %" PRIu64 " has not ended for %.1f s, the %uth time; giving up. Run the same "
                          "command again to go on from the last checkpoint",
                          what, s.step, seconds, l->sums_stuck);
    reeve_log(REEVE_LOG_WARN,
              "%s after step %" PRIu64 " has not ended for %.1f s, and all workers live: it is begun again", what,
              s.step, seconds);
    return reeve_fail(err, REEVE_WORKER_LOST, "a sum does not end");
}

static reeve_status judge_sums(reeve_master_loop *l, reeve_time_ns now_ns, struct reeve_error *err)
{
    if (!reeve_master_shares_state(l->master)) l->state_moved_ns = 0;
    else if (l->state_moved_ns == 0) l->state_moved_ns = now_ns;
    reeve_status st = judge_one_sum(l, REEVE_PACE_SUM, l->sum_began_ns, now_ns, err);
    return st == REEVE_OK ? judge_one_sum(l, REEVE_PACE_STATE, l->state_moved_ns, now_ns, err) : st;
}

static reeve_status judge_all(reeve_master_loop *l, reeve_time_ns now_ns, struct reeve_error *err)
{
    if (l->config.evictor == NULL) return REEVE_OK;
    for (uint32_t w = 1; w <= l->config.workers; w++) {
        struct reeve_eviction_worker *at = &l->seen[w];
        at->silence_ns = 0;
        at->awaited = l->here[w] && reeve_master_silence(l->master, w, now_ns, l->present_ns, &at->silence_ns);
        judge_worker(l, w, true, now_ns);
    }
    for (uint32_t w = 1; w <= l->config.workers; w++)
        judge_worker(l, w, false, now_ns);
    return judge_sums(l, now_ns, err);
}

/* ---- where nobody can be put out ---- */

/* A host of which nobody says anything: `reeve run` reads of it in status.json, and finds out whether it is there. */
static void watch_hosts(reeve_master_loop *l, reeve_time_ns now_ns)
{
    uint32_t limit_s = l->config.job->faults.host_silence_s;
    if (limit_s == 0) return;
    reeve_time_ns silence = 0;
    const char *host =
        reeve_host_watch_silent(l->hosts, l->master, now_ns, l->present_ns, limit_s * REEVE_SECOND_NS, &silence);
    reeve_report_silent(l->report, host != NULL ? host : "", (double)silence * 1e-9);
}

/* Who reads or copies a whole shard, say, takes as long as that takes: `reeve run` is told, so that it does not take the
 * job for one that hangs. */
static void watch_long_work(reeve_master_loop *l, reeve_time_ns now_ns)
{
    uint32_t count = 0;
    for (uint32_t w = 1; w <= l->config.workers; w++) {
        reeve_time_ns silence_ns = 0;
        count += l->seen[w].pace == REEVE_PACE_OTHER &&
                 reeve_master_silence(l->master, w, now_ns, l->present_ns, &silence_ns) && silence_ns <= LIVES_NS;
    }
    reeve_report_long(l->report, count);
}

/* A worker that says nothing: first a warning, much later its end if that is possible, else that of the run. Nobody is
 * given its work meanwhile, and a worker that was only stopped goes on where it was. */
static reeve_status watch_silence(reeve_master_loop *l, reeve_time_ns now_ns, struct reeve_error *err)
{
    reeve_time_ns silence = 0;
    uint32_t worker = reeve_master_silent_worker(l->master, now_ns, l->present_ns, &silence);
    if (worker == 0 || silence < l->config.job->faults.silence_warn_s * REEVE_SECOND_NS) return REEVE_OK;
    long long seconds = (long long)(silence / REEVE_SECOND_NS);
    if (l->config.evictor != NULL && reeve_evictor_has_ended(l->config.evictor, worker)) return REEVE_OK; /* soon */
    bool too_long = silence >= l->config.job->faults.silence_stop_s * REEVE_SECOND_NS;
    if (too_long && l->eviction.floor_ns > 0 &&
        end_worker(l, worker, !l->seen[worker].heard, "has said nothing for faults.silence_stop_s", now_ns))
        return REEVE_OK;
    if (too_long)
        return reeve_fail(
            err, REEVE_JOB_DEADLINE, /* not WORKER_LOST: MPI misses nobody, and would wait for it in a regrouping */
            "worker %u has said nothing for %lld s (faults.silence_stop_s); giving up. Run the same command "
            "again to go on from the last checkpoint",
            worker, seconds);
    if (worker != l->silent_named)
        reeve_log(REEVE_LOG_WARN, "worker %u has said nothing for %lld s; waiting for it until %u s have passed",
                  worker, seconds, l->config.job->faults.silence_stop_s);
    l->silent_named = worker;
    return REEVE_OK;
}

reeve_status master_loop_watch(reeve_master_loop *l, reeve_time_ns now_ns, struct reeve_error *err)
{
    if (now_ns - l->silence_ns < REEVE_SECOND_NS) return REEVE_OK;
    l->silence_ns = now_ns;
    watch_hosts(l, now_ns);
    watch_long_work(l, now_ns);
    reeve_status st = judge_all(l, now_ns, err);
    return st == REEVE_OK ? watch_silence(l, now_ns, err) : st;
}
