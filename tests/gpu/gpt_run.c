/* A training on one GPU, step by step, as the runtime does it. */
#include "gpt_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

#define UNIT_BITS 40

struct reeve_gpt_shape small = {.layers = 2, .heads = 2, .width = 64, .vocab = 61, .sequence = 32, .batch = 4};

void copy_sum(const struct run *r)
{
    size_t bytes = r->sum.count * (r->exact ? sizeof(int64_t) : sizeof(float));
    cudaError_t e = cudaMemcpy(r->sum.out, r->sum.in, bytes, cudaMemcpyDeviceToDevice);
    if (e == cudaSuccess) e = cudaDeviceSynchronize(); /* a copy on the device waits for nobody */
    if (e == cudaSuccess) return;
    printf("FAILED to copy the sum: %s\n", cudaGetErrorString(e));
    exit(1);
}

struct run start_run(enum reeve_gpt_precision precision, bool exact)
{
    struct reeve_error err;
    struct run r = {.gpu = new_gpu(&small, precision, exact), .exact = exact};
    must(reeve_gpt_cuda_sum(r.gpu, exact ? UNIT_BITS : -1, &r.sum, &err), &err, "sum");
    return r;
}

struct reeve_batch batch_of(int32_t *tokens, uint64_t step, uint32_t micro)
{
    make_tokens(tokens, small.batch, small.sequence, small.vocab, 100 + step * MICRO + micro);
    return (struct reeve_batch){.tokens = tokens,
                                .sample_count = small.batch,
                                .sequence = small.sequence,
                                .step = step,
                                .micro_batch = micro,
                                .seed = seed};
}

double run_step(const struct run *r, uint64_t step, unsigned how, struct reeve_device_result *flags)
{
    struct reeve_error err;
    static int32_t tokens[TOKENS_MAX], next[TOKENS_MAX];
    double loss = 0.0, unused = 0.0;
    must(reeve_gpt_cuda_zero(r->gpu, &err), &err, "zero");
    for (uint32_t i = 0; i < MICRO; i++) {
        uint32_t micro = how & BACKWARDS ? MICRO - 1 - i : i, after = how & BACKWARDS ? micro - 1 : micro + 1;
        struct reeve_device_result result;
        struct reeve_batch batch = batch_of(tokens, step, micro);
        must(reeve_gpt_cuda_begin(r->gpu, &batch, &err), &err, "begin");
        if (how & (PREFETCH | PREFETCH_WRONG)) {
            struct reeve_batch hint = batch_of(next, how & PREFETCH_WRONG ? step + 50 : step, after % MICRO);
            must(reeve_gpt_cuda_prefetch(r->gpu, &hint, &err), &err, "prefetch");
            memset(next, 0xff, sizeof(next)); /* borrowed for the call only */
        }
        memset(tokens, 0xff, sizeof(tokens));
        must(reeve_gpt_cuda_end(r->gpu, &result, NULL, NULL, &err), &err, "end");
        loss += result.loss_sum;
        if (flags != NULL) flags->nonfinite += result.nonfinite, flags->overflow += result.overflow;
        if (how & EVALUATE) {
            batch = batch_of(tokens, step + 900, i);
            must(reeve_gpt_cuda_evaluate(r->gpu, tokens, 1 + i, small.sequence - i, &unused, &err), &err, "evaluate");
        }
    }
    copy_sum(r);
    struct reeve_apply_info info;
    must(reeve_gpt_cuda_apply(r->gpu, 1.0 / MICRO, step, &info, &err), &err, "apply");
    if (how & PUBLISH) must(reeve_gpt_cuda_publish(r->gpu, &err), &err, "publish");
    return loss / (MICRO * (double)small.batch * small.sequence);
}

float *take_state(const struct run *r, uint64_t *count)
{
    struct reeve_error err;
    uint32_t tensors = 0;
    const struct reeve_tensor *list = reeve_gpt_cuda_tensors(r->gpu, &tensors);
    must(reeve_gpt_cuda_publish(r->gpu, &err), &err, "publish");
    must(reeve_gpt_cuda_published(r->gpu, &err), &err, "published");
    *count = 0;
    for (uint32_t i = 0; i < tensors; i++)
        *count += elements(&list[i]);
    float *state = malloc(*count * sizeof(float)), *at = state;
    if (state == NULL) exit(1);
    for (uint32_t i = 0; i < tensors; at += elements(&list[i]), i++)
        memcpy(at, list[i].data, elements(&list[i]) * sizeof(float));
    return state;
}

void check_same(const char *name, const float *a, float *b, uint64_t count)
{
    char figures[200];
    uint64_t at = 0;
    while (at < count && memcmp(&a[at], &b[at], sizeof(float)) == 0)
        at++;
    if (at == count) (void)snprintf(figures, sizeof(figures), "%llu values, the same bits", (unsigned long long)count);
    else
        (void)snprintf(figures, sizeof(figures), "value %llu of %llu is %.9g, expected %.9g", (unsigned long long)at,
                       (unsigned long long)count, (double)b[at], (double)a[at]);
    verdict(at == count, name, figures);
    free(b);
}
