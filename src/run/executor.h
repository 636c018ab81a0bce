/* The executor of a worker: a thread that runs the leased tasks of a list, so many at once, and answers for each. The
 * thread that talks to the master posts it leases and takes its answers, so a worker whose command runs for hours still
 * answers. Output goes to files as it is printed; a time limit, a stop, and the end of the worker end whole groups.
 *
 * A lease that waits behind something long is given back (RELEASED), so that another worker can have it. */
#ifndef REEVE_RUN_EXECUTOR_H
#define REEVE_RUN_EXECUTOR_H

#include <stdbool.h>

#include "core/frame.h"
#include "core/job.h"
#include "core/task_list.h"

typedef struct reeve_executor reeve_executor;

struct reeve_executor_config {
    const struct reeve_job *job;         /* borrowed until destroy */
    const struct reeve_task_list *tasks; /* borrowed until destroy */
    const char *run_dir;                 /* borrowed until destroy */
    uint32_t worker;
    const char *warden; /* program of the warden; NULL: none */
};

/* JOB_NO_MEMORY | JOB_CONFIG. */
reeve_status reeve_executor_create(const struct reeve_executor_config *config, reeve_executor **out,
                                   struct reeve_error *err);
/* Kill what runs, wait for it, free everything. Takes NULL. */
void reeve_executor_destroy(reeve_executor *x);

/* Queue a LEASE. False: the master granted more than it may. */
bool reeve_executor_post(reeve_executor *x, const struct reeve_frame *lease);
/* Give a lease back that has not begun; nothing if it has. */
void reeve_executor_revoke(reeve_executor *x, uint32_t task, uint32_t attempt);
/* Begin nothing more, give back what waits, and end what still runs after so many seconds. */
void reeve_executor_wind_down(reeve_executor *x, uint32_t seconds);
/* Take an answer for the master, if there is one. text has room for REEVE_FRAME_TEXT_MAX + 1. */
bool reeve_executor_take(reeve_executor *x, struct reeve_frame *frame, char *text);
/* Leases without an answer that was taken. */
uint32_t reeve_executor_waiting(reeve_executor *x);

#endif
