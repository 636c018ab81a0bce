/* Preparing a run that works a task list off: its list is read from the job and locked, or compared with the locked one. */
#ifndef REEVE_RUN_PREPARE_TASKS_H
#define REEVE_RUN_PREPARE_TASKS_H

#include "run/prepare.h"

/* Write p->tasks to RUN/tasks.h5; the folder is there. STORE_CREATE | STORE_WRITE | JOB_NO_MEMORY. */
reeve_status reeve_prepare_tasks_lock(const struct reeve_prepared *p, struct reeve_error *err);
/* Read RUN/tasks.h5 into p->tasks. */
reeve_status reeve_prepare_tasks_open(struct reeve_prepared *p, struct reeve_error *err);
/* The tasks of the job must be the same ones (INPUT_CHANGED, with the first that differs). *moved: they start in another
 * folder now; p->tasks says so, RUN/tasks.h5 not yet. */
reeve_status reeve_prepare_tasks_compare(struct reeve_prepared *p, const char *job_path, bool *moved,
                                         struct reeve_error *err);

#endif
