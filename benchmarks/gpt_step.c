/* Speed of workload gpt alone: tokens/s of gradient + apply, without dispatch, data or sum; and of sgemm, its limit.
 *
 *   bench-gpt_step LAYERS HEADS WIDTH SEQUENCE BATCH VOCAB THREADS [STEPS]
 *
 * Prints one row of a Markdown table. The first two steps are not counted; the figures are medians of the others.
 * GFLOP/s counts what the mathematics asks for and nothing else: 6 operations for each token and element of a matrix
 * (2 forward, 4 backward), and the half of attention that the mask leaves. What is computed again, or computed and
 * masked, is not work. "sgemm" is one square product of 1536 with the same threads in the same process, and the share
 * is of that. Memory is what the process has in use after the last step, the gradient included. */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/pages.h"
#include "base/random.h"
#include "measure.h"
#include "workload/registry.h"

#define WARM_UP_STEPS 2
#define SQUARE 1536
#define SQUARE_RUNS 3

struct shape {
    unsigned layers, heads, width, sequence, batch, vocab, threads, steps;
};

struct figures {
    double step_s, apply_s, loss;
    uint64_t params;
};

static uint64_t count_params(void *self, const struct reeve_workload_ops *ops)
{
    const struct reeve_tensor *list;
    uint32_t count;
    uint64_t params = 0;
    ops->tensors(self, &list, &count);
    for (uint32_t i = 0; i < count && list[i].group == REEVE_TENSOR_MODEL; i++) {
        uint64_t n = 1;
        for (uint32_t d = 0; d < list[i].rank; d++)
            n *= list[i].shape[d];
        params += n;
    }
    return params;
}

static double seconds_since(reeve_time_ns begin)
{
    return (double)(reeve_clock_now() - begin) * 1e-9;
}

/* The workload was opened before, so BLAS has its number of threads. */
static double sgemm_gflops(void)
{
    size_t n = SQUARE;
    float *a = reeve_pages_take(3 * n * n, sizeof(float)), *b = a + n * n, *c = b + n * n;
    double runs[SQUARE_RUNS];
    if (a == NULL) measure_stop("no memory");
    for (size_t i = 0; i < n * n; i++)
        a[i] = b[i] = (float)(i % 7);
    for (int r = -1; r < SQUARE_RUNS; r++) {
        reeve_time_ns begin = reeve_clock_now();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SQUARE, SQUARE, SQUARE, 1.0f, a, SQUARE, b, SQUARE, 0.0f,
                    c, SQUARE);
        if (r >= 0) runs[r] = seconds_since(begin);
    }
    reeve_pages_give_back(a, 3 * n * n, sizeof(float));
    return 2e-9 * (double)n * (double)n * (double)n / measure_quantile(runs, SQUARE_RUNS, 0.5);
}

static double flops_per_token(const struct shape *s)
{
    double C = s->width, L = s->layers;
    return 6.0 * (12.0 * L * C * C + s->vocab * C) + 6.0 * L * s->sequence * C;
}

static struct figures measure(void *self, const struct reeve_workload_ops *ops, const struct shape *s)
{
    struct figures f = {.params = count_params(self, ops)};
    size_t token_count = (size_t)s->batch * (s->sequence + 1);
    float *grad = reeve_pages_take(f.params, sizeof(float));
    int32_t *tokens = calloc(token_count, sizeof(*tokens));
    double *step_s = calloc(s->steps, sizeof(*step_s)), *apply_s = calloc(s->steps, sizeof(*apply_s));
    if (grad == NULL || tokens == NULL || step_s == NULL || apply_s == NULL) measure_stop("no memory");
    for (size_t i = 0; i < token_count; i++)
        tokens[i] = (int32_t)reeve_random_below(1, 2, i, s->vocab);
    struct reeve_batch batch = {.tokens = tokens, .sample_count = s->batch, .sequence = s->sequence};
    struct reeve_error err = {0};
    struct reeve_apply_info info;
    double first_loss = 0.0;
    for (unsigned i = 0; i < s->steps + WARM_UP_STEPS; i++) {
        reeve_time_ns begin = reeve_clock_now();
        if (ops->gradient(self, &batch, grad, &f.loss, NULL, NULL, &err) != REEVE_OK) measure_stop("%s", err.text);
        reeve_time_ns middle = reeve_clock_now();
        if (ops->apply(self, grad, i + 1, &info, &err) != REEVE_OK) measure_stop("%s", err.text);
        f.loss /= (double)s->batch * s->sequence;
        if (i == 0) first_loss = f.loss;
        if (i < WARM_UP_STEPS) continue;
        step_s[i - WARM_UP_STEPS] = seconds_since(begin);
        apply_s[i - WARM_UP_STEPS] = seconds_since(middle);
    }
    /* One batch again and again: a model that learns knows more of it at the end, one that does not is not measured. */
    if (!(f.loss < first_loss) || fabs(first_loss - log(s->vocab)) > 0.2)
        measure_stop("loss %.3f at first, %.3f at last; expected about ln(vocabulary), then less", first_loss, f.loss);
    f.step_s = measure_quantile(step_s, s->steps, 0.5);
    f.apply_s = measure_quantile(apply_s, s->steps, 0.5);
    free(apply_s);
    free(step_s);
    free(tokens);
    reeve_pages_give_back(grad, f.params, sizeof(float));
    return f;
}

static void *open_workload(const struct reeve_workload_ops *ops, const struct shape *s)
{
    char json[256];
    (void)snprintf(json, sizeof(json),
                   "{\"model\": {\"layers\": %u, \"heads\": %u, \"width\": %u}, \"optimizer\": {\"lr\": 1e-4}}",
                   s->layers, s->heads, s->width);
    struct reeve_workload_config config = {.job_json = json,
                                           .seed = 1,
                                           .vocab = s->vocab,
                                           .sequence = s->sequence,
                                           .micro_batch = s->batch,
                                           .steps = s->steps + WARM_UP_STEPS,
                                           .threads = s->threads,
                                           .device = "cpu"};
    struct reeve_error err = {0};
    void *self = NULL;
    if (ops->open(&config, &self, &err) != REEVE_OK) measure_stop("%s", err.text);
    return self;
}

int main(int argc, char **argv)
{
    struct shape s = {0};
    unsigned *field[] = {&s.layers, &s.heads, &s.width, &s.sequence, &s.batch, &s.vocab, &s.threads, &s.steps};
    if (argc < 8 || argc > 9) {
        (void)fprintf(stderr, "usage: %s LAYERS HEADS WIDTH SEQUENCE BATCH VOCAB THREADS [STEPS]\n", argv[0]);
        return REEVE_EXIT_USAGE;
    }
    for (int i = 1; i < 9; i++)
        *field[i - 1] = (unsigned)measure_argument(argc, argv, i, 5, 1);
    const struct reeve_workload_ops *ops = reeve_workload_find("gpt");
    void *self = open_workload(ops, &s);
    double limit = sgemm_gflops();
    struct figures f = measure(self, ops, &s);
    double tokens_per_s = (double)s.batch * s.sequence / f.step_s, gflops = tokens_per_s * flops_per_token(&s) * 1e-9;
    printf("| layers | heads | width | sequence | batch | vocabulary | threads | 10^6 parameters | tokens/s | GFLOP/s "
           "| sgemm | share | apply ms | MiB | loss | BLAS kernels |\n");
    printf("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    printf("| %u | %u | %u | %u | %u | %u | %u | %.1f | %.0f | %.1f | %.1f | %.2f | %.1f | %.0f | %.3f | %s |\n",
           s.layers, s.heads, s.width, s.sequence, s.batch, s.vocab, s.threads, (double)f.params * 1e-6, tokens_per_s,
           gflops, limit, gflops / limit, f.apply_s * 1e3, (double)measure_resident_bytes() / 1048576.0, f.loss,
           openblas_get_corename());
    ops->close(self);
    return 0;
}
