/* The GPT of gpt.h, on a GPU, with its optimiser: the same parameters, in the same order and with the same first values.
 * bf16: matrix products on tensor cores with fp32 accumulation, fp32 weights, moments and gradients; fp32: all of it.
 *
 * Deterministic: for one build, one type of GPU and one version of cuBLAS the same arguments give the same bits, whatever
 * was computed before. The gradient stays on the device, and is added there into int64 (or fp32).
 * All calls from one thread but reeve_gpt_cuda_published() and _digest(), see reeve/workload.h. */
#ifndef REEVE_MODEL_GPT_CUDA_GPT_CUDA_H
#define REEVE_MODEL_GPT_CUDA_GPT_CUDA_H

#include <stdbool.h>
#include <stdint.h>

#include "model/adamw.h"
#include "model/gpt/gpt.h"
#include "reeve/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct reeve_gpt_cuda reeve_gpt_cuda;

enum reeve_gpt_precision { REEVE_GPT_BF16 = 0, REEVE_GPT_FP32 = 1 };

struct reeve_gpt_cuda_config {
    struct reeve_gpt_shape shape;
    struct reeve_adamw_config optimizer;
    enum reeve_gpt_precision precision;
    uint32_t device;
    uint64_t seed;
    bool exact; /* int64 sums; else fp32 */
};

/* Device memory that create() and device_sum() take, with what cuBLAS wants. False: more than 2^61. */
bool reeve_gpt_cuda_bytes(const struct reeve_gpt_shape *shape, enum reeve_gpt_precision precision, bool exact,
                          uint64_t *bytes);

/* INPUT_INVALID (also more memory than the GPU has) | JOB_DEVICE (no such GPU, too old, CUDA's own words) | JOB_NO_MEMORY
 * (more than is free; both with the bytes needed and free, and the largest micro-batch that would fit). */
reeve_status reeve_gpt_cuda_create(const struct reeve_gpt_cuda_config *config, reeve_gpt_cuda **out,
                                   struct reeve_error *err);
void reeve_gpt_cuda_destroy(reeve_gpt_cuda *g); /* takes NULL */

/* The model's tensors, then the moments; data is pinned memory of the host, see reeve_gpt_cuda_publish(). */
const struct reeve_tensor *reeve_gpt_cuda_tensors(const reeve_gpt_cuda *g, uint32_t *count);

/* As the slots device_* of reeve/workload.h. */
reeve_status reeve_gpt_cuda_sum(reeve_gpt_cuda *g, int unit_bits, struct reeve_device_sum *out, struct reeve_error *err);
reeve_status reeve_gpt_cuda_begin(reeve_gpt_cuda *g, const struct reeve_batch *batch, struct reeve_error *err);
reeve_status reeve_gpt_cuda_prefetch(reeve_gpt_cuda *g, const struct reeve_batch *batch, struct reeve_error *err);
reeve_status reeve_gpt_cuda_end(reeve_gpt_cuda *g, struct reeve_device_result *out, bool (*cancelled)(void *),
                                void *cancelled_arg, struct reeve_error *err);
reeve_status reeve_gpt_cuda_zero(reeve_gpt_cuda *g, struct reeve_error *err);
reeve_status reeve_gpt_cuda_digest(reeve_gpt_cuda *g, uint64_t *digest, struct reeve_error *err);
reeve_status reeve_gpt_cuda_apply(reeve_gpt_cuda *g, double scale, uint64_t step, struct reeve_apply_info *info,
                                  struct reeve_error *err);
reeve_status reeve_gpt_cuda_publish(reeve_gpt_cuda *g, struct reeve_error *err);
reeve_status reeve_gpt_cuda_published(reeve_gpt_cuda *g, struct reeve_error *err);
/* tensors[].data -> device, all of it. */
reeve_status reeve_gpt_cuda_restored(reeve_gpt_cuda *g, struct reeve_error *err);

/* The loss of a batch (tokens (B, T + 1), summed in nats); and, for tests, the gradient of its mean on the host,
 * (P,) packed in the order of the tensors. */
reeve_status reeve_gpt_cuda_evaluate(reeve_gpt_cuda *g, const int32_t *tokens, uint32_t B, uint32_t T, double *loss_sum,
                                     struct reeve_error *err);
reeve_status reeve_gpt_cuda_gradient(reeve_gpt_cuda *g, const int32_t *tokens, uint32_t B, uint32_t T, float *grad,
                                     double *loss_sum, struct reeve_error *err);

/* As reeve_gpt_generate(). */
reeve_status reeve_gpt_cuda_generate(reeve_gpt_cuda *g, const int32_t *prompt, uint32_t prompt_count,
                                     uint32_t token_count, uint64_t seed, double temperature,
                                     bool (*take)(void *arg, int32_t token), void *take_arg, struct reeve_error *err);

/* For people, what the bits depend on beside the build: "NVIDIA H100 80GB HBM3, cuBLAS 13.0.2, bf16" */
void reeve_gpt_cuda_describe(const reeve_gpt_cuda *g, char *text, size_t text_bytes_max);

#ifdef __cplusplus
}
#endif

#endif
