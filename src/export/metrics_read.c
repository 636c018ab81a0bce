/* Reading metrics.jsonl back: rows are a stack, and a resume takes the later steps off it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "export/line_file.h"
#include "export/metrics_file.h"

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
    uint64_t workers = 0, membership = 0;
    *row = (struct reeve_metrics_row){0};
    bool whole = take_u64(object, "step", &row->step) && take_u64(object, "epoch", &row->epoch) &&
                 take_u64(object, "samples", &row->samples) && take_u64(object, "workers", &workers);
    double time_s = take_real(object, "time");
    /* a time outside the range of 64-bit nanoseconds is as good as none */
    row->wall_ns = time_s > 0.0 && time_s < 9.0e9 ? (int64_t)(time_s * 1e9) : 0;
    row->workers = (uint32_t)workers;
    if (take_u64(object, "membership_epoch", &membership) && membership <= UINT32_MAX)
        row->membership_epoch = (uint32_t)membership; /* older files have none */
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
static bool take_line(void *arg, const json_t *object)
{
    struct rows *rows = arg;
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

reeve_status reeve_metrics_read(const char *path, struct reeve_metrics_row **out, uint64_t *count, uint64_t *skipped,
                                struct reeve_error *err)
{
    struct rows rows = {0};
    reeve_status st = reeve_lines_read(path, take_line, &rows, &rows.skipped, err);
    if (st != REEVE_OK) {
        free(rows.row);
        return st;
    }
    *out = rows.row;
    *count = rows.count;
    if (skipped != NULL) *skipped = rows.skipped;
    return REEVE_OK;
}
