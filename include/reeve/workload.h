/* The workload ABI: what a kind of training must provide so that Reeve can dispatch it.
 *
 * A workload computes; it never decides who computes what, never talks to other ranks, and never writes checkpoints:
 * the runtime owns the samples, the exact sum, the files and the restart. What the runtime asks in return is that every
 * function here is *deterministic*: the same arguments give the same bits, whatever was computed before, on any worker.
 *
 * A workload outside the tree is a shared object that exports `reeve_workload` (see REEVE_WORKLOAD_SYMBOL). It needs
 * this header and status.h, and links nothing of Reeve. All calls on one `self` come from one thread. */
#ifndef REEVE_WORKLOAD_H
#define REEVE_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "reeve/status.h"

#define REEVE_WORKLOAD_ABI_MAJOR 1u
#define REEVE_WORKLOAD_ABI_MINOR 0u
#define REEVE_WORKLOAD_ABI ((REEVE_WORKLOAD_ABI_MAJOR << 16) | REEVE_WORKLOAD_ABI_MINOR)
#define REEVE_WORKLOAD_SYMBOL "reeve_workload" /* const struct reeve_workload_ops *reeve_workload(void); */

#define REEVE_TENSOR_RANK_MAX 4
#define REEVE_TENSOR_NAME_BYTES 64

enum reeve_tensor_group {
    REEVE_TENSOR_MODEL = 0,     /* trained; gradient element i belongs to element i of all model tensors, in order */
    REEVE_TENSOR_OPTIMIZER = 1, /* moments and the like: saved, restored and digested, but has no gradient */
};

/* One tensor of the training state. All are fp32, row-major, 64-byte aligned, and stay where they are until close(). */
struct reeve_tensor {
    char name[REEVE_TENSOR_NAME_BYTES]; /* [a-z0-9_.], unique within its group, e.g. "h.0.attn.c_attn.weight" */
    uint32_t group;                     /* enum reeve_tensor_group */
    uint32_t rank;                      /* 1..REEVE_TENSOR_RANK_MAX */
    uint64_t shape[REEVE_TENSOR_RANK_MAX]; /* unused entries are 0 */
    float *data;                        /* borrowed from the workload; written by restore */
};

/* The samples of one micro-batch (or of one evaluation batch, where sample_count may be smaller).
 * tokens is (B = sample_count, T + 1 = sequence + 1) row-major: inputs are [b][0..T), targets [b][1..T+1). Each token
 * is < vocab: the runtime has checked it. */
struct reeve_batch {
    const int32_t *tokens;  /* borrowed for the call */
    uint32_t sample_count;  /* B >= 1 */
    uint32_t sequence;      /* T */
    uint64_t step;          /* 1-based optimiser step this belongs to; 0 outside training */
    uint32_t micro_batch;   /* index within the step */
    uint64_t seed;          /* key random numbers by (seed, step, micro_batch), never by rank or attempt */
};

/* What open() is given; all strings are borrowed for the call. */
struct reeve_workload_config {
    const char *job_json;        /* the resolved job as one JSON object: "model", "optimizer", ... as in job.yaml */
    uint64_t seed;
    uint32_t vocab;              /* tokens are 0..vocab-1 */
    uint32_t sequence;           /* T */
    uint32_t micro_batch;        /* largest B that gradient() will be called with */
    uint64_t steps;              /* optimiser steps of the whole job */
    uint32_t threads;            /* threads that one worker may use; part of what "the same bits" depends on */
    const char *device;          /* "cpu" or "cuda" */
};

/* What apply() reports; filled with deterministic figures. */
struct reeve_apply_info {
    double grad_norm;     /* L2, before clipping */
    double learning_rate; /* used in this step */
};

struct reeve_workload_ops {
    uint32_t abi;     /* REEVE_WORKLOAD_ABI; the loader refuses another major */
    uint32_t size;    /* sizeof this struct where the workload was built; new slots go last */
    const char *name; /* static storage, lower case, as typed after `workload:` */

    /* Build the initial state from the seed alone. On error *self is untouched and nothing leaks. */
    reeve_status (*open)(const struct reeve_workload_config *config, void **self, struct reeve_error *err);

    /* The tensors of the state in the fixed order in which they are digested and saved: all of the model first.
     * Borrowed until close(). Cannot fail. */
    void (*tensors)(void *self, const struct reeve_tensor **list, uint32_t *count);

    /* Gradient of the loss summed over tokens and divided by (sample_count * sequence), at the present parameters.
     *   out  grad      (P,) f32, 64-byte aligned, P = elements of all model tensors; fully overwritten
     *   out  loss_sum  sum over B*T tokens of the cross-entropy in nats (f64; for reporting and evaluation)
     * Does not change the state. May poll `cancelled` (may be NULL) and return REEVE_TASK_CANCELLED. */
    reeve_status (*gradient)(void *self, const struct reeve_batch *batch, float *grad, double *loss_sum,
                             bool (*cancelled)(void *), void *cancelled_arg, struct reeve_error *err);

    /* Loss only, as in gradient(). Does not change the state. */
    reeve_status (*evaluate)(void *self, const struct reeve_batch *batch, double *loss_sum, struct reeve_error *err);

    /* One optimiser step: grad_mean is (P,) f32, the mean over the step's samples; may be overwritten.
     * step is 1-based. The only function besides open() and restored() that changes the state. */
    reeve_status (*apply)(void *self, float *grad_mean, uint64_t step, struct reeve_apply_info *info,
                          struct reeve_error *err);

    /* Called after the runtime has overwritten the tensors with a checkpoint's. May be NULL. */
    reeve_status (*restored)(void *self, uint64_t step, struct reeve_error *err);

    /* Continue `prompt` by up to token_count tokens; deterministic in (state, prompt, seed). May be NULL.
     *   out  text  NUL-terminated, at most text_bytes_max bytes with the NUL; prompt included */
    reeve_status (*generate)(void *self, const char *prompt, uint32_t token_count, uint64_t seed, double temperature,
                             char *text, size_t text_bytes_max, struct reeve_error *err);

    /* Exactly once, also after a failed call; takes NULL; cannot fail. */
    void (*close)(void *self);
};

#endif
