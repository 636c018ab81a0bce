/* The workload of the simulator: a model of four words, whose gradient is a hash of the weights and of the samples of a
 * micro-batch, summed by the real exact sum, and folded into the weights. Any sample that is missing, doubled, or
 * computed on other weights changes every bit from then on. The undisturbed run is computed here, without master,
 * queue, worker or journal: a loop over the plan. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/random.h"
#include "sim.h"

static uint64_t pick(uint32_t shape, uint64_t what, uint64_t bound)
{
    return reeve_random_below(0x73686170, shape, what, bound);
}

static void draw_job(uint32_t n, struct reeve_job *job)
{
    static const uint32_t micro[] = {1, 2, 3};
    memset(job, 0, sizeof(*job));
    (void)snprintf(job->name, sizeof(job->name), "sim-%u", n);
    (void)snprintf(job->workload, sizeof(job->workload), "sim");
    job->seed = 100 + n;
    job->data.sequence = 4;
    job->data.shuffle = (uint32_t)pick(n, 1, 3);
    job->data.block_shards = 2;
    job->data.holdout_ppm = pick(n, 2, 2) == 0 ? 0 : 100000;
    job->train.micro_batch = micro[pick(n, 3, 3)];
    job->train.global_batch = job->train.micro_batch * (uint32_t)(1 + pick(n, 4, 8));
    job->train.steps = 2 + pick(n, 5, SIM_STEPS_MAX - 2);
    job->train.eval_every = (uint32_t)pick(n, 6, 4);
    job->train.refused_max = 3;
    job->checkpoint.every = (uint32_t)pick(n, 7, 5);
    job->checkpoint.keep = 1 + (uint32_t)pick(n, 8, 3);
    job->resources.threads = 1;
    job->journal.sync = (uint32_t)pick(n, 9, 3);
    job->faults.attempts_max = 5;
    job->faults.crash_limit = 3;
    job->faults.silence_warn_s = 5;
    job->faults.silence_stop_s = pick(n, 10, 3) == 0 ? 180 : 10; /* 180: longer than a lease's term */
    job->faults.credits = 1 + (uint32_t)pick(n, 11, 3);
    job->sample.tokens = pick(n, 12, 3) == 0 ? 8 : 0;
}

static void make_manifest(uint32_t n, struct reeve_manifest *m)
{
    uint32_t count = 2 + (uint32_t)pick(n, 13, 5);
    memset(m, 0, sizeof(*m));
    (void)snprintf(m->dataset, sizeof(m->dataset), "sim");
    (void)snprintf(m->tokenizer, sizeof(m->tokenizer), "bytes");
    m->vocab = 256;
    m->shard_count = count;
    m->shards = calloc(count, sizeof(*m->shards));
    m->paths = calloc(count, 4);
    REEVE_ASSERT(m->shards != NULL && m->paths != NULL);
    for (uint32_t i = 0; i < count; i++) {
        m->paths[4 * i] = (char)('a' + i);
        uint64_t tokens = 20 + pick(n, 20 + i, 60);
        m->shards[i] = (struct reeve_shard){.path_offset = 4 * i,
                                            .file_bytes = tokens,
                                            .token_count = tokens,
                                            .weight = (uint16_t)(1 + pick(n, 40 + i, 2)),
                                            .priority = (int32_t)pick(n, 60 + i, 3),
                                            .format = REEVE_SHARD_TEXT,
                                            .token_bytes = 1};
    }
    m->paths_bytes = 4 * count;
    m->digest = reeve_manifest_digest(m);
}

void sim_model_init(struct sim_model *model)
{
    for (uint32_t t = 0; t < SIM_TENSORS; t++)
        model->word[t] = 1000 + t;
    model->step = 0;
}

struct reeve_digest sim_model_digest(const struct sim_model *model)
{
    return reeve_digest_of(model->word, sizeof(model->word));
}

void sim_gradient(const struct sim_shape *shape, const struct sim_model *model, uint64_t step, uint32_t micro,
                  float grad[SIM_PARAMS], double *loss_sum)
{
    struct reeve_sample samples[3];
    struct reeve_error err;
    (void)reeve_plan_micro_batch(shape->plan, step, micro, samples, &err);
    uint64_t h = reeve_digest64(model->word, sizeof(model->word), 0);
    for (uint32_t i = 0; i < shape->job.train.micro_batch; i++) {
        uint64_t words[] = {samples[i].shard.v, samples[i].index, samples[i].visit};
        h = reeve_digest64(words, sizeof(words), h);
    }
    for (uint32_t p = 0; p < SIM_PARAMS; p++)
        grad[p] = (float)(int32_t)(reeve_digest64(&p, sizeof(p), h) >> 40) * 0x1p-24f;
    if (step == shape->nan_step && micro == 0) grad[1] = NAN;
    *loss_sum = (double)(h >> 44);
}

void sim_apply(const struct sim_shape *shape, struct sim_model *model, const int64_t *sum, uint64_t step)
{
    _Alignas(64) float mean[16];
    int bits = reeve_exact_unit_bits(shape->micro_batches);
    memset(mean, 0, sizeof(mean));
    reeve_exact_mean(mean, sum, SIM_PARAMS, bits, 1.0 / shape->micro_batches);
    for (uint32_t t = 0; t < SIM_TENSORS; t++)
        model->word[t] = reeve_digest64(mean, sizeof(mean), model->word[t] + t);
    model->step = step;
}

static void run_undisturbed(struct sim_shape *shape)
{
    struct sim_model model;
    sim_model_init(&model);
    shape->undisturbed[0] = model;
    for (uint64_t step = 1; step <= shape->job.train.steps; step++) {
        _Alignas(64) int64_t acc[SIM_SUM_COUNT] = {0};
        struct reeve_exact_flags flags = {0};
        for (uint32_t m = 0; m < shape->micro_batches; m++) {
            _Alignas(64) float grad[SIM_PARAMS];
            double loss;
            sim_gradient(shape, &model, step, m, grad, &loss);
            reeve_exact_add(acc, grad, SIM_PARAMS, reeve_exact_unit_bits(shape->micro_batches), &flags);
        }
        if (flags.nonfinite + flags.overflow == 0) sim_apply(shape, &model, acc, step);
        model.step = step;
        shape->undisturbed[step] = model;
    }
}

/* All micro-batches of all steps visit distinct (epoch, ordinal): what enters each sum once enters the run once. */
static bool visits_are_distinct(const struct sim_shape *shape)
{
    uint64_t n = reeve_plan_epoch_samples(shape->plan), steps = shape->job.train.steps;
    uint64_t visits = steps * shape->job.train.global_batch, epochs = visits / n + 1, distinct = 0;
    uint8_t *visited = calloc(epochs * n, 1);
    REEVE_ASSERT(visited != NULL);
    struct reeve_sample samples[3];
    struct reeve_error err;
    for (uint64_t step = 1; step <= steps; step++)
        for (uint32_t m = 0; m < shape->micro_batches; m++) {
            (void)reeve_plan_micro_batch(shape->plan, step, m, samples, &err);
            for (uint32_t i = 0; i < shape->job.train.micro_batch; i++)
                distinct += visited[samples[i].epoch * n + samples[i].ordinal]++ == 0;
        }
    free(visited);
    return distinct == visits;
}

const struct sim_shape *sim_shape_get(uint32_t number)
{
    static struct sim_shape *shapes[SIM_SHAPES];
    REEVE_ASSERT(number < SIM_SHAPES);
    if (shapes[number] != NULL) return shapes[number];
    struct sim_shape *shape = calloc(1, sizeof(*shape));
    REEVE_ASSERT(shape != NULL);
    draw_job(number, &shape->job);
    make_manifest(number, &shape->manifest);
    if (pick(number, 14, 4) == 0) shape->nan_step = 1 + pick(number, 15, shape->job.train.steps);
    struct reeve_plan_config config;
    reeve_job_plan_config(&shape->job, &config);
    struct reeve_error err;
    reeve_status st = reeve_plan_create(&shape->manifest, &config, &shape->plan, &err);
    REEVE_ASSERT(st == REEVE_OK);
    shape->micro_batches = reeve_plan_micro_batches(shape->plan);
    REEVE_ASSERT(visits_are_distinct(shape));
    run_undisturbed(shape);
    shapes[number] = shape;
    return shape;
}
