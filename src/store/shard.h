/* Reading tokens of locked shards. The lock says where the tokens lie, so reading is one pread, whatever the format. */
#ifndef REEVE_STORE_SHARD_H
#define REEVE_STORE_SHARD_H

#include "core/manifest.h"
#include "core/plan.h"

typedef struct reeve_shard_cache reeve_shard_cache; /* keeps a bounded number of shard files open; one per thread */

/* manifest is borrowed until destroy. cache_dir: node-local folder of staged copies, or "" */
reeve_status reeve_shard_cache_create(const struct reeve_manifest *manifest, const char *cache_dir, uint32_t open_max,
                                      reeve_shard_cache **out, struct reeve_error *err);
void reeve_shard_cache_destroy(reeve_shard_cache *c);

/* The staging task: check the shard's digest against the lock, and copy it into cache_dir if there is one (temporary
 * name, digest of the copy checked, rename; what is there already and matches is kept). After it, read() uses the copy.
 * INPUT_MISSING | INPUT_CHANGED | STORE_READ | STORE_WRITE. */
reeve_status reeve_shard_stage(reeve_shard_cache *c, reeve_shard_id shard, struct reeve_error *err);

/* The T + 1 tokens of one sample as int32, each checked to be < vocab: INPUT_INVALID names file, token and byte offset. */
reeve_status reeve_shard_read(reeve_shard_cache *c, const struct reeve_sample *sample, uint32_t sequence, int32_t *tokens,
                              struct reeve_error *err);

#endif
