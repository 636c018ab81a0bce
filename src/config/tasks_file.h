/* The key `tasks` of job.yaml, and the files of commands that it names: what a run of workload exec works off.
 * What may stand there, with examples: docs/exec.md. */
#ifndef REEVE_CONFIG_TASKS_FILE_H
#define REEVE_CONFIG_TASKS_FILE_H

#include "core/job.h"
#include "core/task_list.h"

/* Read and expand the tasks of a job file that reeve_job_read() accepted; job gives the defaults (attempts, time limit,
 * folder). Errors: one line "FILE:LINE:COLUMN: ..." with what was expected. What comes out is checked and has its digest.
 * INPUT_MISSING | INPUT_PERMISSION | INPUT_INVALID | STORE_READ | JOB_NO_MEMORY. *out: reeve_task_list_destroy(). */
reeve_status reeve_tasks_read(const char *job_path, const struct reeve_job *job, struct reeve_task_list **out,
                              struct reeve_error *err);

#endif
