/* A run that works a task list off, as the verbs see it: its job, its locked list, and what the journal says of each task.
 * The verbs that tell of any run (audit, inspect, plan, verify) come here where the run is of this kind. */
#ifndef REEVE_CLI_LISTED_H
#define REEVE_CLI_LISTED_H

#include <stdbool.h>

#include "cli/history.h"
#include "cli/output.h"
#include "core/job.h"
#include "core/list_audit.h"

#define REEVE_LISTED_OUTPUT_BYTES 256

struct reeve_listed {
    const char *run_dir; /* borrowed; NULL: only a job, nothing has run */
    struct reeve_job job;
    struct reeve_task_list *tasks;
    reeve_list_audit *audit; /* NULL: only a job */
    struct reeve_list_audit_result result;
    struct reeve_journal_info info;
};

/* Is it the folder of a run with a task list? */
bool reeve_listed_is_run(const char *run_dir);
/* Open the run, and fold its journal. On error nothing is left open. INPUT_INVALID: a run that trains. */
reeve_status reeve_listed_open(const char *run_dir, struct reeve_listed *out, struct reeve_error *err);
/* Only what a job file says; its workload is exec (otherwise *is_list is false, and nothing is open). */
reeve_status reeve_listed_open_job(const char *job_path, const char *const *overrides, uint32_t override_count,
                                   bool *is_list, struct reeve_listed *out, struct reeve_error *err);
void reeve_listed_close(struct reeve_listed *l);

/* "done", "ready", ..., as `reeve tasks --state` takes it. */
const char *reeve_listed_state(const struct reeve_listed *l, uint32_t task);
/* Why an attempt failed, of what its record says: "time limit of the task passed". */
const char *reeve_listed_reason(uint32_t status, uint64_t result);
/* What its last attempt printed, below the run folder: "output/00000/fit.3.a1.out". False: nothing; out is untouched. */
bool reeve_listed_output(const struct reeve_listed *l, uint32_t task, bool errors, char out[REEVE_LISTED_OUTPUT_BYTES]);
/* One task, with all that is known of it. */
json_t *reeve_listed_json(const struct reeve_listed *l, uint32_t task);

/* What `reeve audit`, `reeve inspect` and `reeve plan` say of it. Each returns the exit code. */
int reeve_listed_audit(const char *run_dir, bool json);
int reeve_listed_inspect(const char *run_dir, bool json);
int reeve_listed_plan(const struct reeve_listed *l, bool json);

#endif
