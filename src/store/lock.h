/* The lock of a manifest: manifest.h5, made from shards.yaml's entries once, read by everything after.
 * Format and byte example: docs/format/manifest.md. */
#ifndef REEVE_STORE_LOCK_H
#define REEVE_STORE_LOCK_H

#include "core/manifest.h"

/* Atomically write m to path (temporary name, fsync, rename, fsync of the folder). m->digest is set by the caller. */
reeve_status reeve_lock_write(const char *path, const struct reeve_manifest *m, struct reeve_error *err);

/* Read with the hardened reader and check: bounds, digest, terminated paths, every byte of the file (whole-file digest).
 * INPUT_MISSING | STORE_CORRUPT (file, place) | JOB_NO_MEMORY. *out: reeve_manifest_destroy(). */
reeve_status reeve_lock_read(const char *path, struct reeve_manifest **out, struct reeve_error *err);

/* Measure one shard file: size, header, token count, data offset, whole-file digest. shard->format must be set;
 * token_bytes where the format does not say. INPUT_MISSING | INPUT_INVALID (file, place, expected, remedy) | STORE_READ.
 * Cost: reads the whole file. Thread-safe. */
reeve_status reeve_shard_measure(const char *path, struct reeve_shard *shard, struct reeve_error *err);

/* The format that a file's first bytes say, or 0 (text and nanogpt have no mark). */
int reeve_shard_guess_format(const char *path);

/* Check a shard against the lock: exists, same size, same digest. INPUT_MISSING | INPUT_CHANGED | STORE_READ. */
reeve_status reeve_shard_check(const struct reeve_manifest *m, reeve_shard_id id, struct reeve_error *err);

#endif
