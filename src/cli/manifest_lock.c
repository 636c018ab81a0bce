/* `reeve manifest lock`: measure, write, and say what was written. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "cli/manifest.h"
#include "cli/output.h"
#include "cli/ticker.h"
#include "run/lock_manifest.h"
#include "store/lock.h"

/* The digest of what `path` held before, if it was a lock. Whatever else it was, it is replaced all the same. */
static bool digest_before(const char *path, struct reeve_digest *out)
{
    struct reeve_manifest *old = NULL;
    if (!reeve_path_exists(path) || reeve_lock_read(path, &old, NULL) != REEVE_OK) return false;
    *out = old->digest;
    reeve_manifest_destroy(old);
    return true;
}

/* A lock ends in .h5: that is how it is told from shards.yaml, and why -o cannot overwrite that by mistake. */
static reeve_status take_output(const char *output, char path[REEVE_PATH_BYTES_MAX], struct reeve_error *err)
{
    size_t n = strlen(output);
    if (n < 4 || strcmp(output + n - 3, ".h5") != 0)
        return reeve_fail(err, REEVE_INPUT_USAGE, "--output %s: the name of a lock ends in .h5", output);
    if (n >= REEVE_PATH_BYTES_MAX) return reeve_fail(err, REEVE_INPUT_USAGE, "--output: the path is too long");
    memcpy(path, output, n + 1);
    return REEVE_OK;
}

static int print_json(const struct reeve_manifest *m, const char *path, bool replaced, bool same)
{
    json_t *o = reeve_cli_json_object();
    reeve_cli_json_set(o, "lock", reeve_cli_json_text(path));
    reeve_cli_json_set(o, "manifest_digest", reeve_cli_json_digest(m->digest));
    reeve_cli_json_set(o, "shards", json_integer(m->shard_count));
    reeve_cli_json_set(o, "tokens", reeve_cli_json_u64(reeve_manifest_tokens(m)));
    reeve_cli_json_set(o, "bytes", reeve_cli_json_u64(reeve_manifest_bytes(m)));
    reeve_cli_json_set(o, "replaced", json_boolean(replaced));
    reeve_cli_json_set(o, "changed", json_boolean(replaced && !same));
    return reeve_cli_print_json(o);
}

static void print_text(const struct reeve_manifest *m, const char *path, bool replaced, bool same)
{
    char hex[REEVE_DIGEST_HEX_BYTES], tokens[32], bytes[32];
    reeve_digest_hex(m->digest, hex);
    (void)printf("%s: %u shard%s, %s tokens, %s, digest %s\n", path, m->shard_count, m->shard_count == 1 ? "" : "s",
                 reeve_cli_format_count(reeve_manifest_tokens(m), tokens),
                 reeve_cli_format_bytes(reeve_manifest_bytes(m), bytes), hex);
    if (replaced && same) (void)printf("It is the same as before.\n");
    if (replaced && !same)
        (void)printf(
            "It replaces a lock with another digest: runs that began with that one cannot go on with this one.\n");
}

int reeve_manifest_lock_main(const struct reeve_manifest_request *r)
{
    struct reeve_error err = {0};
    struct reeve_manifest *m = NULL;
    struct reeve_digest before = {0};
    struct reeve_ticker ticker;
    char path[REEVE_PATH_BYTES_MAX];
    reeve_status st = REEVE_OK;
    if (r->output == NULL) st = reeve_manifest_lock_path(r->path, path, sizeof path, &err);
    else st = take_output(r->output, path, &err);
    if (st != REEVE_OK) return reeve_cli_fail(&err);

    reeve_ticker_begin(&ticker, "measured");
    st = reeve_manifest_lock_progress(r->path, r->threads, reeve_ticker_shards, &ticker, &m, &err);
    reeve_ticker_end(&ticker);
    if (st != REEVE_OK) return reeve_cli_fail(&err);
    bool replaced = digest_before(path, &before), same = replaced && reeve_digest_equal(before, m->digest);
    st = reeve_lock_write(path, m, &err);
    int code = 0;
    if (st != REEVE_OK) code = reeve_cli_fail(&err);
    else if (r->json) code = print_json(m, path, replaced, same);
    else print_text(m, path, replaced, same);
    reeve_manifest_destroy(m);
    return code;
}
