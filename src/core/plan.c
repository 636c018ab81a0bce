/* The plan; see plan.h for the rules and docs/plan.md for why they visit everything once.
 *
 * A position of the endless sequence becomes (epoch, place in the epoch); the shuffle turns the place into a visit of a
 * shard; prefix sums over shards, with a guide that says where to look in them, do the rest. Shards without samples have
 * empty ranges in the prefix sums and are never found. */
#include "core/plan.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/pages.h"
#include "base/random.h"
#include "core/permutation.h"

typedef unsigned __int128 u128;

#define PPM 1000000u
#define SAMPLES_MAX ((uint64_t)1 << 62)

/* Streams of the seed that are the plan's own: each names one use. */
#define STREAM_EPOCH 0x706c616e65706f63u /* "planepoc" */
#define STREAM_BLOCK 0x706c616e626c6f63u /* "planbloc" */
#define STREAM_ORDER 0x706c616e6f726465u /* "planorde" */

#define BLOCK_NONE UINT64_MAX

/* The permutations of one epoch. Two are kept: a step may lie in two epochs, and the next one is looked at early. */
struct plan_epoch {
    bool filled;
    uint64_t epoch, key;
    uint32_t *order;       /* (shard_count,) owned; shuffle `block`: the shard at each place */
    uint64_t *order_first; /* (shard_count + 1,) owned; visits before each place of `order` */
    uint64_t block;        /* of `permutation`, BLOCK_NONE: none yet; shuffle `block` */
    uint64_t begin, end;   /* its shards: places of `order` */
    struct reeve_permutation permutation;
};

struct reeve_plan {
    const struct reeve_manifest *manifest; /* borrowed until destroy */
    struct reeve_plan_config config;
    uint64_t *visit_first;   /* (shard_count + 1,) owned; training visits before each shard, in manifest order */
    uint64_t *heldout_first; /* (shard_count + 1,) owned; held-out samples before each shard */
    uint32_t *guide; /* (guide_count + 1,) owned; the shard of visit g << guide_shift, the last shard at the end */
    uint64_t guide_count;
    unsigned guide_shift;
    uint64_t visits; /* N */
    uint64_t dropped_tokens;
    uint64_t identity;           /* digest of the manifest and the configuration */
    struct plan_epoch epochs[2]; /* epoch e is in slot e % 2 */
};

/* ---- create ---- */

static reeve_status check_config(const struct reeve_plan_config *c, struct reeve_error *err)
{
    if (c->shuffle > REEVE_SHUFFLE_GLOBAL)
        return reeve_fail(err, REEVE_INPUT_INVALID, "data.shuffle: %" PRIu32 "; expected none, block or global",
                          c->shuffle);
    if (c->block_shards < 1)
        return reeve_fail(err, REEVE_INPUT_INVALID, "data.block_shards: 0; expected at least 1 shard in a block");
    if (c->sequence < 1) return reeve_fail(err, REEVE_INPUT_INVALID, "data.sequence: 0; expected at least 1 token");
    if (c->micro_batch < 1)
        return reeve_fail(err, REEVE_INPUT_INVALID, "train.micro_batch: 0; expected at least 1 sample");
    if (c->global_batch < c->micro_batch || c->global_batch % c->micro_batch != 0)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "train.global_batch: %" PRIu32 "; expected a multiple of train.micro_batch, %" PRIu32,
                          c->global_batch, c->micro_batch);
    if (c->global_batch / c->micro_batch > REEVE_PLAN_MICRO_BATCHES_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "train.micro_batch: %" PRIu32 " makes %" PRIu32 " tasks of a step; expected at most %u, so "
                          "choose a larger one",
                          c->micro_batch, c->global_batch / c->micro_batch, REEVE_PLAN_MICRO_BATCHES_MAX);
    if (c->holdout_ppm >= PPM)
        return reeve_fail(err, REEVE_INPUT_INVALID, "data.holdout: %" PRIu32 " millionths; expected 0 to 999999",
                          c->holdout_ppm);
    return REEVE_OK;
}

static uint64_t samples_of(const struct reeve_shard *s, uint32_t sequence)
{
    return s->token_count > 0 ? (s->token_count - 1) / sequence : 0;
}

/* What is held out of the first `samples` of the manifest: differences of this spread the rounding over the shards, and
 * give each shard at most its own number of samples. */
static uint64_t heldout_of(u128 samples, uint32_t ppm)
{
    return (uint64_t)(samples * ppm / PPM);
}

/* Prefix sums over shards, in manifest order. */
static reeve_status count_samples(reeve_plan *p, struct reeve_error *err)
{
    u128 samples_before = 0, visits = 0, dropped = 0;
    for (uint32_t i = 0; i < p->manifest->shard_count; i++) {
        const struct reeve_shard *s = &p->manifest->shards[i];
        uint64_t samples = samples_of(s, p->config.sequence);
        uint64_t heldout = heldout_of(samples_before + samples, p->config.holdout_ppm) -
                           heldout_of(samples_before, p->config.holdout_ppm);
        p->visit_first[i] = (uint64_t)visits;
        p->heldout_first[i] = heldout_of(samples_before, p->config.holdout_ppm);
        samples_before += samples;
        visits += (u128)(samples - heldout) * s->weight;
        dropped += samples > 0 ? s->token_count - 1 - samples * p->config.sequence : s->token_count;
        if (visits >= SAMPLES_MAX || samples_before >= SAMPLES_MAX || dropped >= SAMPLES_MAX)
            return reeve_fail(err, REEVE_INPUT_INVALID,
                              "manifest: shard %" PRIu32 " (%s) brings an epoch to 2^62 samples or more", i,
                              reeve_manifest_path(p->manifest, (reeve_shard_id){i}));
    }
    p->visit_first[p->manifest->shard_count] = p->visits = (uint64_t)visits;
    p->heldout_first[p->manifest->shard_count] = heldout_of(samples_before, p->config.holdout_ppm);
    p->dropped_tokens = (uint64_t)dropped;
    if (visits == 0)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "no training sample: %" PRIu32 " shards hold %" PRIu64 " samples of %" PRIu32
                          " tokens and one more, and %" PRIu64
                          " of them are held out; add data, or lower data.sequence "
                          "or data.holdout",
                          p->manifest->shard_count, (uint64_t)samples_before, p->config.sequence,
                          p->heldout_first[p->manifest->shard_count]);
    return REEVE_OK;
}

static reeve_status check_heldout(const reeve_plan *p, struct reeve_error *err)
{
    uint64_t heldout = reeve_plan_heldout_samples(p);
    uint64_t batches = heldout / p->config.micro_batch + (heldout % p->config.micro_batch != 0);
    if (batches <= REEVE_PLAN_MICRO_BATCHES_MAX) return REEVE_OK;
    return reeve_fail(err, REEVE_INPUT_INVALID,
                      "data.holdout: %" PRIu64 " samples are held out, %" PRIu64 " tasks of an evaluation; expected at "
                      "most %u, so lower it, or choose a larger train.micro_batch",
                      heldout, batches, REEVE_PLAN_MICRO_BATCHES_MAX);
}

/* Where to look for a visit: the shards between two entries of the guide, mostly one or two, instead of all of them.
 * Source: Chen, Asau, "On generating random variates from an empirical distribution", AIIE Trans. 6 (1974). */
static bool make_guide(reeve_plan *p)
{
    uint32_t shards = p->manifest->shard_count;
    while ((p->visits - 1) >> p->guide_shift >= shards)
        p->guide_shift++;
    p->guide_count = ((p->visits - 1) >> p->guide_shift) + 1;
    p->guide = reeve_pages_take(p->guide_count + 1, sizeof(*p->guide));
    if (p->guide == NULL) return false;
    for (uint64_t g = 0, shard = 0; g < p->guide_count; g++) {
        while (p->visit_first[shard + 1] <= g << p->guide_shift)
            shard++;
        p->guide[g] = (uint32_t)shard;
    }
    p->guide[p->guide_count] = shards - 1;
    return true;
}

static uint64_t identity_of(const struct reeve_manifest *m, const struct reeve_plan_config *c)
{
    struct reeve_digest manifest = reeve_manifest_digest(m);
    const uint64_t values[] = {c->seed,         c->shuffle,     c->block_shards, c->sequence,
                               c->global_batch, c->micro_batch, c->holdout_ppm};
    uint8_t bytes[sizeof(manifest.bytes) + sizeof(values)];
    size_t n = 0;
    for (size_t i = 0; i < sizeof(manifest.bytes); i++)
        bytes[n++] = manifest.bytes[i];
    for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++)
        for (int i = 0; i < 8; i++)
            bytes[n++] = (uint8_t)(values[v] >> (8 * i));
    return reeve_digest64(bytes, n, 0);
}

static bool allocate(reeve_plan *p)
{
    size_t n = p->manifest->shard_count;
    p->visit_first = reeve_pages_take(n + 1, sizeof(*p->visit_first));
    p->heldout_first = reeve_pages_take(n + 1, sizeof(*p->heldout_first));
    if (p->visit_first == NULL || p->heldout_first == NULL) return false;
    for (int e = 0; e < 2 && p->config.shuffle == REEVE_SHUFFLE_BLOCK; e++) {
        p->epochs[e].order = reeve_pages_take(n, sizeof(*p->epochs[e].order));
        p->epochs[e].order_first = reeve_pages_take(n + 1, sizeof(*p->epochs[e].order_first));
        if (p->epochs[e].order == NULL || p->epochs[e].order_first == NULL) return false;
    }
    return true;
}

static reeve_status out_of_memory(const struct reeve_manifest *m, struct reeve_error *err)
{
    return reeve_fail(err, REEVE_JOB_NO_MEMORY, "plan of %" PRIu32 " shards: out of memory", m->shard_count);
}

reeve_status reeve_plan_create(const struct reeve_manifest *manifest, const struct reeve_plan_config *config,
                               reeve_plan **out, struct reeve_error *err)
{
    reeve_status st = check_config(config, err);
    if (st != REEVE_OK) return st;
    if (manifest->shard_count == 0) return reeve_fail(err, REEVE_INPUT_INVALID, "manifest: no shard to train on");
    reeve_plan *p = calloc(1, sizeof(*p));
    if (p == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "plan: out of memory");
    p->manifest = manifest;
    p->config = *config;
    if (!allocate(p)) st = out_of_memory(manifest, err);
    if (st == REEVE_OK) st = count_samples(p, err);
    if (st == REEVE_OK) st = check_heldout(p, err);
    if (st == REEVE_OK && !make_guide(p)) st = out_of_memory(manifest, err);
    if (st != REEVE_OK) {
        reeve_plan_destroy(p);
        return st;
    }
    p->identity = identity_of(manifest, config);
    *out = p;
    return REEVE_OK;
}

void reeve_plan_destroy(reeve_plan *p)
{
    if (p == NULL) return;
    size_t n = p->manifest->shard_count;
    for (int e = 0; e < 2; e++) {
        reeve_pages_give_back(p->epochs[e].order_first, n + 1, sizeof(*p->epochs[e].order_first));
        reeve_pages_give_back(p->epochs[e].order, n, sizeof(*p->epochs[e].order));
    }
    reeve_pages_give_back(p->guide, p->guide_count + 1, sizeof(*p->guide));
    reeve_pages_give_back(p->heldout_first, n + 1, sizeof(*p->heldout_first));
    reeve_pages_give_back(p->visit_first, n + 1, sizeof(*p->visit_first));
    free(p);
}

/* ---- numbers ---- */

uint64_t reeve_plan_epoch_samples(const reeve_plan *p)
{
    return p->visits;
}

uint64_t reeve_plan_heldout_samples(const reeve_plan *p)
{
    return p->heldout_first[p->manifest->shard_count];
}

uint64_t reeve_plan_dropped_tokens(const reeve_plan *p)
{
    return p->dropped_tokens;
}

uint64_t reeve_plan_shard_samples(const reeve_plan *p, reeve_shard_id shard)
{
    REEVE_ASSERT(shard.v < p->manifest->shard_count);
    return samples_of(&p->manifest->shards[shard.v], p->config.sequence);
}

uint64_t reeve_plan_shard_heldout(const reeve_plan *p, reeve_shard_id shard)
{
    REEVE_ASSERT(shard.v < p->manifest->shard_count);
    return p->heldout_first[shard.v + 1] - p->heldout_first[shard.v];
}

uint32_t reeve_plan_step_samples(const reeve_plan *p)
{
    return p->config.global_batch;
}

uint32_t reeve_plan_micro_batches(const reeve_plan *p)
{
    return p->config.global_batch / p->config.micro_batch;
}

uint32_t reeve_plan_eval_batches(const reeve_plan *p)
{
    uint64_t heldout = reeve_plan_heldout_samples(p);
    return (uint32_t)(heldout / p->config.micro_batch + (heldout % p->config.micro_batch != 0));
}

/* Each of them is visited `weight` times an epoch. */
static uint64_t shard_training(const reeve_plan *p, uint32_t shard)
{
    uint64_t visits = p->visit_first[shard + 1] - p->visit_first[shard];
    uint32_t weight = p->manifest->shards[shard].weight;
    return weight == 1 ? visits : visits / weight;
}

/* ---- the shuffle ---- */

/* The last i in [low, high) with first[i] <= at, where first does not decrease and first[low] <= at: the non-empty
 * range that holds `at`. */
static uint64_t find_range(const uint64_t *first, uint64_t low, uint64_t high, uint64_t at)
{
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (first[middle] <= at) low = middle;
        else high = middle;
    }
    return low;
}

/* Fisher and Yates, as in Knuth, "The art of computer programming", vol. 2, algorithm P. */
static void order_shards(const reeve_plan *p, struct plan_epoch *e)
{
    uint32_t n = p->manifest->shard_count;
    for (uint32_t i = 0; i < n; i++)
        e->order[i] = i;
    for (uint32_t i = n - 1; i > 0; i--) {
        uint32_t j = (uint32_t)reeve_random_below(e->key, STREAM_ORDER, i, (uint64_t)i + 1);
        uint32_t swap = e->order[i];
        e->order[i] = e->order[j];
        e->order[j] = swap;
    }
    e->order_first[0] = 0;
    for (uint32_t i = 0; i < n; i++)
        e->order_first[i + 1] = e->order_first[i] + p->visit_first[e->order[i] + 1] - p->visit_first[e->order[i]];
}

static struct plan_epoch *enter_epoch(reeve_plan *p, uint64_t epoch)
{
    struct plan_epoch *e = &p->epochs[epoch % 2];
    if (e->filled && e->epoch == epoch) return e;
    e->filled = true;
    e->epoch = epoch;
    e->key = reeve_random_u64(p->config.seed, STREAM_EPOCH, epoch);
    e->block = BLOCK_NONE;
    if (p->config.shuffle == REEVE_SHUFFLE_BLOCK) order_shards(p, e);
    if (p->config.shuffle == REEVE_SHUFFLE_GLOBAL) reeve_permutation_init(&e->permutation, e->key, p->visits);
    return e;
}

/* A visit of a shard, as its number in `none` order: `within` counts the shard's visits, samples first. */
static void fill_sample(const reeve_plan *p, uint64_t epoch, uint32_t shard, uint64_t within, struct reeve_sample *out)
{
    uint64_t training = shard_training(p, shard);
    out->shard = (reeve_shard_id){shard};
    out->visit = within < training ? 0 : (uint32_t)(within / training);
    out->index = within - out->visit * training;
    out->token_offset = out->index * p->config.sequence;
    out->epoch = epoch;
    out->ordinal = p->visit_first[shard] + within;
}

static void enter_block(const reeve_plan *p, struct plan_epoch *e, uint64_t block)
{
    uint64_t shards = p->manifest->shard_count;
    e->block = block;
    e->begin = block * p->config.block_shards;
    e->end = e->begin + p->config.block_shards < shards ? e->begin + p->config.block_shards : shards;
    uint64_t key = reeve_random_u64(e->key, STREAM_BLOCK, block);
    reeve_permutation_init(&e->permutation, key, e->order_first[e->end] - e->order_first[e->begin]);
}

static void sample_in_block(const reeve_plan *p, struct plan_epoch *e, uint64_t place, struct reeve_sample *out)
{
    if (e->block == BLOCK_NONE || place < e->order_first[e->begin] || place >= e->order_first[e->end])
        enter_block(p, e, find_range(e->order_first, 0, p->manifest->shard_count, place) / p->config.block_shards);
    uint64_t first = e->order_first[e->begin];
    uint64_t visit = first + reeve_permutation_image(&e->permutation, place - first);
    uint64_t at = find_range(e->order_first, e->begin, e->end, visit);
    fill_sample(p, e->epoch, e->order[at], visit - e->order_first[at], out);
}

/* The sample at a place of an epoch, 0..N-1. */
static void sample_at(const reeve_plan *p, struct plan_epoch *e, uint64_t place, struct reeve_sample *out)
{
    if (p->config.shuffle == REEVE_SHUFFLE_BLOCK) {
        sample_in_block(p, e, place, out);
        return;
    }
    if (p->config.shuffle == REEVE_SHUFFLE_GLOBAL) place = reeve_permutation_image(&e->permutation, place);
    const uint32_t *guide = &p->guide[place >> p->guide_shift];
    uint32_t shard = (uint32_t)find_range(p->visit_first, guide[0], (uint64_t)guide[1] + 1, place);
    fill_sample(p, e->epoch, shard, place - p->visit_first[shard], out);
}

reeve_status reeve_plan_micro_batch(reeve_plan *p, uint64_t step, uint32_t micro, struct reeve_sample *out,
                                    struct reeve_error *err)
{
    REEVE_ASSERT(step >= 1 && micro < reeve_plan_micro_batches(p));
    (void)err;
    u128 position = (u128)(step - 1) * p->config.global_batch + (u128)micro * p->config.micro_batch;
    uint64_t epoch = (uint64_t)(position / p->visits);
    uint64_t place = (uint64_t)(position % p->visits);
    struct plan_epoch *e = enter_epoch(p, epoch);
    for (uint32_t i = 0; i < p->config.micro_batch; i++) {
        sample_at(p, e, place, &out[i]);
        if (++place < p->visits) continue;
        place = 0;
        if (i + 1 < p->config.micro_batch) e = enter_epoch(p, ++epoch);
    }
    return REEVE_OK;
}

void reeve_plan_eval_batch(const reeve_plan *p, uint32_t batch, struct reeve_sample *out, uint32_t *count)
{
    REEVE_ASSERT(batch < reeve_plan_eval_batches(p));
    uint64_t begin = (uint64_t)batch * p->config.micro_batch;
    uint64_t left = reeve_plan_heldout_samples(p) - begin;
    uint32_t n = left < p->config.micro_batch ? (uint32_t)left : p->config.micro_batch;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t shard = (uint32_t)find_range(p->heldout_first, 0, p->manifest->shard_count, begin + i);
        uint64_t index = shard_training(p, shard) + (begin + i - p->heldout_first[shard]);
        out[i] = (struct reeve_sample){
            .shard = {shard},
            .index = index,
            .token_offset = index * p->config.sequence,
            .ordinal = begin + i,
        };
    }
    *count = n;
}

/* ---- coverage ---- */

uint64_t reeve_plan_coverage_word(const reeve_plan *p, uint64_t step, uint32_t micro)
{
    uint8_t bytes[16];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(step >> (8 * i));
        bytes[8 + i] = (uint8_t)((uint64_t)micro >> (8 * i));
    }
    uint64_t word = reeve_digest64(bytes, sizeof(bytes), p->identity);
    return word != 0 ? word : 1;
}

uint64_t reeve_plan_coverage_step(const reeve_plan *p, uint64_t step)
{
    uint64_t sum = 0;
    for (uint32_t m = 0; m < reeve_plan_micro_batches(p); m++)
        sum += reeve_plan_coverage_word(p, step, m);
    return sum;
}
