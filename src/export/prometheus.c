/* The text format 0.0.4: HELP and TYPE before the first sample of each name, no timestamps, a newline at the end. */
#include "export/prometheus.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/path.h"
#include "reeve/version.h"

#define LABEL_BYTES (2 * REEVE_REPORT_NAME_BYTES)

/* In a label's value a backslash, a quote and a newline are escaped; other control characters have no business there.
 */
static void escape_label(const char *text, char out[LABEL_BYTES])
{
    size_t at = 0;
    for (const char *c = text; *c != '\0' && at + 3 < LABEL_BYTES; c++) {
        if (*c == '\\' || *c == '"' || *c == '\n') out[at++] = '\\';
        out[at++] = *c == '\n' ? 'n' : (unsigned char)*c < 0x20 ? ' ' : *c;
    }
    out[at] = '\0';
}

struct writer {
    FILE *out;
    char labels[LABEL_BYTES + 32]; /* of every sample */
};

static void head(struct writer *w, const char *name, const char *type, const char *help)
{
    (void)fprintf(w->out, "# HELP reeve_%s %s\n# TYPE reeve_%s %s\n", name, help, name, type);
}

static void sample_u64(struct writer *w, const char *name, const char *more_labels, uint64_t v)
{
    (void)fprintf(w->out, "reeve_%s{%s%s} %" PRIu64 "\n", name, w->labels, more_labels, v);
}

static void count(struct writer *w, const char *name, const char *type, const char *help, uint64_t v)
{
    head(w, name, type, help);
    sample_u64(w, name, "", v);
}

/* A figure that does not exist yet is left out: NaN in a dashboard looks like a fault. */
static void figure(struct writer *w, const char *name, const char *help, double v)
{
    if (!isfinite(v)) return;
    head(w, name, "gauge", help);
    (void)fprintf(w->out, "reeve_%s{%s} %.17g\n", name, w->labels, v);
}

static void write_state(struct writer *w, const struct reeve_status_report *r)
{
    static const enum reeve_run_state states[] = {
#define STATE(name, text) REEVE_RUN_##name,
        REEVE_RUN_STATE_MAP(STATE)
#undef STATE
    };
    head(w, "run_state", "gauge", "1 for the state that the run is in.");
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        char label[64];
        (void)snprintf(label, sizeof label, ",state=\"%s\"", reeve_run_state_name(states[i]));
        sample_u64(w, "run_state", label, states[i] == r->state);
    }
    head(w, "build_info", "gauge", "The version that runs, in its labels.");
    sample_u64(w, "build_info", ",version=\"" REEVE_VERSION "\"", 1);
}

static void write_tasks(struct writer *w, const struct reeve_status_report *r)
{
    head(w, "tasks", "gauge", "Tasks in the queue by state.");
    sample_u64(w, "tasks", ",state=\"ready\"", r->tasks_ready);
    sample_u64(w, "tasks", ",state=\"leased\"", r->tasks_leased);
    sample_u64(w, "tasks", ",state=\"blocked\"", r->tasks_blocked);
    sample_u64(w, "tasks", ",state=\"done\"", r->tasks_done);
    sample_u64(w, "tasks", ",state=\"dead\"", r->tasks_dead);
    count(w, "workers", "gauge", "Workers that joined and are alive.", r->workers);
}

static void write_training(struct writer *w, const struct reeve_status_report *r)
{
    count(w, "step", "gauge", "Last committed optimiser step.", r->step);
    count(w, "steps", "gauge", "Optimiser steps of the whole job.", r->steps);
    count(w, "data_epoch", "gauge", "Epoch of the data, from 0.", r->epoch);
    count(w, "samples", "gauge", "Samples of committed steps, refused ones too.", r->samples);
    count(w, "refused_steps", "gauge", "Steps refused for NaN, infinity or overflow.", r->refused_steps);
    figure(w, "loss", "Training loss of the last step, nats per token.", r->loss);
    figure(w, "eval_loss", "Loss on the held-out part, nats per token.", r->eval_loss);
    figure(w, "tokens_per_second", "Tokens trained a second, over the last seconds.", r->tokens_per_s);
    figure(w, "learning_rate", "Learning rate of the last step.", r->learning_rate);
    figure(w, "grad_norm", "L2 norm of the gradient before clipping.", r->grad_norm);
    figure(w, "seconds_left", "Estimated seconds to the end of the job.", r->seconds_left);
}

static void write_list(struct writer *w, const struct reeve_status_report *r)
{
    count(w, "tasks_total", "gauge", "Tasks of the list.", r->tasks_total);
    count(w, "attempts_failed", "gauge", "Attempts of tasks that failed.", r->attempts_failed);
    figure(w, "tasks_per_second", "Tasks that ended a second, over the last seconds.", r->tasks_per_s);
    figure(w, "seconds_left", "Estimated seconds to the end of the job.", r->seconds_left);
}

static void write_files(struct writer *w, const struct reeve_status_report *r)
{
    count(w, "restarts", "gauge", "Times that the run was opened again.", r->restarts);
    count(w, "checkpoint_step", "gauge", "Step of the last committed checkpoint; 0: none yet.",
          r->last_checkpoint_step);
    if (r->last_checkpoint_wall_ns > 0)
        figure(w, "checkpoint_last_success_timestamp_seconds", "When the last checkpoint was committed.",
               (double)r->last_checkpoint_wall_ns / (double)REEVE_SECOND_NS);
}

reeve_status reeve_prometheus_format(const struct reeve_status_report *r, char **text, struct reeve_error *err)
{
    struct writer w = {0};
    size_t bytes = 0;
    char job[LABEL_BYTES], *made = NULL;
    escape_label(r->job, job);
    (void)snprintf(w.labels, sizeof w.labels, "job_name=\"%s\"", job);
    w.out = open_memstream(&made, &bytes);
    if (w.out == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "Prometheus text: out of memory");
    write_state(&w, r);
    if (r->tasks_total == 0) write_training(&w, r);
    else write_list(&w, r);
    write_tasks(&w, r);
    write_files(&w, r);
    bool failed = ferror(w.out) != 0;
    if (fclose(w.out) != 0 || failed || made == NULL) {
        free(made);
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "Prometheus text: out of memory");
    }
    *text = made;
    return REEVE_OK;
}

reeve_status reeve_prometheus_write(const char *path, const struct reeve_status_report *r, struct reeve_error *err)
{
    char *text = NULL;
    reeve_status st = reeve_prometheus_format(r, &text, err);
    if (st != REEVE_OK) return st;
    st = reeve_file_replace(path, text, strlen(text), false, err);
    free(text);
    return st;
}
