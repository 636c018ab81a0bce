/* Goal: after any crash manifest.h5 is the old lock or the new one, whole; a lock that was acknowledged is there.
 * Method: five locks of growing lists of shards, each written over the one before. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "crash.h"
#include "store/lock.h"

#define VERSIONS 5u
#define SHARDS_MAX 400u

static void make(uint64_t version, struct reeve_manifest *m, struct reeve_shard *shards, char *paths)
{
    memset(m, 0, sizeof(*m));
    (void)snprintf(m->dataset, sizeof(m->dataset), "version-%llu", (unsigned long long)version);
    (void)snprintf(m->tokenizer, sizeof(m->tokenizer), "bytes");
    m->vocab = 256;
    static char base_dir[] = "/data";
    m->base_dir = base_dir;
    m->shards = shards;
    m->shard_count = (uint32_t)(version * version * 16 < SHARDS_MAX ? version * version * 16 : SHARDS_MAX);
    m->paths = paths;
    for (uint32_t i = 0; i < m->shard_count; i++) {
        int n = sprintf(paths + m->paths_bytes, "shard-%llu-%05u.txt", (unsigned long long)version, i);
        shards[i] = (struct reeve_shard){.path_offset = m->paths_bytes,
                                         .file_bytes = 100 + i,
                                         .token_count = 100 + i,
                                         .digest = reeve_digest_of(paths + m->paths_bytes, (size_t)n),
                                         .weight = 1,
                                         .format = REEVE_SHARD_TEXT,
                                         .token_bytes = 1};
        m->paths_bytes += (uint64_t)n + 1;
    }
    m->digest = reeve_manifest_digest(m);
}

static reeve_status write_version(const char *folder, uint64_t version, struct reeve_error *err)
{
    static struct reeve_shard shards[SHARDS_MAX];
    static char paths[SHARDS_MAX * 32];
    struct reeve_manifest m;
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/manifest.h5", folder);
    make(version, &m, shards, paths);
    reeve_status st = reeve_lock_write(path, &m, err);
    if (st == REEVE_OK) trace_mark(MARK_WRITTEN, version, 0);
    return st;
}

static reeve_status act(const char *root, struct reeve_error *err)
{
    for (uint64_t version = 1; version <= VERSIONS; version++)
        TRY(write_version(root, version, err));
    return REEVE_OK;
}

static reeve_status again(const char *root, struct reeve_error *err)
{
    return write_version(root, VERSIONS, err);
}

static bool check(const char *folder, const struct crash_promise *p, char *why, size_t why_bytes)
{
    static struct reeve_shard shards[SHARDS_MAX];
    static char paths[SHARDS_MAX * 32];
    struct reeve_error err = {0};
    struct reeve_manifest *m = NULL, expected;
    char path[PATH_MAX];
    unsigned long long version = 0;
    (void)snprintf(path, sizeof(path), "%s/manifest.h5", folder);
    if (reeve_path_exists(path)) {
        if (!crash_stock_reads(path, why, why_bytes)) return false;
        if (reeve_lock_read(path, &m, &err) != REEVE_OK) return crash_found(why, why_bytes, "%s", err.text);
        bool good = sscanf(m->dataset, "version-%llu", &version) == 1 && version >= 1 && version <= VERSIONS;
        if (good) {
            make(version, &expected, shards, paths);
            good = reeve_digest_equal(expected.digest, m->digest);
        }
        reeve_manifest_destroy(m);
        if (!good) return crash_found(why, why_bytes, "it is none of those that were written");
    }
    if (version < p->version)
        return crash_found(why, why_bytes, "version %llu was acknowledged, version %llu is there",
                           (unsigned long long)p->version, version);
    if (write_version(folder, VERSIONS, &err) != REEVE_OK) return crash_found(why, why_bytes, "again: %s", err.text);
    return crash_stock_reads(path, why, why_bytes);
}

int main(int argc, char **argv)
{
    static const struct crash_case cases[] = {
        {.name = "manifest", .act = act, .check = check, .again = again, .share = 1}};
    return crash_main(argc, argv, cases, 1);
}
