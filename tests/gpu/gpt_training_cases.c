/* Training on a GPU: the losses of the CPU, the same bits whatever comes between, and the state there and back. */
#include "gpt_cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void check_losses(enum reeve_gpt_precision precision, bool exact)
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

void check_bits(enum reeve_gpt_precision precision, bool exact)
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

void check_restore(enum reeve_gpt_precision precision)
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
