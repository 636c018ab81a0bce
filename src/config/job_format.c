/* Writing a job: as YAML for people and for the run's own copy, as JSON for workloads, as a list for --help-keys. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/job_file.h"
#include "config/job_keys.h"
#include "config/scalar.h"

#define COMMENT_COLUMN 34

/* "key: value      # meaning, in unit" */
static reeve_status write_key(const struct reeve_key *key, const struct reeve_job *job, FILE *out,
                              struct reeve_error *err)
{
    long start = ftell(out);
    (void)fprintf(out, "%s%s: ", key->section[0] != '\0' ? "  " : "", key->name);
    reeve_status st = reeve_key_print(key, job, out, err);
    if (st != REEVE_OK) return st;
    long used = ftell(out) - start;
    int pad = used + 1 < COMMENT_COLUMN ? (int)(COMMENT_COLUMN - used) : 1;
    (void)fprintf(out, "%*s# ", pad, "");
    if (key->unit[0] != '\0') (void)fprintf(out, "%s: ", key->unit);
    (void)fprintf(out, "%s\n", key->meaning);
    return REEVE_OK;
}

static reeve_status write_yaml(const struct reeve_job *job, FILE *out, struct reeve_error *err)
{
    const char *section = "";
    for (uint32_t i = 0; i < reeve_job_keys.key_count; i++) {
        const struct reeve_key *key = &reeve_job_keys.keys[i];
        if (!reeve_job_key_applies(key, job->workload)) continue;
        if (strcmp(section, key->section) != 0) (void)fprintf(out, "\n%s:\n", key->section);
        section = key->section;
        reeve_status st = write_key(key, job, out, err);
        if (st != REEVE_OK) return st;
    }
    return REEVE_OK;
}

reeve_status reeve_job_format_yaml(const struct reeve_job *job, char **text, struct reeve_error *err)
{
    char *buffer = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&buffer, &bytes);
    if (out == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "job as YAML: out of memory");
    (void)fprintf(out, "# The resolved job: every key, defaults filled in. Paths are absolute.\n");
    reeve_status st = write_yaml(job, out, err);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0) failed = true;
    if (st == REEVE_OK && failed) st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "job as YAML: out of memory");
    if (st == REEVE_OK) *text = buffer;
    else free(buffer);
    return st;
}

/* NULL: out of memory, or a text that is no UTF-8. */
static json_t *json_value(const struct reeve_key *key, const struct reeve_job *job)
{
    const void *at = (const char *)job + key->offset;
    switch (key->type) {
    case REEVE_KEY_U32: return json_integer(*(const uint32_t *)at);
    case REEVE_KEY_I32: return json_integer(*(const int32_t *)at);
    case REEVE_KEY_U64: return json_integer((json_int_t) * (const uint64_t *)at);
    case REEVE_KEY_REAL: return json_real(*(const double *)at);
    case REEVE_KEY_PPM: return json_real(*(const uint32_t *)at / 1e6);
    case REEVE_KEY_CHOICE: return json_string(key->choices[key->capacity != 0 ? *(const uint32_t *)at : 0]);
    case REEVE_KEY_TEXT:
    case REEVE_KEY_SPEECH: return json_string(at);
    case REEVE_KEY_NODE: break;
    }
    return NULL;
}

reeve_status reeve_job_format_json(const struct reeve_job *job, char **text, struct reeve_error *err)
{
    json_t *root = json_object();
    bool failed = root == NULL;
    for (uint32_t i = 0; i < reeve_job_keys.key_count && !failed; i++) {
        const struct reeve_key *key = &reeve_job_keys.keys[i];
        json_t *into = root;
        if (!reeve_job_key_applies(key, job->workload)) continue;
        if (key->section[0] != '\0') {
            into = json_object_get(root, key->section);
            if (into == NULL) failed = json_object_set_new(root, key->section, into = json_object()) != 0;
        }
        if (!failed) failed = json_object_set_new(into, key->name, json_value(key, job)) != 0;
    }
    char *dumped = failed ? NULL : json_dumps(root, JSON_REAL_PRECISION(17));
    json_decref(root);
    if (dumped == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "job as JSON: out of memory");
    *text = dumped;
    return REEVE_OK;
}

static void print_default(const struct reeve_key *key, FILE *out)
{
    if (key->fallback == NULL) (void)fputs("must be given", out);
    else if (key->type == REEVE_KEY_TEXT || key->type == REEVE_KEY_SPEECH) {
        (void)fputs("default ", out);
        reeve_scalar_print_quoted(key->fallback, out);
    } else (void)fprintf(out, "default %s", key->fallback);
}

void reeve_job_print_keys(FILE *out)
{
    char path[REEVE_KEY_PATH_BYTES], expected[REEVE_KEY_EXPECTED_BYTES];
    const char *section = "";
    for (uint32_t i = 0; i < reeve_job_keys.key_count; i++) {
        const struct reeve_key *key = &reeve_job_keys.keys[i];
        if (strcmp(section, key->section) != 0) (void)fputc('\n', out);
        section = key->section;
        (void)fprintf(out, "%-24s  %s\n%-24s  %s; ", reeve_key_path(key, path), key->meaning, "",
                      reeve_key_expected(key, expected));
        print_default(key, out);
        (void)fputc('\n', out);
    }
}
