/* Opening what a job names as its data: a lock, or shards.yaml with or without one beside it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "config/manifest_file.h"
#include "run/lock_manifest.h"
#include "store/lock.h"

#define LOCK_SUFFIX ".lock.h5"

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

reeve_status reeve_manifest_lock_path(const char *shards_yaml, char *out, size_t out_bytes, struct reeve_error *err)
{
    size_t stem = strlen(shards_yaml);
    if (ends_with(shards_yaml, ".yaml")) stem -= strlen(".yaml");
    else if (ends_with(shards_yaml, ".yml")) stem -= strlen(".yml");
    int n = snprintf(out, out_bytes, "%.*s%s", (int)stem, shards_yaml, LOCK_SUFFIX);
    if (n < 0 || (size_t)n >= out_bytes)
        return reeve_fail(err, REEVE_INPUT_INVALID, "%s: the path is too long", shards_yaml);
    return REEVE_OK;
}

static reeve_status differ(const char *yaml, const char *lock, const char *what, struct reeve_error *err)
{
    return reeve_fail(err, REEVE_INPUT_CHANGED,
                      "%s: %s since %s was made; run `reeve manifest lock %s` again, or remove the lock", yaml, what,
                      lock, yaml);
}

/* The lock must be of these very entries. Formats are compared where shards.yaml states them; the width of a
 * token only where the file itself does not. */
static reeve_status same_entries(const char *yaml, const struct reeve_manifest *written, const char *lock,
                                 const struct reeve_manifest *locked, struct reeve_error *err)
{
    char what[REEVE_PATH_BYTES_MAX + 64];
    if (strcmp(written->dataset, locked->dataset) != 0 || strcmp(written->tokenizer, locked->tokenizer) != 0)
        return differ(yaml, lock, "dataset or tokenizer changed", err);
    if (written->vocab != 0 && written->vocab != locked->vocab)
        return differ(yaml, lock, "the vocabulary changed", err);
    for (uint32_t i = 0; i < written->shard_count && i < locked->shard_count; i++) {
        const struct reeve_shard *a = &written->shards[i], *b = &locked->shards[i];
        const char *path = reeve_manifest_path(written, (reeve_shard_id){i});
        bool same = strcmp(path, reeve_manifest_path(locked, (reeve_shard_id){i})) == 0 && a->weight == b->weight &&
                    a->priority == b->priority && (a->format == 0 || a->format == b->format) &&
                    (a->format != REEVE_SHARD_NANOGPT || a->token_bytes == b->token_bytes);
        if (same) continue;
        (void)snprintf(what, sizeof what, "shard %u (%s) changed", i, path);
        return differ(yaml, lock, what, err);
    }
    if (written->shard_count == locked->shard_count) return REEVE_OK;
    (void)snprintf(what, sizeof what, "it names %u shards and not %u", written->shard_count, locked->shard_count);
    return differ(yaml, lock, what, err);
}

static reeve_status open_beside(const char *yaml, const char *lock, struct reeve_manifest **out,
                                struct reeve_error *err)
{
    struct reeve_manifest *written = NULL, *locked = NULL;
    reeve_status st = reeve_manifest_file_read(yaml, &written, err);
    if (st != REEVE_OK) return st;
    st = reeve_lock_read(lock, &locked, err);
    if (st == REEVE_OK) st = same_entries(yaml, written, lock, locked, err);
    if (st == REEVE_OK) { /* both may have been moved together: relative paths start from where shards.yaml is now */
        char *base_dir = locked->base_dir;
        locked->base_dir = written->base_dir;
        written->base_dir = base_dir;
        *out = locked;
        locked = NULL;
    }
    reeve_manifest_destroy(locked);
    reeve_manifest_destroy(written);
    return st;
}

bool reeve_manifest_names_lock(const char *path)
{
    return ends_with(path, ".h5") || ends_with(path, ".hdf5");
}

reeve_status reeve_manifest_open(const char *path, uint32_t threads, reeve_lock_progress *progress, void *arg,
                                 struct reeve_manifest **out, bool *from_lock, struct reeve_error *err)
{
    char lock[REEVE_PATH_BYTES_MAX];
    if (from_lock != NULL) *from_lock = true;
    if (reeve_manifest_names_lock(path)) return reeve_lock_read(path, out, err);
    reeve_status st = reeve_manifest_lock_path(path, lock, sizeof lock, err);
    if (st != REEVE_OK) return st;
    if (reeve_path_exists(lock)) return open_beside(path, lock, out, err);
    if (from_lock != NULL) *from_lock = false;
    return reeve_manifest_lock_progress(path, threads, progress, arg, out, err);
}
