/* What a job decides: the canonical text of its trajectory, and the plan's part of it. */
#include "core/job.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Counts every byte of the text, and writes those that fit: like snprintf, for many of them. */
struct identity_text {
    char *text;
    size_t room, bytes;
};

static void __attribute__((format(printf, 2, 3))) add(struct identity_text *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t left = out->bytes < out->room ? out->room - out->bytes : 0;
    int n = vsnprintf(left > 0 ? out->text + out->bytes : NULL, left, format, args);
    va_end(args);
    if (n > 0) out->bytes += (size_t)n;
}

/* A value of one line, whatever is in it: control characters and the backslash as \xNN. */
static void add_escaped(struct identity_text *out, const char *key, const char *value, size_t value_bytes_max)
{
    add(out, "%s=", key);
    for (size_t i = 0; i < value_bytes_max && value[i] != 0; i++) {
        unsigned char c = (unsigned char)value[i];
        if (c < 0x20 || c == 0x7f || c == '\\') add(out, "\\x%02x", c);
        else add(out, "%c", c);
    }
    add(out, "\n");
}

/* 17 digits: every f64 has a text of its own. */
static void add_double(struct identity_text *out, const char *key, double value)
{
    add(out, "%s=%.17g\n", key, value);
}

static const char *shuffle_name(uint32_t shuffle)
{
    switch (shuffle) {
    case REEVE_SHUFFLE_NONE: return "none";
    case REEVE_SHUFFLE_BLOCK: return "block";
    case REEVE_SHUFFLE_GLOBAL: return "global";
    default: return "?";
    }
}

static void add_data(struct identity_text *out, const struct reeve_job *job)
{
    add(out, "data.sequence=%" PRIu32 "\n", job->data.sequence);
    add(out, "data.shuffle=%s\n", shuffle_name(job->data.shuffle));
    add(out, "data.block_shards=%" PRIu32 "\n", job->data.block_shards);
    add(out, "data.holdout_ppm=%" PRIu32 "\n", job->data.holdout_ppm);
    add(out, "train.global_batch=%" PRIu32 "\n", job->train.global_batch);
    add(out, "train.micro_batch=%" PRIu32 "\n", job->train.micro_batch);
    add(out, "train.reduce=%s\n", job->train.reduce == REEVE_REDUCE_EXACT ? "exact" : "fast");
    /* Left out where nobody chose one: runs that are older than the key go on. */
    if (job->train.precision != REEVE_PRECISION_AUTO)
        add(out, "train.precision=%s\n", job->train.precision == REEVE_PRECISION_BF16 ? "bf16" : "fp32");
}

static void add_model(struct identity_text *out, const struct reeve_job *job)
{
    add(out, "model.layers=%" PRIu32 "\n", job->model.layers);
    add(out, "model.heads=%" PRIu32 "\n", job->model.heads);
    add(out, "model.width=%" PRIu32 "\n", job->model.width);
    if (job->model.init_weights[0] != 0)
        add_escaped(out, "model.init_weights", job->model.init_weights, sizeof(job->model.init_weights));
    add_double(out, "optimizer.lr", job->optimizer.lr);
    add_double(out, "optimizer.min_lr", job->optimizer.min_lr);
    add(out, "optimizer.warmup=%" PRIu64 "\n", job->optimizer.warmup);
    add(out, "optimizer.decay_steps=%" PRIu64 "\n", job->optimizer.decay_steps);
    add_double(out, "optimizer.weight_decay", job->optimizer.weight_decay);
    add_double(out, "optimizer.beta1", job->optimizer.beta1);
    add_double(out, "optimizer.beta2", job->optimizer.beta2);
    add_double(out, "optimizer.eps", job->optimizer.eps);
    add_double(out, "optimizer.clip", job->optimizer.clip);
}

bool reeve_job_is_list(const struct reeve_job *job)
{
    return strcmp(job->workload, "exec") == 0;
}

bool reeve_job_is_plugin(const struct reeve_job *job)
{
    size_t n = strnlen(job->workload, sizeof(job->workload));
    return n > 3 && memcmp(job->workload + n - 3, ".so", 3) == 0;
}

/* A job folder may move, with its shared object. */
static const char *workload_name(const struct reeve_job *job)
{
    const char *slash = reeve_job_is_plugin(job) ? strrchr(job->workload, '/') : NULL;
    return slash != NULL ? slash + 1 : job->workload;
}

size_t reeve_job_identity(const struct reeve_job *job, char *text, size_t text_bytes)
{
    struct identity_text out = {text, text_bytes, 0};
    if (text_bytes > 0) text[0] = 0;
    add_escaped(&out, "workload", workload_name(job), sizeof(job->workload));
    if (reeve_job_is_list(job)) {
        add_escaped(&out, "exec.shell", job->exec.shell, sizeof(job->exec.shell));
        return out.bytes;
    }
    add(&out, "seed=%" PRIu64 "\n", job->seed);
    add_data(&out, job);
    add_model(&out, job);
    return out.bytes;
}

void reeve_job_plan_config(const struct reeve_job *job, struct reeve_plan_config *out)
{
    *out = (struct reeve_plan_config){
        .seed = job->seed,
        .shuffle = job->data.shuffle,
        .block_shards = job->data.block_shards,
        .sequence = job->data.sequence,
        .global_batch = job->train.global_batch,
        .micro_batch = job->train.micro_batch,
        .holdout_ppm = job->data.holdout_ppm,
    };
}
