/* Inside the reading of shards: what a cache is. Only the files shard*.c include this. */
#ifndef REEVE_STORE_SHARD_CACHE_H
#define REEVE_STORE_SHARD_CACHE_H

#include "base/path.h"
#include "store/shard.h"
#include "store/shard_identity.h"

struct open_shard {
    int fd; /* owned; -1: free slot */
    uint32_t shard;
    uint64_t last_use; /* of the cache's clock */
    bool copy;         /* the staged copy, not the shard itself */
    struct reeve_shard_place place;
    uint64_t word; /* its identity when its bytes were verified */
};

struct reeve_shard_cache {
    struct reeve_shard_config config;     /* its texts are those below */
    char cache_dir[REEVE_PATH_BYTES_MAX]; /* "": none */
    char run_dir[REEVE_PATH_BYTES_MAX];   /* "": none */
    struct open_shard *slots;             /* owned; (open_max,) */
    uint64_t *words;                      /* owned; (shard_count,) identity that was verified last; 0: none */
    struct reeve_shard_place places[2];   /* where shards, and copies, were seen last */
    uint64_t clock;                       /* counts uses */
    uint64_t asked;       /* of that clock: uses until then are of files that the file system was asked about */
    bool doubted;         /* one that was used since then was not the verified one at the end */
    uint32_t slow_depth;  /* of takes_long() */
    int64_t turn_ns;      /* how long to wait for others that copy the same shard */
    int64_t settle_ns;    /* how long, at most, for the clock of a file system */
    bool copies_given_up; /* one could not be made; reading goes on without */
};

/* The file that the manifest names, and its copy: CACHE_DIR/<digest in hex>, so that runs share it. INPUT_INVALID. */
reeve_status reeve_shard_source_path(const reeve_shard_cache *c, reeve_shard_id shard, char out[REEVE_PATH_BYTES_MAX],
                                     struct reeve_error *err);
reeve_status reeve_shard_copy_path(const reeve_shard_cache *c, reeve_shard_id shard, char out[REEVE_PATH_BYTES_MAX],
                                   struct reeve_error *err);
static inline const struct reeve_shard *reeve_shard_locked(const reeve_shard_cache *c, reeve_shard_id shard)
{
    return &c->config.manifest->shards[shard.v];
}

/* Around what takes long; they nest. */
void reeve_shard_slow_begin(reeve_shard_cache *c);
void reeve_shard_slow_end(reeve_shard_cache *c);

/* What is done to verify a file: nothing but ask who has read it, read it if nobody has, read it in any case. */
enum reeve_shard_effort { REEVE_SHARD_ASK, REEVE_SHARD_READ_IF_NEW, REEVE_SHARD_READ };
/* Are the bytes behind file->fd the locked ones? Sets place and word. path is for messages. INPUT_CHANGED: they are not,
 * or (ASK) nobody has said so | STORE_READ | JOB_NO_MEMORY. */
reeve_status reeve_shard_verify(reeve_shard_cache *c, struct open_shard *file, const char *path,
                                enum reeve_shard_effort effort, struct reeve_error *err);
/* They are, for this process wrote them; everybody may know. */
void reeve_shard_note_verified(reeve_shard_cache *c, struct open_shard *file);
/* Is it still the file that was verified? asked: as in reeve_shard_stat(). */
bool reeve_shard_is_as_verified(const reeve_shard_cache *c, const struct open_shard *file, bool asked);

/* The copy, if there is a good one as far as that effort tells. INPUT_MISSING: there is none | as verify(). */
reeve_status reeve_shard_copy_open(reeve_shard_cache *c, reeve_shard_id shard, enum reeve_shard_effort effort,
                                   struct open_shard *out, struct reeve_error *err);
/* The copy, made if there is no good one; one process of a host after the other. INPUT_* and STORE_READ of the shard
 * itself | STORE_WRITE. */
reeve_status reeve_shard_copy_fetch(reeve_shard_cache *c, reeve_shard_id shard, enum reeve_shard_effort effort,
                                    struct open_shard *out, struct reeve_error *err);

#endif
