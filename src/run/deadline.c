/* See deadline.h. */
#include "run/deadline.h"

#include <signal.h>

#include "base/absence.h"
#include "base/clock.h"
#include "base/log.h"

#define DOUBT_NS (10 * REEVE_SECOND_NS)

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
    *d = (struct reeve_deadline){.own_wall_ns = end_wall_ns, .turned_ns = now_ns};
    reeve_allocation_init(&d->allocation, now_ns);
    reeve_time_limit_init(&d->limit, now_ns);
    set_end(d, now_ns);
}

void reeve_deadline_fini(struct reeve_deadline *d)
{
    reeve_allocation_fini(&d->allocation);
}

/* After a gap: the job may have been suspended, and what was under way did not take that long. */
static void note_turn(struct reeve_deadline *d, reeve_time_ns now_ns)
{
    reeve_time_ns away_ns = reeve_absence(&d->turned_ns, now_ns, REEVE_SUSPENSION_NS);
    if (away_ns == 0) return;
    d->absent_ns = now_ns;
    d->doubt_until_ns = 0;
    if (d->saving_ns > 0) d->saving_ns += away_ns;
    reeve_time_limit_pass_over(&d->limit, away_ns);
}

void reeve_deadline_event(struct reeve_deadline *d, const struct reeve_event *ev, reeve_time_ns now_ns)
{
    note_turn(d, now_ns);
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

/* The job's end has passed, as far as is known. But Slurm gives a job that it suspends the time back: where turns have not come
 * for a while its end may be another one now, and that is asked for before all ends. */
static bool is_in_doubt(struct reeve_deadline *d, reeve_time_ns now_ns)
{
    bool is_own = d->own_wall_ns <= d->allocation.end_wall_ns;
    if (d->absent_ns == 0 || d->allocation.job_id == 0 || is_own) return false;
    if (d->doubt_until_ns == 0) {
        d->doubt_until_ns = now_ns + DOUBT_NS;
        reeve_allocation_ask_anew(&d->allocation, d->absent_ns, now_ns);
    }
    return now_ns < d->doubt_until_ns;
}

bool reeve_deadline_turn(struct reeve_deadline *d, reeve_time_ns now_ns)
{
    note_turn(d, now_ns);
    if (reeve_allocation_turn(&d->allocation, now_ns)) {
        set_end(d, now_ns);
        if (d->limit.end_ns == REEVE_TIME_NEVER) reeve_log(REEVE_LOG_INFO, "this job has no time limit");
        else
            reeve_log(REEVE_LOG_INFO, "the time of this job ends in %lld s",
                      (long long)((d->limit.end_ns - now_ns) / REEVE_SECOND_NS));
    }
    if (reeve_allocation_has_asked(&d->allocation, d->absent_ns)) d->absent_ns = 0;
    if (now_ns < reeve_time_limit_due(&d->limit) || is_in_doubt(d, now_ns)) return false;
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
