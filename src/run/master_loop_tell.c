/* What people are told of a run while it goes on: the words for events, and for what a worker says went wrong. How it ended
 * is told in master_loop_life.c. */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "core/exact_sum.h"
#include "run/master_loop_state.h"

void master_loop_tell_problem(reeve_master_loop *l, const struct reeve_master_input *in)
{
    if (in->frame == NULL || in->frame->text_bytes == 0) return;
    l->problem.status = (reeve_status)(in->frame->kind == REEVE_FRAME_CKPT_PART_FAILED ? in->frame->a : in->frame->arg);
    (void)snprintf(l->problem.text, sizeof(l->problem.text), "%.*s", (int)in->frame->text_bytes, in->text);
    reeve_log(REEVE_LOG_WARN, "worker %u: %s", in->worker, l->problem.text);
}

/* The samples of a training task cannot be skipped in silence, so the run ends with this word; a list goes on. */
static void tell_poison(reeve_master_loop *l, const struct reeve_event *ev)
{
    if (l->config.tasks != NULL) {
        reeve_log(REEVE_LOG_WARN,
                  "task %s lost its worker %u times in a row (faults.crash_limit) and is put aside: see "
                  "what it does, and its output in %s/output",
                  reeve_task_list_name(l->config.tasks, ev->task), l->config.job->faults.crash_limit,
                  l->config.run_dir);
        return;
    }
    l->problem.status = REEVE_WORKER_LOST;
    (void)snprintf(l->problem.text, sizeof(l->problem.text),
                   "%s task %" PRIu64 " of step %" PRIu64
                   " lost its worker %u times in a row (faults.crash_limit)%s%s: "
                   "see what it reads, and the workers' logs in %s/log",
                   reeve_task_kind_name((uint8_t)ev->a), ev->b, ev->step, l->config.job->faults.crash_limit,
                   l->put_out[0] != '\0' ? "; the last to be put out was " : "", l->put_out, l->config.run_dir);
    reeve_log(REEVE_LOG_WARN, "%s", l->problem.text);
}

void master_loop_tell_event(reeve_master_loop *l, const struct reeve_event *ev)
{
    if (ev->kind == REEVE_EVENT_CKPT_COMMIT) {
        reeve_log(REEVE_LOG_DEBUG, "checkpoint of step %" PRIu64 " committed", ev->step);
    } else if (ev->kind == REEVE_EVENT_CKPT_SKIPPED) {
        reeve_log(l->skip_told ? REEVE_LOG_DEBUG : REEVE_LOG_WARN,
                  "no checkpoint at step %" PRIu64 ": the one before is still being written; raise "
                  "checkpoint.every (told once; the log file has all)",
                  ev->step);
        l->skip_told = true;
    } else if (ev->kind == REEVE_EVENT_RUN_RESUMED && ev->step > 0) {
        reeve_report_say(l->report, "resumed from the checkpoint of step %" PRIu64 " with %u worker%s", ev->step,
                         l->config.workers, l->config.workers == 1 ? "" : "s");
    } else if (ev->kind == REEVE_EVENT_RUN_RESUMED) {
        reeve_report_say(l->report, "no checkpoint yet: started again from the seed with %u worker%s",
                         l->config.workers, l->config.workers == 1 ? "" : "s");
    } else if (ev->kind == REEVE_EVENT_EVAL_COMMITTED && (ev->flags & REEVE_EVENT_FLAG_REFUSED) != 0) {
        reeve_log(REEVE_LOG_WARN,
                  "step %" PRIu64
                  ": the held-out loss is not finite: some batch gave NaN, infinity, or 2^30 nats and more",
                  ev->step);
    } else if (ev->kind == REEVE_EVENT_EVAL_COMMITTED && ev->b > 0) {
        reeve_report_say(l->report, "step %" PRIu64 ": held-out loss %.4f nats per token", ev->step,
                         reeve_exact_loss_value((int64_t)ev->a) / (double)ev->b);
    } else if (ev->kind == REEVE_EVENT_STEP_ABORTED) {
        reeve_log(REEVE_LOG_WARN, "step %" PRIu64 " was thrown away before its commit: %s", ev->step,
                  reeve_status_text((reeve_status)ev->arg));
    } else if (ev->kind == REEVE_EVENT_WORKER_LOST) {
        reeve_log(REEVE_LOG_WARN, "worker %u is %s; what it held is given to others", ev->worker,
                  ev->arg == REEVE_JOB_DEADLINE ? "put out" : "lost");
    } else if (ev->kind == REEVE_EVENT_WORKER_REPLACED) {
        reeve_log(REEVE_LOG_INFO, "worker %u is replaced by a new process", ev->worker);
    } else if (ev->kind == REEVE_EVENT_REGROUPED) {
        struct reeve_master_status s;
        reeve_master_get_status(l->master, &s);
        reeve_report_say(l->report, "going on after step %" PRIu64 " with %u worker%s", s.step, s.workers,
                         s.workers == 1 ? "" : "s");
    } else if (ev->kind == REEVE_EVENT_TASK_DEAD && ev->arg == REEVE_WORKER_LOST) {
        tell_poison(l, ev);
    }
}
