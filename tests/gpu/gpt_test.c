/* The model on a GPU against the one on the CPU: gradients, training, bits, copies, and what it refuses. One line a case;
 * all cases run, and the program fails at the end. Fresh random inputs each time; the seed is printed, and may be given:
 *   test_gpu_gpt [--small] [SEED]      --small: few steps and small models, for the double of a GPU */
#include "gpt_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"

#define SKIP 77

uint64_t seed;
bool is_small;
uint64_t steps = 20;
static unsigned case_count, failed_count;

const struct reeve_adamw_config optimizer = {.lr = 3e-3,
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
    const char *given = argc > 1 ? argv[1] : getenv("REEVE_TEST_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)reeve_clock_wall_ns() % 1000000u;
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
