/* RUN/status.json: how the run is doing, for `reeve status`, dashboards and people. Written by the master, replaced
 * whole, never needed for correctness: the journal is the truth, this is its shadow. Format: docs/format/status.md. */
#ifndef REEVE_EXPORT_STATUS_FILE_H
#define REEVE_EXPORT_STATUS_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "reeve/status.h"

#define REEVE_REPORT_NAME_BYTES 64
#define REEVE_REPORT_MESSAGE_BYTES 512
#define REEVE_STATUS_FILE_BYTES_MAX (1u << 20) /* a larger status.json is not ours */

#define REEVE_RUN_STATE_MAP(X)                                                                                         \
    X(STARTING, "starting") /* workers join, shards are staged, a checkpoint is read */                                \
    X(RUNNING, "running")                                                                                              \
    X(SAVING, "saving")   /* waits for a checkpoint, at the end or before it stops */                                  \
    X(STOPPED, "stopped") /* checkpointed; the same command goes on */                                                 \
    X(COMPLETE, "complete")                                                                                            \
    X(FAILED, "failed") /* ended with an error, told in message */

enum reeve_run_state {
#define REEVE_RUN_STATE_ENUM(name, text) REEVE_RUN_##name,
    REEVE_RUN_STATE_MAP(REEVE_RUN_STATE_ENUM)
#undef REEVE_RUN_STATE_ENUM
};

/* What the master knows of a run at one moment. Where a figure does not exist yet it is NaN (null in the file). */
struct reeve_status_report {
    enum reeve_run_state state;
    char job[REEVE_REPORT_NAME_BYTES]; /* the job's name */
    uint64_t run_id;
    uint64_t step;  /* last committed */
    uint64_t steps; /* of the whole job */
    uint64_t epoch; /* epoch of the data, 0-based, that the next sample belongs to */
    uint32_t membership_epoch;
    uint64_t samples;    /* of committed steps, refused ones too */
    double loss;         /* of `step`, nats per token */
    double eval_loss;    /* the last one measured */
    uint64_t eval_step;  /* after which step it was measured; 0: none yet */
    double tokens_per_s; /* over the last seconds, not since the start */
    double learning_rate, grad_norm;
    uint32_t workers; /* joined and alive */
    uint64_t tasks_ready, tasks_leased, tasks_blocked, tasks_done, tasks_dead;
    /* of a run that works a task list off; tasks_total 0: it trains, and the others mean nothing */
    uint64_t tasks_total, tasks_running, tasks_delayed, tasks_cancelled, attempts_failed;
    double tasks_per_s;
    uint64_t refused_steps;                       /* on this timeline: NaN, infinity or overflow */
    double seconds_left;                          /* to the end of the job at the present rate */
    uint64_t last_checkpoint_step;                /* 0: none yet */
    int64_t last_checkpoint_wall_ns;              /* when it was committed; 0: none yet */
    uint32_t restarts;                            /* times this run was opened again */
    char silent_host[REEVE_REPORT_MESSAGE_BYTES]; /* nobody on it has said a word for silent_s; "": there is none */
    double silent_s;
    uint32_t workers_long;                        /* that stage, read or copy a shard, sample text ... just now */
    int exit_code;                            /* once it has ended; -1 before */
    char message[REEVE_REPORT_MESSAGE_BYTES]; /* why it stopped or failed; "" */
    /* filled by the writer */
    int64_t updated_wall_ns;
    uint32_t pid;
    char host[REEVE_REPORT_NAME_BYTES];
};

/* All figures NaN, counts 0, exit_code -1. */
void reeve_status_report_init(struct reeve_status_report *r);
const char *reeve_run_state_name(enum reeve_run_state state); /* "running"; static storage */

/* Replace `path` atomically (not synced: a power cut may bring back an older one). STORE_CREATE | STORE_WRITE. */
reeve_status reeve_status_file_write(const char *path, const struct reeve_status_report *r, struct reeve_error *err);
/* Read it back as untrusted input. INPUT_MISSING | STORE_CORRUPT (place, what was expected) | STORE_READ. */
reeve_status reeve_status_file_read(const char *path, struct reeve_status_report *r, struct reeve_error *err);

#endif
