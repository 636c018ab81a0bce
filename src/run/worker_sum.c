/* See worker_sum.h. */
#include "run/worker_sum.h"

#include "base/digest.h"
#include "base/error.h"
#include "core/exact_sum.h"

void reeve_worker_sum_begin(struct reeve_worker_sum *s, uint64_t step, bool of_eval)
{
    s->stage = REEVE_SUM_STAGE_UNSETTLED;
    s->of_eval = of_eval;
    s->step = step;
}

void reeve_worker_sum_abandon(struct reeve_worker_sum *s)
{
    reeve_collective *host = s->collectives.host, *device = s->collectives.device;
    if (host != NULL) host->ops->abandon(host);
    if (device != NULL) device->ops->abandon(device);
    s->stage = REEVE_SUM_STAGE_NONE;
}

static reeve_status begin_words(struct reeve_worker_sum *s, struct reeve_error *err)
{
    reeve_collective *host = s->collectives.host;
    s->stage = REEVE_SUM_STAGE_WORDS;
    return host->ops->begin_sum_i64(host, s->vectors.in, s->vectors.out, s->vectors.count, err);
}

static reeve_status begin_device(struct reeve_worker_sum *s, struct reeve_error *err)
{
    const struct reeve_device_sum *d = &s->vectors.device;
    reeve_collective *device = s->collectives.device;
    s->stage = REEVE_SUM_STAGE_DEVICE;
    if (device == NULL) return reeve_fail(err, REEVE_JOB_INTERNAL, "no sum over GPUs");
    if (d->element == REEVE_DEVICE_F32) return device->ops->begin_sum_f32(device, d->in, d->out, d->count, err);
    return device->ops->begin_sum_i64(device, d->in, d->out, d->count, err);
}

static reeve_status begin_stages(struct reeve_worker_sum *s, struct reeve_error *err)
{
    reeve_collective *host = s->collectives.host;
    reeve_compute_get_sum(s->compute, s->of_eval, &s->vectors);
    if (s->vectors.fast_in == NULL) return begin_words(s, err);
    s->stage = REEVE_SUM_STAGE_FAST;
    return host->ops->begin_sum_f32(host, s->vectors.fast_in, s->vectors.fast_out, s->vectors.fast_count, err);
}

/* The stage at hand is done: the next one. */
static reeve_status next_stage(struct reeve_worker_sum *s, bool *whole, struct reeve_error *err)
{
    if (s->stage == REEVE_SUM_STAGE_FAST) return begin_words(s, err);
    if (s->stage == REEVE_SUM_STAGE_WORDS && s->vectors.device.count > 0) return begin_device(s, err);
    *whole = true;
    return REEVE_OK;
}

/* Of all that was added up: the words, over the gradient's digest where that lies elsewhere. */
static reeve_status digest_sum(struct reeve_worker_sum *s, uint64_t *digest, struct reeve_error *err)
{
    uint64_t gradient = 0;
    reeve_status st = REEVE_OK;
    if (s->vectors.fast_out != NULL)
        gradient = reeve_digest64(s->vectors.fast_out, s->vectors.fast_count * sizeof(float), 0);
    if (s->vectors.device.count > 0) st = reeve_compute_device_digest(s->compute, &gradient, err);
    *digest = reeve_digest64(s->vectors.out, s->vectors.count * sizeof(int64_t), gradient);
    return st;
}

static void word_reduced(const struct reeve_worker_sum *s, uint64_t digest, struct reeve_frame *reduced)
{
    const int64_t *words = s->vectors.words;
    uint64_t flagged = (uint64_t)words[REEVE_SUM_NONFINITE] + (uint64_t)words[REEVE_SUM_OVERFLOW];
    *reduced = (struct reeve_frame){
        .kind = REEVE_FRAME_REDUCED,
        .step = s->step,
        .task = (uint32_t)words[REEVE_SUM_SAMPLES],
        .arg = (uint32_t)words[REEVE_SUM_MEMBERS],
        .attempt = flagged > UINT32_MAX ? UINT32_MAX : (uint32_t)flagged,
        .a = digest,
        .b = (uint64_t)words[REEVE_SUM_COVERAGE],
        .c = (uint64_t)words[REEVE_SUM_LOSS],
        .d = (uint64_t)words[REEVE_SUM_TOKENS],
    };
}

reeve_status reeve_worker_sum_turn(struct reeve_worker_sum *s, bool *progress, bool *whole, struct reeve_frame *reduced,
                                   struct reeve_error *err)
{
    reeve_status st;
    uint64_t digest = 0;
    *whole = false;
    if (s->stage == REEVE_SUM_STAGE_NONE) return REEVE_OK;
    if (s->stage == REEVE_SUM_STAGE_UNSETTLED) {
        if (!reeve_compute_is_settled(s->compute)) return REEVE_OK;
        st = begin_stages(s, err);
    } else {
        reeve_collective *c = s->stage == REEVE_SUM_STAGE_DEVICE ? s->collectives.device : s->collectives.host;
        bool done = false;
        st = c->ops->test(c, &done, err);
        if (st == REEVE_OK && !done) return REEVE_OK;
        if (st == REEVE_OK) st = next_stage(s, whole, err);
        if (st == REEVE_OK && *whole) st = digest_sum(s, &digest, err);
    }
    *progress = true;
    if (st != REEVE_OK || !*whole) return st;
    word_reduced(s, digest, reduced);
    s->stage = REEVE_SUM_STAGE_NONE;
    return REEVE_OK;
}
