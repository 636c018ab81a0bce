/* Preparing a run: from a job file to a run folder that holds the resolved job and the locked manifest, or to the word
 * that this folder belongs to something else. Links no MPI: `reeve run` does it before it launches anything, and rank 0
 * of `mpirun reeve run` does the same. */
#ifndef REEVE_RUN_PREPARE_H
#define REEVE_RUN_PREPARE_H

#include <stdbool.h>

#include "base/path.h"
#include "core/job.h"
#include "core/manifest.h"
#include "core/task_list.h"
#include "run/library_file.h"

struct reeve_prepared {
    struct reeve_job job;                   /* resolved; as RUN/job.yaml now has it */
    struct reeve_manifest *manifest;        /* owned: reeve_prepared_fini(); NULL: it works a task list off */
    struct reeve_task_list *tasks;          /* owned; NULL: it trains */
    char run_dir[REEVE_PATH_BYTES_MAX];     /* absolute */
    char library[REEVE_LIBRARY_TEXT_BYTES]; /* of a workload from outside (run/library_file.h); "": built in */
    bool fresh;                             /* the folder was made now */
    bool complete;       /* all steps, or all tasks, have ended and are on record: nothing is left to run */
    uint64_t steps_done; /* of a complete training: train.steps, or more */
    uint32_t dead;       /* of a complete task list: tasks that did not end well */
};

/* Read job_path with overrides; make or check the run folder (run_dir NULL: runs/<name> under the current folder).
 *
 * A fresh folder gets manifest.h5 (every shard measured), with model.init_from its weights, or tasks.h5, then job.yaml, each
 * complete or not there. A folder
 * that has them is compared: what decides the trajectory must be equal (STORE_MISMATCH names the first key that differs),
 * the list of shards must be the locked one (INPUT_CHANGED); the rest (steps, workers, checkpoints ...) may change and
 * is rewritten, unless the run is complete. workers > 0 replaces resources.workers.
 * A workload from a shared object is looked at as a file (run/library_file.h); nothing of it is run here.
 * Also: STORE_IN_USE if another live process owns the run, and all that reading jobs, manifests and shards returns. */
reeve_status reeve_prepare(const char *job_path, const char *const *overrides, uint32_t override_count,
                           const char *run_dir, uint32_t workers, struct reeve_prepared *out, struct reeve_error *err);

/* Open a run folder that was prepared before, as it is: RUN/job.yaml and RUN/manifest.h5. INPUT_MISSING: not a run. */
reeve_status reeve_prepare_open(const char *run_dir, struct reeve_prepared *out, struct reeve_error *err);
void reeve_prepared_fini(struct reeve_prepared *p);

#endif
