/* Where the time goes: an event behind each part, for benchmarks alone. */
#include <stdlib.h>

#include "base/error.h"
#include "model/gpt/cuda/gpt_cuda_state.h"

#define MARKS_MAX 16384u /* some 24 for each layer and micro-batch: 56 micro-batches of 12 layers */

struct gpt_cuda_profile {
    cudaEvent_t events[MARKS_MAX];
    enum gpt_cuda_part parts[MARKS_MAX];
    uint32_t count, made, missed;
};

void gpt_cuda_mark_event(reeve_gpt_cuda *g, enum gpt_cuda_part part)
{
    struct gpt_cuda_profile *p = g->profile;
    if (p->count < p->made && cudaEventRecord(p->events[p->count], g->stream) == cudaSuccess)
        p->parts[p->count++] = part;
    else p->missed++;
}

reeve_status gpt_cuda_profile_begin(reeve_gpt_cuda *g, struct reeve_error *err)
{
    if (g->profile == NULL) g->profile = calloc(1, sizeof(*g->profile));
    struct gpt_cuda_profile *p = g->profile;
    if (p == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "gpt: out of memory");
    for (; p->made < MARKS_MAX; p->made++) {
        reeve_status st = gpt_cuda_check(g, cudaEventCreate(&p->events[p->made]), "make events", err);
        if (st != REEVE_OK) return st;
    }
    p->count = p->missed = 0;
    return REEVE_OK;
}

reeve_status gpt_cuda_profile_read(reeve_gpt_cuda *g, double ms[GPT_CUDA_PARTS], struct reeve_error *err)
{
    const struct gpt_cuda_profile *p = g->profile;
    reeve_status st = gpt_cuda_drain(g, "profile", err);
    if (st == REEVE_OK && p->missed > 0)
        st = reeve_fail(err, REEVE_INPUT_USAGE, "profile: %u of %u parts were not timed; take fewer micro-batches",
                        p->missed, p->missed + p->count);
    for (uint32_t i = 0; i < GPT_CUDA_PARTS; i++)
        ms[i] = 0.0;
    for (uint32_t i = 1; i < p->count && st == REEVE_OK; i++) {
        float took = 0.0f;
        st = gpt_cuda_check(g, cudaEventElapsedTime(&took, p->events[i - 1], p->events[i]), "profile", err);
        ms[p->parts[i]] += (double)took;
    }
    return st;
}

void gpt_cuda_profile_destroy(reeve_gpt_cuda *g)
{
    if (g->profile == NULL) return;
    for (uint32_t i = 0; i < g->profile->made; i++)
        (void)cudaEventDestroy(g->profile->events[i]);
    free(g->profile);
    g->profile = NULL;
}
