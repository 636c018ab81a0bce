/* Continue a text token by token. The keys and values of earlier tokens are still in g->layers, so a new token costs
 * one row; when the window is full, its last half is computed again at the first positions. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "model/gpt/gpt_state.h"
#include "model/gpt/matmul.h"
#include "model/vector.h"

#define GENERATE_STREAM (UINT64_C(0x67656e) << 32) /* "gen" */

/* The lowest index of the largest; V where one is not finite */
static uint32_t likeliest(const float *logits, uint32_t V)
{
    uint32_t best = 0;
    for (uint32_t i = 0; i < V; i++) {
        if (!isfinite(logits[i])) return V;
        if (logits[i] > logits[best]) best = i;
    }
    return best;
}

static uint32_t draw(const float *logits, uint32_t V, double temperature, double uniform)
{
    uint32_t best = likeliest(logits, V);
    if (best == V || temperature == 0.0) return best;
    double sum = 0.0, below = 0.0;
    for (uint32_t i = 0; i < V; i++)
        sum += model_expf((float)((logits[i] - logits[best]) / temperature));
    for (uint32_t i = 0; i < V; i++) {
        below += model_expf((float)((logits[i] - logits[best]) / temperature));
        if (below > uniform * sum) return i;
    }
    return best; /* uniform < 1, so only rounding leads here */
}

/* Add a token; where the window is full, its last half moves to the front first. Returns the first row to compute. */
static size_t window_push(int32_t *window, size_t T, size_t *count, int32_t token)
{
    size_t begin = *count;
    if (*count == T) {
        size_t keep = T / 2;
        memmove(window, window + (T - keep), keep * sizeof(*window));
        *count = keep;
        begin = 0;
    }
    window[(*count)++] = token;
    return begin;
}

reeve_status gpt_continue(const struct gpt_continuation *c, const int32_t *prompt, uint32_t prompt_count,
                          uint32_t token_count, uint64_t seed, double temperature,
                          bool (*take)(void *arg, int32_t token), void *take_arg, struct reeve_error *err)
{
    uint32_t V = c->shape->vocab, T = c->shape->sequence;
    if (!isfinite(temperature) || temperature < 0.0)
        return reeve_fail(err, REEVE_INPUT_INVALID, "gpt: temperature is %g; expected 0 or more", temperature);
    if (prompt_count == 0) return reeve_fail(err, REEVE_INPUT_INVALID, "gpt: a prompt has at least one token");
    for (uint32_t i = 0; i < prompt_count; i++)
        if (prompt[i] < 0 || (uint32_t)prompt[i] >= V)
            return reeve_fail(err, REEVE_INPUT_INVALID, "gpt: token %d in the prompt; the vocabulary is 0 to %u",
                              prompt[i], V - 1);
    size_t count = prompt_count < T ? prompt_count : T, begin = 0;
    memcpy(c->window, prompt + (prompt_count - count), count * sizeof(*c->window));
    for (uint32_t n = 0; n < token_count; n++) {
        const float *logits = c->next(c->model, c->window, begin, count, err);
        if (logits == NULL) return err->status;
        uint32_t token = draw(logits, V, temperature, reeve_random_uniform(seed, GENERATE_STREAM, n));
        if (token == V) return reeve_fail(err, REEVE_JOB_DIVERGED, "gpt: the model gives values that are not finite");
        if (!take(take_arg, (int32_t)token)) break;
        begin = window_push(c->window, T, &count, (int32_t)token);
    }
    return REEVE_OK;
}

/* The model on the CPU: rows [begin, end) are computed now. */
static const float *next_logits(void *model, const int32_t *window, size_t begin, size_t end, struct reeve_error *err)
{
    const struct gpt_cancel never = {0};
    reeve_gpt *g = model;
    size_t C = g->shape.width;
    struct gpt_span span = {.B = 1, .T = g->shape.sequence, .begin = begin, .end = end};
    (void)gpt_forward(g, window, g->shape.sequence, span, &never);
    matmul_nt(g->logits, g->ln_f + (end - 1) * C, gpt_param(g, WTE), 1, g->shape.vocab, C, 0.0f);
    return g->logits;
}

reeve_status reeve_gpt_generate(reeve_gpt *g, const int32_t *prompt, uint32_t prompt_count, uint32_t token_count,
                                uint64_t seed, double temperature, bool (*take)(void *arg, int32_t token),
                                void *take_arg, struct reeve_error *err)
{
    const struct gpt_continuation here = {&g->shape, g->window, next_logits, g};
    gpt_use_threads(g);
    return gpt_continue(&here, prompt, prompt_count, token_count, seed, temperature, take, take_arg, err);
}
