/* See deadline.h. */
#include "run/deadline.h"

#include <signal.h>

#include "base/clock.h"
#include "base/log.h"

/* The two clocks are joined anew whenever the end changes, so that a wall clock that is set costs nothing but once. */
static void set_end(struct reeve_deadline *d, reeve_time_ns now_ns)
{
    int64_t end_wall_ns = d->allocation.end_wall_ns;
    if (d->own_wall_ns < end_wall_ns) end_wall_ns = d->own_wall_ns;
    reeve_time_limit_set_end(&d->limit, end_wall_ns == INT64_MAX ? REEVE_TIME_NEVER
                                                                 : now_ns + (end_wall_ns - reeve_clock_wall_ns()));
}

void reeve_deadline_init(struct reeve_deadline *d, int64_t end_wall_ns, reeve_time_ns now_ns)
{
    *d = (struct reeve_deadline){.own_wall_ns = end_wall_ns};
    reeve_allocation_init(&d->allocation, now_ns);
    reeve_time_limit_init(&d->limit, now_ns);
    set_end(d, now_ns);
}

void reeve_deadline_fini(struct reeve_deadline *d)
{
    reeve_allocation_fini(&d->allocation);
}

void reeve_deadline_event(struct reeve_deadline *d, const struct reeve_event *ev, reeve_time_ns now_ns)
{
    switch (ev->kind) {
    case REEVE_EVENT_STEP_COMMITTED:
        reeve_time_limit_step(&d->limit, now_ns, d->evaluated);
        d->evaluated = false;
        break;
    case REEVE_EVENT_EVAL_COMMITTED: d->evaluated = true; break;
    case REEVE_EVENT_CKPT_BEGUN: d->saving_ns = now_ns; break;
    case REEVE_EVENT_CKPT_COMMIT:
        if (d->saving_ns > 0) reeve_time_limit_checkpoint(&d->limit, now_ns - d->saving_ns);
        d->saving_ns = 0;
        break;
    default: break;
    }
}

bool reeve_deadline_turn(struct reeve_deadline *d, reeve_time_ns now_ns)
{
    if (reeve_allocation_turn(&d->allocation, now_ns)) {
        set_end(d, now_ns);
        if (d->limit.end_ns == REEVE_TIME_NEVER) reeve_log(REEVE_LOG_INFO, "this job has no time limit");
        else
            reeve_log(REEVE_LOG_INFO, "the time of this job ends in %lld s",
                      (long long)((d->limit.end_ns - now_ns) / REEVE_SECOND_NS));
    }
    if (now_ns < reeve_time_limit_due(&d->limit)) return false;
    if (d->cause == REEVE_CAUSE_NONE) d->cause = REEVE_CAUSE_TIME_LIMIT;
    return true;
}

void reeve_deadline_asked(struct reeve_deadline *d, int signal_number, reeve_time_ns now_ns)
{
    if (d->cause != REEVE_CAUSE_NONE) return;
    bool person = signal_number == 0 || signal_number == SIGINT || d->allocation.job_id == 0;
    d->cause = person                                        ? REEVE_CAUSE_ASKED
               : reeve_time_limit_is_near(&d->limit, now_ns) ? REEVE_CAUSE_TIME_LIMIT
                                                             : REEVE_CAUSE_PREEMPTED;
}
