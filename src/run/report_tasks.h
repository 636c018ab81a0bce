/* What a run of a task list tells: how many tasks ended, and at what rate. The rest of the report is report.c's. */
#ifndef REEVE_RUN_REPORT_TASKS_H
#define REEVE_RUN_REPORT_TASKS_H

#include "core/master.h"
#include "export/status_file.h"

#define REEVE_TASK_RATE_MARKS 16u

/* Tasks ended at some moments of the last seconds. */
struct reeve_task_rate {
    uint64_t ended[REEVE_TASK_RATE_MARKS];
    reeve_time_ns at_ns[REEVE_TASK_RATE_MARKS];
    uint32_t marks;
};

/* Tasks a second and the time left, from what has ended now. Call it as often as you like. */
void reeve_report_tasks(struct reeve_task_rate *rate, const struct reeve_master_status *s, reeve_time_ns now_ns,
                        struct reeve_status_report *out);

#endif
