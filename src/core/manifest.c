/* The locked manifest: bounds of its fields, and the digest that names it. No I/O; nothing that was read is trusted. */
#include "core/manifest.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/one_line.h"
#include "base/path.h"

#define TOKENS_TOTAL_MAX ((uint64_t)1 << 62) /* so that sums and differences of positions fit an int64 */

void reeve_manifest_destroy(struct reeve_manifest *m)
{
    if (m == NULL) return;
    free(m->base_dir);
    free(m->paths);
    free(m->shards);
    free(m);
}

const char *reeve_manifest_path(const struct reeve_manifest *m, reeve_shard_id shard)
{
    REEVE_ASSERT(shard.v < m->shard_count);
    return m->paths + m->shards[shard.v].path_offset;
}

/* ---- digest ---- */

/* Little-endian whatever the machine, so that the digest names the manifest and not where it was computed. */
static uint8_t *put_u64(uint8_t *at, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(v >> (8 * i));
    return at + 8;
}

/* A text goes in with its length before it: no two lists of texts give the same bytes. */
static void digest_text(reeve_digester *d, const char *text, size_t n)
{
    uint8_t length[8];
    put_u64(length, n);
    reeve_digester_update(d, length, sizeof(length));
    reeve_digester_update(d, text, n);
}

static void digest_shard(reeve_digester *d, const struct reeve_manifest *m, uint32_t shard)
{
    const struct reeve_shard *s = &m->shards[shard];
    const char *path = reeve_manifest_path(m, (reeve_shard_id){shard});
    digest_text(d, path, strlen(path));
    uint8_t fields[5 * 8 + sizeof(s->digest.bytes)];
    uint8_t *at = put_u64(fields, s->format);
    at = put_u64(at, s->token_bytes);
    at = put_u64(at, s->weight);
    at = put_u64(at, s->token_count);
    at = put_u64(at, s->data_offset);
    memcpy(at, s->digest.bytes, sizeof(s->digest.bytes));
    reeve_digester_update(d, fields, sizeof(fields));
}

struct reeve_digest reeve_manifest_digest(const struct reeve_manifest *m)
{
    static const char domain[] = "reeve manifest 1";
    reeve_digester *d = reeve_digester_create();
    REEVE_ASSERT(d != NULL); /* half a kilobyte; a process that cannot have it cannot go on */
    digest_text(d, domain, sizeof(domain) - 1);
    digest_text(d, m->dataset, strnlen(m->dataset, sizeof(m->dataset)));
    digest_text(d, m->tokenizer, strnlen(m->tokenizer, sizeof(m->tokenizer)));
    uint8_t numbers[16];
    put_u64(put_u64(numbers, m->vocab), m->shard_count);
    reeve_digester_update(d, numbers, sizeof(numbers));
    for (uint32_t i = 0; i < m->shard_count; i++)
        digest_shard(d, m, i);
    struct reeve_digest digest = reeve_digester_finish(d);
    reeve_digester_destroy(d);
    return digest;
}

/* ---- check ---- */

static reeve_status check_head(const struct reeve_manifest *m, struct reeve_error *err)
{
    if (memchr(m->dataset, 0, sizeof(m->dataset)) == NULL || m->dataset[0] == 0)
        return reeve_fail(err, REEVE_INPUT_INVALID, "manifest: `dataset` is empty or longer than %d bytes; name it",
                          REEVE_MANIFEST_NAME_BYTES - 1);
    if (memchr(m->tokenizer, 0, sizeof(m->tokenizer)) == NULL || m->tokenizer[0] == 0)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "manifest: `tokenizer` is empty or longer than %d bytes; expected bytes, gpt2 or a file",
                          REEVE_MANIFEST_NAME_BYTES - 1);
    if (!reeve_is_one_line(m->dataset) || !reeve_is_one_line(m->tokenizer))
        return reeve_fail(err, REEVE_INPUT_INVALID, "manifest: `dataset` or `tokenizer` is not text on one line");
    if (m->vocab == 0)
        return reeve_fail(err, REEVE_INPUT_INVALID, "manifest: the vocabulary is empty; lock the manifest again");
    if (m->shard_count == 0 || m->shards == NULL)
        return reeve_fail(err, REEVE_INPUT_INVALID, "manifest: no shard; expected at least one under `shards:`");
    if (m->paths == NULL || m->paths_bytes == 0 || m->paths[m->paths_bytes - 1] != 0)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "manifest: the table of paths does not end with a NUL; lock the manifest again");
    return REEVE_OK;
}

static bool token_bytes_fit(const struct reeve_shard *s)
{
    switch (s->format) {
    case REEVE_SHARD_TEXT: return s->token_bytes == 1;
    case REEVE_SHARD_LLMC: return s->token_bytes == 2 || s->token_bytes == 4;
    case REEVE_SHARD_NANOGPT: return s->token_bytes == 2 || s->token_bytes == 4;
    case REEVE_SHARD_HDF5: return s->token_bytes == 1 || s->token_bytes == 2 || s->token_bytes == 4;
    default: return false;
    }
}

/* `path` says which shard it is; it was found to be terminated. */
static reeve_status check_shard(const struct reeve_shard *s, uint32_t shard, const char *path, struct reeve_error *err)
{
    if (path[0] == 0)
        return reeve_fail(err, REEVE_INPUT_INVALID, "manifest: shard %" PRIu32 " has an empty path", shard);
    if (strnlen(path, REEVE_PATH_BYTES_MAX) == REEVE_PATH_BYTES_MAX || !reeve_is_one_line(path))
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "manifest: shard %" PRIu32 " (%.300s): its path is longer than any, or not text on one line",
                          shard, path);
    if (s->format < REEVE_SHARD_TEXT || s->format > REEVE_SHARD_HDF5)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "manifest: shard %" PRIu32 " (%s): format %u; expected 1 text, 2 llm.c, 3 nanogpt or 4 hdf5",
                          shard, path, s->format);
    if (!token_bytes_fit(s))
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "manifest: shard %" PRIu32 " (%s): tokens of %u bytes do not go with its format", shard, path,
                          s->token_bytes);
    if (s->weight < 1 || s->weight > REEVE_SHARD_WEIGHT_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "manifest: shard %" PRIu32 " (%s): weight %u; expected 1 to %u visits an epoch", shard, path,
                          s->weight, REEVE_SHARD_WEIGHT_MAX);
    unsigned __int128 data_end = (unsigned __int128)s->token_count * s->token_bytes + s->data_offset;
    if (data_end > s->file_bytes)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "manifest: shard %" PRIu32 " (%s): %" PRIu64 " tokens of %u bytes from byte %" PRIu64
                          " do not fit its %" PRIu64 " bytes; lock the manifest again",
                          shard, path, s->token_count, s->token_bytes, s->data_offset, s->file_bytes);
    return REEVE_OK;
}

reeve_status reeve_manifest_check(const struct reeve_manifest *m, struct reeve_error *err)
{
    reeve_status st = check_head(m, err);
    unsigned __int128 visited = 0; /* tokens of an epoch, with weights */
    for (uint32_t i = 0; i < m->shard_count && st == REEVE_OK; i++) {
        const struct reeve_shard *s = &m->shards[i];
        if (s->path_offset >= m->paths_bytes)
            return reeve_fail(err, REEVE_INPUT_INVALID,
                              "manifest: shard %" PRIu32 ": its path begins at byte %" PRIu64 " of a table of %" PRIu64
                              "; lock the manifest again",
                              i, s->path_offset, m->paths_bytes);
        st = check_shard(s, i, m->paths + s->path_offset, err);
        visited += (unsigned __int128)s->token_count * s->weight;
        if (st == REEVE_OK && visited >= TOKENS_TOTAL_MAX)
            return reeve_fail(err, REEVE_INPUT_INVALID,
                              "manifest: shard %" PRIu32 " (%s) brings an epoch to 2^62 tokens or more; expected fewer",
                              i, reeve_manifest_path(m, (reeve_shard_id){i}));
    }
    return st;
}
