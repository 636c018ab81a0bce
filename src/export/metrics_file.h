/* RUN/metrics.jsonl: one JSON object a line for each step, for plots. Format: docs/format/metrics.md.
 *
 * Lines are only ever added. When a run goes on from the checkpoint of step S, the lines of later steps stay, and a
 * line
 * {"event":"resumed","step":S} says that they are superseded: readers drop rows of steps > S that stand before it. */
#ifndef REEVE_EXPORT_METRICS_FILE_H
#define REEVE_EXPORT_METRICS_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "reeve/status.h"

struct reeve_metrics_row {
    uint64_t step;
    uint64_t epoch;   /* epoch of the data of the step's first sample */
    uint64_t samples; /* of all steps up to and with this one, refused ones too */
    uint32_t workers;
    uint32_t membership_epoch; /* which membership of the job committed it */
    bool refused;              /* the weights did not change: NaN, infinity or overflow */
    double loss;               /* nats per token; NaN: none (null in the file) */
    double eval_loss;          /* NaN unless it was measured after this step */
    double learning_rate, grad_norm;
    double tokens_per_s;
    double step_seconds; /* from the commit before to this one */
    int64_t wall_ns;     /* 0: the writer takes the clock */
};

typedef struct reeve_line_file reeve_metrics_file;

/* Open for adding, made if it is not there. A line that a crash cut short is ended. STORE_CREATE | STORE_WRITE. */
reeve_status reeve_metrics_open(const char *path, reeve_metrics_file **out, struct reeve_error *err);
void reeve_metrics_close(reeve_metrics_file *m); /* takes NULL */

/* One write(2) a line, not synced. STORE_WRITE. */
reeve_status reeve_metrics_append(reeve_metrics_file *m, const struct reeve_metrics_row *row, struct reeve_error *err);
/* {"event":"evaluated"}: the loss on the held-out part after `step`. */
reeve_status reeve_metrics_append_eval(reeve_metrics_file *m, uint64_t step, double eval_loss, struct reeve_error *err);
/* {"event":"resumed"}: rows of later steps that stand before this line are superseded. */
reeve_status reeve_metrics_append_resumed(reeve_metrics_file *m, uint64_t step, uint32_t workers,
                                          struct reeve_error *err);

/* The rows that count, in order of steps, with the evaluations put into theirs; lines that are no JSON object of ours
 * are skipped and counted. *rows: free(). INPUT_MISSING | STORE_READ | JOB_NO_MEMORY. */
reeve_status reeve_metrics_read(const char *path, struct reeve_metrics_row **rows, uint64_t *count, uint64_t *skipped,
                                struct reeve_error *err);

#endif
