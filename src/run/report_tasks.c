/* See report_tasks.h. */
#include "run/report_tasks.h"

#include <math.h>

#include "base/clock.h"

#define MARK_NS (REEVE_SECOND_NS / 2) /* so the rate is that of the last 8 s */

void reeve_report_tasks(struct reeve_task_rate *rate, const struct reeve_master_status *s, reeve_time_ns now_ns,
                        struct reeve_status_report *out)
{
    uint64_t ended = (uint64_t)s->done + s->dead + s->cancelled;
    uint32_t n = rate->marks < REEVE_TASK_RATE_MARKS ? rate->marks : REEVE_TASK_RATE_MARKS;
    if (n == 0 || now_ns - rate->at_ns[(rate->marks - 1) % REEVE_TASK_RATE_MARKS] >= MARK_NS) {
        rate->ended[rate->marks % REEVE_TASK_RATE_MARKS] = ended;
        rate->at_ns[rate->marks % REEVE_TASK_RATE_MARKS] = now_ns;
        rate->marks++;
    }
    uint32_t oldest = rate->marks <= REEVE_TASK_RATE_MARKS ? 0 : rate->marks % REEVE_TASK_RATE_MARKS;
    double seconds = (double)(now_ns - rate->at_ns[oldest]) * 1e-9;
    out->state = REEVE_RUN_RUNNING;
    out->tasks_total = s->tasks_total;
    out->tasks_done = s->done;
    out->tasks_delayed = s->delayed;
    out->tasks_cancelled = s->cancelled;
    out->attempts_failed = s->attempts_failed;
    out->tasks_per_s = seconds >= 0.2 ? (double)(ended - rate->ended[oldest]) / seconds : NAN;
    out->seconds_left = out->tasks_per_s > 0 ? (double)(s->tasks_total - ended) / out->tasks_per_s : NAN;
}
