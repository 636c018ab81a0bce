/* Reading a job: the file, then the overrides, then defaults, then relations. Nothing is written to *out before all of
 * it holds. See job_file.h. */
#include "config/job_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "config/hints.h"
#include "config/job_keys.h"
#include "config/scalar.h"

#define JOB_FILE_BYTES_MAX ((size_t)1 << 20)

struct reader {
    struct reeve_job job;
    struct reeve_job_origin origins[REEVE_JOB_KEYS_MAX];
    struct reeve_yaml file;
    struct reeve_yaml *overrides; /* (override_count,) owned */
    uint32_t override_count;
    uint32_t tasks; /* the key at the top of the file, or REEVE_YAML_NONE */
    struct reeve_error *err;
};

static bool is_section(const char *name)
{
    for (size_t i = 0; reeve_job_keys.sections[i] != NULL; i++)
        if (strcmp(reeve_job_keys.sections[i], name) == 0) return true;
    return false;
}

/* One key with its value; `where` is the node that names it, for errors about the name. */
static reeve_status set_key(struct reader *r, const struct reeve_yaml *y, const char *section, const char *name,
                            uint32_t where, uint32_t value)
{
    const struct reeve_key *key = reeve_key_find(&reeve_job_keys, section, name);
    if (key == NULL) return reeve_key_fail_unknown(&reeve_job_keys, section, name, y, where, r->err);
    struct reeve_job_origin *origin = &r->origins[key - reeve_job_keys.keys];
    if (origin->tree == y) {
        char path[REEVE_KEY_PATH_BYTES];
        return reeve_key_fail_twice(y, reeve_key_path(key, path), origin->node, where, r->err);
    }
    reeve_status st = reeve_key_set(key, y, value, &r->job, r->err);
    if (st == REEVE_OK) *origin = (struct reeve_job_origin){y, value};
    return st;
}

static reeve_status set_section(struct reader *r, const struct reeve_yaml *y, const char *section, uint32_t value)
{
    char found[REEVE_YAML_FOUND_BYTES];
    if (reeve_yaml_is_nothing(y, value)) return REEVE_OK; /* "faults:" with all its keys commented out */
    if (y->nodes[value].kind != REEVE_YAML_MAPPING)
        return reeve_yaml_fail(y, value, r->err, REEVE_INPUT_INVALID,
                               "key '%s': expected keys with values (a mapping), found %s%s", section,
                               reeve_yaml_found(y, value, found), reeve_hint_mapping(y, value));
    for (uint32_t at = y->nodes[value].first; at != REEVE_YAML_NONE;) {
        uint32_t inner = y->nodes[at].next;
        reeve_status st = set_key(r, y, section, reeve_yaml_text(y, at), at, inner);
        if (st != REEVE_OK) return st;
        at = y->nodes[inner].next;
    }
    return REEVE_OK;
}

static reeve_status set_file(struct reader *r)
{
    const struct reeve_yaml *y = &r->file;
    char found[REEVE_YAML_FOUND_BYTES];
    if (y->nodes[0].kind != REEVE_YAML_MAPPING)
        return reeve_yaml_fail(y, 0, r->err, REEVE_INPUT_INVALID, "expected keys with values (a mapping), found %s%s",
                               reeve_yaml_found(y, 0, found), reeve_hint_mapping(y, 0));
    for (uint32_t at = y->nodes[0].first; at != REEVE_YAML_NONE;) {
        const char *name = reeve_yaml_text(y, at);
        uint32_t value = y->nodes[at].next;
        reeve_status st = REEVE_OK;
        if (strcmp(name, "tasks") == 0) { /* config/tasks_file.c reads it; here only: once, and for whom */
            uint32_t first = reeve_yaml_find(y, 0, name);
            if (first != value) st = reeve_key_fail_twice(y, name, first, at, r->err);
            r->tasks = at;
        } else if (is_section(name)) {
            uint32_t first = reeve_yaml_find(y, 0, name);
            st = first == value ? set_section(r, y, name, value) : reeve_key_fail_twice(y, name, first, at, r->err);
        } else {
            st = set_key(r, y, "", name, at, value);
        }
        if (st != REEVE_OK) return st;
        at = y->nodes[value].next;
    }
    return REEVE_OK;
}

/* "key.sub=value", "key=value", or "section={key: value, ...}". */
static reeve_status set_override(struct reader *r, const char *text, struct reeve_yaml *y)
{
    char name[REEVE_YAML_NAME_BYTES * 2], key[REEVE_KEY_PATH_BYTES];
    const char *equals = strchr(text, '=');
    (void)snprintf(name, sizeof(name), "--set %.*s", REEVE_YAML_NAME_BYTES, text);
    if (equals == NULL || equals == text)
        return reeve_fail(r->err, REEVE_INPUT_USAGE, "%.300s: expected key.sub=value, for example train.steps=100",
                          name);
    if ((size_t)(equals - text) >= sizeof(key))
        return reeve_fail(r->err, REEVE_INPUT_INVALID, "%.300s: key: unknown; `reeve run --help-keys` lists them",
                          name);
    memcpy(key, text, (size_t)(equals - text));
    key[equals - text] = '\0';
    reeve_status st = reeve_yaml_parse(name, true, equals + 1, strlen(equals + 1), y, r->err);
    if (st == REEVE_INPUT_INVALID) { /* no value at all, so the command line is wrong, not the job */
        if (r->err != NULL) r->err->status = REEVE_INPUT_USAGE;
        return REEVE_INPUT_USAGE;
    }
    if (st != REEVE_OK) return st;
    if (is_section(key)) return set_section(r, y, key, 0);
    char *dot = strchr(key, '.');
    if (dot == NULL) return set_key(r, y, "", key, 0, 0);
    *dot = '\0';
    if (is_section(key)) return set_key(r, y, key, dot + 1, 0, 0);
    return reeve_key_fail_unknown(&reeve_job_keys, "", key, y, 0, r->err);
}

static reeve_status set_overrides(struct reader *r, const char *const *overrides, uint32_t override_count)
{
    if (override_count == 0) return REEVE_OK;
    r->overrides = calloc(override_count, sizeof(r->overrides[0]));
    if (r->overrides == NULL) return reeve_fail(r->err, REEVE_JOB_NO_MEMORY, "--set: out of memory");
    r->override_count = override_count;
    for (uint32_t i = 0; i < override_count; i++) {
        reeve_status st = set_override(r, overrides[i], &r->overrides[i]);
        if (st != REEVE_OK) return st;
    }
    return REEVE_OK;
}

static reeve_status fail_missing(const struct reader *r, const struct reeve_key *key)
{
    char path[REEVE_KEY_PATH_BYTES], expected[REEVE_KEY_EXPECTED_BYTES];
    uint32_t section = key->section[0] != '\0' ? reeve_yaml_find(&r->file, 0, key->section) : REEVE_YAML_NONE;
    return reeve_yaml_fail(&r->file, section == REEVE_YAML_NONE ? 0 : section, r->err, REEVE_INPUT_INVALID,
                           "key '%s': missing; expected %s: %s", reeve_key_path(key, path),
                           reeve_key_expected(key, expected), key->meaning);
}

/* A default that is another key's path ("train.steps") is copied from there. */
static const struct reeve_key *fallback_key(const struct reeve_key *key)
{
    char section[REEVE_KEY_PATH_BYTES];
    const char *dot = strchr(key->fallback, '.');
    if (dot == NULL || key->type == REEVE_KEY_SPEECH) return NULL;
    (void)snprintf(section, sizeof(section), "%.*s", (int)(dot - key->fallback), key->fallback);
    return reeve_key_find(&reeve_job_keys, section, dot + 1);
}

/* A key that says nothing to this workload was meant for another one, or is a mistake. */
static reeve_status refuse_strangers(struct reader *r)
{
    char path[REEVE_KEY_PATH_BYTES];
    if (r->job.workload[0] == '\0') return REEVE_OK; /* which is worse, and told by set_defaults */
    for (uint32_t i = 0; i < reeve_job_keys.key_count; i++) {
        const struct reeve_key *key = &reeve_job_keys.keys[i];
        const struct reeve_job_origin *o = &r->origins[i];
        if (o->tree != NULL && !reeve_job_key_applies(key, r->job.workload))
            return reeve_yaml_fail(o->tree, o->node, r->err, REEVE_INPUT_INVALID,
                                   "key '%s': has no meaning for workload '%.60s'; remove it",
                                   reeve_key_path(key, path), r->job.workload);
    }
    if (r->tasks != REEVE_YAML_NONE && !reeve_job_is_list(&r->job))
        return reeve_yaml_fail(&r->file, r->tasks, r->err, REEVE_INPUT_INVALID,
                               "key 'tasks': has no meaning for workload '%.60s'; write `workload: exec`",
                               r->job.workload);
    return REEVE_OK;
}

static reeve_status set_defaults(struct reader *r)
{
    for (uint32_t i = 0; i < reeve_job_keys.key_count; i++) {
        const struct reeve_key *key = &reeve_job_keys.keys[i];
        if (r->origins[i].tree != NULL || !reeve_job_key_applies(key, r->job.workload)) continue;
        if (key->fallback == NULL) return fail_missing(r, key);
        const struct reeve_key *from = fallback_key(key);
        if (from == NULL) reeve_key_set_fallback(key, &r->job);
        else /* it stands before this one in the table, and is as wide */
            memcpy((char *)&r->job + key->offset, (char *)&r->job + from->offset, sizeof(uint64_t));
    }
    return REEVE_OK;
}

/* Paths in a job are relative to the job file, so that a job can be started from any folder. */
static reeve_status resolve_path(struct reader *r, const char *base_dir, const char *section, const char *name,
                                 char value[REEVE_JOB_PATH_BYTES])
{
    char joined[REEVE_JOB_PATH_BYTES] = "";
    char key_path[REEVE_KEY_PATH_BYTES];
    const struct reeve_key *key = reeve_key_find(&reeve_job_keys, section, name);
    const struct reeve_job_origin *origin = &r->origins[key - reeve_job_keys.keys];
    const struct reeve_yaml *tree = origin->tree != NULL ? origin->tree : &r->file; /* a default: the whole file */
    uint32_t node = origin->tree != NULL ? origin->node : 0;
    (void)reeve_key_path(key, key_path);
    if (value[0] == '/' || (origin->tree == NULL && strcmp(section, "exec") != 0)) return REEVE_OK;
    if (reeve_path_join(joined, sizeof(joined), base_dir, strcmp(value, ".") == 0 ? "" : value, NULL) != REEVE_OK)
        return reeve_yaml_fail(tree, node, r->err, REEVE_INPUT_INVALID,
                               "key '%s': longer than %zu bytes with the job file's folder before it", key_path,
                               sizeof(joined) - 1);
    if (!reeve_scalar_is_utf8(joined, true))
        return reeve_yaml_fail(tree, node, r->err, REEVE_INPUT_INVALID,
                               "key '%s': the name of the job file's folder is not UTF-8 text; rename the folder",
                               key_path);
    memset(value, 0, REEVE_JOB_PATH_BYTES);
    memcpy(value, joined, strlen(joined));
    return REEVE_OK;
}

static reeve_status resolve_paths(struct reader *r, const char *path)
{
    char dir[REEVE_PATH_BYTES_MAX];
    reeve_path_dirname(path, dir, sizeof(dir));
    char *base_dir = realpath(dir, NULL);
    if (base_dir == NULL)
        return reeve_fail(r->err, reeve_status_from_errno_read(errno), "folder %s of the job file: %m", dir);
    bool list = reeve_job_is_list(&r->job);
    reeve_status st = list ? resolve_path(r, base_dir, "exec", "folder", r->job.exec.folder)
                           : resolve_path(r, base_dir, "data", "manifest", r->job.data.manifest);
    if (st == REEVE_OK && r->job.data.cache[0] != '\0')
        st = resolve_path(r, base_dir, "data", "cache", r->job.data.cache);
    if (st == REEVE_OK && r->job.model.init_from[0] != '\0')
        st = resolve_path(r, base_dir, "model", "init_from", r->job.model.init_from);
    if (st == REEVE_OK && reeve_job_is_plugin(&r->job))
        st = resolve_path(r, base_dir, "", "workload", r->job.workload);
    free(base_dir);
    return st;
}

static void reader_fini(struct reader *r)
{
    for (uint32_t i = 0; i < r->override_count; i++) reeve_yaml_fini(&r->overrides[i]);
    free(r->overrides);
    reeve_yaml_fini(&r->file);
    free(r);
}

reeve_status reeve_job_read(const char *path, const char *const *overrides, uint32_t override_count,
                            struct reeve_job *out, struct reeve_error *err)
{
    struct reader *r = calloc(1, sizeof(*r)); /* zeroed to the last byte, padding too: equal jobs are equal bytes */
    if (r == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "job %s: out of memory", path);
    r->err = err;
    r->tasks = REEVE_YAML_NONE;
    reeve_status st = reeve_yaml_read(path, JOB_FILE_BYTES_MAX, &r->file, err);
    if (st == REEVE_OK) st = set_file(r);
    if (st == REEVE_OK) st = set_overrides(r, overrides, override_count);
    if (st == REEVE_OK) st = refuse_strangers(r);
    if (st == REEVE_OK) st = set_defaults(r);
    if (st == REEVE_OK) st = reeve_job_check_relations(&r->job, r->origins, err);
    if (st == REEVE_OK) st = resolve_paths(r, path);
    if (st == REEVE_OK) memcpy(out, &r->job, sizeof(*out));
    reader_fini(r);
    return st;
}
