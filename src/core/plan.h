/* The plan: which samples each micro-batch of each step reads. A pure function of the manifest and a few numbers;
 * it knows nothing of ranks, workers, time or failures. That is what makes every run the same run.
 *
 * Rules (docs/plan.md proves them):
 *  - A shard of n tokens holds floor((n - 1) / T) samples of T + 1 tokens that advance by T. The up to T tokens behind
 *    the last sample are never read. Samples do not cross shards.
 *  - The held-out part is the last samples of each shard, as many as make floor(holdout * samples) in all, spread by
 *    cumulative rounding in manifest order. Weights do not multiply it. The rest is the training part.
 *  - An epoch visits every training sample of a shard of weight w exactly w times: N visits in all.
 *  - Step s (1-based) takes positions [(s-1)*B, s*B) of the endless sequence epoch 0, epoch 1, ...: a batch may cross
 *    an epoch's end, and no sample is dropped or repeated there. Micro-batch m takes its B/b-th part, in order.
 *  - Shuffle `none`: manifest order. `block`: the shards in another order each epoch, and the visits within each run
 *    of block_shards shards permuted. `global`: all N visits permuted. Another permutation each epoch.
 * Memory: O(shards), whatever the number of samples. */
#ifndef REEVE_CORE_PLAN_H
#define REEVE_CORE_PLAN_H

#include "core/manifest.h"

enum reeve_shuffle { REEVE_SHUFFLE_NONE = 0, REEVE_SHUFFLE_BLOCK = 1, REEVE_SHUFFLE_GLOBAL = 2 };

#define REEVE_PLAN_MICRO_BATCHES_MAX ((uint32_t)1 << 24) /* tasks of a step or an evaluation; the exact sum's bound */

struct reeve_plan_config {
    uint64_t seed;
    uint32_t shuffle;       /* enum reeve_shuffle */
    uint32_t block_shards;  /* shards in a block of shuffle `block`, >= 1 */
    uint32_t sequence;      /* T >= 1 */
    uint32_t global_batch;  /* B samples a step; a multiple of micro_batch */
    uint32_t micro_batch;   /* b samples a task */
    uint32_t holdout_ppm;   /* held-out part in millionths, 0..999999 */
};

struct reeve_sample {
    reeve_shard_id shard;
    uint32_t visit;          /* 0..weight-1; 0 for held-out samples */
    uint64_t index;          /* sample within the shard */
    uint64_t token_offset;   /* index * T: its first token within the shard */
    uint64_t epoch;          /* 0-based; 0 for held-out samples */
    uint64_t ordinal;        /* dense number of the visit within its epoch, 0..N-1, whatever the shuffle (for audit):
                              * its place in `none` order. Held-out samples: their place among the held-out */
};

typedef struct reeve_plan reeve_plan; /* not thread-safe: it caches the permutations of the current epochs */

/* manifest is borrowed until destroy. INPUT_INVALID: a value out of range, or no training sample at all. */
reeve_status reeve_plan_create(const struct reeve_manifest *manifest, const struct reeve_plan_config *config,
                               reeve_plan **out, struct reeve_error *err);
void reeve_plan_destroy(reeve_plan *p);

uint64_t reeve_plan_epoch_samples(const reeve_plan *p);     /* N, training visits of an epoch */
uint64_t reeve_plan_heldout_samples(const reeve_plan *p);   /* held-out samples */
uint64_t reeve_plan_dropped_tokens(const reeve_plan *p);    /* tokens behind their shard's last sample */
uint64_t reeve_plan_shard_samples(const reeve_plan *p, reeve_shard_id shard);         /* training and held-out */
uint64_t reeve_plan_shard_heldout(const reeve_plan *p, reeve_shard_id shard);
uint32_t reeve_plan_step_samples(const reeve_plan *p);      /* B */
uint32_t reeve_plan_micro_batches(const reeve_plan *p);     /* M = B / b, tasks of a step */
uint32_t reeve_plan_eval_batches(const reeve_plan *p);      /* ceil(held-out / b) */

/* The samples of one micro-batch. step >= 1, micro < M; out has room for b. Cost: O(b log shards), and with shuffle
 * `block` O(shards) when an epoch is entered that is not among the two kept. Allocates nothing; always OK today. */
reeve_status reeve_plan_micro_batch(reeve_plan *p, uint64_t step, uint32_t micro, struct reeve_sample *out,
                                    struct reeve_error *err);

/* The samples of one evaluation batch, in manifest order; *count is b but for the last batch. */
void reeve_plan_eval_batch(const reeve_plan *p, uint32_t batch, struct reeve_sample *out, uint32_t *count);

/* The step number under which an evaluation after `step` counts its coverage words. */
#define REEVE_PLAN_EVAL_STEP(step) ((step) | (uint64_t)1 << 63)

/* One word per (step, micro): hash of their numbers and the plan's identity, never 0. The sum mod 2^64 over a step's
 * micro-batches travels through the reduction, and proves that each was added exactly once. */
uint64_t reeve_plan_coverage_word(const reeve_plan *p, uint64_t step, uint32_t micro);
uint64_t reeve_plan_coverage_step(const reeve_plan *p, uint64_t step); /* the sum over all of a step's micro-batches */

#endif
