/* Speed of the model on a GPU alone: tokens/s of micro-batches and optimiser steps, without dispatch, data or sum.
 *
 *   bench-gpt_cuda [--layers N] [--heads N] [--width N] [--sequence N] [--vocab N]   GPT-2 124M by default: 12 12 768 1024 50304
 *                  [--batch N]          samples of a micro-batch, 16
 *                  [--micro N]          micro-batches of a step, 4
 *                  [--steps N]          that are counted, 10; three more go before
 *                  [--precision bf16|fp32] [--reduce exact|fast]
 *                  [--device N] [--peak TFLOPS]   of the GPU, for the share of it: 989 (H100 and H200, bf16, dense)
 *                  [--bgrad]            bias gradients by cuBLAS, beside the weights'
 *                  [--publish]          the state goes to the host after each step, beside the next
 *                  [--profile]          then one more step, with the time of each part
 *
 * One row of a Markdown table; medians of steps. A step is what a worker does: tokens prefetched, gradients added to the
 * sum, one copy of it in place of the sum over workers, and the update. FLOP are what the mathematics asks for: 6 for each
 * token and element of a matrix, wte's product with the logits included and the embedding not, and 6 * L * C * T for the
 * half of attention that the mask leaves (PaLM's appendix B has 12: it counts what is masked too). */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

#include "base/clock.h"
#include "base/random.h"
#include "measure.h"
#include "model/gpt/cuda/gpt_cuda_state.h"

#define WARM_UP_STEPS 3
#define STEPS_MAX 1000u
#define UNIT_BITS 40

struct options {
    struct reeve_gpt_cuda_config model;
    uint32_t micro, steps;
    double peak_tflops;
    bool bgrad, publish, profile;
};

struct bench {
    struct options o;
    reeve_gpt_cuda *gpu;
    struct reeve_device_sum sum;
    int32_t *tokens; /* (micro, B, T + 1) */
    cudaEvent_t begin, end;
};

static void check(reeve_status st, const struct reeve_error *err)
{
    if (st != REEVE_OK) measure_stop("%s", err->text);
}

static void check_cuda(cudaError_t e)
{
    if (e != cudaSuccess) measure_stop("CUDA says %s", cudaGetErrorString(e));
}

static uint32_t number(const char *text, const char *name)
{
    char *end = NULL;
    unsigned long n = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || n > UINT32_MAX) measure_stop("--%s: '%s' is no number", name, text);
    return (uint32_t)n;
}

static struct options read_options(int argc, char **argv)
{
    struct options o = {
        .model = {.shape = {.layers = 12, .heads = 12, .width = 768, .vocab = 50304, .sequence = 1024, .batch = 16},
                  .optimizer = {.lr = 6e-4,
                                .min_lr = 6e-5,
                                .warmup = 100,
                                .decay_steps = 10000,
                                .weight_decay = 0.1,
                                .beta1 = 0.9,
                                .beta2 = 0.95,
                                .eps = 1e-8,
                                .clip = 1.0},
                  .precision = REEVE_GPT_BF16,
                  .seed = 1,
                  .exact = true},
        .micro = 4,
        .steps = 10,
        .peak_tflops = 989.0};
    struct reeve_gpt_shape *s = &o.model.shape;
    static const struct option known[] = {
        {"layers", 1, NULL, 'L'},    {"heads", 1, NULL, 'H'},   {"width", 1, NULL, 'C'},   {"sequence", 1, NULL, 'T'},
        {"vocab", 1, NULL, 'V'},     {"batch", 1, NULL, 'B'},   {"micro", 1, NULL, 'm'},   {"steps", 1, NULL, 's'},
        {"precision", 1, NULL, 'p'}, {"reduce", 1, NULL, 'r'},  {"device", 1, NULL, 'd'},  {"peak", 1, NULL, 'k'},
        {"bgrad", 0, NULL, 'b'},     {"publish", 0, NULL, 'u'}, {"profile", 0, NULL, 'f'}, {NULL, 0, NULL, 0}};
    for (int at, c; (c = getopt_long(argc, argv, "", known, &at)) != -1;) {
        uint32_t *const counts[] = {&s->layers, &s->heads, &s->width, &s->sequence,   &s->vocab,
                                    &s->batch,  &o.micro,  &o.steps,  &o.model.device};
        const char *const letters = "LHCTVBmsd", *found = strchr(letters, c);
        if (found != NULL) *counts[found - letters] = number(optarg, known[at].name);
        else if (c == 'p') o.model.precision = strcmp(optarg, "fp32") == 0 ? REEVE_GPT_FP32 : REEVE_GPT_BF16;
        else if (c == 'r') o.model.exact = strcmp(optarg, "fast") != 0;
        else if (c == 'k') o.peak_tflops = strtod(optarg, NULL);
        else if (c == 'b') o.bgrad = true;
        else if (c == 'u') o.publish = true;
        else if (c == 'f') o.profile = true;
        else exit(64);
    }
    if (o.steps < 1 || o.steps > STEPS_MAX || o.micro < 1)
        measure_stop("1 to %u steps, 1 or more micro-batches", STEPS_MAX);
    return o;
}

static struct reeve_batch batch_of(const struct bench *b, uint64_t step, uint32_t micro)
{
    const struct reeve_gpt_shape *s = &b->o.model.shape;
    return (struct reeve_batch){.tokens = b->tokens + (size_t)micro * s->batch * (s->sequence + (size_t)1),
                                .sample_count = s->batch,
                                .sequence = s->sequence,
                                .step = step,
                                .micro_batch = micro,
                                .seed = 1};
}

/* Returns the loss of a token. */
static double step(struct bench *b, uint64_t number_of)
{
    struct reeve_error err;
    struct reeve_apply_info info;
    struct reeve_device_result result;
    double loss = 0.0;
    check(reeve_gpt_cuda_zero(b->gpu, &err), &err);
    for (uint32_t i = 0; i < b->o.micro; i++) {
        struct reeve_batch now = batch_of(b, number_of, i), next = batch_of(b, number_of, (i + 1) % b->o.micro);
        check(reeve_gpt_cuda_begin(b->gpu, &now, &err), &err);
        check(reeve_gpt_cuda_prefetch(b->gpu, &next, &err), &err);
        check(reeve_gpt_cuda_end(b->gpu, &result, NULL, NULL, &err), &err);
        loss += result.loss_sum;
    }
    size_t each = b->sum.element == REEVE_DEVICE_I64 ? 8 : 4;
    check_cuda(cudaMemcpyAsync(b->sum.out, b->sum.in, b->sum.count * each, cudaMemcpyDeviceToDevice, b->gpu->stream));
    check(reeve_gpt_cuda_apply(b->gpu, 1.0 / b->o.micro, number_of, &info, &err), &err);
    if (b->o.publish) check(reeve_gpt_cuda_publish(b->gpu, &err), &err);
    return loss / ((double)b->o.micro * b->o.model.shape.batch * b->o.model.shape.sequence);
}

/* For each token, forward and backward. */
static double flop_per_token(const struct reeve_gpt_shape *s)
{
    double C = s->width, matrices = 12.0 * s->layers * C * C + (double)s->vocab * C;
    return 6.0 * matrices + 6.0 * s->layers * C * s->sequence;
}

static void profile(struct bench *b, uint64_t number_of)
{
    static const char *const names[GPT_CUDA_PARTS] = {[GPT_CUDA_PART_START] = "between",
                                                      [GPT_CUDA_PART_EMBED] = "embedding",
                                                      [GPT_CUDA_PART_NORM] = "layer norms, with residual",
                                                      [GPT_CUDA_PART_MATMUL] = "products",
                                                      [GPT_CUDA_PART_ATTENTION] = "attention",
                                                      [GPT_CUDA_PART_GELU] = "gelu",
                                                      [GPT_CUDA_PART_HEAD] = "logits",
                                                      [GPT_CUDA_PART_LOSS] = "loss, with its gradient",
                                                      [GPT_CUDA_PART_ATTENTION_BACKWARD] = "attention backward",
                                                      [GPT_CUDA_PART_NORM_BACKWARD] = "layer norms backward",
                                                      [GPT_CUDA_PART_GELU_BACKWARD] = "gelu backward, with its bias",
                                                      [GPT_CUDA_PART_DX] = "products dx",
                                                      [GPT_CUDA_PART_DW] = "products dW",
                                                      [GPT_CUDA_PART_BIAS] = "biases",
                                                      [GPT_CUDA_PART_HEAD_BACKWARD] = "logits backward",
                                                      [GPT_CUDA_PART_EMBED_BACKWARD] = "embedding backward",
                                                      [GPT_CUDA_PART_SUM] = "quantise and add",
                                                      [GPT_CUDA_PART_UPDATE] = "norm and AdamW"};
    struct reeve_error err;
    double ms[GPT_CUDA_PARTS], all = 0.0;
    check(gpt_cuda_profile_begin(b->gpu, &err), &err);
    (void)step(b, number_of);
    check(gpt_cuda_profile_read(b->gpu, ms, &err), &err);
    for (uint32_t i = 0; i < GPT_CUDA_PARTS; i++)
        all += ms[i];
    printf("\n| part of a step of %u micro-batches | ms | share |\n|---|---|---|\n", b->o.micro);
    for (uint32_t i = 0; i < GPT_CUDA_PARTS; i++)
        printf("| %s | %.3f | %.1f %% |\n", names[i], ms[i], 100.0 * ms[i] / all);
    printf("| all | %.3f | |\n", all);
}

int main(int argc, char **argv)
{
    struct reeve_error err;
    struct bench b = {.o = read_options(argc, argv)};
    const struct reeve_gpt_shape *s = &b.o.model.shape;
    reeve_status st = reeve_gpt_cuda_create(&b.o.model, &b.gpu, &err);
    if (st == REEVE_JOB_DEVICE && strncmp(err.text, "no GPU", 6) == 0) {
        printf("SKIP: %s\n", err.text);
        return 77;
    }
    check(st, &err);
    b.gpu->bias_in_product = b.o.bgrad;
    check(reeve_gpt_cuda_sum(b.gpu, b.o.model.exact ? UNIT_BITS : -1, &b.sum, &err), &err);
    size_t count = (size_t)b.o.micro * s->batch * (s->sequence + (size_t)1);
    b.tokens = calloc(count, sizeof(*b.tokens));
    if (b.tokens == NULL) measure_stop("no memory");
    for (size_t i = 0; i < count; i++) { /* the square makes low numbers frequent, as tokens of a language are */
        double u = reeve_random_uniform(1, 7, i);
        b.tokens[i] = (int32_t)(u * u * s->vocab);
    }
    check_cuda(cudaEventCreate(&b.begin));
    check_cuda(cudaEventCreate(&b.end));
    static double wall_ms[STEPS_MAX], gpu_ms[STEPS_MAX];
    double loss = 0.0;
    uint64_t n = 0;
    for (uint32_t i = 0; i < WARM_UP_STEPS; i++)
        loss = step(&b, ++n);
    check(gpt_cuda_drain(b.gpu, "warm-up", &err), &err);
    for (uint32_t i = 0; i < b.o.steps; i++) {
        float ms = 0.0f;
        reeve_time_ns began = reeve_clock_now();
        check_cuda(cudaEventRecord(b.begin, b.gpu->stream));
        loss = step(&b, ++n);
        check_cuda(cudaEventRecord(b.end, b.gpu->stream));
        check(gpt_cuda_drain(b.gpu, "step", &err), &err);
        wall_ms[i] = (double)(reeve_clock_now() - began) * 1e-6;
        check_cuda(cudaEventElapsedTime(&ms, b.begin, b.end));
        gpu_ms[i] = (double)ms;
    }
    check(reeve_gpt_cuda_published(b.gpu, &err), &err);
    double wall = measure_quantile(wall_ms, b.o.steps, 0.5), gpu = measure_quantile(gpu_ms, b.o.steps, 0.5);
    double tokens = (double)b.o.micro * s->batch * s->sequence, rate = tokens / wall * 1e3;
    char what[200];
    uint64_t bytes = 0;
    reeve_gpt_cuda_describe(b.gpu, what, sizeof(what));
    (void)reeve_gpt_cuda_bytes(s, b.o.model.precision, b.o.model.exact, &bytes);
    printf("%s\n\n| L | H | C | T | V | batch | micro-batches | sums | bias | ms a step | of it on the GPU | tokens/s "
           "| TFLOP/s | "
           "MFU | GiB | loss |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
           what);
    printf("| %u | %u | %u | %u | %u | %u | %u | %s | %s | %.2f | %.2f | %.0f | %.1f | %.1f %% | %.1f | %.4f |\n",
           s->layers, s->heads, s->width, s->sequence, s->vocab, s->batch, b.o.micro,
           b.o.model.exact ? "exact" : "fp32", b.o.bgrad ? "cuBLAS" : "own", wall, gpu, rate,
           rate * flop_per_token(s) * 1e-12, 100.0 * rate * flop_per_token(s) * 1e-12 / b.o.peak_tflops,
           (double)bytes / 1073741824.0, loss);
    if (b.o.profile) profile(&b, ++n);
    check_cuda(cudaEventDestroy(b.end));
    check_cuda(cudaEventDestroy(b.begin));
    free(b.tokens);
    reeve_gpt_cuda_destroy(b.gpu);
    return 0;
}
