/* AdamW: Adam with decoupled weight decay, linear warm-up, a cosine down to min_lr, and clipping by the global norm.
 * Sources: Loshchilov, Hutter 2019, arXiv:1711.05101, Algorithm 2; Pascanu et al. 2013, arXiv:1211.5063, Algorithm 1.
 *
 * Only tensors of rank 2 and more decay: matrices and embeddings, not biases or norm weights.
 * Deterministic, also across numbers of threads and types of processor: its arithmetic uses nothing of libm but sqrt.
 */
#ifndef REEVE_MODEL_ADAMW_H
#define REEVE_MODEL_ADAMW_H

#include <stdint.h>

#include "reeve/workload.h"

struct reeve_adamw_config {
    double lr, min_lr;    /* >= 0; min_lr <= lr */
    uint64_t warmup;      /* steps; in step s <= warmup the rate is lr * s / warmup */
    uint64_t decay_steps; /* the cosine reaches min_lr in this step, and stays */
    double weight_decay;  /* >= 0 */
    double beta1, beta2;  /* [0, 1) */
    double eps;           /* > 0 */
    double clip;          /* largest L2 norm of the gradient; 0: off */
};

typedef struct reeve_adamw reeve_adamw;

/* INPUT_INVALID, naming the key. */
reeve_status reeve_adamw_check(const struct reeve_adamw_config *config, struct reeve_error *err);

/* Moments, all zero, for the given tensors of the model.
 *   in   model  (count,) borrowed until destroy
 * INPUT_INVALID | JOB_NO_MEMORY */
reeve_status reeve_adamw_create(const struct reeve_adamw_config *config, const struct reeve_tensor *model,
                                uint32_t count, uint32_t threads, reeve_adamw **out, struct reeve_error *err);
void reeve_adamw_destroy(reeve_adamw *a); /* takes NULL */

/* Floats that create() takes: two moments for each parameter, each tensor padded to 64 bytes. */
uint64_t reeve_adamw_floats(const struct reeve_tensor *model, uint32_t count);

/* exp_avg.<name> of all tensors, then exp_avg_sq.<name> of all; group OPTIMIZER. Borrowed until destroy. */
const struct reeve_tensor *reeve_adamw_tensors(const reeve_adamw *a, uint32_t *count);

/* One step on the model's tensors.
 *   in   grad  (P,) packed in the order of the tensors; the mean gradient; not changed
 *   in   step  1-based
 *   out  info  norm before clipping, learning rate
 * INPUT_INVALID (step 0) | JOB_DIVERGED (the norm is not finite); both leave everything as it was. Allocates nothing.
 */
reeve_status reeve_adamw_step(reeve_adamw *a, const float *grad, uint64_t step, struct reeve_apply_info *info,
                              struct reeve_error *err);

/* What is the same for all elements in a step. */
struct reeve_adamw_scalars {
    float beta1, one_less_beta1, beta2, one_less_beta2;
    float rate; /* lr / (1 - beta1^step) */
    float root; /* 1 / sqrt(1 - beta2^step) */
    float eps;
    float keep; /* 1 - lr * weight_decay, for tensors that decay */
    float grad_scale;
};

/* The scalars of a step with a gradient of this norm. INPUT_INVALID (step 0) | JOB_DIVERGED (not finite) */
reeve_status reeve_adamw_begin(const struct reeve_adamw_config *config, uint64_t step, double norm,
                               struct reeve_adamw_scalars *out, struct reeve_apply_info *info, struct reeve_error *err);

double reeve_adamw_learning_rate(const struct reeve_adamw_config *config, uint64_t step);

/* L2 norm of grad (n,), in f64: eight lanes within blocks of fixed size, blocks in order. */
double reeve_grad_norm(const float *grad, uint64_t n, uint32_t threads, double *block_sums);
uint64_t reeve_grad_norm_blocks(uint64_t n); /* how many block_sums it needs */

#endif
