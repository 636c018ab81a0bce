/* Reading tokens: one pread a sample at the place that the lock says, from the staged copy where there is one. */
#include "store/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "store/shard_cache.h"
#include "store/shard_file.h"

reeve_status reeve_shard_cache_create(const struct reeve_manifest *manifest, const char *cache_dir, uint32_t open_max,
                                      reeve_shard_cache **out, struct reeve_error *err)
{
    if (open_max == 0) open_max = 1;
    if (strlen(cache_dir) >= REEVE_PATH_BYTES_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID, "cache folder %.100s...: path too long", cache_dir);
    reeve_shard_cache *c = calloc(1, sizeof(*c));
    struct open_shard *slots = calloc(open_max, sizeof(*slots));
    if (c == NULL || slots == NULL) {
        free(c);
        free(slots);
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "shard cache: out of memory");
    }
    for (uint32_t i = 0; i < open_max; i++)
        slots[i].fd = -1;
    c->manifest = manifest;
    c->slots = slots;
    c->open_max = open_max;
    (void)snprintf(c->cache_dir, sizeof(c->cache_dir), "%s", cache_dir);
    *out = c;
    return REEVE_OK;
}

static void slot_close(struct open_shard *slot)
{
    if (slot->fd >= 0) (void)close(slot->fd);
    slot->fd = -1;
}

void reeve_shard_cache_destroy(reeve_shard_cache *c)
{
    if (c == NULL) return;
    for (uint32_t i = 0; i < c->open_max; i++)
        slot_close(&c->slots[i]);
    free(c->slots);
    free(c);
}

void reeve_shard_cache_drop(reeve_shard_cache *c, reeve_shard_id shard)
{
    for (uint32_t i = 0; i < c->open_max; i++)
        if (c->slots[i].fd >= 0 && c->slots[i].shard == shard.v) slot_close(&c->slots[i]);
}

reeve_status reeve_shard_source_path(const reeve_shard_cache *c, reeve_shard_id shard, char out[REEVE_PATH_BYTES_MAX],
                                     struct reeve_error *err)
{
    return reeve_path_join(out, REEVE_PATH_BYTES_MAX, c->manifest->base_dir, reeve_manifest_path(c->manifest, shard),
                           err);
}

reeve_status reeve_shard_copy_path(const reeve_shard_cache *c, reeve_shard_id shard, char out[REEVE_PATH_BYTES_MAX],
                                   struct reeve_error *err)
{
    char hex[REEVE_DIGEST_HEX_BYTES];
    reeve_digest_hex(c->manifest->shards[shard.v].digest, hex);
    return reeve_path_join(out, REEVE_PATH_BYTES_MAX, c->cache_dir, hex, err);
}

/* --- open descriptors ------------------------------------------------------------------------------------------- */

static struct open_shard *slot_find(reeve_shard_cache *c, reeve_shard_id shard)
{
    for (uint32_t i = 0; i < c->open_max; i++)
        if (c->slots[i].fd >= 0 && c->slots[i].shard == shard.v) return &c->slots[i];
    return NULL;
}

/* A free slot, or the least recently used one, emptied. */
static struct open_shard *slot_make_free(reeve_shard_cache *c)
{
    struct open_shard *oldest = &c->slots[0];
    for (uint32_t i = 0; i < c->open_max; i++) {
        if (c->slots[i].fd < 0) return &c->slots[i];
        if (c->slots[i].last_use < oldest->last_use) oldest = &c->slots[i];
    }
    slot_close(oldest);
    return oldest;
}

/* The copy is named for its digest and was checked when it got its name; its size is looked at again, because a cache
 * folder is where people free space. -1: use the shard itself. */
static int open_copy(const reeve_shard_cache *c, reeve_shard_id shard)
{
    char path[REEVE_PATH_BYTES_MAX];
    struct stat info;
    if (c->cache_dir[0] == '\0' || reeve_shard_copy_path(c, shard, path, NULL) != REEVE_OK) return -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0) return -1;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
        (uint64_t)info.st_size == c->manifest->shards[shard.v].file_bytes)
        return fd;
    (void)close(fd);
    return -1;
}

static reeve_status open_source(const reeve_shard_cache *c, reeve_shard_id shard, int *fd, struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    uint64_t file_bytes;
    reeve_status st = reeve_shard_source_path(c, shard, path, err);
    if (st == REEVE_OK) st = reeve_shard_file_open(path, fd, &file_bytes, err);
    if (st != REEVE_OK) return st;
    st = reeve_shard_file_check_size(path, file_bytes, &c->manifest->shards[shard.v], err);
    if (st != REEVE_OK) (void)close(*fd);
    return st;
}

static reeve_status slot_open(reeve_shard_cache *c, reeve_shard_id shard, struct open_shard **out,
                              struct reeve_error *err)
{
    struct open_shard *slot = slot_find(c, shard);
    if (slot == NULL) {
        slot = slot_make_free(c);
        int fd = open_copy(c, shard);
        bool copy = fd >= 0;
        reeve_status st = copy ? REEVE_OK : open_source(c, shard, &fd, err);
        if (st != REEVE_OK) return st;
        *slot = (struct open_shard){.fd = fd, .shard = shard.v, .copy = copy};
    }
    slot->last_use = ++c->clock;
    *out = slot;
    return REEVE_OK;
}

/* --- tokens ----------------------------------------------------------------------------------------------------- */

/* For messages: the file that is really being read. */
static const char *slot_path(const reeve_shard_cache *c, const struct open_shard *slot, char path[REEVE_PATH_BYTES_MAX])
{
    reeve_shard_id shard = {slot->shard};
    reeve_status st =
        slot->copy ? reeve_shard_copy_path(c, shard, path, NULL) : reeve_shard_source_path(c, shard, path, NULL);
    return st == REEVE_OK ? path : "(its path is too long)";
}

static reeve_status read_raw(const reeve_shard_cache *c, const struct open_shard *slot, void *out, size_t n,
                             uint64_t at, struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    uint8_t *to = out;
    while (n > 0) {
        ssize_t got = pread(slot->fd, to, n, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return reeve_fail(err, REEVE_STORE_READ, "shard %s: read at byte %" PRIu64 ": %m", slot_path(c, slot, path),
                              at);
        if (got == 0)
            return reeve_fail(err, REEVE_INPUT_CHANGED,
                              "shard %s: changed since the manifest was locked: it ends at byte %" PRIu64
                              ", locked with %" PRIu64
                              "; restore the file, or lock the manifest again with `reeve manifest lock` for a new run",
                              slot_path(c, slot, path), at, c->manifest->shards[slot->shard].file_bytes);
        to += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return REEVE_OK;
}

static uint32_t token_load(const uint8_t *at, uint32_t token_bytes)
{
    uint32_t value = at[0];
    if (token_bytes >= 2) value |= (uint32_t)at[1] << 8;
    if (token_bytes == 4) value |= (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    return value;
}

/* The raw tokens lie at the end of the same memory, so that each is read before it is overwritten: token i goes to
 * bytes 4i..4i+3, and raw token i lies at (4 - b) count + b i, never before 4i. Returns count, or the first bad token.
 */
static size_t tokens_widen(int32_t *tokens, size_t count, uint32_t token_bytes, uint32_t vocab, uint32_t *bad)
{
    const uint8_t *raw = (const uint8_t *)tokens + (sizeof(*tokens) - token_bytes) * count;
    for (size_t i = 0; i < count; i++) {
        uint32_t value = token_load(raw + i * token_bytes, token_bytes);
        if (value >= vocab || value > INT32_MAX) {
            *bad = value;
            return i;
        }
        tokens[i] = (int32_t)value;
    }
    return count;
}

reeve_status reeve_shard_read(reeve_shard_cache *c, const struct reeve_sample *sample, uint32_t sequence,
                              int32_t *tokens, struct reeve_error *err)
{
    REEVE_ASSERT(sample->shard.v < c->manifest->shard_count);
    const struct reeve_shard *shard = &c->manifest->shards[sample->shard.v];
    const size_t count = (size_t)sequence + 1, raw_bytes = count * shard->token_bytes;
    REEVE_ASSERT(sample->token_offset <= shard->token_count && count <= shard->token_count - sample->token_offset);
    struct open_shard *slot;
    reeve_status st = slot_open(c, sample->shard, &slot, err);
    if (st != REEVE_OK) return st;
    uint64_t at = shard->data_offset + sample->token_offset * shard->token_bytes;
    st = read_raw(c, slot, (uint8_t *)tokens + (count * sizeof(*tokens) - raw_bytes), raw_bytes, at, err);
    if (st != REEVE_OK) {
        slot_close(slot); /* the next attempt looks at the file anew */
        return st;
    }
    uint32_t bad = 0;
    size_t good = tokens_widen(tokens, count, shard->token_bytes, c->manifest->vocab, &bad);
    if (good == count) return REEVE_OK;
    char path[REEVE_PATH_BYTES_MAX];
    (void)reeve_shard_source_path(c, sample->shard, path,
                                  NULL); /* the user's name for it, also where the copy was read */
    return reeve_fail(err, REEVE_INPUT_INVALID,
                      "shard %s: token %" PRIu64 " (byte %" PRIu64 ") is %" PRIu32
                      ", but the vocabulary of \"%s\" has only %" PRIu32
                      " tokens; correct the tokenizer in the manifest, or tokenize the file again with it",
                      path, sample->token_offset + good, at + good * shard->token_bytes, bad, c->manifest->tokenizer,
                      c->manifest->vocab);
}
