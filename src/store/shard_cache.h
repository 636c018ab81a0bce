/* Inside the reading of shards: what a cache is. Only shard.c and shard_stage.c include this. */
#ifndef REEVE_STORE_SHARD_CACHE_H
#define REEVE_STORE_SHARD_CACHE_H

#include "base/path.h"
#include "store/shard.h"

struct open_shard {
    int fd;            /* owned; -1: free slot */
    uint32_t shard;
    uint64_t last_use; /* of the cache's clock */
    bool copy;         /* the staged copy, not the shard itself */
};

struct reeve_shard_cache {
    const struct reeve_manifest *manifest; /* borrowed until destroy */
    char cache_dir[REEVE_PATH_BYTES_MAX];  /* "": none */
    struct open_shard *slots;              /* owned; (open_max,) */
    uint32_t open_max;
    uint64_t clock;                        /* counts uses */
};

/* The file that the manifest names, and its copy: CACHE_DIR/<digest in hex>, so that runs share it. INPUT_INVALID. */
reeve_status reeve_shard_source_path(const reeve_shard_cache *c, reeve_shard_id shard, char out[REEVE_PATH_BYTES_MAX],
                                     struct reeve_error *err);
reeve_status reeve_shard_copy_path(const reeve_shard_cache *c, reeve_shard_id shard, char out[REEVE_PATH_BYTES_MAX],
                                   struct reeve_error *err);
/* Forget the open descriptor: what lies behind the name is another file now. */
void reeve_shard_cache_drop(reeve_shard_cache *c, reeve_shard_id shard);

#endif
