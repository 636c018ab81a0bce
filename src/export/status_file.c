/* One table says which field stands under which key; the writer and the reader both go through it. */
#include "export/status_file.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/path.h"

#define STATUS_FORMAT 1

/* A key that is not there is no fault where `optional`: it came to format 1 later. */
enum field_type { FIELD_U64, FIELD_U32, FIELD_I64, FIELD_INT, FIELD_DOUBLE, FIELD_NAME, FIELD_MESSAGE, FIELD_HEX };

static const struct field {
    const char *key;
    enum field_type type;
    size_t offset;
    bool optional;
} fields[] = {
#define FIELD(key, type, member)                                                                                       \
    {                                                                                                                  \
        key, type, offsetof(struct reeve_status_report, member), false                                                 \
    }
#define OPTIONAL(key, type, member)                                                                                    \
    {                                                                                                                  \
        key, type, offsetof(struct reeve_status_report, member), true                                                  \
    }
    FIELD("job", FIELD_NAME, job),
    FIELD("run_id", FIELD_HEX, run_id),
    FIELD("step", FIELD_U64, step),
    FIELD("steps", FIELD_U64, steps),
    FIELD("epoch", FIELD_U64, epoch),
    FIELD("membership_epoch", FIELD_U32, membership_epoch),
    FIELD("samples", FIELD_U64, samples),
    FIELD("loss", FIELD_DOUBLE, loss),
    FIELD("eval_loss", FIELD_DOUBLE, eval_loss),
    FIELD("eval_step", FIELD_U64, eval_step),
    FIELD("tokens_per_s", FIELD_DOUBLE, tokens_per_s),
    FIELD("learning_rate", FIELD_DOUBLE, learning_rate),
    FIELD("grad_norm", FIELD_DOUBLE, grad_norm),
    FIELD("workers", FIELD_U32, workers),
    FIELD("tasks_ready", FIELD_U64, tasks_ready),
    FIELD("tasks_leased", FIELD_U64, tasks_leased),
    FIELD("tasks_blocked", FIELD_U64, tasks_blocked),
    FIELD("tasks_done", FIELD_U64, tasks_done),
    FIELD("tasks_dead", FIELD_U64, tasks_dead),
    FIELD("tasks_total", FIELD_U64, tasks_total),
    FIELD("tasks_running", FIELD_U64, tasks_running),
    FIELD("tasks_delayed", FIELD_U64, tasks_delayed),
    FIELD("tasks_cancelled", FIELD_U64, tasks_cancelled),
    FIELD("attempts_failed", FIELD_U64, attempts_failed),
    FIELD("tasks_per_s", FIELD_DOUBLE, tasks_per_s),
    FIELD("refused_steps", FIELD_U64, refused_steps),
    FIELD("seconds_left", FIELD_DOUBLE, seconds_left),
    FIELD("last_checkpoint_step", FIELD_U64, last_checkpoint_step),
    FIELD("last_checkpoint_wall_ns", FIELD_I64, last_checkpoint_wall_ns),
    FIELD("restarts", FIELD_U32, restarts),
    OPTIONAL("silent_host", FIELD_MESSAGE, silent_host),
    OPTIONAL("silent_s", FIELD_DOUBLE, silent_s),
    OPTIONAL("workers_long", FIELD_U32, workers_long),
    FIELD("exit_code", FIELD_INT, exit_code),
    FIELD("message", FIELD_MESSAGE, message),
    FIELD("updated_wall_ns", FIELD_I64, updated_wall_ns),
    FIELD("pid", FIELD_U32, pid),
    FIELD("host", FIELD_NAME, host),
#undef FIELD
#undef OPTIONAL
};
#define FIELDS (sizeof fields / sizeof fields[0])

static const char *const state_names[] = {
#define STATE_NAME(name, text) [REEVE_RUN_##name] = (text),
    REEVE_RUN_STATE_MAP(STATE_NAME)
#undef STATE_NAME
};
#define STATES (sizeof state_names / sizeof state_names[0])

const char *reeve_run_state_name(enum reeve_run_state state)
{
    return (size_t)state < STATES ? state_names[state] : "?";
}

void reeve_status_report_init(struct reeve_status_report *r)
{
    *r = (struct reeve_status_report){.exit_code = -1};
    r->loss = r->eval_loss = r->tokens_per_s = r->tasks_per_s = r->learning_rate = r->grad_norm = r->seconds_left = NAN;
}

/* JSON has no NaN and no infinity: they are null. Text that is no UTF-8 (a host name may be anything) loses its odd
 * bytes. */
static json_t *text_value(const char *text, size_t bytes_max)
{
    char copy[REEVE_REPORT_MESSAGE_BYTES];
    size_t n = strnlen(text, bytes_max - 1);
    memcpy(copy, text, n);
    copy[n] = '\0';
    json_t *value = json_string(copy);
    if (value != NULL) return value;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)copy[i] >= 0x80) copy[i] = '?';
    return json_string(copy);
}

static json_t *field_value(const struct field *f, const struct reeve_status_report *r)
{
    const void *at = (const char *)r + f->offset;
    char hex[17];
    switch (f->type) {
    case FIELD_U64:
        return json_integer((json_int_t) * (const uint64_t *)at);
    case FIELD_U32:
        return json_integer(*(const uint32_t *)at);
    case FIELD_I64:
        return json_integer(*(const int64_t *)at);
    case FIELD_INT:
        return json_integer(*(const int *)at);
    case FIELD_DOUBLE:
        return isfinite(*(const double *)at) ? json_real(*(const double *)at) : json_null();
    case FIELD_NAME:
        return text_value(at, REEVE_REPORT_NAME_BYTES);
    case FIELD_MESSAGE:
        return text_value(at, REEVE_REPORT_MESSAGE_BYTES);
    case FIELD_HEX:
        (void)snprintf(hex, sizeof hex, "%016" PRIx64, *(const uint64_t *)at);
        return json_string(hex);
    }
    return NULL;
}

static char *report_dump(const struct reeve_status_report *r)
{
    json_t *object = json_object();
    bool whole = object != NULL && json_object_set_new(object, "format", json_integer(STATUS_FORMAT)) == 0 &&
                 json_object_set_new(object, "state", json_string(reeve_run_state_name(r->state))) == 0;
    for (size_t i = 0; i < FIELDS && whole; i++)
        whole = json_object_set_new(object, fields[i].key, field_value(&fields[i], r)) == 0;
    char updated[21];
    reeve_clock_format_utc(r->updated_wall_ns, updated);
    whole = whole && json_object_set_new(object, "updated", json_string(updated)) == 0;
    char *text = whole ? json_dumps(object, JSON_INDENT(2)) : NULL;
    json_decref(object);
    return text;
}

reeve_status reeve_status_file_write(const char *path, const struct reeve_status_report *r, struct reeve_error *err)
{
    struct reeve_status_report stamped = *r;
    stamped.updated_wall_ns = reeve_clock_wall_ns();
    stamped.pid = (uint32_t)getpid();
    if (gethostname(stamped.host, sizeof stamped.host) != 0) stamped.host[0] = '\0';
    stamped.host[sizeof stamped.host - 1] = '\0';
    char *text = report_dump(&stamped);
    if (text == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "%s: out of memory", path);
    reeve_status st = reeve_file_replace(path, text, strlen(text), false, err);
    free(text);
    return st;
}

static bool in_range(const json_t *value, json_int_t min, json_int_t max)
{
    return json_is_integer(value) && json_integer_value(value) >= min && json_integer_value(value) <= max;
}

static bool take_text(const json_t *value, char *out, size_t out_bytes)
{
    if (!json_is_string(value) || json_string_length(value) >= out_bytes) return false;
    memcpy(out, json_string_value(value), json_string_length(value) + 1);
    return true;
}

static bool take_hex(const json_t *value, uint64_t *out)
{
    const char *text = json_string_value(value);
    if (text == NULL || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16) return false;
    *out = strtoull(text, NULL, 16);
    return true;
}

static bool take_field(const struct field *f, const json_t *value, struct reeve_status_report *r)
{
    void *at = (char *)r + f->offset;
    bool is_signed = f->type == FIELD_INT || f->type == FIELD_I64;
    bool is_short = f->type == FIELD_INT || f->type == FIELD_U32;
    json_int_t max = f->type == FIELD_INT ? INT32_MAX : is_short ? (json_int_t)UINT32_MAX : INT64_MAX;
    switch (f->type) {
    case FIELD_NAME:
        return take_text(value, at, REEVE_REPORT_NAME_BYTES);
    case FIELD_MESSAGE:
        return take_text(value, at, REEVE_REPORT_MESSAGE_BYTES);
    case FIELD_HEX:
        return take_hex(value, at);
    case FIELD_DOUBLE:
        if (json_is_null(value)) return true; /* stays NaN */
        *(double *)at = json_number_value(value);
        return json_is_number(value);
    default:
        break;
    }
    if (!in_range(value, is_signed ? INT32_MIN : 0, max)) return false;
    json_int_t n = json_integer_value(value);
    switch (f->type) {
    case FIELD_INT:
        *(int *)at = (int)n;
        break;
    case FIELD_U32:
        *(uint32_t *)at = (uint32_t)n;
        break;
    default:
        *(uint64_t *)at = (uint64_t)n;
        break;
    }
    return true;
}

static bool take_state(const json_t *value, enum reeve_run_state *out)
{
    for (size_t i = 0; i < STATES && json_is_string(value); i++) {
        if (strcmp(json_string_value(value), state_names[i]) != 0) continue;
        *out = (enum reeve_run_state)i;
        return true;
    }
    return false;
}

static reeve_status take_report(const char *path, const json_t *object, struct reeve_status_report *r,
                                struct reeve_error *err)
{
    const json_t *format = json_object_get(object, "format");
    if (!in_range(format, STATUS_FORMAT, STATUS_FORMAT))
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: \"format\": expected %d; written by another version of reeve?",
                          path, STATUS_FORMAT);
    if (!take_state(json_object_get(object, "state"), &r->state))
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: \"state\": expected a state of a run, such as \"running\"",
                          path);
    for (size_t i = 0; i < FIELDS; i++) {
        const json_t *value = json_object_get(object, fields[i].key);
        if (!(value == NULL && fields[i].optional) && !take_field(&fields[i], value, r))
            return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: \"%s\": missing, or not what it should be", path,
                              fields[i].key);
    }
    return REEVE_OK;
}

reeve_status reeve_status_file_read(const char *path, struct reeve_status_report *r, struct reeve_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    reeve_status st = reeve_file_read(path, REEVE_STATUS_FILE_BYTES_MAX, &text, &bytes, err);
    if (st != REEVE_OK) return st;
    json_error_t why;
    json_t *object = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &why);
    free(text);
    if (object == NULL)
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s:%d: no JSON: %s; the next update of the run replaces it", path,
                          why.line, why.text);
    struct reeve_status_report read_back;
    reeve_status_report_init(&read_back);
    st = take_report(path, object, &read_back, err);
    json_decref(object);
    if (st == REEVE_OK) *r = read_back;
    return st;
}
