/* The master's part of a checkpoint, on a thread of its own: the index, the renaming, and retention. */
#ifndef REEVE_RUN_CHECKPOINTER_H
#define REEVE_RUN_CHECKPOINTER_H

#include <stdbool.h>

#include "core/master.h"
#include "store/checkpoint.h"

typedef struct reeve_checkpointer reeve_checkpointer;

/* run_dir is borrowed until destroy; keep: how many checkpoints retention leaves. */
reeve_status reeve_checkpointer_create(const char *run_dir, uint32_t keep, uint32_t workers_max,
                                       reeve_checkpointer **out, struct reeve_error *err);
void reeve_checkpointer_destroy(reeve_checkpointer *c); /* waits for what is being written */

/* Start writing the index over the parts of `cut`. meta is copied; its step, lsn and digests are filled from cut. */
reeve_status reeve_checkpointer_commit(reeve_checkpointer *c, const struct reeve_checkpoint_meta *meta,
                                       const struct reeve_master_cut *cut, struct reeve_error *err);
/* True once after a commit has ended: its step, how it ended, and the first 8 bytes of the index digest. */
bool reeve_checkpointer_poll(reeve_checkpointer *c, uint64_t *step, uint64_t *digest64, struct reeve_error *err);

/* Retention: read the newest back whole on the thread, and only then delete those beyond `keep`. checkpoints is newest
 * first. If the newest does not verify, nothing is deleted and a warning says so. */
void reeve_checkpointer_retain(reeve_checkpointer *c, const struct reeve_master_checkpoint *checkpoints,
                               uint32_t count);

#endif
