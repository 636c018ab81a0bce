/* Speed of workload gpt alone: tokens/s of gradient + apply, without dispatch, data or sum.
 *
 *   bench-gpt_step LAYERS HEADS WIDTH SEQUENCE BATCH VOCAB THREADS [STEPS]
 *
 * Prints one row of a Markdown table. The first two steps are not counted; the figure is the median of the others. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "workload/registry.h"

struct shape {
    unsigned layers, heads, width, sequence, batch, vocab, threads, steps;
};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

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

static void die(const struct reeve_error *err)
{
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static void measure(void *self, const struct reeve_workload_ops *ops, const struct shape *s)
{
    uint64_t params = count_params(self, ops);
    size_t token_count = (size_t)s->batch * (s->sequence + 1);
    float *grad = aligned_alloc(64, (params * sizeof(float) + 63) / 64 * 64);
    int32_t *tokens = calloc(token_count, sizeof(*tokens));
    double *seconds = calloc(s->steps, sizeof(*seconds)), *apply = calloc(s->steps, sizeof(*apply));
    if (grad == NULL || tokens == NULL || seconds == NULL || apply == NULL) exit(1);
    for (size_t i = 0; i < token_count; i++)
        tokens[i] = (int32_t)reeve_random_below(1, 2, i, s->vocab);
    struct reeve_batch batch = {.tokens = tokens, .sample_count = s->batch, .sequence = s->sequence};
    struct reeve_error err = {0};
    struct reeve_apply_info info;
    double loss = 0.0;
    for (unsigned i = 0; i < s->steps + 2; i++) {
        reeve_time_ns begin = reeve_clock_now();
        if (ops->gradient(self, &batch, grad, &loss, NULL, NULL, &err) != REEVE_OK) die(&err);
        reeve_time_ns middle = reeve_clock_now();
        if (ops->apply(self, grad, i + 1, &info, &err) != REEVE_OK) die(&err);
        if (i < 2) continue;
        seconds[i - 2] = (double)(reeve_clock_now() - begin) * 1e-9;
        apply[i - 2] = (double)(reeve_clock_now() - middle) * 1e-9;
    }
    qsort(seconds, s->steps, sizeof(*seconds), by_size);
    qsort(apply, s->steps, sizeof(*apply), by_size);
    printf("| %u | %u | %u | %u | %u | %u | %u | %.1f | %.0f | %.1f | %.3f |\n", s->layers, s->heads, s->width,
           s->sequence, s->batch, s->vocab, s->threads, (double)params * 1e-6,
           (double)s->batch * s->sequence / seconds[s->steps / 2], apply[s->steps / 2] * 1e3,
           loss / ((double)s->batch * s->sequence));
    free(apply);
    free(seconds);
    free(tokens);
    free(grad);
}

int main(int argc, char **argv)
{
    struct shape s = {.steps = 5};
    unsigned *field[] = {&s.layers, &s.heads, &s.width, &s.sequence, &s.batch, &s.vocab, &s.threads, &s.steps};
    if (argc < 8 || argc > 9) {
        fprintf(stderr, "usage: %s LAYERS HEADS WIDTH SEQUENCE BATCH VOCAB THREADS [STEPS]\n", argv[0]);
        return 64;
    }
    for (int i = 1; i < argc; i++)
        *field[i - 1] = (unsigned)strtoul(argv[i], NULL, 10);
    if (s.steps < 1) s.steps = 1;
    char json[256];
    (void)snprintf(json, sizeof(json),
                   "{\"model\": {\"layers\": %u, \"heads\": %u, \"width\": %u}, \"optimizer\": {\"lr\": 1e-4}}",
                   s.layers, s.heads, s.width);
    const struct reeve_workload_ops *ops = reeve_workload_find("gpt");
    struct reeve_workload_config config = {.job_json = json,
                                           .seed = 1,
                                           .vocab = s.vocab,
                                           .sequence = s.sequence,
                                           .micro_batch = s.batch,
                                           .steps = s.steps + 2,
                                           .threads = s.threads,
                                           .device = "cpu"};
    struct reeve_error err = {0};
    void *self = NULL;
    if (ops->open(&config, &self, &err) != REEVE_OK) die(&err);
    printf("| layers | heads | width | sequence | batch | vocabulary | threads | 10^6 parameters | tokens/s | apply ms "
           "| loss |\n");
    printf("|---|---|---|---|---|---|---|---|---|---|---|\n");
    measure(self, ops, &s);
    ops->close(self);
    return 0;
}
