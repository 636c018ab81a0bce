/* Recovery: from the files of a run to a master that knows all of it. Master only; MPI has no part in it. */
#ifndef REEVE_RUN_RECOVER_H
#define REEVE_RUN_RECOVER_H

#include "core/job.h"
#include "core/master.h"
#include "store/checkpoint.h"
#include "store/journal.h"

struct reeve_recovered {
    reeve_plan *plan;     /* owned: reeve_recover_fini() */
    reeve_master *master; /* owned; has replayed the journal, and rejected checkpoints that cannot be read */
    struct reeve_journal_info info;
    uint64_t run_id;      /* of the journal, or a fresh one */
    uint64_t resume_step; /* of the newest usable checkpoint; 0: from the seed */
    uint32_t threads;     /* of each worker that computed it */
    char build[REEVE_CHECKPOINT_BUILD_BYTES]; /* and the build that wrote it (run/build_text.h) */
    bool first;           /* no journal yet */
    bool complete;        /* all steps are done and on record: nothing is left to run */
};

/* Replay the journal into a fresh master, prove that the replayed queue equals the one that each checkpoint was cut
 * with, and open the index of every checkpoint on record, newest first, until one is readable; those that are not are
 * named in a warning. stop_at: see reeve_master_config. succeeds: a master of this launch that was lost, so that none is
 * needed; they are only looked at. STORE_CORRUPT: a damaged journal, or checkpoints on record of which none can be read. */
reeve_status reeve_recover(const char *run_dir, const struct reeve_job *job, const struct reeve_manifest *manifest,
                           uint32_t workers, uint64_t stop_at, bool succeeds, struct reeve_recovered *out,
                           struct reeve_error *err);
/* The same of a run that works a task list off: it has no checkpoints, and needs none. plan is NULL then. */
reeve_status reeve_recover_list(const char *run_dir, const struct reeve_job *job, const struct reeve_task_list *tasks,
                                uint32_t workers, struct reeve_recovered *out, struct reeve_error *err);
void reeve_recover_fini(struct reeve_recovered *r);

#endif
