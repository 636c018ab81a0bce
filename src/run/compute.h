/* The compute thread of a worker: it alone calls the workload, reads samples, and adds gradients (on a GPU two calls come
 * from elsewhere: see compute_device.c). The thread that talks
 * to the master posts it frames and takes its answers, so a worker that computes for minutes still answers.
 *
 * Commands run strictly in the order in which they were posted; that order is the master's. */
#ifndef REEVE_RUN_COMPUTE_H
#define REEVE_RUN_COMPUTE_H

#include <stdbool.h>

#include "core/eviction.h"
#include "core/frame.h"
#include "core/job.h"
#include "core/manifest.h"
#include "reeve/workload.h"

typedef struct reeve_compute reeve_compute;

struct reeve_compute_config {
    const struct reeve_job *job;           /* borrowed until destroy */
    const struct reeve_manifest *manifest; /* borrowed until destroy */
    const char *run_dir;                   /* borrowed until destroy */
    const char *job_json;                  /* borrowed until destroy */
    const struct reeve_workload_ops *ops;  /* borrowed until destroy */
    bool cuda;                             /* compute on a GPU: ops has the functions for it */
    uint32_t device_index;                 /* which one, as CUDA counts them */
};

/* Start the thread. The workload is opened by the first INIT or RESTORE. JOB_NO_MEMORY | INPUT_INVALID (no plan). */
reeve_status reeve_compute_create(const struct reeve_compute_config *config, reeve_compute **out,
                                  struct reeve_error *err);
/* Ask it to stop, wait for the command in hand (workloads poll for cancellation), free everything. Takes NULL. */
void reeve_compute_destroy(reeve_compute *c);

/* Queue a command: INIT, RESTORE, LEASE, APPLY, DISCARD or CHECKPOINT. False: the queue is full (the master granted
 * more than it may). epoch is what answers will carry. */
bool reeve_compute_post(reeve_compute *c, const struct reeve_frame *frame);
/* Take an answer for the master, if there is one. text has room for REEVE_FRAME_TEXT_MAX + 1. */
bool reeve_compute_take(reeve_compute *c, struct reeve_frame *frame, char *text);
/* Remove a lease that has not been started: true if it was still waiting. */
bool reeve_compute_revoke(reeve_compute *c, uint32_t task, uint32_t attempt);
/* Remove all gradient and evaluation leases that have not been started; then post DISCARD. */
void reeve_compute_drop_waiting(reeve_compute *c);
uint32_t reeve_compute_waiting(reeve_compute *c);
/* The pace of what it does now, and since when; NONE: nothing. *first: no command of that kind has ended here yet. */
enum reeve_pace reeve_compute_pace(reeve_compute *c, bool *first, reeve_time_ns *since_ns);

/* True when no command that touches the sums (a summed lease, APPLY, DISCARD; on a GPU any that calls the workload) is
 * waiting or running. A worker that got no lease of a step may still be applying the one before when the others are
 * ready to add up. */
bool reeve_compute_is_settled(reeve_compute *c);

/* The state of the workload, all that a checkpoint of it would hold, as one row of bytes: for a worker that has none, over
 * the sum's way. Call these only when settled: then nobody changes it. A command STATE with b 0 opens the workload, so that
 * there is room for it; with b 1 (the state is there; a, c: the digest of its weights) it is answered by READY. CPUs only. */
size_t reeve_compute_state_bytes(const reeve_compute *c); /* 0: the workload is not open */
void reeve_compute_state_read(const reeve_compute *c, size_t offset, void *out, size_t bytes);
void reeve_compute_state_write(reeve_compute *c, size_t offset, const void *in, size_t bytes);
struct reeve_digest reeve_compute_weights_digest(const reeve_compute *c);

/* What the reduction of the open step (or evaluation) adds up. Call it only when settled: then the thread does not
 * touch these until the next APPLY, DISCARD or summed lease is posted. Exact: i64 holds everything. Fast: f32 holds the
 * gradient, i64 the words behind it. */
struct reeve_compute_sum {
    int64_t *in, *out;
    size_t count;
    float *fast_in, *fast_out; /* NULL: exact */
    size_t fast_count;
    int64_t *words; /* the REEVE_SUM_WORDS at the end of out */
    struct reeve_device_sum device; /* where the gradient is on a GPU, and in and out hold the words alone; count 0: not */
};
void reeve_compute_get_sum(reeve_compute *c, bool eval, struct reeve_compute_sum *out);
/* 64 bits of the sum on the GPU, once it is there. Under the same conditions. A GPU that fails ends the process. */
reeve_status reeve_compute_device_digest(reeve_compute *c, uint64_t *digest, struct reeve_error *err);

#endif
