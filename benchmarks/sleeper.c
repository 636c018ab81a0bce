/* A workload that does not compute: a gradient is a sleep of REEVE_SLEEPER_MS milliseconds, and on the rank
 * REEVE_SLEEPER_SLOW_RANK (not set: on none) one of four times that. So a few cores can play more workers than they are,
 * and what a step loses is Reeve's doing alone. For benchmarks/run_times.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reeve/workload.h"

#define SLOWER 4.0
#define WEIGHTS 16u

struct sleeper {
    double task_s;
    struct reeve_tensor weights;
};

static double environment(const char *name, double otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtod(text, NULL) : otherwise;
}

static void sleeper_close(void *arg)
{
    struct sleeper *s = arg;
    if (s != NULL) free(s->weights.data);
    free(s);
}

static reeve_status sleeper_open(const struct reeve_workload_config *config, void **self, struct reeve_error *err)
{
    (void)config;
    struct sleeper *s = calloc(1, sizeof(*s));
    float *data = aligned_alloc(64, WEIGHTS * sizeof(float));
    if (s == NULL || data == NULL) {
        free(data);
        free(s);
        err->status = REEVE_JOB_NO_MEMORY;
        (void)snprintf(err->text, sizeof(err->text), "out of memory");
        return REEVE_JOB_NO_MEMORY;
    }
    memset(data, 0, WEIGHTS * sizeof(float));
    s->weights = (struct reeve_tensor){.name = "weights", .group = REEVE_TENSOR_MODEL, .rank = 1, .data = data};
    s->weights.shape[0] = WEIGHTS;
    s->task_s = environment("REEVE_SLEEPER_MS", 10) * 1e-3;
    if (environment("OMPI_COMM_WORLD_RANK", -1) == environment("REEVE_SLEEPER_SLOW_RANK", -2)) s->task_s *= SLOWER;
    *self = s;
    return REEVE_OK;
}

static void sleeper_tensors(void *self, const struct reeve_tensor **list, uint32_t *count)
{
    *list = &((struct sleeper *)self)->weights;
    *count = 1;
}

static reeve_status sleeper_gradient(void *self, const struct reeve_batch *batch, float *grad, double *loss_sum,
                                     bool (*cancelled)(void *), void *cancelled_arg, struct reeve_error *err)
{
    const struct sleeper *s = self;
    struct timespec length = {.tv_sec = (time_t)s->task_s};
    (void)cancelled, (void)cancelled_arg, (void)err;
    length.tv_nsec = (long)((s->task_s - (double)length.tv_sec) * 1e9);
    (void)nanosleep(&length, NULL);
    for (uint32_t i = 0; i < WEIGHTS; i++)
        grad[i] = (float)(batch->tokens[i % batch->sequence] % 7);
    *loss_sum = batch->sample_count * batch->sequence;
    return REEVE_OK;
}

static reeve_status sleeper_evaluate(void *self, const struct reeve_batch *batch, double *loss_sum,
                                     struct reeve_error *err)
{
    (void)self, (void)err;
    *loss_sum = batch->sample_count * batch->sequence;
    return REEVE_OK;
}

static reeve_status sleeper_apply(void *self, float *grad_mean, uint64_t step, struct reeve_apply_info *info,
                                  struct reeve_error *err)
{
    struct sleeper *s = self;
    (void)step, (void)err;
    for (uint32_t i = 0; i < WEIGHTS; i++)
        s->weights.data[i] += grad_mean[i];
    *info = (struct reeve_apply_info){.learning_rate = 1};
    return REEVE_OK;
}

static const struct reeve_workload_ops sleeper_ops = {
    .abi = REEVE_WORKLOAD_ABI,
    .size = sizeof(struct reeve_workload_ops),
    .name = "sleeper",
    .open = sleeper_open,
    .tensors = sleeper_tensors,
    .gradient = sleeper_gradient,
    .evaluate = sleeper_evaluate,
    .apply = sleeper_apply,
    .close = sleeper_close,
};

const struct reeve_workload_ops *reeve_workload(void);
const struct reeve_workload_ops *reeve_workload(void)
{
    return &sleeper_ops;
}
