/* `reeve manifest check`: every shard beside its lock, each that differs named. */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/path.h"
#include "cli/manifest.h"
#include "cli/output.h"
#include "cli/run_folder.h"
#include "cli/ticker.h"
#include "config/manifest_file.h"
#include "reeve/status.h"
#include "run/lock_manifest.h"
#include "store/lock.h"

struct check {
    const struct reeve_manifest_request *request;
    struct reeve_manifest *manifest;
    bool locked; /* compared with a lock; otherwise only measured */
    struct reeve_crew_failure *failures;
    uint32_t failure_count, failed;
};

/* The lock of RUN, of SHARDS.yaml (if there is one beside it), or the one named. */
static reeve_status open_manifest(struct check *c, struct reeve_error *err)
{
    const char *path = c->request->path;
    char lock[REEVE_PATH_BYTES_MAX];
    c->locked = true;
    if (reeve_is_folder(path)) return reeve_run_folder_read(path, NULL, &c->manifest, err);
    if (reeve_manifest_names_lock(path)) return reeve_lock_read(path, &c->manifest, err);
    reeve_status st = reeve_manifest_lock_path(path, lock, sizeof lock, err);
    if (st != REEVE_OK) return st;
    if (reeve_path_exists(lock)) return reeve_manifest_open(path, 1, NULL, NULL, &c->manifest, NULL, err);
    c->locked = false;
    return reeve_manifest_file_read(path, &c->manifest, err);
}

static reeve_status check_all(struct check *c, struct reeve_error *err)
{
    struct reeve_ticker ticker;
    reeve_ticker_begin(&ticker, "checked");
    reeve_status st;
    if (c->locked)
        st = reeve_manifest_check_shards(c->manifest, c->request->threads, reeve_ticker_shards, &ticker, &c->failures,
                                         &c->failure_count, &c->failed, err);
    else
        st = reeve_manifest_measure(c->manifest, c->request->threads, false, reeve_ticker_shards, &ticker, &c->failures,
                                    &c->failure_count, &c->failed, err);
    reeve_ticker_end(&ticker);
    return st;
}

/* Wrong data weighs more than missing data, and that more than a disk that cannot be read. */
static int exit_code(const struct check *c)
{
    bool missing = false, wrong = false;
    int other = 0;
    for (uint32_t i = 0; i < c->failure_count; i++) {
        int code = reeve_status_exit_code(c->failures[i].error.status);
        if (code == REEVE_EXIT_DATA) wrong = true;
        else if (code == REEVE_EXIT_NO_INPUT) missing = true;
        else other = code;
    }
    return wrong ? REEVE_EXIT_DATA : missing ? REEVE_EXIT_NO_INPUT : other;
}

static int print_json(const struct check *c, int code)
{
    json_t *o = reeve_cli_json_object(), *list = json_array();
    reeve_cli_json_set(o, "ok", json_boolean(c->failed == 0));
    reeve_cli_json_set(o, "locked", json_boolean(c->locked));
    if (c->locked) reeve_cli_json_set(o, "manifest_digest", reeve_cli_json_digest(c->manifest->digest));
    reeve_cli_json_set(o, "shards", json_integer(c->manifest->shard_count));
    reeve_cli_json_set(o, "wrong", json_integer(c->failed));
    for (uint32_t i = 0; i < c->failure_count; i++) {
        const struct reeve_crew_failure *f = &c->failures[i];
        json_t *finding = json_object();
        reeve_cli_json_set(finding, "shard", json_integer(f->piece));
        reeve_cli_json_set(finding, "path",
                           reeve_cli_json_text(reeve_manifest_path(c->manifest, (reeve_shard_id){f->piece})));
        reeve_cli_json_set(finding, "status", json_string(reeve_status_name(f->error.status)));
        reeve_cli_json_set(finding, "text", reeve_cli_json_text(f->error.text));
        reeve_cli_json_append(list, finding);
    }
    reeve_cli_json_set(o, "findings", list);
    int printed = reeve_cli_print_json(o);
    return printed != 0 ? printed : code;
}

static int print_text(const struct check *c, int code)
{
    for (uint32_t i = 0; i < c->failure_count; i++)
        (void)printf("%s\n", c->failures[i].error.text);
    if (c->failed > c->failure_count) (void)printf("and %u more\n", c->failed - c->failure_count);
    if (c->failed > 0) {
        (void)printf("%u of %u shards are not %s\n", c->failed, c->manifest->shard_count,
                     c->locked ? "as they were locked" : "usable");
        return code;
    }
    char tokens[32];
    if (c->locked) (void)printf("all %u shards are as they were locked\n", c->manifest->shard_count);
    else
        (void)printf("all %u shards can be used: %s tokens; there is no lock yet, see `reeve manifest lock`\n",
                     c->manifest->shard_count, reeve_cli_format_count(reeve_manifest_tokens(c->manifest), tokens));
    return code;
}

int reeve_manifest_check_main(const struct reeve_manifest_request *r)
{
    struct reeve_error err = {0};
    struct check c = {.request = r};
    reeve_status st = open_manifest(&c, &err);
    if (st == REEVE_OK) st = check_all(&c, &err);
    int code;
    if (st != REEVE_OK) code = reeve_cli_fail(&err);
    else if (r->json) code = print_json(&c, exit_code(&c));
    else code = print_text(&c, exit_code(&c));
    free(c.failures);
    reeve_manifest_destroy(c.manifest);
    return code;
}
