/* What the master tells people and files while it runs: the progress line, status.json, metrics.jsonl, reeve.prom.
 * Never needed for correctness, so a failure here is a warning, once, and the run goes on. */
#ifndef REEVE_RUN_REPORT_H
#define REEVE_RUN_REPORT_H

#include <stdio.h>

#include "core/job.h"
#include "core/master.h"
#include "export/status_file.h"

typedef struct reeve_report reeve_report;

/* out: where progress goes (stdout); NULL: nowhere. epoch_samples: visits of an epoch; 0: a task list is worked off.
 * All borrowed until destroy. */
reeve_status reeve_report_create(const char *run_dir, const struct reeve_job *job, uint64_t run_id,
                                 uint64_t epoch_samples, FILE *out, reeve_report **result, struct reeve_error *err);
void reeve_report_destroy(reeve_report *r);

/* Called with each durable or volatile event after it was applied. */
void reeve_report_event(reeve_report *r, const reeve_master *m, const struct reeve_event *ev, reeve_time_ns now_ns);
/* What a worker said of the optimiser step that it applied; the first word for each step counts. */
void reeve_report_applied(reeve_report *r, uint64_t step, double learning_rate, double grad_norm);
/* A host of which nothing was heard for so long; "": none. */
void reeve_report_silent(reeve_report *r, const char *host, double silent_s);
/* So many workers say that they do what takes as long as it takes. */
void reeve_report_long(reeve_report *r, uint32_t workers);
/* Redraw and rewrite what is due. */
void reeve_report_turn(reeve_report *r, const reeve_master *m, reeve_time_ns now_ns);
/* Text that should stand on its own line, with the progress line out of the way. */
void reeve_report_say(reeve_report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The end: state, exit code, why. Writes everything once more. */
void reeve_report_end(reeve_report *r, const reeve_master *m, enum reeve_run_state state, int exit_code,
                      const char *message, reeve_time_ns now_ns);

#endif
