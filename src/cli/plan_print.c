/* The plan in words and as JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "cli/output.h"
#include "cli/plan.h"

#define JSON_SAMPLES_MAX 1000000u /* one JSON value is made in memory */

static const char *shuffle_name(uint32_t shuffle)
{
    switch ((enum reeve_shuffle)shuffle) {
    case REEVE_SHUFFLE_NONE:
        return "none";
    case REEVE_SHUFFLE_BLOCK:
        return "block";
    case REEVE_SHUFFLE_GLOBAL:
        return "global";
    }
    return "?";
}

static double epochs_of(const struct reeve_planned *p)
{
    double samples = (double)p->job.train.steps * p->job.train.global_batch;
    return samples / (double)reeve_plan_epoch_samples(p->plan);
}

static int summary_json(const struct reeve_planned *p)
{
    const struct reeve_job *job = &p->job;
    uint64_t epoch = reeve_plan_epoch_samples(p->plan);
    json_t *o = reeve_cli_json_object();
    reeve_cli_json_set(o, "job", reeve_cli_json_text(job->name));
    reeve_cli_json_set(o, "manifest_digest", reeve_cli_json_digest(p->manifest->digest));
    reeve_cli_json_set(o, "from_lock", json_boolean(p->from_lock));
    reeve_cli_json_set(o, "seed", reeve_cli_json_u64(job->seed));
    reeve_cli_json_set(o, "shuffle", json_string(shuffle_name(job->data.shuffle)));
    reeve_cli_json_set(o, "sequence", json_integer(job->data.sequence));
    reeve_cli_json_set(o, "global_batch", json_integer(job->train.global_batch));
    reeve_cli_json_set(o, "micro_batch", json_integer(job->train.micro_batch));
    reeve_cli_json_set(o, "micro_batches_per_step", json_integer(reeve_plan_micro_batches(p->plan)));
    reeve_cli_json_set(o, "steps", reeve_cli_json_u64(job->train.steps));
    reeve_cli_json_set(o, "shards", json_integer(p->manifest->shard_count));
    reeve_cli_json_set(o, "epoch_samples", reeve_cli_json_u64(epoch));
    reeve_cli_json_set(o, "heldout_samples", reeve_cli_json_u64(reeve_plan_heldout_samples(p->plan)));
    reeve_cli_json_set(o, "eval_batches", json_integer(reeve_plan_eval_batches(p->plan)));
    reeve_cli_json_set(o, "dropped_tokens", reeve_cli_json_u64(reeve_plan_dropped_tokens(p->plan)));
    reeve_cli_json_set(o, "epoch_steps", json_real((double)epoch / job->train.global_batch));
    reeve_cli_json_set(o, "epochs", json_real(epochs_of(p)));
    return reeve_cli_print_json(o);
}

static int summary_text(const struct reeve_planned *p)
{
    const struct reeve_job *job = &p->job;
    char a[32], b[32], hex[REEVE_DIGEST_HEX_BYTES];
    uint64_t epoch = reeve_plan_epoch_samples(p->plan), heldout = reeve_plan_heldout_samples(p->plan);
    uint64_t step_tokens = (uint64_t)job->train.global_batch * job->data.sequence;
    reeve_digest_hex(p->manifest->digest, hex);
    (void)printf("job        %s: %s steps of %u samples of %u tokens (%s tokens a step)\n", job->name,
                 reeve_cli_format_count(job->train.steps, a), job->train.global_batch, job->data.sequence,
                 reeve_cli_format_count(step_tokens, b));
    (void)printf("data       %s: %u shards, digest %s%s\n", p->manifest->dataset, p->manifest->shard_count, hex,
                 p->from_lock ? "" : " (measured now: there is no lock)");
    (void)printf("order      seed %" PRIu64 ", shuffle %s\n", job->seed, shuffle_name(job->data.shuffle));
    (void)printf("epoch      %s samples, %.2f steps\n", reeve_cli_format_count(epoch, a),
                 (double)epoch / job->train.global_batch);
    (void)printf("training   %.2f epochs: %s samples\n", epochs_of(p),
                 reeve_cli_format_count(job->train.steps * job->train.global_batch, a));
    (void)printf("a step     %u micro-batches of %u samples\n", reeve_plan_micro_batches(p->plan),
                 job->train.micro_batch);
    (void)printf("held out   %s samples, %u micro-batches an evaluation\n", reeve_cli_format_count(heldout, a),
                 reeve_plan_eval_batches(p->plan));
    (void)printf("never read %s tokens behind the last sample of their shard\n",
                 reeve_cli_format_count(reeve_plan_dropped_tokens(p->plan), a));
    return REEVE_EXIT_DONE;
}

int reeve_plan_print_summary(const struct reeve_planned *p, bool json)
{
    return json ? summary_json(p) : summary_text(p);
}

static json_t *sample_json(const struct reeve_planned *p, const struct reeve_sample *s)
{
    json_t *o = json_object();
    reeve_cli_json_set(o, "shard", json_integer(s->shard.v));
    reeve_cli_json_set(o, "path", reeve_cli_json_text(reeve_manifest_path(p->manifest, s->shard)));
    reeve_cli_json_set(o, "epoch", reeve_cli_json_u64(s->epoch));
    reeve_cli_json_set(o, "visit", json_integer(s->visit));
    reeve_cli_json_set(o, "sample", reeve_cli_json_u64(s->index));
    reeve_cli_json_set(o, "ordinal", reeve_cli_json_u64(s->ordinal));
    reeve_cli_json_set(o, "token_begin", reeve_cli_json_u64(s->token_offset));
    reeve_cli_json_set(o, "token_end", reeve_cli_json_u64(s->token_offset + p->job.data.sequence + 1));
    return o;
}

static json_t *micro_json(const struct reeve_planned *p, uint32_t micro, const struct reeve_sample *samples)
{
    json_t *o = json_object(), *list = json_array();
    reeve_cli_json_set(o, "micro_batch", json_integer(micro));
    for (uint32_t i = 0; i < p->job.train.micro_batch; i++)
        reeve_cli_json_append(list, sample_json(p, &samples[i]));
    reeve_cli_json_set(o, "samples", list);
    return o;
}

static void micro_text(const struct reeve_planned *p, uint32_t micro, const struct reeve_sample *samples)
{
    (void)printf("  micro-batch %u\n", micro);
    for (uint32_t i = 0; i < p->job.train.micro_batch; i++) {
        const struct reeve_sample *s = &samples[i];
        (void)printf("    epoch %" PRIu64 "  visit %u  sample %-8" PRIu64 " tokens %" PRIu64 "-%" PRIu64 "  %s\n",
                     s->epoch, s->visit, s->index, s->token_offset, s->token_offset + p->job.data.sequence,
                     reeve_manifest_path(p->manifest, s->shard));
    }
}

/* One step; to `list` if there is one, to stdout otherwise. samples has room for a micro-batch. */
static reeve_status print_step(const struct reeve_planned *p, uint64_t step, struct reeve_sample *samples, json_t *list,
                               struct reeve_error *err)
{
    json_t *micro_list = json_array();
    reeve_status st = REEVE_OK;
    if (list == NULL) (void)printf("step %" PRIu64 "\n", step);
    for (uint32_t m = 0; m < reeve_plan_micro_batches(p->plan) && st == REEVE_OK; m++) {
        st = reeve_plan_micro_batch(p->plan, step, m, samples, err);
        if (st != REEVE_OK) break;
        if (list == NULL) micro_text(p, m, samples);
        else reeve_cli_json_append(micro_list, micro_json(p, m, samples));
    }
    if (list == NULL || st != REEVE_OK) {
        json_decref(micro_list);
        return st;
    }
    json_t *o = json_object();
    reeve_cli_json_set(o, "step", reeve_cli_json_u64(step));
    reeve_cli_json_set(o, "micro_batches", micro_list);
    reeve_cli_json_append(list, o);
    return REEVE_OK;
}

int reeve_plan_print_steps(const struct reeve_planned *p, uint64_t first, uint64_t last, bool json)
{
    struct reeve_error err = {0};
    uint64_t steps_max = JSON_SAMPLES_MAX / p->job.train.global_batch + 1;
    if (json && last - first >= steps_max)
        return reeve_cli_fail_text(REEVE_EXIT_USAGE, "plan: with --json at most %" PRIu64 " steps of this job at once",
                                   steps_max);
    struct reeve_sample *samples = calloc(p->job.train.micro_batch, sizeof *samples);
    if (samples == NULL) return reeve_cli_fail_text(REEVE_EXIT_INTERNAL, "plan: out of memory");
    json_t *list = json ? json_array() : NULL;
    reeve_status st = REEVE_OK;
    for (uint64_t step = first; step <= last && st == REEVE_OK && !ferror(stdout); step++)
        st = print_step(p, step, samples, list, &err);
    free(samples);
    if (st != REEVE_OK) {
        json_decref(list);
        return reeve_cli_fail(&err);
    }
    if (!json) return REEVE_EXIT_DONE;
    json_t *o = reeve_cli_json_object();
    reeve_cli_json_set(o, "manifest_digest", reeve_cli_json_digest(p->manifest->digest));
    reeve_cli_json_set(o, "sequence", json_integer(p->job.data.sequence));
    reeve_cli_json_set(o, "steps", list);
    return reeve_cli_print_json(o);
}
