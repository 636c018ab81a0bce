/* Text sampled on a GPU: token by token that of the CPU. */
#include "gpt_cases.h"

#include <stdio.h>
#include <string.h>

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

void check_generate(void)
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
