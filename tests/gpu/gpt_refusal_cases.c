/* What goes wrong on a GPU: gradients that are not finite, calls that are refused, memory that is not there. */
#include "gpt_cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

void check_nonfinite(bool exact)
{
    struct reeve_error err;
    struct run r = start_run(REEVE_GPT_BF16, exact);
    uint32_t tensors = 0;
    uint64_t count = 0;
    const struct reeve_tensor *list = reeve_gpt_cuda_tensors(r.gpu, &tensors);
    list[tensors / 3 - 1].data[3] = NAN; /* ln_f.bias */
    must(reeve_gpt_cuda_restored(r.gpu, &err), &err, "restored");
    float *before = take_state(&r, &count);
    static int32_t tokens[TOKENS_MAX];
    struct reeve_batch batch = batch_of(tokens, 1, 0);
    struct reeve_device_result result = {0};
    struct reeve_apply_info info;
    must(reeve_gpt_cuda_begin(r.gpu, &batch, &err), &err, "begin");
    must(reeve_gpt_cuda_end(r.gpu, &result, NULL, NULL, &err), &err, "end");
    char figures[300];
    (void)snprintf(figures, sizeof(figures), "%llu elements flagged, loss %g", (unsigned long long)result.nonfinite,
                   result.loss_sum);
    verdict(result.nonfinite > 0 && isnan(result.loss_sum),
            exact ? "NaN in a weight, exact sums" : "NaN in a weight, fp32 sums", figures);
    if (!exact) { /* the runtime asks for no such step; that of a sum which overflowed on its way is refused all the same */
        static const float none = NAN;
        copy_sum(&r);
        if (cudaMemcpy((float *)r.sum.out + 3, &none, sizeof(none), cudaMemcpyHostToDevice) != cudaSuccess) exit(1);
        reeve_status st = reeve_gpt_cuda_apply(r.gpu, 1.0, 1, &info, &err);
        verdict(st == REEVE_JOB_DIVERGED, "step with a gradient that is not finite",
                st == REEVE_OK ? "taken" : err.text);
        check_same("state after it", before, take_state(&r, &count), count);
    }
    free(before);
    reeve_gpt_cuda_destroy(r.gpu);
}

static void expect(reeve_status got, reeve_status want, const char *name, const struct reeve_error *err)
{
    verdict(got == want, name, got == REEVE_OK ? "accepted" : err->text);
}

void check_refusals(void)
{
    struct reeve_error err;
    static int32_t tokens[TOKENS_MAX];
    reeve_gpt_cuda *g = new_gpu(&small, REEVE_GPT_BF16, true), *none = NULL;
    struct reeve_batch batch = batch_of(tokens, 1, 0);
    double loss = 0.0;
    expect(reeve_gpt_cuda_begin(g, &batch, &err), REEVE_JOB_INTERNAL, "begin without a sum", &err);
    expect(reeve_gpt_cuda_evaluate(g, tokens, small.batch + 1, small.sequence, &loss, &err), REEVE_INPUT_INVALID,
           "a batch too large", &err);
    tokens[7] = (int32_t)small.vocab;
    expect(reeve_gpt_cuda_evaluate(g, tokens, small.batch, small.sequence, &loss, &err), REEVE_INPUT_INVALID,
           "a token outside the vocabulary", &err);
    struct reeve_gpt_cuda_config c = {.shape = small, .optimizer = optimizer, .seed = seed, .exact = true};
    c.device = 999;
    expect(reeve_gpt_cuda_create(&c, &none, &err), REEVE_JOB_DEVICE, "a GPU that is not there", &err);
    c.device = 0;
    c.shape.width = 66;
    expect(reeve_gpt_cuda_create(&c, &none, &err), REEVE_INPUT_INVALID, "bf16 with a width of 66", &err);
    char text[200];
    reeve_gpt_cuda_describe(g, text, sizeof(text));
    verdict(strstr(text, "cuBLAS") != NULL && strstr(text, "bf16") != NULL, "description", text);
    reeve_gpt_cuda_destroy(g);
}

/* Goal: the number that a refusal names is true. Method: ask for too much, then for that number, and for one more. */
void check_memory(void)
{
    struct reeve_error err;
    reeve_gpt_cuda *g = NULL;
    struct reeve_gpt_cuda_config c = {
        .shape = {.layers = 4, .heads = 8, .width = 512, .vocab = 50257, .sequence = 1024, .batch = 1u << 20},
        .optimizer = optimizer,
        .seed = seed,
        .exact = true};
    if (is_small) c.shape.layers = 2, c.shape.width = 64, c.shape.vocab = 5000, c.shape.sequence = 64;
    expect(reeve_gpt_cuda_create(&c, &g, &err), REEVE_INPUT_INVALID, "more than the GPU has", &err);
    const char *told = strstr(err.text, "; train.micro_batch ");
    unsigned fits = told == NULL ? 0 : (unsigned)strtoul(told + strlen("; train.micro_batch "), NULL, 10);
    c.shape.batch = fits;
    reeve_status st = fits == 0 ? REEVE_JOB_NO_MEMORY : reeve_gpt_cuda_create(&c, &g, &err);
    expect(st, REEVE_OK, "the micro-batch that would fit", &err);
    if (st == REEVE_OK) reeve_gpt_cuda_destroy(g);
    c.shape.batch = fits + 1;
    /* What the GPU keeps for itself lies between the two statuses. */
    st = reeve_gpt_cuda_create(&c, &g, &err);
    verdict(st == REEVE_JOB_NO_MEMORY || st == REEVE_INPUT_INVALID, "one more than would fit", err.text);
}
