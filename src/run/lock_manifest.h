/* From shards.yaml to a locked manifest in memory: every shard measured, with as many threads as one likes.
 * The result does not depend on the number of threads. Links no MPI: `reeve manifest lock`, `reeve plan` and the start
 * of a run all come here. */
#ifndef REEVE_RUN_LOCK_MANIFEST_H
#define REEVE_RUN_LOCK_MANIFEST_H

#include <stdbool.h>

#include "core/manifest.h"
#include "run/crew.h"

/* Called now and then from the calling thread, never from a measuring one; may be NULL. */
typedef void reeve_lock_progress(void *arg, uint32_t shards_done, uint32_t shard_count, uint64_t bytes_done);

/* Read shards_yaml and measure every shard: format (guessed where the manifest does not say), size, tokens, digest.
 * Then the manifest's own digest. When several shards are wrong, the error is that of the first in manifest order.
 *   in   threads  0: as many as this process may use cores
 * INPUT_MISSING | INPUT_INVALID | INPUT_PERMISSION | STORE_READ | JOB_NO_MEMORY. *out: reeve_manifest_destroy(). */
reeve_status reeve_manifest_lock(const char *shards_yaml, uint32_t threads, struct reeve_manifest **out,
                                 struct reeve_error *err);
reeve_status reeve_manifest_lock_progress(const char *shards_yaml, uint32_t threads, reeve_lock_progress *progress,
                                          void *arg, struct reeve_manifest **out, struct reeve_error *err);

/* Where the lock of shards.yaml lies if nothing else is said: shards.lock.h5 beside it. INPUT_INVALID: too long. */
reeve_status reeve_manifest_lock_path(const char *shards_yaml, char *out, size_t out_bytes, struct reeve_error *err);

/* Is this the name of a lock (*.h5, *.hdf5)? Everything else is shards.yaml, whatever it is called. */
bool reeve_manifest_names_lock(const char *path);

/* What a job trains on. `path` is a lock (*.h5), which is read; or shards.yaml: if its lock lies beside it that is
 * read, and must name the same shards in the same way (INPUT_CHANGED, with the first difference); otherwise it is
 * locked now, in memory. *from_lock (may be NULL) says which. Shards are not looked at when there is a lock. */
reeve_status reeve_manifest_open(const char *path, uint32_t threads, reeve_lock_progress *progress, void *arg,
                                 struct reeve_manifest **out, bool *from_lock, struct reeve_error *err);

/* Measure every shard of a manifest that was read from shards.yaml, also behind one that is wrong. Failures are of
 * shards: piece is the shard's id. All of them in *failed, the first of them in *failures (see reeve_crew_run).
 * With no failure m is complete but for its digest. JOB_NO_MEMORY only. */
reeve_status reeve_manifest_measure(struct reeve_manifest *m, uint32_t threads, bool stop_at_failure,
                                    reeve_lock_progress *progress, void *arg, struct reeve_crew_failure **failures,
                                    uint32_t *failure_count, uint32_t *failed, struct reeve_error *err);

/* Check every shard of a locked manifest against what lies on the disk: INPUT_MISSING | INPUT_CHANGED | STORE_READ.
 * Failures as above. JOB_NO_MEMORY only. */
reeve_status reeve_manifest_check_shards(const struct reeve_manifest *m, uint32_t threads,
                                         reeve_lock_progress *progress, void *arg, struct reeve_crew_failure **failures,
                                         uint32_t *failure_count, uint32_t *failed, struct reeve_error *err);

#endif
