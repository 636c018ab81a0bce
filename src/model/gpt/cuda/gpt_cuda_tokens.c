/* The tokens' way to the GPU, on a stream of its own, so that those of the next micro-batch travel while this one
 * computes. Which slot a batch is in changes no bit: a slot is known by the tokens that it holds. */
#include <string.h>

#include "base/error.h"
#include "model/gpt/cuda/gpt_cuda_state.h"

reeve_status gpt_cuda_check_batch(const reeve_gpt_cuda *g, const int32_t *tokens, uint32_t B, uint32_t T,
                                  struct reeve_error *err)
{
    const struct reeve_gpt_shape *s = &g->config.shape;
    if (B < 1 || B > s->batch || T < 1 || T > s->sequence)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "gpt: batch of %u samples of %u tokens; expected 1 to %u of 1 to %u", B, T, s->batch,
                          s->sequence);
    const size_t row = (size_t)T + 1, count = B * row;
    for (size_t i = 0; i < count; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= s->vocab)
            return reeve_fail(err, REEVE_INPUT_INVALID,
                              "gpt: token %d at position %zu of sample %zu; the vocabulary is 0 to %u", tokens[i],
                              i % row, i / row, s->vocab - 1);
    return REEVE_OK;
}

static size_t token_bytes(uint32_t B, uint32_t T)
{
    return B * ((size_t)T + 1) * sizeof(int32_t);
}

static bool holds(const struct gpt_cuda_slot *slot, const int32_t *tokens, uint32_t B, uint32_t T)
{
    return slot->B == B && slot->T == T && memcmp(slot->tokens, tokens, token_bytes(B, T)) == 0;
}

/* The slot is free: nothing reads its arrays, here or there. */
static reeve_status fill(reeve_gpt_cuda *g, struct gpt_cuda_slot *slot, const int32_t *tokens, uint32_t B, uint32_t T,
                         struct reeve_error *err)
{
    slot->B = 0;
    slot->T = T;
    memcpy(slot->tokens, tokens, token_bytes(B, T));
    size_t words = gpt_occurrences_sort(slot->words, g->sort_scratch, tokens, B, T, g->config.shape.vocab,
                                        slot->words_device, &slot->where);
    cudaError_t e =
        cudaMemcpyAsync(slot->tokens_device, slot->tokens, token_bytes(B, T), cudaMemcpyHostToDevice, g->copy_stream);
    if (e == cudaSuccess)
        e = cudaMemcpyAsync(slot->words_device, slot->words, words * sizeof(uint32_t), cudaMemcpyHostToDevice,
                            g->copy_stream);
    if (e == cudaSuccess) e = cudaEventRecord(slot->copied, g->copy_stream);
    if (e == cudaSuccess) slot->B = B;
    return gpt_cuda_check(g, e, "copy tokens", err);
}

reeve_status reeve_gpt_cuda_prefetch(reeve_gpt_cuda *g, const struct reeve_batch *batch, struct reeve_error *err)
{
    struct gpt_cuda_slot *other = &g->slots[(g->slot + 1) % GPT_CUDA_SLOTS];
    reeve_status st = gpt_cuda_check(g, cudaSetDevice((int)g->config.device), "use it", err);
    if (st == REEVE_OK) st = gpt_cuda_check_batch(g, batch->tokens, batch->sample_count, batch->sequence, err);
    if (st != REEVE_OK || holds(other, batch->tokens, batch->sample_count, batch->sequence)) return st;
    cudaError_t copied = cudaEventQuery(other->copied), read = cudaEventQuery(other->read);
    if (copied == cudaErrorNotReady || read == cudaErrorNotReady) return REEVE_OK; /* a hint: it will come in time */
    if (copied != cudaSuccess) return gpt_cuda_check(g, copied, "copy tokens", err);
    if (read != cudaSuccess) return gpt_cuda_check(g, read, "an earlier micro-batch", err);
    return fill(g, other, batch->tokens, batch->sample_count, batch->sequence, err);
}

reeve_status gpt_cuda_load(reeve_gpt_cuda *g, const int32_t *tokens, uint32_t B, uint32_t T, struct reeve_error *err)
{
    reeve_status st = gpt_cuda_check_batch(g, tokens, B, T, err);
    if (st != REEVE_OK) return st;
    uint32_t other = (g->slot + 1) % GPT_CUDA_SLOTS;
    struct gpt_cuda_slot *slot = &g->slots[other];
    if (!holds(slot, tokens, B, T)) {
        st = gpt_cuda_wait(g, slot->copied, "copy tokens", NULL, NULL, err);
        if (st == REEVE_OK) st = gpt_cuda_wait(g, slot->read, "an earlier micro-batch", NULL, NULL, err);
        if (st == REEVE_OK) st = fill(g, slot, tokens, B, T, err);
        if (st != REEVE_OK) return st;
    }
    g->slot = other;
    return gpt_cuda_check(g, cudaStreamWaitEvent(g->stream, slot->copied, 0), "wait for tokens", err);
}
