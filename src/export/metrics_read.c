/* Reading metrics.jsonl back: rows are a stack, and a resume takes the later steps off it. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "export/metrics_file.h"

#define LINE_BYTES_MAX 65536 /* a longer one is none of ours */

struct rows {
    struct reeve_metrics_row *row;
    uint64_t count, capacity, skipped;
};

static bool take_u64(const json_t *object, const char *key, uint64_t *out)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static double take_real(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Steps that follow were thrown away by going back to `step`. */
static void rows_rewind(struct rows *rows, uint64_t step)
{
    while (rows->count > 0 && rows->row[rows->count - 1].step > step)
        rows->count--;
}

static bool rows_push(struct rows *rows, const struct reeve_metrics_row *row)
{
    if (rows->count == rows->capacity) {
        uint64_t capacity = rows->capacity == 0 ? 1024 : rows->capacity * 2;
        struct reeve_metrics_row *grown = reallocarray(rows->row, capacity, sizeof *grown);
        if (grown == NULL) return false;
        rows->row = grown;
        rows->capacity = capacity;
    }
    rows->row[rows->count++] = *row;
    return true;
}

static bool take_row(const json_t *object, struct reeve_metrics_row *row)
{
    uint64_t workers = 0;
    *row = (struct reeve_metrics_row){0};
    bool whole = take_u64(object, "step", &row->step) && take_u64(object, "epoch", &row->epoch) &&
                 take_u64(object, "samples", &row->samples) && take_u64(object, "workers", &workers);
    double time_s = take_real(object, "time");
    /* a time outside the range of 64-bit nanoseconds is as good as none */
    row->wall_ns = time_s > 0.0 && time_s < 9.0e9 ? (int64_t)(time_s * 1e9) : 0;
    row->workers = (uint32_t)workers;
    row->refused = json_is_true(json_object_get(object, "refused"));
    row->loss = take_real(object, "loss");
    row->eval_loss = take_real(object, "eval_loss");
    row->learning_rate = take_real(object, "learning_rate");
    row->grad_norm = take_real(object, "grad_norm");
    row->tokens_per_s = take_real(object, "tokens_per_s");
    row->step_seconds = take_real(object, "step_seconds");
    return whole && workers <= UINT32_MAX;
}

/* Returns false when there is no memory left. */
static bool take_line(struct rows *rows, const json_t *object)
{
    const char *event = json_string_value(json_object_get(object, "event"));
    uint64_t step;
    struct reeve_metrics_row row;
    if (!take_u64(object, "step", &step)) {
        rows->skipped++;
    } else if (event == NULL) {
        if (!take_row(object, &row)) {
            rows->skipped++;
            return true;
        }
        rows_rewind(rows, step - (step > 0)); /* a step told twice counts as last told */
        return rows_push(rows, &row);
    } else if (strcmp(event, "resumed") == 0) {
        rows_rewind(rows, step);
    } else if (strcmp(event, "evaluated") == 0) {
        if (rows->count > 0 && rows->row[rows->count - 1].step == step)
            rows->row[rows->count - 1].eval_loss = take_real(object, "eval_loss");
    }
    return true; /* events of a later version are passed over */
}

static reeve_status read_lines(const char *path, FILE *file, struct rows *rows, struct reeve_error *err)
{
    char *line = malloc(LINE_BYTES_MAX);
    if (line == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "%s: out of memory", path);
    bool in_memory = true, whole_before = true;
    while (in_memory && fgets(line, LINE_BYTES_MAX, file) != NULL) {
        size_t length = strlen(line);
        bool whole = length > 0 && line[length - 1] == '\n', begins = whole_before;
        whole_before = whole;
        json_t *object = begins && whole ? json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
        if (json_is_object(object)) in_memory = take_line(rows, object);
        else if (begins) rows->skipped++;
        json_decref(object);
    }
    free(line);
    if (!in_memory) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "%s: out of memory", path);
    if (ferror(file)) return reeve_fail(err, REEVE_STORE_READ, "%s: %m", path);
    return REEVE_OK;
}

reeve_status reeve_metrics_read(const char *path, struct reeve_metrics_row **out, uint64_t *count, uint64_t *skipped,
                                struct reeve_error *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return reeve_fail(err, reeve_status_from_errno_read(errno), "%s: %m", path);
    struct rows rows = {0};
    reeve_status st = read_lines(path, file, &rows, err);
    (void)fclose(file);
    if (st != REEVE_OK) {
        free(rows.row);
        return st;
    }
    *out = rows.row;
    *count = rows.count;
    if (skipped != NULL) *skipped = rows.skipped;
    return REEVE_OK;
}
