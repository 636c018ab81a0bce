/* Reading tokens: one pread a sample at the place that the lock says, from the copy where there is a cache folder. */
#include "store/shard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "store/shard_cache.h"
#include "store/shard_file.h"

#define TURN_NS (600 * REEVE_SECOND_NS) /* a copy may be large, and its disk slow */
#define SETTLE_NS (4 * REEVE_SECOND_NS)
#define READ_TRIES 3

static reeve_status allocate(reeve_shard_cache *c)
{
    c->slots = calloc(c->config.open_max, sizeof(*c->slots));
    c->words = calloc(c->config.manifest->shard_count, sizeof(*c->words));
    if (c->slots == NULL || c->words == NULL) return REEVE_JOB_NO_MEMORY;
    for (uint32_t i = 0; i < c->config.open_max; i++)
        c->slots[i].fd = -1;
    return REEVE_OK;
}

reeve_status reeve_shard_cache_create(const struct reeve_shard_config *config, reeve_shard_cache **out,
                                      struct reeve_error *err)
{
    if (strlen(config->cache_dir) >= REEVE_PATH_BYTES_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID, "cache folder %.100s...: path too long", config->cache_dir);
    if (strlen(config->run_dir) >= REEVE_PATH_BYTES_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID, "run folder %.100s...: path too long", config->run_dir);
    reeve_shard_cache *c = calloc(1, sizeof(*c));
    if (c == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "shard cache: out of memory");
    (void)strcpy(c->cache_dir, config->cache_dir);
    (void)strcpy(c->run_dir, config->run_dir);
    c->config = *config;
    c->config.cache_dir = c->cache_dir;
    c->config.run_dir = c->run_dir;
    c->turn_ns = TURN_NS;
    c->settle_ns = SETTLE_NS;
    if (c->config.open_max == 0) c->config.open_max = 1;
    if (allocate(c) != REEVE_OK) {
        free(c->slots);
        free(c->words);
        free(c);
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "shard cache: out of memory");
    }
    *out = c;
    return REEVE_OK;
}

static void slot_close(struct open_shard *slot)
{
    if (slot->fd >= 0) (void)close(slot->fd);
    slot->fd = -1;
}

/* Ask about a file that samples were read from since the last time. */
static void slot_ask(reeve_shard_cache *c, struct open_shard *slot)
{
    if (slot->fd < 0 || slot->last_use <= c->asked || reeve_shard_is_as_verified(c, slot, true)) return;
    c->doubted = true;
    slot_close(slot);
}

void reeve_shard_cache_destroy(reeve_shard_cache *c)
{
    if (c == NULL) return;
    for (uint32_t i = 0; i < c->config.open_max; i++)
        slot_close(&c->slots[i]);
    free(c->slots);
    free(c->words);
    free(c);
}

reeve_status reeve_shard_source_path(const reeve_shard_cache *c, reeve_shard_id shard, char out[REEVE_PATH_BYTES_MAX],
                                     struct reeve_error *err)
{
    return reeve_path_join(out, REEVE_PATH_BYTES_MAX, c->config.manifest->base_dir,
                           reeve_manifest_path(c->config.manifest, shard), err);
}

reeve_status reeve_shard_copy_path(const reeve_shard_cache *c, reeve_shard_id shard, char out[REEVE_PATH_BYTES_MAX],
                                   struct reeve_error *err)
{
    char hex[REEVE_DIGEST_HEX_BYTES];
    reeve_digest_hex(c->config.manifest->shards[shard.v].digest, hex);
    return reeve_path_join(out, REEVE_PATH_BYTES_MAX, c->cache_dir, hex, err);
}

/* --- open descriptors ------------------------------------------------------------------------------------------- */

static struct open_shard *slot_find(reeve_shard_cache *c, reeve_shard_id shard)
{
    for (uint32_t i = 0; i < c->config.open_max; i++)
        if (c->slots[i].fd >= 0 && c->slots[i].shard == shard.v) return &c->slots[i];
    return NULL;
}

/* A free slot, or the least recently used one, emptied. */
static struct open_shard *slot_make_free(reeve_shard_cache *c)
{
    struct open_shard *oldest = &c->slots[0];
    for (uint32_t i = 0; i < c->config.open_max; i++) {
        if (c->slots[i].fd < 0) return &c->slots[i];
        if (c->slots[i].last_use < oldest->last_use) oldest = &c->slots[i];
    }
    slot_ask(c, oldest);
    slot_close(oldest);
    return oldest;
}

static reeve_status open_source(reeve_shard_cache *c, enum reeve_shard_effort effort, struct open_shard *file,
                                struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    uint64_t file_bytes;
    reeve_status st = reeve_shard_source_path(c, (reeve_shard_id){file->shard}, path, err);
    if (st == REEVE_OK) st = reeve_shard_file_open(path, &file->fd, &file_bytes, err);
    if (st != REEVE_OK) return st;
    st = reeve_shard_verify(c, file, path, effort, err);
    if (st != REEVE_OK) (void)close(file->fd);
    return st;
}

/* The copy of this host, made now if there is none; where that cannot be done, the shard itself. */
static reeve_status open_near(reeve_shard_cache *c, struct open_shard *file, struct reeve_error *err)
{
    struct reeve_error why = {0};
    reeve_shard_id shard = {file->shard};
    if (reeve_shard_copy_open(c, shard, REEVE_SHARD_ASK, file, NULL) == REEVE_OK) return REEVE_OK;
    if (!c->copies_given_up && reeve_shard_copy_fetch(c, shard, REEVE_SHARD_READ_IF_NEW, file, &why) == REEVE_OK)
        return REEVE_OK;
    *file = (struct open_shard){.shard = shard.v};
    reeve_status st = open_source(c, REEVE_SHARD_READ_IF_NEW, file, err);
    if (st == REEVE_OK && !c->copies_given_up) {
        reeve_log(REEVE_LOG_WARN, "%s; from now on this process reads shards without making copies", why.text);
        c->copies_given_up = true;
    }
    return st;
}

/* A replica on one host may be the only one that is wrong. */
static reeve_status on_this_host(reeve_status st, struct reeve_error *err)
{
    char host[256];
    if (gethostname(host, sizeof(host)) != 0) return st;
    host[sizeof(host) - 1] = '\0';
    (void)reeve_error_context(err, "host %s", host);
    return st;
}

static reeve_status slot_open(reeve_shard_cache *c, reeve_shard_id shard, struct open_shard **out,
                              struct reeve_error *err)
{
    struct open_shard *slot = slot_find(c, shard);
    if (slot == NULL) {
        struct open_shard file = {.shard = shard.v};
        reeve_status st =
            c->cache_dir[0] != '\0' ? open_near(c, &file, err) : open_source(c, REEVE_SHARD_READ_IF_NEW, &file, err);
        if (st != REEVE_OK) return on_this_host(st, err);
        slot = slot_make_free(c);
        *slot = file;
    }
    slot->last_use = ++c->clock;
    *out = slot;
    return REEVE_OK;
}

reeve_status reeve_shard_stage(reeve_shard_cache *c, reeve_shard_id shard, struct reeve_error *err)
{
    REEVE_ASSERT(shard.v < c->config.manifest->shard_count);
    struct open_shard file = {.shard = shard.v};
    reeve_status st = c->cache_dir[0] != '\0' ? reeve_shard_copy_fetch(c, shard, REEVE_SHARD_READ, &file, err)
                                              : open_source(c, REEVE_SHARD_READ, &file, err);
    if (st != REEVE_OK) return on_this_host(st, err);
    (void)close(file.fd);
    struct open_shard *slot = slot_find(c, shard);
    if (slot != NULL) slot_ask(c, slot);
    if (slot != NULL) slot_close(slot); /* it may be the shard itself, or a copy that was replaced */
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
                              slot_path(c, slot, path), at, c->config.manifest->shards[slot->shard].file_bytes);
        to += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return REEVE_OK;
}

/* Bytes that were read are those that were verified if the file is the same one afterwards. */
static reeve_status read_verified(reeve_shard_cache *c, reeve_shard_id shard, void *out, size_t n, uint64_t at,
                                  struct reeve_error *err)
{
    for (int tries = 0; tries < READ_TRIES; tries++) {
        struct open_shard *slot;
        reeve_status st = slot_open(c, shard, &slot, err);
        if (st != REEVE_OK) return st;
        st = read_raw(c, slot, out, n, at, err);
        bool same = reeve_shard_is_as_verified(c, slot, false);
        if (st == REEVE_OK && same) return REEVE_OK;
        c->doubted |= !same; /* what was read of it before this */
        slot_close(slot);    /* the next attempt looks at the file anew */
        if (same) return on_this_host(st, err);
    }
    char path[REEVE_PATH_BYTES_MAX];
    if (reeve_shard_source_path(c, shard, path, NULL) != REEVE_OK) path[0] = '\0';
    return on_this_host(
        reeve_fail(err, REEVE_INPUT_CHANGED,
                   "shard %s: is changed again and again while it is read; nothing may write to it during a run", path),
        err);
}

bool reeve_shards_still_verified(reeve_shard_cache *c)
{
    for (uint32_t i = 0; i < c->config.open_max; i++)
        slot_ask(c, &c->slots[i]);
    bool still = !c->doubted;
    c->doubted = false;
    c->asked = c->clock;
    return still;
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
    REEVE_ASSERT(sample->shard.v < c->config.manifest->shard_count);
    const struct reeve_shard *shard = &c->config.manifest->shards[sample->shard.v];
    const size_t count = (size_t)sequence + 1, raw_bytes = count * shard->token_bytes;
    REEVE_ASSERT(sample->token_offset <= shard->token_count && count <= shard->token_count - sample->token_offset);
    uint64_t at = shard->data_offset + sample->token_offset * shard->token_bytes;
    void *raw = (uint8_t *)tokens + (count * sizeof(*tokens) - raw_bytes);
    reeve_status st = read_verified(c, sample->shard, raw, raw_bytes, at, err);
    if (st != REEVE_OK) return st;
    uint32_t bad = 0;
    size_t good = tokens_widen(tokens, count, shard->token_bytes, c->config.manifest->vocab, &bad);
    if (good == count) return REEVE_OK;
    char path[REEVE_PATH_BYTES_MAX];
    (void)reeve_shard_source_path(c, sample->shard, path,
                                  NULL); /* the user's name for it, also where the copy was read */
    return reeve_fail(err, REEVE_INPUT_INVALID,
                      "shard %s: token %" PRIu64 " (byte %" PRIu64 ") is %" PRIu32
                      ", but the vocabulary of \"%s\" has only %" PRIu32
                      " tokens; correct the tokenizer in the manifest, or tokenize the file again with it",
                      path, sample->token_offset + good, at + good * shard->token_bytes, bad,
                      c->config.manifest->tokenizer, c->config.manifest->vocab);
}
