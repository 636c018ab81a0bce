/* `reeve plan`: a job, its data and its plan, opened together; told as a summary, or sample by sample. */
#ifndef REEVE_CLI_PLAN_H
#define REEVE_CLI_PLAN_H

#include <stdbool.h>

#include "core/job.h"
#include "core/manifest.h"
#include "core/plan.h"

struct reeve_planned {
    struct reeve_job job;
    struct reeve_manifest *manifest;
    reeve_plan *plan;
    bool from_lock; /* the data's lock was read; otherwise it was measured now */
};

/* job_or_run: a job file, or the folder of a run (its own job.yaml and manifest.h5). On error nothing is left open. */
reeve_status reeve_planned_open(const char *job_or_run, const char *const *overrides, uint32_t override_count,
                                struct reeve_planned *out, struct reeve_error *err);
void reeve_planned_close(struct reeve_planned *p);

/* Each returns the exit code. first >= 1, last >= first. */
int reeve_plan_print_summary(const struct reeve_planned *p, bool json);
int reeve_plan_print_steps(const struct reeve_planned *p, uint64_t first, uint64_t last, bool json);

#endif
