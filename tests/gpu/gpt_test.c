/* The model on a GPU against the one on the CPU: gradients, training, bits, copies, and what it refuses. One line a case;
 * all cases run, and the program fails at the end. Fresh random inputs each time; the seed is printed, and may be given:
 *   test_gpu_gpt [--small] [SEED]      --small: few steps and small models, for the double of a GPU */
#include "gpt_cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

#include "base/clock.h"
#include "base/random.h"
#include "model/adamw.h"

#define SKIP 77
#define UNIT_BITS 40

uint64_t seed;
bool is_small;
static uint64_t steps = 20;
static unsigned case_count, failed_count;

static const struct reeve_adamw_config optimizer = {.lr = 3e-3,
                                                    .min_lr = 3e-4,
                                                    .warmup = 3,
                                                    .decay_steps = 20,
                                                    .weight_decay = 0.1,
                                                    .beta1 = 0.9,
                                                    .beta2 = 0.95,
                                                    .eps = 1e-8,
                                                    .clip = 1.0};

void verdict(bool good, const char *name, const char *figures)
{
    case_count++;
    if (!good) failed_count++;
    printf("%s %s: %s\n", good ? "ok    " : "FAILED", name, figures);
    (void)fflush(stdout);
}

void must(reeve_status st, const struct reeve_error *err, const char *what)
{
    if (st == REEVE_OK) return;
    if (strstr(err->text, "no GPU") != NULL) {
        printf("SKIP: %s\n", err->text);
        exit(SKIP);
    }
    printf("FAILED %s: %s\n", what, err->text);
    exit(1);
}

uint64_t elements(const struct reeve_tensor *t)
{
    uint64_t n = 1;
    for (uint32_t d = 0; d < t->rank; d++)
        n *= t->shape[d];
    return n;
}

const char *precision_name(enum reeve_gpt_precision p)
{
    return p == REEVE_GPT_BF16 ? "bf16" : "fp32";
}

reeve_gpt_cuda *new_gpu(const struct reeve_gpt_shape *shape, enum reeve_gpt_precision precision, bool exact)
{
    struct reeve_error err;
    reeve_gpt_cuda *g = NULL;
    const struct reeve_gpt_cuda_config config = {
        .shape = *shape, .optimizer = optimizer, .precision = precision, .seed = seed, .exact = exact};
    must(reeve_gpt_cuda_create(&config, &g, &err), &err, "create");
    return g;
}

reeve_gpt *new_cpu(const struct reeve_gpt_shape *shape)
{
    struct reeve_error err;
    reeve_gpt *g = NULL;
    must(reeve_gpt_create(shape, seed, reeve_gpt_threads_possible(4), &g, &err), &err, "create on the CPU");
    return g;
}

void make_values(reeve_gpt *cpu, reeve_gpt_cuda *gpu)
{
    struct reeve_error err;
    uint32_t count = 0, gpu_count = 0;
    const struct reeve_tensor *list = reeve_gpt_tensors(cpu, &count),
                              *gpu_list = reeve_gpt_cuda_tensors(gpu, &gpu_count);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t n = elements(&list[i]);
        bool is_norm =
            list[i].rank == 1 && strstr(list[i].name, "ln_") != NULL && strstr(list[i].name, ".weight") != NULL;
        reeve_random_normal_f32(seed, 1000 + i, list[i].data, n, list[i].rank == 2 ? 0.06f : 0.1f);
        for (uint64_t e = 0; e < n && is_norm; e++)
            list[i].data[e] += 1.0f;
        memcpy(gpu_list[i].data, list[i].data, n * sizeof(float));
    }
    must(reeve_gpt_cuda_restored(gpu, &err), &err, "restored");
}

void make_tokens(int32_t *tokens, uint32_t B, uint32_t T, uint32_t V, uint64_t stream)
{
    for (size_t i = 0; i < B * (size_t)(T + 1); i++) {
        uint32_t top = i % 3 == 0 && V > 4 ? 3 : V; /* some tokens often, as in a language */
        tokens[i] = (int32_t)reeve_random_below(seed, stream, i, top);
    }
}

/* ---- training: a job of some steps of three micro-batches, alone ---- */

static struct reeve_gpt_shape small = {.layers = 2, .heads = 2, .width = 64, .vocab = 61, .sequence = 32, .batch = 4};
enum { MICRO = 3 };

/* How a run differs from another without changing its bits. */
enum { IN_ORDER = 0, BACKWARDS = 1, PREFETCH = 2, PREFETCH_WRONG = 4, EVALUATE = 8, PUBLISH = 16 };

struct run {
    reeve_gpt_cuda *gpu;
    struct reeve_device_sum sum;
    bool exact;
};

/* In place of the sum over workers. */
static void copy_sum(const struct run *r)
{
    size_t bytes = r->sum.count * (r->exact ? sizeof(int64_t) : sizeof(float));
    cudaError_t e = cudaMemcpy(r->sum.out, r->sum.in, bytes, cudaMemcpyDeviceToDevice);
    if (e == cudaSuccess) e = cudaDeviceSynchronize(); /* a copy on the device waits for nobody */
    if (e == cudaSuccess) return;
    printf("FAILED to copy the sum: %s\n", cudaGetErrorString(e));
    exit(1);
}

static struct run start_run(enum reeve_gpt_precision precision, bool exact)
{
    struct reeve_error err;
    struct run r = {.gpu = new_gpu(&small, precision, exact), .exact = exact};
    must(reeve_gpt_cuda_sum(r.gpu, exact ? UNIT_BITS : -1, &r.sum, &err), &err, "sum");
    return r;
}

static struct reeve_batch batch_of(int32_t *tokens, uint64_t step, uint32_t micro)
{
    make_tokens(tokens, small.batch, small.sequence, small.vocab, 100 + step * MICRO + micro);
    return (struct reeve_batch){.tokens = tokens,
                                .sample_count = small.batch,
                                .sequence = small.sequence,
                                .step = step,
                                .micro_batch = micro,
                                .seed = seed};
}

static double run_step(const struct run *r, uint64_t step, unsigned how, struct reeve_device_result *flags)
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

/* The state as it is now: a copy of all tensors. */
static float *take_state(const struct run *r, uint64_t *count)
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

/* Says where two states differ first; frees b. */
static void check_same(const char *name, const float *a, float *b, uint64_t count)
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

static void check_losses(enum reeve_gpt_precision precision, bool exact)
{
    struct reeve_error err;
    struct run r = start_run(precision, exact);
    reeve_gpt *cpu = new_cpu(&small);
    uint32_t count = 0;
    const struct reeve_tensor *list = reeve_gpt_tensors(cpu, &count);
    reeve_adamw *adamw = NULL;
    must(reeve_adamw_create(&optimizer, list, count, reeve_gpt_threads_possible(4), &adamw, &err), &err, "adamw");
    uint64_t P = reeve_gpt_param_count(cpu);
    float *grad = malloc(P * sizeof(float)), *mean = malloc(P * sizeof(float));
    static int32_t tokens[TOKENS_MAX];
    if (grad == NULL || mean == NULL) exit(1);
    double worst = 0.0, limit = precision == REEVE_GPT_BF16 ? 2e-2 : 1e-3, first = 0.0, last = 0.0;
    uint64_t worst_step = 0, steps_off = 0; /* steps whose norm or rate is not that of the CPU */
    struct reeve_device_result flags = {0};
    for (uint64_t step = 1; step <= steps; step++) {
        double loss = 0.0, sum = 0.0;
        struct reeve_apply_info info;
        memset(mean, 0, P * sizeof(float));
        for (uint32_t i = 0; i < MICRO; i++) {
            struct reeve_batch b = batch_of(tokens, step % 2, i); /* two steps' data, again and again: it learns them */
            must(reeve_gpt_gradient(cpu, b.tokens, small.batch, small.sequence, grad, &loss, NULL, NULL, &err), &err,
                 "gradient on the CPU");
            sum += loss;
            for (uint64_t e = 0; e < P; e++)
                mean[e] += grad[e] / MICRO;
        }
        must(reeve_adamw_step(adamw, mean, step, &info, &err), &err, "step on the CPU");
        sum /= MICRO * (double)small.batch * small.sequence;
        must(reeve_gpt_cuda_zero(r.gpu, &err), &err, "zero");
        double gpu_sum = 0.0;
        for (uint32_t i = 0; i < MICRO; i++) {
            struct reeve_device_result result;
            struct reeve_batch b = batch_of(tokens, step % 2, i);
            must(reeve_gpt_cuda_begin(r.gpu, &b, &err), &err, "begin");
            must(reeve_gpt_cuda_end(r.gpu, &result, NULL, NULL, &err), &err, "end");
            gpu_sum += result.loss_sum;
            flags.nonfinite += result.nonfinite, flags.overflow += result.overflow;
        }
        copy_sum(&r);
        struct reeve_apply_info gpu_info;
        must(reeve_gpt_cuda_apply(r.gpu, 1.0 / MICRO, step, &gpu_info, &err), &err, "apply");
        gpu_sum /= MICRO * (double)small.batch * small.sequence;
        double relative = fabs(gpu_sum - sum) / sum, norm = fabs(gpu_info.grad_norm - info.grad_norm) / info.grad_norm;
        if (!(relative <= worst)) worst = relative, worst_step = step;
        bool as_cpu = norm <= 5 * limit && gpu_info.learning_rate == info.learning_rate;
        if (!as_cpu) steps_off++;
        if (!as_cpu)
            printf("       step %llu: norm %.8g, CPU %.8g; rate %.17g, CPU %.17g\n", (unsigned long long)step,
                   gpu_info.grad_norm, info.grad_norm, gpu_info.learning_rate, info.learning_rate);
        if (step == 1) first = sum;
        last = sum;
    }
    char name[100], figures[300];
    (void)snprintf(name, sizeof(name), "%llu steps %s, %s sums", (unsigned long long)steps, precision_name(precision),
                   exact ? "exact" : "fp32");
    (void)snprintf(
        figures, sizeof(figures),
        "loss of the CPU %.6g to %.6g; worst relative difference %.2g in step %llu (limit %g); flags %llu %llu", first,
        last, worst, (unsigned long long)worst_step, limit, (unsigned long long)flags.nonfinite,
        (unsigned long long)flags.overflow);
    verdict(worst <= limit && steps_off == 0 && last < first && flags.nonfinite == 0 && flags.overflow == 0, name,
            figures);
    free(grad), free(mean);
    reeve_adamw_destroy(adamw);
    reeve_gpt_destroy(cpu);
    reeve_gpt_cuda_destroy(r.gpu);
}

static void check_bits(enum reeve_gpt_precision precision, bool exact)
{
    static const struct {
        unsigned how;
        const char *name;
    } ways[] = {{IN_ORDER, "a second run"},
                {PREFETCH, "tokens prefetched"},
                {PREFETCH_WRONG, "other tokens prefetched"},
                {EVALUATE, "evaluations between"},
                {PUBLISH | PREFETCH, "published after each step"},
                {BACKWARDS, "micro-batches in another order"},
                {BACKWARDS | PREFETCH | EVALUATE | PUBLISH, "all of it"}};
    uint64_t count = 0;
    struct run first = start_run(precision, exact);
    for (uint64_t step = 1; step <= steps; step++)
        (void)run_step(&first, step, IN_ORDER, NULL);
    float *want = take_state(&first, &count);
    reeve_gpt_cuda_destroy(first.gpu);
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        if (!exact && ways[i].how & BACKWARDS) continue; /* only exact sums promise that */
        struct run r = start_run(precision, exact);
        for (uint64_t step = 1; step <= steps; step++)
            (void)run_step(&r, step, ways[i].how, NULL);
        char name[120];
        (void)snprintf(name, sizeof(name), "same bits %s, %s sums, %s", precision_name(precision),
                       exact ? "exact" : "fp32", ways[i].name);
        check_same(name, want, take_state(&r, &count), count);
        reeve_gpt_cuda_destroy(r.gpu);
    }
    free(want);
}

/* ---- the state there and back ---- */

static void check_restore(enum reeve_gpt_precision precision)
{
    struct reeve_error err;
    struct run r = start_run(precision, true), other = start_run(precision, true);
    uint64_t count = 0, digest = 0, other_digest = 1;
    for (uint64_t step = 1; step <= 5; step++)
        (void)run_step(&r, step, IN_ORDER, NULL);
    float *middle = take_state(&r, &count);
    /* What is published stays as it was while the next step computes and changes the weights. */
    must(reeve_gpt_cuda_publish(r.gpu, &err), &err, "publish");
    (void)run_step(&r, 6, PREFETCH, NULL);
    must(reeve_gpt_cuda_published(r.gpu, &err), &err, "published");
    uint32_t tensors = 0;
    const struct reeve_tensor *list = reeve_gpt_cuda_tensors(r.gpu, &tensors);
    float *during = malloc(count * sizeof(float)), *at = during;
    if (during == NULL) exit(1);
    for (uint32_t i = 0; i < tensors; at += elements(&list[i]), i++)
        memcpy(at, list[i].data, elements(&list[i]) * sizeof(float));
    check_same(precision == REEVE_GPT_BF16 ? "published beside a step bf16" : "published beside a step fp32", middle,
               during, count);
    for (uint64_t step = 7; step <= 10; step++)
        (void)run_step(&r, step, IN_ORDER, NULL);
    float *end = take_state(&r, &count);
    /* Another model takes the state of step 5 and goes on. */
    list = reeve_gpt_cuda_tensors(other.gpu, &tensors);
    const float *from = middle;
    for (uint32_t i = 0; i < tensors; from += elements(&list[i]), i++)
        memcpy(list[i].data, from, elements(&list[i]) * sizeof(float));
    must(reeve_gpt_cuda_restored(other.gpu, &err), &err, "restored");
    for (uint64_t step = 6; step <= 10; step++)
        (void)run_step(&other, step, IN_ORDER, NULL);
    check_same(precision == REEVE_GPT_BF16 ? "resumed bf16" : "resumed fp32", end, take_state(&other, &count), count);
    must(reeve_gpt_cuda_digest(r.gpu, &digest, &err), &err, "digest");
    must(reeve_gpt_cuda_digest(other.gpu, &other_digest, &err), &err, "digest");
    verdict(digest == other_digest && digest != 0, "digests of the last sum", "equal in both");
    free(middle), free(end);
    reeve_gpt_cuda_destroy(r.gpu);
    reeve_gpt_cuda_destroy(other.gpu);
}

/* ---- what goes wrong ---- */

static void check_nonfinite(bool exact)
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
    verdict((exact ? result.nonfinite > 0 : result.nonfinite == 0) && isnan(result.loss_sum),
            exact ? "NaN in a weight, exact sums" : "NaN in a weight, fp32 sums", figures);
    if (!exact) {
        copy_sum(&r);
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

static void check_refusals(void)
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
static void check_memory(void)
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

/* ---- text ---- */

struct text {
    int32_t tokens[24];
    uint32_t count;
};

static bool take_token(void *arg, int32_t token)
{
    struct text *t = arg;
    t->tokens[t->count++] = token;
    return t->count < 24;
}

static void check_generate(void)
{
    struct reeve_error err;
    reeve_gpt_cuda *gpu = new_gpu(&small, REEVE_GPT_FP32, true);
    reeve_gpt *cpu = new_cpu(&small);
    make_values(cpu, gpu);
    const int32_t prompt[] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8};
    for (int hot = 0; hot < 2; hot++) {
        struct text want = {0}, got = {0}, again = {0};
        double temperature = hot ? 0.8 : 0.0;
        must(reeve_gpt_generate(cpu, prompt, 19, 24, seed, temperature, take_token, &want, &err), &err,
             "text on the CPU");
        must(reeve_gpt_cuda_generate(gpu, prompt, 19, 24, seed, temperature, take_token, &got, &err), &err, "text");
        must(reeve_gpt_cuda_generate(gpu, prompt, 19, 24, seed, temperature, take_token, &again, &err), &err, "text");
        char figures[100];
        uint32_t same = 0;
        while (same < 24 && want.tokens[same] == got.tokens[same])
            same++;
        (void)snprintf(figures, sizeof(figures), "%u of 24 tokens as on the CPU; twice the same: %s", same,
                       memcmp(&got, &again, sizeof(got)) == 0 ? "yes" : "NO");
        verdict(same == 24 && memcmp(&got, &again, sizeof(got)) == 0,
                hot ? "text, fp32, temperature 0.8" : "text, fp32", figures);
    }
    reeve_gpt_destroy(cpu);
    reeve_gpt_cuda_destroy(gpu);
}

int main(int argc, char **argv)
{
    is_small = argc > 1 && strcmp(argv[1], "--small") == 0;
    if (is_small) {
        argc--, argv++;
        steps = 3;
        small.layers = 1;
        small.batch = 3;
        small.sequence = 17;
    }
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)reeve_clock_wall_ns() % 1000000u;
    reeve_gpt_cuda_destroy(new_gpu(&small, REEVE_GPT_BF16, true)); /* skips where there is no GPU */
    printf("seed %llu\n", (unsigned long long)seed);
    check_gradients();
    check_losses(REEVE_GPT_FP32, true);
    check_losses(REEVE_GPT_FP32, false);
    check_losses(REEVE_GPT_BF16, true);
    check_bits(REEVE_GPT_FP32, true);
    check_bits(REEVE_GPT_BF16, true);
    check_bits(REEVE_GPT_BF16, false);
    check_restore(REEVE_GPT_FP32);
    check_restore(REEVE_GPT_BF16);
    check_nonfinite(true);
    check_nonfinite(false);
    check_generate();
    check_refusals();
    check_memory();
    printf("%u cases, %u failed\n", case_count, failed_count);
    return failed_count == 0 ? 0 : 1;
}
