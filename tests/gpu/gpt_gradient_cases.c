/* First values, losses and gradients of the model on a GPU: those of the CPU, for shapes of all kinds. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpt_cases.h"

struct gradient_case {
    struct reeve_gpt_shape shape;
    uint32_t B, T;
    bool fp32_only;
};

static const struct gradient_case gradient_cases[] = {
    {{.layers = 2, .heads = 3, .width = 48, .vocab = 7, .sequence = 13, .batch = 3}, 3, 13, false},
    {{.layers = 1, .heads = 1, .width = 8, .vocab = 50257, .sequence = 5, .batch = 2}, 2, 5, false},
    {{.layers = 3, .heads = 4, .width = 64, .vocab = 257, .sequence = 36, .batch = 3}, 2, 33, false},
    {{.layers = 2, .heads = 4, .width = 128, .vocab = 1000, .sequence = 64, .batch = 4}, 4, 64, false},
    {{.layers = 2, .heads = 2, .width = 128, .vocab = 50257, .sequence = 130, .batch = 2}, 2, 130, false},
    {{.layers = 1, .heads = 3, .width = 192, .vocab = 513, .sequence = 257, .batch = 1}, 1, 257, false},
    {{.layers = 2, .heads = 2, .width = 256, .vocab = 300, .sequence = 100, .batch = 3}, 3, 97, false},
    {{.layers = 2, .heads = 5, .width = 40, .vocab = 61, .sequence = 9, .batch = 1}, 1, 9, false},
    {{.layers = 2, .heads = 1, .width = 7, .vocab = 11, .sequence = 3, .batch = 5}, 5, 3, true},
    {{.layers = 1, .heads = 1, .width = 64, .vocab = 300, .sequence = 70, .batch = 2}, 2, 66, false},
    {{.layers = 1, .heads = 3, .width = 33, .vocab = 129, .sequence = 1, .batch = 1}, 1, 1, true},
};

#define SMALL_PRODUCTS 3e7 /* multiplications forward, of a case with --small */

static bool is_too_large(const struct gradient_case *c)
{
    const double C = c->shape.width;
    return is_small && (double)c->B * c->T * C * (12.0 * C * c->shape.layers + c->shape.vocab) > SMALL_PRODUCTS;
}

static void check_gradient(const struct gradient_case *c, enum reeve_gpt_precision precision)
{
    struct reeve_error err;
    const double limit = precision == REEVE_GPT_BF16 ? 2e-2 : 1e-3;
    reeve_gpt_cuda *gpu = new_gpu(&c->shape, precision, true);
    reeve_gpt *cpu = new_cpu(&c->shape);
    uint32_t count = 0, gpu_count = 0;
    const struct reeve_tensor *list = reeve_gpt_tensors(cpu, &count),
                              *gpu_list = reeve_gpt_cuda_tensors(gpu, &gpu_count);
    char name[160], figures[400];
    (void)snprintf(name, sizeof(name), "gradient %s L%u H%u C%u V%u T%u/%u B%u", precision_name(precision),
                   c->shape.layers, c->shape.heads, c->shape.width, c->shape.vocab, c->T, c->shape.sequence, c->B);
    bool first_same = gpu_count == 3 * count;
    for (uint32_t i = 0; i < count && first_same; i++)
        first_same = strcmp(list[i].name, gpu_list[i].name) == 0 && elements(&list[i]) == elements(&gpu_list[i]) &&
                     memcmp(list[i].data, gpu_list[i].data, elements(&list[i]) * sizeof(float)) == 0;
    make_values(cpu, gpu);
    static int32_t tokens[TOKENS_MAX];
    make_tokens(tokens, c->B, c->T, c->shape.vocab, 5);
    uint64_t P = reeve_gpt_param_count(cpu);
    float *want = malloc(P * sizeof(float)), *got = malloc(P * sizeof(float)), *again = malloc(P * sizeof(float));
    if (want == NULL || got == NULL || again == NULL) exit(1);
    memset(got, 0xff, P * sizeof(float));
    double want_loss = 0.0, got_loss = 0.0, eval_loss = 0.0, again_loss = 0.0;
    must(reeve_gpt_gradient(cpu, tokens, c->B, c->T, want, &want_loss, NULL, NULL, &err), &err, name);
    must(reeve_gpt_cuda_gradient(gpu, tokens, c->B, c->T, got, &got_loss, &err), &err, name);
    must(reeve_gpt_cuda_evaluate(gpu, tokens, c->B, c->T, &eval_loss, &err), &err, name);
    must(reeve_gpt_cuda_gradient(gpu, tokens, c->B, c->T, again, &again_loss, &err), &err, name);
    double all = 0.0, worst = 0.0, loss_error = fabs(got_loss - want_loss) / want_loss;
    for (uint64_t e = 0; e < P; e++)
        all += (double)want[e] * want[e];
    uint32_t worst_tensor = 0;
    uint64_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        double square = 0.0, difference = 0.0;
        for (uint64_t e = 0; e < elements(&list[i]); e++, at++) {
            square += (double)want[at] * want[at];
            difference += ((double)got[at] - want[at]) * ((double)got[at] - want[at]);
        }
        /* a gradient that is nothing but rounding (the bias of keys) is measured by the whole one */
        double relative = sqrt(difference) / fmax(sqrt(square), 1e-3 * sqrt(all));
        if (!(relative <= worst)) worst = relative, worst_tensor = i;
        if (!(relative <= limit))
            printf("       %s: relative error %.3g, norm %.3g\n", list[i].name, relative, sqrt(square));
    }
    bool bits = memcmp(got, again, P * sizeof(float)) == 0 && got_loss == again_loss, eval = eval_loss == got_loss;
    (void)snprintf(figures, sizeof(figures), "loss %.8g (CPU %.8g, relative %.2g); worst %s %.2g (limit %g)%s%s%s",
                   got_loss, want_loss, loss_error, list[worst_tensor].name, worst, limit,
                   first_same ? "" : "; FIRST VALUES DIFFER FROM THE CPU'S", bits ? "" : "; TWICE IS NOT THE SAME BITS",
                   eval ? "" : "; EVALUATE GIVES ANOTHER LOSS");
    verdict(first_same && bits && eval && worst <= limit && loss_error <= limit, name, figures);
    free(want), free(got), free(again);
    reeve_gpt_destroy(cpu);
    reeve_gpt_cuda_destroy(gpu);
}

/* Goal: where the logits of a micro-batch do not fit at once, its blocks of rows give what samples one by one give.
 * Method: a vocabulary so large that two blocks (bf16) or three (fp32) are made of seven samples, and one of each. */
static void check_blocks_of_logits(enum reeve_gpt_precision precision)
{
    enum { SAMPLES = 7, T = 700 };
    const struct reeve_gpt_shape shape = {
        .layers = 1, .heads = 1, .width = 8, .vocab = 1u << 20, .sequence = T, .batch = SAMPLES};
    const double limit = precision == REEVE_GPT_BF16 ? 2e-2 : 1e-3;
    struct reeve_error err;
    static int32_t tokens[TOKENS_MAX];
    _Static_assert(SAMPLES * (T + 1) <= TOKENS_MAX, "they have room");
    make_tokens(tokens, SAMPLES, T, shape.vocab, 6);
    reeve_gpt_cuda *gpu = new_gpu(&shape, precision, true);
    uint32_t count = 0;
    const struct reeve_tensor *list = reeve_gpt_cuda_tensors(gpu, &count);
    count /= 3;
    uint64_t P = 0, at = 0;
    for (uint32_t i = 0; i < count; i++)
        P += elements(&list[i]);
    float *got = malloc(P * sizeof(float)), *one = malloc(P * sizeof(float));
    double *want = calloc(P, sizeof(double)), got_loss = 0.0, want_loss = 0.0, loss = 0.0, worst = 0.0;
    if (got == NULL || one == NULL || want == NULL) exit(1);
    must(reeve_gpt_cuda_gradient(gpu, tokens, SAMPLES, T, got, &got_loss, &err), &err, "gradient in blocks");
    for (uint32_t b = 0; b < SAMPLES; b++) {
        must(reeve_gpt_cuda_gradient(gpu, tokens + b * (T + 1), 1, T, one, &loss, &err), &err, "gradient of a sample");
        want_loss += loss;
        for (uint64_t e = 0; e < P; e++)
            want[e] += (double)one[e] / SAMPLES;
    }
    double all = 0.0;
    for (uint64_t e = 0; e < P; e++)
        all += want[e] * want[e];
    uint32_t worst_tensor = 0;
    for (uint32_t i = 0; i < count; i++) {
        double square = 0.0, difference = 0.0;
        for (uint64_t e = 0; e < elements(&list[i]); e++, at++) {
            square += want[at] * want[at];
            difference += (got[at] - want[at]) * (got[at] - want[at]);
        }
        double relative = sqrt(difference) / fmax(sqrt(square), 1e-3 * sqrt(all));
        if (!(relative <= worst)) worst = relative, worst_tensor = i;
    }
    double loss_error = fabs(got_loss - want_loss) / want_loss;
    char figures[200];
    (void)snprintf(figures, sizeof(figures), "loss %.8g (one by one, relative %.2g); worst %s %.2g (limit %g)",
                   got_loss, loss_error, list[worst_tensor].name, worst, limit);
    verdict(worst <= limit && loss_error <= 1e-4,
            precision == REEVE_GPT_BF16 ? "logits in blocks bf16" : "logits in blocks fp32", figures);
    free(got), free(one), free(want);
    reeve_gpt_cuda_destroy(gpu);
}

void check_gradients(void)
{
    for (int p = REEVE_GPT_FP32; p >= REEVE_GPT_BF16; p--) {
        for (size_t i = 0; i < sizeof(gradient_cases) / sizeof(gradient_cases[0]); i++)
            if ((p == REEVE_GPT_FP32 || !gradient_cases[i].fp32_only) && !is_too_large(&gradient_cases[i]))
                check_gradient(&gradient_cases[i], (enum reeve_gpt_precision)p);
        if (!is_small) check_blocks_of_logits((enum reeve_gpt_precision)p);
    }
}
