/* Reading tokens of locked shards. The lock says where the tokens lie, so reading is one pread, whatever the format.
 *
 * Invariant: no token is handed out of a file whose bytes this process does not know to be the locked ones: because it
 * has read them all, or because the file is, by its identity, one that another process of the run has read
 * (shard_record.h). The identity is looked at after each read, and before what was read is used the file system is asked for
 * it (still_verified), so a change while a run computes is found as well. */
#ifndef REEVE_STORE_SHARD_H
#define REEVE_STORE_SHARD_H

#include "core/manifest.h"
#include "core/plan.h"

typedef struct reeve_shard_cache reeve_shard_cache; /* keeps a bounded number of shard files open; one per thread */

struct reeve_shard_config {
    const struct reeve_manifest *manifest; /* borrowed until destroy */
    const char *cache_dir;                 /* node-local folder of copies, or "" */
    const char *run_dir;                   /* where others learn what was verified, or "": nowhere */
    uint32_t open_max;
    /* Told when something begins that takes as long as a shard is large (reading it all, copying it, waiting for another
     * process of this host that copies it), and when it has ended. May be NULL. */
    void (*takes_long)(void *arg, bool begins);
    void *arg;
};

reeve_status reeve_shard_cache_create(const struct reeve_shard_config *config, reeve_shard_cache **out,
                                      struct reeve_error *err);
void reeve_shard_cache_destroy(reeve_shard_cache *c);

/* The staging task: read the shard, or its copy, and check its digest against the lock, whatever was known before. With a
 * cache_dir and no good copy there, make one (temporary name, digest of the copy checked, rename).
 * INPUT_MISSING | INPUT_CHANGED | STORE_READ | STORE_WRITE. */
reeve_status reeve_shard_stage(reeve_shard_cache *c, reeve_shard_id shard, struct reeve_error *err);

/* The T + 1 tokens of one sample as int32, each checked to be < vocab: INPUT_INVALID names file, token and byte offset.
 * A shard that was not verified for this process is, first; with a cache_dir it is copied there. INPUT_MISSING |
 * INPUT_CHANGED (file, host, what it should be) | STORE_READ. */
reeve_status reeve_shard_read(reeve_shard_cache *c, const struct reeve_sample *sample, uint32_t sequence,
                              int32_t *tokens, struct reeve_error *err);

/* Were the samples that were read since the last call all of files that are still the verified ones? What read() sees of a
 * file may be what this host keeps of it; here the file system is asked. False: they are read again, and then read() finds
 * out. Cost: a question for each of these files, to a server where there is one. */
bool reeve_shards_still_verified(reeve_shard_cache *c);

/* A launch begins: nothing is taken on the word of those before it. */
void reeve_shards_forget_verified(const char *run_dir);

#endif
