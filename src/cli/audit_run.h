/* The audit of a run, from its files alone: for `reeve audit` and `reeve chaos`. */
#ifndef REEVE_CLI_AUDIT_RUN_H
#define REEVE_CLI_AUDIT_RUN_H

#include "core/audit.h"
#include "core/job.h"

/* Fold the run's journal over its plan. job: filled from RUN/job.yaml. What reading job, lock and journal returns. */
reeve_status reeve_audit_run(const char *run_dir, struct reeve_job *job, struct reeve_audit_result *result,
                             struct reeve_error *err);

#endif
