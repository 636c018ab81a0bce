/* Preparing a run that works a task list off: its list is read from the job and locked, or compared with the locked one. */
#ifndef REEVE_RUN_PREPARE_TASKS_H
#define REEVE_RUN_PREPARE_TASKS_H

#include "run/prepare.h"

/* Write p->tasks to RUN/tasks.h5; the folder is there. STORE_CREATE | STORE_WRITE | JOB_NO_MEMORY. */
reeve_status reeve_prepare_tasks_lock(const struct reeve_prepared *p, struct reeve_error *err);
/* Read RUN/tasks.h5 into p->tasks; with a job_path, the tasks there must be the same ones (INPUT_CHANGED, with the first
 * that differs). */
reeve_status reeve_prepare_tasks_open(struct reeve_prepared *p, const char *job_path, struct reeve_error *err);

#endif
