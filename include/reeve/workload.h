/* The workload ABI: what a kind of training must provide so that Reeve can dispatch it.
 *
 * A workload computes; it never decides who computes what, never talks to other ranks, and never writes checkpoints:
 * the runtime owns the samples, the exact sum, the files and the restart. What the runtime asks in return is that every
 * function here is *deterministic*: the same arguments give the same bits, whatever was computed before, on any worker.
 *
 * A workload outside the tree is a shared object that exports `reeve_workload` (see REEVE_WORKLOAD_SYMBOL). It needs
 * this header and status.h, and links nothing of Reeve. All calls on one `self` come from one thread, but those of
 * device_digest() and device_published(). */
#ifndef REEVE_WORKLOAD_H
#define REEVE_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "reeve/status.h"

#define REEVE_WORKLOAD_ABI_MAJOR 1u
#define REEVE_WORKLOAD_ABI_MINOR 1u
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

/* How many elements it has. Takes the shape at its word. */
static inline uint64_t reeve_tensor_elements(const struct reeve_tensor *t)
{
    uint64_t n = 1;
    for (uint32_t d = 0; d < t->rank; d++)
        n *= t->shape[d];
    return n;
}

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
    uint32_t device_index;       /* ABI 1.1: which GPU of this machine, as CUDA counts them; 0 with "cpu" */
};

enum reeve_device_element { REEVE_DEVICE_I64 = 0, REEVE_DEVICE_F32 = 1 };

/* Where a workload on a GPU keeps its sum: one element for each of its parameters, and perhaps some that stay 0, in an
 * order of its own that is the same on every worker of the job. */
struct reeve_device_sum {
    void *in;         /* (count,) device memory: this worker's part; borrowed until close() */
    void *out;        /* (count,) device memory: the sum over all workers; the runtime has it written */
    uint64_t count;
    uint32_t element; /* enum reeve_device_element, of both */
};

/* What one micro-batch left beside its gradient. */
struct reeve_device_result {
    double loss_sum;    /* as in gradient() */
    uint64_t nonfinite; /* elements of the gradient that were NaN or infinite; they added 0 */
    uint64_t overflow;  /* finite elements of 2^8 or more; they added 0. Of fp32 sums too. */
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

    /* Build the initial state from the seed alone (weights of another run come later: restored()). On error *self is
     * untouched and nothing leaks. */
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

    /* Called after the runtime has overwritten the tensors with a checkpoint's; with step 0 those of the model only, with
     * the weights of another run. May be NULL. */
    reeve_status (*restored)(void *self, uint64_t step, struct reeve_error *err);

    /* Continue `prompt` by up to token_count tokens; deterministic in (state, prompt, seed). May be NULL.
     *   out  text  NUL-terminated, at most text_bytes_max bytes with the NUL; prompt included */
    reeve_status (*generate)(void *self, const char *prompt, uint32_t token_count, uint64_t seed, double temperature,
                             char *text, size_t text_bytes_max, struct reeve_error *err);

    /* Exactly once, also after a failed call; takes NULL; cannot fail. */
    void (*close)(void *self);

    /* --- ABI 1.1: a gradient that never leaves its GPU. All of these, or none (NULL): a workload without them computes
     * on CPUs only. They are used instead of gradient() and apply() where config.device was "cuda"; tensors[].data is
     * then memory of the host that device_publish() brings up to date, and restored() reads.
     *
     * Errors: TASK_* before anything was launched. A GPU that failed returns JOB_DEVICE; what it held is lost, and the
     * runtime ends the process: to the others it is a worker that died. --- */

    /* Make the two sums, and set the worker's part to 0, as device_zero() does. Once, after open().
     *   in  unit_bits  exact sums: an element g counts as round-half-even(g * 2^unit_bits), unless it is flagged (see
     *                  reeve_device_result); -1: fp32 sums
     * JOB_NO_MEMORY | JOB_DEVICE */
    reeve_status (*device_sum)(void *self, int unit_bits, struct reeve_device_sum *out, struct reeve_error *err);

    /* Start the gradient of one micro-batch, as in gradient(), and its addition to the worker's part. Returns as soon
     * as all is under way; the tokens are borrowed for the call only. device_end() follows before anything else but
     * device_prefetch(). */
    reeve_status (*device_begin)(void *self, const struct reeve_batch *batch, struct reeve_error *err);
    /* While one micro-batch computes: start to bring the tokens of the one that probably comes next. A hint: the next
     * device_begin() may be of another. */
    reeve_status (*device_prefetch)(void *self, const struct reeve_batch *batch, struct reeve_error *err);
    /* Wait for the micro-batch; then it is in the worker's part, whole. Polls `cancelled` (may be NULL): after
     * TASK_CANCELLED nobody reads the sums any more. */
    reeve_status (*device_end)(void *self, struct reeve_device_result *out, bool (*cancelled)(void *),
                               void *cancelled_arg, struct reeve_error *err);
    /* Set the worker's part to 0, and wait until it is: the sum may read it then, from a stream of its own. All that reads
     * `out`, as device_apply() does, has done so by then. */
    reeve_status (*device_zero)(void *self, struct reeve_error *err);
    /* 64 bits that depend on all elements of `out` and their places. The runtime calls it from its own thread, while it
     * calls nothing else. */
    reeve_status (*device_digest)(void *self, uint64_t *digest, struct reeve_error *err);
    /* One optimiser step, as apply(), with the mean gradient `out` * unit * scale. */
    reeve_status (*device_apply)(void *self, double scale, uint64_t step, struct reeve_apply_info *info,
                                 struct reeve_error *err);
    /* Start to copy the state as it is now into tensors[].data. It goes on beside device_begin() and device_end();
     * device_apply() waits for it. */
    reeve_status (*device_publish)(void *self, struct reeve_error *err);
    /* Wait until it is there. May be called from another thread than all else; until the next device_publish() the
     * workload does not touch tensors[].data. */
    reeve_status (*device_published)(void *self, struct reeve_error *err);
};

#endif
