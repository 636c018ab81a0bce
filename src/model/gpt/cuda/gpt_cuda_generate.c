/* Continue a text on a GPU: each new token computes its whole window again, since nothing is kept of the one before.
 * What stands behind the last token does not reach it, so the window is always full, and all its products have one size. */
#include <string.h>

#include "base/error.h"
#include "model/gpt/cuda/gpt_cuda_state.h"
#include "model/gpt/gpt_state.h"

static reeve_status logits_of(reeve_gpt_cuda *g, const int32_t *window, size_t end, struct reeve_error *err)
{
    const uint32_t T = g->config.shape.sequence;
    const size_t each = g->is_bf16 ? 2 : 4;
    g->window[T] = 0; /* the last target: nobody asks for it */
    if (window != g->window) memcpy(g->window, window, end * sizeof(*window));
    for (size_t i = end; i < T; i++)
        g->window[i] = 0;
    reeve_status st = gpt_cuda_check(g, cudaSetDevice((int)g->config.device), "use it", err);
    if (st == REEVE_OK) st = gpt_cuda_load(g, g->window, 1, T, err);
    if (st == REEVE_OK) st = gpt_cuda_forward(g, &g->slots[g->slot], err);
    if (st != REEVE_OK) return st;
    /* The row to where a product may begin: rows of an odd width begin anywhere. */
    const char *row = (const char *)g->ln_f + (end - 1) * g->C * each;
    cudaError_t e = cudaMemcpyAsync(g->dsmall, row, g->C * each, cudaMemcpyDeviceToDevice, g->stream);
    st = gpt_cuda_check(g, e, "copy a row", err);
    if (st != REEVE_OK) return st;
    const struct gpt_cuda_product_call call = {.kind = GPT_CUDA_NT,
                                               .M = 1,
                                               .N = g->V_padded,
                                               .K = g->C,
                                               .out = g->logits,
                                               .x = g->dsmall,
                                               .y = (const char *)g->working + g->offsets[WTE] * each,
                                               .out_is_f32 = true};
    st = gpt_cuda_product(g, &call, err);
    if (st != REEVE_OK) return st;
    e = cudaMemcpyAsync(g->window_logits, g->logits, g->config.shape.vocab * sizeof(float), cudaMemcpyDeviceToHost,
                        g->stream);
    if (e == cudaSuccess) e = cudaEventRecord(g->slots[g->slot].read, g->stream);
    st = gpt_cuda_check(g, e, "copy logits", err);
    return st == REEVE_OK ? gpt_cuda_drain(g, "copy logits", err) : st;
}

static const float *next_logits(void *model, const int32_t *window, size_t begin, size_t end, struct reeve_error *err)
{
    reeve_gpt_cuda *g = model;
    return logits_of(g, window, end, err) == REEVE_OK ? g->window_logits : NULL;
}

reeve_status reeve_gpt_cuda_generate(reeve_gpt_cuda *g, const int32_t *prompt, uint32_t prompt_count,
                                     uint32_t token_count, uint64_t seed, double temperature,
                                     bool (*take)(void *arg, int32_t token), void *take_arg, struct reeve_error *err)
{
    const struct gpt_continuation here = {&g->config.shape, g->window, next_logits, g};
    struct reeve_error why; /* the continuation returns what next_logits() worded; the caller may not want words */
    return gpt_continue(&here, prompt, prompt_count, token_count, seed, temperature, take, take_arg,
                        err != NULL ? err : &why);
}
