/* A step of training: micro-batches into the worker's sum, the sum of all workers into the weights, the state to the
 * host. The order on the GPU is that of the main stream; copies beside it are tied to it by events. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/adamw.h"
#include "model/gpt/cuda/gpt_cuda_state.h"
#include "model/gpt/gpt_state.h"

static reeve_status use_device(const reeve_gpt_cuda *g, struct reeve_error *err)
{
    return gpt_cuda_check(g, cudaSetDevice((int)g->config.device), "use it", err);
}

static size_t sum_bytes(const reeve_gpt_cuda *g)
{
    return (size_t)g->elements * (g->config.exact ? sizeof(int64_t) : sizeof(float));
}

static double unit(const reeve_gpt_cuda *g)
{
    return g->config.exact ? ldexp(1.0, -g->unit_bits) : 1.0;
}

/* Waits: others may read it as soon as this returns. */
reeve_status reeve_gpt_cuda_zero(reeve_gpt_cuda *g, struct reeve_error *err)
{
    reeve_status st = use_device(g, err);
    if (st == REEVE_OK)
        st = gpt_cuda_check(g, cudaMemsetAsync(g->sum_in, 0, sum_bytes(g), g->stream), "clear the sum", err);
    return st == REEVE_OK ? gpt_cuda_drain(g, "clear the sum", err) : st;
}

reeve_status reeve_gpt_cuda_sum(reeve_gpt_cuda *g, int unit_bits, struct reeve_device_sum *out, struct reeve_error *err)
{
    if (g->config.exact ? unit_bits < 0 || unit_bits > 62 : unit_bits != -1)
        return reeve_fail(err, REEVE_INPUT_INVALID, "gpt: a unit of %d bits for %s sums; expected %s", unit_bits,
                          g->config.exact ? "exact" : "fp32", g->config.exact ? "0 to 62" : "-1");
    reeve_status st = reeve_gpt_cuda_zero(g, err);
    if (st != REEVE_OK) return st;
    g->unit_bits = unit_bits;
    g->sum_made = true;
    *out = (struct reeve_device_sum){.in = g->sum_in,
                                     .out = g->sum_out,
                                     .count = g->elements,
                                     .element = g->config.exact ? REEVE_DEVICE_I64 : REEVE_DEVICE_F32};
    return REEVE_OK;
}

/* From tokens to g->grad, and the loss to the host. Nobody waits. */
static reeve_status launch_gradient(reeve_gpt_cuda *g, bool add_to_sum, struct reeve_error *err)
{
    struct gpt_cuda_slot *slot = &g->slots[g->slot];
    cudaError_t e = cudaMemsetAsync(g->result_device, 0, sizeof(*g->result_device), g->stream);
    reeve_status st = gpt_cuda_check(g, e, "clear flags", err);
    if (st == REEVE_OK) st = gpt_cuda_forward(g, slot, err);
    if (st == REEVE_OK) st = gpt_cuda_head(g, slot, true, err);
    if (st == REEVE_OK) st = gpt_cuda_backward(g, slot, err);
    if (st == REEVE_OK && add_to_sum) st = gpt_cuda_add_to_sum(g, err);
    return st;
}

static reeve_status launch_result(reeve_gpt_cuda *g, struct reeve_error *err)
{
    cudaError_t e = cudaMemcpyAsync(g->result, g->result_device, sizeof(*g->result), cudaMemcpyDeviceToHost, g->stream);
    if (e == cudaSuccess) e = cudaEventRecord(g->slots[g->slot].read, g->stream);
    if (e == cudaSuccess) e = cudaEventRecord(g->done, g->stream);
    return gpt_cuda_check(g, e, "copy the loss", err);
}

reeve_status reeve_gpt_cuda_begin(reeve_gpt_cuda *g, const struct reeve_batch *batch, struct reeve_error *err)
{
    if (!g->sum_made)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "gpt: a gradient is begun before there is a sum for it");
    reeve_status st = use_device(g, err);
    if (st == REEVE_OK) st = gpt_cuda_load(g, batch->tokens, batch->sample_count, batch->sequence, err);
    if (st == REEVE_OK) st = launch_gradient(g, true, err);
    return st == REEVE_OK ? launch_result(g, err) : st;
}

reeve_status reeve_gpt_cuda_end(reeve_gpt_cuda *g, struct reeve_device_result *out, bool (*cancelled)(void *),
                                void *cancelled_arg, struct reeve_error *err)
{
    reeve_status st = gpt_cuda_wait(g, g->done, "micro-batch", cancelled, cancelled_arg, err);
    if (st != REEVE_OK) return st;
    *out = (struct reeve_device_result){
        .loss_sum = g->result->loss_sum, .nonfinite = g->result->flags[0], .overflow = g->result->flags[1]};
    return REEVE_OK;
}

reeve_status reeve_gpt_cuda_digest(reeve_gpt_cuda *g, uint64_t *digest, struct reeve_error *err)
{
    reeve_status st = use_device(g, err);
    if (st == REEVE_OK) st = gpt_cuda_check(g, gpt_cuda_digest_sum(g), "digest of the sum", err);
    if (st == REEVE_OK) st = launch_result(g, err);
    if (st == REEVE_OK) st = gpt_cuda_wait(g, g->done, "digest of the sum", NULL, NULL, err);
    if (st == REEVE_OK) *digest = g->result->digest;
    return st;
}

reeve_status reeve_gpt_cuda_apply(reeve_gpt_cuda *g, double scale, uint64_t step, struct reeve_apply_info *info,
                                  struct reeve_error *err)
{
    struct reeve_adamw_scalars scalars;
    reeve_status st = use_device(g, err);
    if (st == REEVE_OK) st = gpt_cuda_square_sum(g, unit(g), scale, err);
    if (st == REEVE_OK) st = launch_result(g, err);
    if (st == REEVE_OK) st = gpt_cuda_wait(g, g->done, "norm of the gradient", NULL, NULL, err);
    if (st == REEVE_OK)
        st = reeve_adamw_begin(&g->config.optimizer, step, sqrt(g->result->square_sum), &scalars, info, err);
    /* What is being published is read until then. */
    if (st == REEVE_OK) st = gpt_cuda_check(g, cudaStreamWaitEvent(g->stream, g->published, 0), "wait for a copy", err);
    return st == REEVE_OK ? gpt_cuda_update(g, unit(g), scale, &scalars, err) : st;
}

reeve_status reeve_gpt_cuda_publish(reeve_gpt_cuda *g, struct reeve_error *err)
{
    const size_t n = (size_t)g->elements, bytes = n * sizeof(float);
    const float *const parts[] = {g->weights, g->m, g->v};
    reeve_status st = use_device(g, err);
    if (st != REEVE_OK) return st;
    cudaError_t e = cudaEventRecord(g->state_ready, g->stream);
    if (e == cudaSuccess) e = cudaStreamWaitEvent(g->publish_stream, g->state_ready, 0);
    for (size_t i = 0; i < 3 && e == cudaSuccess; i++)
        e = cudaMemcpyAsync(g->mirror + i * n, parts[i], bytes, cudaMemcpyDeviceToHost, g->publish_stream);
    if (e == cudaSuccess) e = cudaEventRecord(g->published, g->publish_stream);
    return gpt_cuda_check(g, e, "copy the state to the host", err);
}

/* On a thread that may have called nothing of CUDA before: its GPU would be the first one. */
reeve_status reeve_gpt_cuda_published(reeve_gpt_cuda *g, struct reeve_error *err)
{
    reeve_status st = use_device(g, err);
    return st == REEVE_OK ? gpt_cuda_wait(g, g->published, "copy the state to the host", NULL, NULL, err) : st;
}

reeve_status reeve_gpt_cuda_restored(reeve_gpt_cuda *g, struct reeve_error *err)
{
    const size_t n = (size_t)g->elements, bytes = n * sizeof(float);
    float *const parts[] = {g->weights, g->m, g->v};
    reeve_status st = reeve_gpt_cuda_published(g, err);
    if (st != REEVE_OK) return st;
    cudaError_t e = cudaSuccess;
    for (size_t i = 0; i < 3 && e == cudaSuccess; i++)
        e = cudaMemcpyAsync(parts[i], g->mirror + i * n, bytes, cudaMemcpyHostToDevice, g->stream);
    if (e == cudaSuccess) e = gpt_cuda_round(g);
    st = gpt_cuda_check(g, e, "copy the state to the device", err);
    return st == REEVE_OK ? gpt_cuda_drain(g, "copy the state to the device", err) : st;
}

reeve_status reeve_gpt_cuda_gradient(reeve_gpt_cuda *g, const int32_t *tokens, uint32_t B, uint32_t T, float *grad,
                                     double *loss_sum, struct reeve_error *err)
{
    float *flat = malloc((size_t)g->elements * sizeof(float));
    if (flat == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "gpt: no memory for a gradient on the host");
    reeve_status st = use_device(g, err);
    if (st == REEVE_OK) st = gpt_cuda_load(g, tokens, B, T, err);
    if (st == REEVE_OK) st = launch_gradient(g, false, err);
    if (st == REEVE_OK) {
        cudaError_t e =
            cudaMemcpyAsync(flat, g->grad, (size_t)g->elements * sizeof(float), cudaMemcpyDeviceToHost, g->stream);
        st = gpt_cuda_check(g, e, "copy a gradient", err);
    }
    if (st == REEVE_OK) st = launch_result(g, err);
    if (st == REEVE_OK) st = gpt_cuda_wait(g, g->done, "gradient", NULL, NULL, err);
    for (uint32_t i = 0; i < g->tensor_count && st == REEVE_OK; i++) {
        uint64_t n = gpt_tensor_elements(&g->tensors[i]);
        memcpy(grad, flat + g->offsets[i], (size_t)n * sizeof(float));
        grad += n;
    }
    if (st == REEVE_OK) *loss_sum = g->result->loss_sum;
    free(flat);
    return st;
}

reeve_status reeve_gpt_cuda_evaluate(reeve_gpt_cuda *g, const int32_t *tokens, uint32_t B, uint32_t T, double *loss_sum,
                                     struct reeve_error *err)
{
    reeve_status st = use_device(g, err);
    if (st == REEVE_OK) st = gpt_cuda_load(g, tokens, B, T, err);
    if (st == REEVE_OK) st = gpt_cuda_forward(g, &g->slots[g->slot], err);
    if (st == REEVE_OK) st = gpt_cuda_head(g, &g->slots[g->slot], false, err);
    if (st == REEVE_OK) st = launch_result(g, err);
    if (st == REEVE_OK) st = gpt_cuda_wait(g, g->done, "evaluation", NULL, NULL, err);
    if (st == REEVE_OK) *loss_sum = g->result->loss_sum;
    return st;
}
