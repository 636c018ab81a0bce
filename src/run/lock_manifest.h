/* From shards.yaml to a locked manifest in memory: every shard measured, with as many threads as one likes.
 * The result does not depend on the number of threads. Links no MPI: `reeve manifest lock`, `reeve plan` and the start
 * of a run all come here. */
#ifndef REEVE_RUN_LOCK_MANIFEST_H
#define REEVE_RUN_LOCK_MANIFEST_H

#include <stdbool.h>

#include "core/manifest.h"

/* Called now and then from the calling thread, never from a measuring one; may be NULL. */
typedef void reeve_lock_progress(void *arg, uint32_t shards_done, uint32_t shard_count, uint64_t bytes_done);

/* Read shards_yaml and measure every shard: format (guessed where the manifest does not say), size, tokens, digest.
 * Then the manifest's own digest. When several shards are wrong, the error is that of the first in manifest order, and
 * says how many more there are.
 *   in   threads  0: as many as the machine has cores
 * INPUT_MISSING | INPUT_INVALID | INPUT_PERMISSION | STORE_READ | JOB_NO_MEMORY. *out: reeve_manifest_destroy(). */
reeve_status reeve_manifest_lock(const char *shards_yaml, uint32_t threads, struct reeve_manifest **out,
                                 struct reeve_error *err);
reeve_status reeve_manifest_lock_progress(const char *shards_yaml, uint32_t threads, reeve_lock_progress *progress,
                                          void *arg, struct reeve_manifest **out, struct reeve_error *err);

/* What one shard looks like beside its lock. */
struct reeve_shard_finding {
    reeve_shard_id shard;
    struct reeve_error error; /* INPUT_MISSING | INPUT_CHANGED | STORE_READ ... */
};

/* Check every shard against the lock. *findings holds those that are not as locked, in manifest order: free().
 * Returns OK also when there are findings. JOB_NO_MEMORY. */
reeve_status reeve_manifest_check_shards(const struct reeve_manifest *m, uint32_t threads,
                                         reeve_lock_progress *progress, void *arg,
                                         struct reeve_shard_finding **findings, uint32_t *finding_count,
                                         struct reeve_error *err);

#endif
