/* How the master's loop begins, whether it opens the run or takes a lost master's place, and how it ends: the exit code and
 * the last words to people; see master_loop.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/one_line.h"
#include "core/exact_sum.h"
#include "run/master_loop_state.h"

static reeve_status open_run(reeve_master_loop *l, struct reeve_error *err)
{
    struct reeve_decision d = {.event_count = 2, .sync = true};
    d.events[0] = (struct reeve_event){.kind = REEVE_EVENT_RUN_OPENED,
                                       .step = l->recovered->resume_step,
                                       .a = l->recovered->run_id,
                                       .arg = l->config.workers};
    memcpy(&d.events[0].b, l->config.digest.bytes, 8);
    d.events[1] = (struct reeve_event){.kind = REEVE_EVENT_SEGMENT_STAMP, .a = (uint64_t)reeve_clock_wall_ns()};
    struct reeve_master_input none = {.kind = REEVE_INPUT_TICK};
    reeve_status st = master_loop_carry_out(l, &none, &d, reeve_clock_now(), err);
    struct reeve_master_status s;
    reeve_master_get_status(l->master, &s);
    l->epoch = s.epoch;
    for (uint32_t w = 1; w <= l->config.workers; w++)
        l->here[w] = true;
    return st == REEVE_OK ? master_loop_make_epoch_durable(l, err) : st;
}

static void open_start_record(reeve_master_loop *l, bool succeeds)
{
    struct reeve_master_status s;
    reeve_master_get_status(l->master, &s);
    l->start = reeve_start_record_create(l->config.run_dir, s.opened_epoch, l->recovered->resume_step,
                                         l->config.workers, &l->deadline.allocation, succeeds);
}

reeve_status reeve_master_loop_create(const struct reeve_master_loop_config *config, struct reeve_recovered *recovered,
                                      reeve_transport *transport, const struct reeve_members *members,
                                      reeve_master_loop **out, struct reeve_error *err)
{
    reeve_master_loop *l = calloc(1, sizeof(*l));
    if (l == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "master: out of memory");
    l->config = *config;
    l->recovered = recovered;
    l->master = recovered->master;
    l->transport = transport;
    l->heartbeat_ns = l->silence_ns = reeve_clock_now();
    l->signals_seen = 0;
    reeve_deadline_init(&l->deadline, config->end_wall_ns, l->heartbeat_ns);
    if (config->tasks != NULL)
        reeve_time_limit_set_drain(&l->deadline.limit,
                                   (config->job->exec.drain_s + config->job->exec.grace_s) * REEVE_SECOND_NS);
    l->outbox = calloc((size_t)config->workers + 1, sizeof(*l->outbox));
    l->unsent = calloc((size_t)config->workers + 1, sizeof(*l->unsent));
    l->here = calloc((size_t)config->workers + 1, sizeof(*l->here));
    l->seen = calloc((size_t)config->workers + 1, sizeof(*l->seen));
    reeve_eviction_init(&l->eviction, config->job->faults.evict_min_s * REEVE_SECOND_NS);
    l->hosts = reeve_host_watch_create(config->workers);
    reeve_status st = REEVE_OK;
    if (l->outbox == NULL || l->unsent == NULL || l->here == NULL || l->seen == NULL)
        st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "master: out of memory");
    if (st == REEVE_OK)
        st = reeve_report_create(config->run_dir, config->job, recovered->run_id,
                                 recovered->plan != NULL ? reeve_plan_epoch_samples(recovered->plan) : 0,
                                 config->progress, &l->report, err);
    if (st == REEVE_OK && config->tasks == NULL)
        st = reeve_checkpointer_create(config->run_dir, config->job->checkpoint.keep, config->workers, &l->checkpointer,
                                       err);
    if (st == REEVE_OK)
        st = reeve_journal_open(config->run_dir, &recovered->info, recovered->info.last_epoch + 1, recovered->run_id,
                                &l->journal, err);
    if (st == REEVE_OK) st = members == NULL ? open_run(l, err) : reeve_master_loop_regroup(l, transport, members, err);
    if (st == REEVE_OK) open_start_record(l, members != NULL);
    if (st == REEVE_OK && config->stop_cause != REEVE_CAUSE_NONE) {
        l->deadline.cause = config->stop_cause;
        st = master_loop_ask_stop(l, "the master before", reeve_clock_now(), err);
    }
    if (st != REEVE_OK) {
        reeve_master_loop_destroy(l);
        return st;
    }
    *out = l;
    return REEVE_OK;
}

void reeve_master_loop_destroy(reeve_master_loop *l)
{
    if (l == NULL) return;
    reeve_checkpointer_destroy(l->checkpointer);
    (void)reeve_journal_close(l->journal, NULL);
    reeve_report_destroy(l->report);
    reeve_start_record_destroy(l->start);
    reeve_host_watch_destroy(l->hosts);
    reeve_deadline_fini(&l->deadline);
    free(l->seen);
    free(l->here);
    free(l->unsent);
    free(l->outbox);
    free(l);
}

/* The run ended by itself: complete, stopped, or with an error on record. */
static int end_of_itself(reeve_master_loop *l, const struct reeve_master_status *s, char *why, size_t why_bytes)
{
    why[0] = '\0';
    bool failed = s->stop_reason != REEVE_OK && s->stop_reason != REEVE_JOB_STOPPED;
    if (s->ended && !failed) {
        if (l->has_text) {
            reeve_plain_lines(l->text); /* a workload of somebody else's has made it */
            reeve_report_say(l->report, "\nA text sampled from the model:\n%s\n", l->text);
        }
        if (s->dead > 0)
            (void)snprintf(why, why_bytes, "finished, but %u task%s dead (see `reeve %s %s`)", s->dead,
                           s->dead == 1 ? " is" : "s are", l->config.tasks != NULL ? "tasks --state dead" : "inspect",
                           l->config.run_dir);
        return s->dead > 0 ? REEVE_EXIT_DEAD_TASKS : REEVE_EXIT_DONE;
    }
    if (s->stop_reason == REEVE_JOB_STOPPED && l->config.tasks != NULL) {
        (void)snprintf(why, why_bytes, "stopped: %u of %" PRIu64 " tasks are done; run the same command again to go on",
                       s->done, s->tasks_total);
        return REEVE_EXIT_AGAIN;
    }
    if (s->stop_reason == REEVE_JOB_STOPPED) {
        (void)snprintf(why, why_bytes, "checkpointed at step %" PRIu64 "; run the same command again to go on",
                       s->last_checkpoint);
        return REEVE_EXIT_AGAIN;
    }
    /* Checkpoints that could not be made, for whatever reason, end as STORE_WRITE. */
    bool explains = l->problem.status == s->stop_reason ||
                    (s->stop_reason == REEVE_STORE_WRITE && l->problem.status >= REEVE_STORE_CORRUPT &&
                     l->problem.status < REEVE_JOB_NO_MEMORY);
    const char *words = explains ? l->problem.text : reeve_status_text(s->stop_reason);
    (void)snprintf(why, why_bytes, "stopped at step %" PRIu64 " (checkpoint: step %" PRIu64 "): %s", s->step,
                   s->last_checkpoint, words);
    return reeve_status_exit_code(s->stop_reason);
}

int reeve_master_loop_end(reeve_master_loop *l, const struct reeve_error *err)
{
    struct reeve_master_status s;
    reeve_master_get_status(l->master, &s);
    char why[REEVE_ERROR_TEXT_BYTES + 128];
    int code;
    if (err->status != REEVE_OK) {
        (void)snprintf(why, sizeof(why), "%s", err->text);
        code = reeve_status_exit_code(err->status);
    } else {
        code = end_of_itself(l, &s, why, sizeof(why));
        struct reeve_error close_err = {0};
        reeve_status st = reeve_journal_close(l->journal, &close_err);
        l->journal = NULL;
        if (st != REEVE_OK) {
            (void)snprintf(why, sizeof(why), "%s", close_err.text);
            code = reeve_status_exit_code(st);
        }
    }
    enum reeve_run_state state = code == REEVE_EXIT_DONE || code == REEVE_EXIT_DEAD_TASKS ? REEVE_RUN_COMPLETE
                                 : code == REEVE_EXIT_AGAIN                               ? REEVE_RUN_STOPPED
                                                                                          : REEVE_RUN_FAILED;
    if (code != REEVE_EXIT_INTERNAL) master_loop_remove_stop(l); /* else `reeve run` starts it again */
    reeve_start_record_end(l->start, &s, l->deadline.cause, code);
    reeve_report_end(l->report, l->master, state, code, why, reeve_clock_now());
    if (state == REEVE_RUN_COMPLETE && l->config.tasks != NULL) {
        reeve_report_say(l->report, "complete: %u of %" PRIu64 " tasks done; output and journal in %s", s.done,
                         s.tasks_total, l->config.run_dir);
    } else if (state == REEVE_RUN_COMPLETE) {
        if (s.eval_tokens > 0)
            reeve_report_say(l->report, "complete: %" PRIu64 " steps, held-out loss %.4f nats per token; files in %s",
                             s.step, reeve_exact_loss_value(s.eval_loss) / (double)s.eval_tokens, l->config.run_dir);
        else reeve_report_say(l->report, "complete: %" PRIu64 " steps; files in %s", s.step, l->config.run_dir);
    }
    if (why[0] != '\0') reeve_log(code == REEVE_EXIT_AGAIN ? REEVE_LOG_INFO : REEVE_LOG_ERROR, "%s", why);
    return code;
}
