/* The locked manifest: which shards there are, how many tokens each holds, and the digest that names them all.
 * Pure: it is filled by the lock (store/) or by tests, and never looks at a file itself. */
#ifndef REEVE_CORE_MANIFEST_H
#define REEVE_CORE_MANIFEST_H

#include "base/digest.h"
#include "reeve/ids.h"
#include "reeve/status.h"

enum reeve_shard_format {
    REEVE_SHARD_TEXT = 1,    /* raw bytes, a token each */
    REEVE_SHARD_LLMC = 2,    /* llm.c .bin: 1024-byte header, u16 tokens, or u32 (Llama 3) */
    REEVE_SHARD_NANOGPT = 3, /* raw u16, no header */
    REEVE_SHARD_HDF5 = 4,    /* dataset /tokens, contiguous, u8, u16 or u32 */
};

#define REEVE_MANIFEST_NAME_BYTES 64
#define REEVE_SHARD_WEIGHT_MAX 1000u

struct reeve_shard {
    uint64_t path_offset;  /* of the NUL-terminated path in reeve_manifest.paths */
    uint64_t file_bytes;
    uint64_t data_offset;  /* byte offset of the first token in the file */
    uint64_t token_count;
    struct reeve_digest digest; /* of the whole file */
    int32_t priority;      /* of its staging task: higher goes first */
    uint16_t weight;       /* visits per epoch, 1..REEVE_SHARD_WEIGHT_MAX */
    uint8_t format;        /* enum reeve_shard_format */
    uint8_t token_bytes;   /* 1, 2 or 4, little-endian */
};

struct reeve_manifest {
    char dataset[REEVE_MANIFEST_NAME_BYTES];
    char tokenizer[REEVE_MANIFEST_NAME_BYTES]; /* "bytes", "gpt2" or a file's path */
    uint32_t vocab;              /* tokens are 0..vocab-1 */
    uint32_t shard_count;
    struct reeve_shard *shards;  /* (shard_count,) owned */
    char *paths;                 /* owned; paths_bytes long; absolute, or relative to `base_dir` */
    uint64_t paths_bytes;
    char *base_dir;              /* owned; absolute folder that relative paths start from; not part of the digest */
    struct reeve_digest digest;  /* reeve_manifest_digest() of the rest */
};

void reeve_manifest_destroy(struct reeve_manifest *m); /* takes NULL; frees m too (heap) */

const char *reeve_manifest_path(const struct reeve_manifest *m, reeve_shard_id shard); /* as written; borrowed */

/* Digest over dataset, tokenizer, vocab and for each shard path, format, token_bytes, weight, token_count, data_offset
 * and file digest: all that decides what a plan reads, and not priority, base_dir or file times. Cost: O(shards). */
struct reeve_digest reeve_manifest_digest(const struct reeve_manifest *m);

/* Bounds of every field, paths terminated, totals below 2^62. INPUT_INVALID with the shard and the reason. */
reeve_status reeve_manifest_check(const struct reeve_manifest *m, struct reeve_error *err);

#endif
