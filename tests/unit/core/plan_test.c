/* The plan against its rules: every visit of an epoch once, whatever the shuffle; the same samples as a slow twin that
 * lists them all; the tail of shards and epochs; what is held out; what is refused. */
#include "fixture.h"

#define SHARDS_MAX 12
#define VISITS_MAX 4096

/* A small random case: its manifest and configuration. */
struct fx_case {
    struct reeve_manifest *manifest;
    struct reeve_plan_config config;
    reeve_plan *plan;
};

static struct fx_case fx_case_random(struct fx_random *r)
{
    struct fx_case c = {0};
    uint64_t tokens[SHARDS_MAX];
    uint16_t weights[SHARDS_MAX];
    uint32_t shards = 1 + (uint32_t)fx_below(r, SHARDS_MAX);
    for (uint32_t i = 0; i < shards; i++) {
        tokens[i] = fx_below(r, 4) == 0 ? fx_below(r, 4) : fx_below(r, 200);
        weights[i] = (uint16_t)(1 + fx_below(r, 3));
    }
    tokens[fx_below(r, shards)] = 60; /* at least one sample, and one that is not held out */
    uint32_t micro = 1 + (uint32_t)fx_below(r, 4);
    c.config = (struct reeve_plan_config){
        .seed = fx_u64(r),
        .shuffle = (uint32_t)fx_below(r, 3),
        .block_shards = 1 + (uint32_t)fx_below(r, shards + 2),
        .sequence = 1 + (uint32_t)fx_below(r, 20),
        .micro_batch = micro,
        .global_batch = micro * (1 + (uint32_t)fx_below(r, 5)),
        .holdout_ppm = fx_below(r, 2) == 0 ? 0 : (uint32_t)fx_below(r, 600000),
    };
    c.manifest = fx_manifest(shards, tokens, weights);
    c.plan = fx_plan(c.manifest, &c.config);
    return c;
}

static void fx_case_end(struct fx_case *c)
{
    reeve_plan_destroy(c->plan);
    reeve_manifest_destroy(c->manifest);
}

static uint64_t fx_samples(const struct fx_case *c, uint32_t shard)
{
    uint64_t n = c->manifest->shards[shard].token_count;
    return n > 0 ? (n - 1) / c->config.sequence : 0;
}

/* All visits of an epoch in `none` order, by the rules alone: the naive twin. */
static uint64_t fx_list_visits(const struct fx_case *c, struct reeve_sample *out)
{
    uint64_t n = 0;
    for (uint32_t s = 0; s < c->manifest->shard_count; s++) {
        uint64_t training = fx_samples(c, s) - reeve_plan_shard_heldout(c->plan, (reeve_shard_id){s});
        for (uint32_t visit = 0; visit < c->manifest->shards[s].weight; visit++)
            for (uint64_t i = 0; i < training; i++) {
                assert_true(n < VISITS_MAX);
                out[n] = (struct reeve_sample){
                    .shard = {s}, .visit = visit, .index = i, .token_offset = i * c->config.sequence, .ordinal = n};
                n++;
            }
    }
    return n;
}

/* The sample at a position of the endless sequence. */
static struct reeve_sample fx_at(struct fx_case *c, uint64_t position)
{
    struct reeve_sample samples[4];
    uint64_t in_step = position % c->config.global_batch;
    assert_int_equal(reeve_plan_micro_batch(c->plan, position / c->config.global_batch + 1,
                                            (uint32_t)(in_step / c->config.micro_batch), samples, NULL), REEVE_OK);
    return samples[in_step % c->config.micro_batch];
}

static bool same_visit(const struct reeve_sample *a, const struct reeve_sample *b)
{
    return a->shard.v == b->shard.v && a->visit == b->visit && a->index == b->index &&
           a->token_offset == b->token_offset && a->ordinal == b->ordinal;
}

static void plan_reads_each_visit_of_an_epoch_once_under_every_shuffle(void **state)
{ /* Goal: P2's ground. Method: 300 random cases, three epochs each, against the list of the naive twin. */
    struct fx_random r = fx_random_fresh();
    static struct reeve_sample visits[VISITS_MAX];
    static uint8_t seen[VISITS_MAX];
    for (int n = 0; n < 300; n++) {
        struct fx_case c = fx_case_random(&r);
        uint64_t count = fx_list_visits(&c, visits);
        assert_int_equal(count, reeve_plan_epoch_samples(c.plan));
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            memset(seen, 0, sizeof(seen));
            for (uint64_t i = 0; i < count; i++) {
                struct reeve_sample s = fx_at(&c, epoch * count + i);
                assert_int_equal(s.epoch, epoch);
                assert_true(s.ordinal < count);
                assert_true(same_visit(&s, &visits[s.ordinal]));
                assert_int_equal(seen[s.ordinal]++, 0);
                if (c.config.shuffle == REEVE_SHUFFLE_NONE) assert_int_equal(s.ordinal, i);
            }
        }
        fx_case_end(&c);
    }
}

static void plan_gives_the_same_samples_whatever_was_asked_before(void **state)
{ /* Goal: a pure function, though it caches. Method: ask in random order, and a fresh plan again in order. */
    struct fx_random r = fx_random_fresh();
    for (int n = 0; n < 100; n++) {
        struct fx_case c = fx_case_random(&r);
        reeve_plan *fresh = fx_plan(c.manifest, &c.config);
        for (int k = 0; k < 40; k++) {
            struct reeve_sample a[4], b[4];
            uint64_t step = 1 + fx_below(&r, 60);
            uint32_t micro = (uint32_t)fx_below(&r, reeve_plan_micro_batches(c.plan));
            (void)reeve_plan_micro_batch(c.plan, step, micro, a, NULL);
            if (k % 8 == 0) {
                reeve_plan_destroy(fresh);
                fresh = fx_plan(c.manifest, &c.config);
            }
            (void)reeve_plan_micro_batch(fresh, step, micro, b, NULL);
            for (uint32_t i = 0; i < c.config.micro_batch; i++) {
                assert_true(same_visit(&a[i], &b[i]));
                assert_int_equal(a[i].epoch, b[i].epoch);
            }
        }
        reeve_plan_destroy(fresh);
        fx_case_end(&c);
    }
}

static void plan_holds_out_the_last_samples_of_each_shard_and_never_trains_on_them(void **state)
{ /* Goal: training and held-out part do not meet, and the part is as large as asked. Method: random cases. */
    struct fx_random r = fx_random_fresh();
    for (int n = 0; n < 300; n++) {
        struct fx_case c = fx_case_random(&r);
        uint64_t samples = 0, heldout = 0, next = 0;
        for (uint32_t s = 0; s < c.manifest->shard_count; s++) {
            assert_int_equal(reeve_plan_shard_samples(c.plan, (reeve_shard_id){s}), fx_samples(&c, s));
            assert_true(reeve_plan_shard_heldout(c.plan, (reeve_shard_id){s}) <= fx_samples(&c, s));
            samples += fx_samples(&c, s);
            heldout += reeve_plan_shard_heldout(c.plan, (reeve_shard_id){s});
            assert_int_equal(heldout, samples * c.config.holdout_ppm / 1000000); /* at every shard, not only the last */
        }
        assert_int_equal(heldout, reeve_plan_heldout_samples(c.plan));
        uint32_t batches = reeve_plan_eval_batches(c.plan);
        assert_int_equal(batches, (heldout + c.config.micro_batch - 1) / c.config.micro_batch);
        for (uint32_t b = 0; b < batches; b++) {
            struct reeve_sample out[4];
            uint32_t count = 0;
            reeve_plan_eval_batch(c.plan, b, out, &count);
            assert_int_equal(count, b + 1 < batches ? c.config.micro_batch : heldout - next);
            for (uint32_t i = 0; i < count; i++) {
                uint64_t training =
                    fx_samples(&c, out[i].shard.v) - reeve_plan_shard_heldout(c.plan, out[i].shard);
                assert_in_range(out[i].index, training, fx_samples(&c, out[i].shard.v) - 1);
                assert_int_equal(out[i].token_offset, out[i].index * c.config.sequence);
                assert_int_equal(out[i].visit, 0);
                assert_int_equal(out[i].ordinal, next++);
            }
        }
        assert_int_equal(next, heldout);
        fx_case_end(&c);
    }
}

static void plan_cuts_a_shard_into_samples_of_one_token_more_than_the_sequence(void **state)
{ /* Goal: the rule for the tail of a shard. Method: 0 to 13 tokens at T = 4, by hand. */
    static const uint64_t samples[14] = {0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3};
    static const uint64_t dropped[14] = {0, 1, 2, 3, 4, 0, 1, 2, 3, 0, 1, 2, 3, 0};
    for (uint64_t n = 0; n < 14; n++) {
        uint64_t tokens[2] = {n, 5};
        struct reeve_manifest *m = fx_manifest(2, tokens, NULL);
        struct reeve_plan_config config = {.block_shards = 1, .sequence = 4, .global_batch = 1, .micro_batch = 1};
        reeve_plan *p = fx_plan(m, &config);
        assert_int_equal(reeve_plan_shard_samples(p, (reeve_shard_id){0}), samples[n]);
        assert_int_equal(reeve_plan_dropped_tokens(p), dropped[n]);
        assert_int_equal(reeve_plan_epoch_samples(p), samples[n] + 1);
        reeve_plan_destroy(p);
        reeve_manifest_destroy(m);
    }
}

static void plan_of_the_example_in_the_document_is_as_printed_there(void **state)
{ /* Goal: docs/plan.md tells the truth, and no change moves the samples of a run that is under way. Method: its example
   * under each shuffle, epochs 0 and 1. */
    uint64_t tokens[3] = {13, 3, 11};
    uint16_t weights[3] = {1, 1, 2};
    static const uint32_t shard[7] = {0, 0, 0, 2, 2, 2, 2}, offset[7] = {0, 4, 8, 0, 4, 0, 4}, visit[7] = {[5] = 1, 1};
    static const uint64_t order[3][14] = {{0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6},
                                          {3, 4, 6, 5, 1, 0, 2, 0, 1, 2, 4, 3, 6, 5},
                                          {6, 5, 1, 3, 2, 4, 0, 3, 1, 4, 6, 0, 2, 5}};
    for (uint32_t shuffle = 0; shuffle < 3; shuffle++) {
        struct fx_case c = {.manifest = fx_manifest(3, tokens, weights)};
        c.config = (struct reeve_plan_config){.seed = 7, .shuffle = shuffle, .block_shards = 2, .sequence = 4,
                                              .global_batch = 4, .micro_batch = 2};
        c.plan = fx_plan(c.manifest, &c.config);
        assert_int_equal(reeve_plan_epoch_samples(c.plan), 7);
        assert_int_equal(reeve_plan_dropped_tokens(c.plan), 5);
        for (uint64_t i = 0; i < 14; i++) {
            struct reeve_sample s = fx_at(&c, i);
            assert_int_equal(s.ordinal, order[shuffle][i]);
            assert_int_equal(s.shard.v, shard[s.ordinal]);
            assert_int_equal(s.token_offset, offset[s.ordinal]);
            assert_int_equal(s.visit, visit[s.ordinal]);
            assert_int_equal(s.epoch, i / 7);
        }
        fx_case_end(&c);
    }
}

static void plan_with_shuffle_block_stays_within_a_block_of_shards(void **state)
{ /* Goal: locality. Method: 12 shards in blocks of 3: each quarter of the epoch reads 3 shards and no other quarter. */
    struct fx_random r = fx_random_fresh();
    uint64_t tokens[12];
    for (int i = 0; i < 12; i++) tokens[i] = 101; /* 10 samples each */
    struct fx_case c = {.manifest = fx_manifest(12, tokens, NULL)};
    c.config = (struct reeve_plan_config){.seed = fx_u64(&r), .shuffle = REEVE_SHUFFLE_BLOCK, .block_shards = 3,
                                          .sequence = 10, .global_batch = 4, .micro_batch = 2};
    c.plan = fx_plan(c.manifest, &c.config);
    uint32_t orders_differ = 0, within_differs = 0;
    uint32_t first_epoch[120];
    for (uint64_t epoch = 0; epoch < 4; epoch++) {
        int block_of[12];
        for (int i = 0; i < 12; i++) block_of[i] = -1;
        for (uint64_t i = 0; i < 120; i++) {
            struct reeve_sample s = fx_at(&c, epoch * 120 + i);
            int block = (int)(i / 30);
            assert_true(block_of[s.shard.v] == -1 || block_of[s.shard.v] == block);
            block_of[s.shard.v] = block;
            if (epoch == 0) first_epoch[i] = s.shard.v;
            if (epoch > 0) orders_differ += s.shard.v != first_epoch[i];
            if (i % 30 > 0) within_differs += s.shard.v != fx_at(&c, epoch * 120 + i - 1).shard.v;
        }
    }
    assert_true(orders_differ > 100);  /* of 360: another order in each epoch */
    assert_true(within_differs > 100); /* of 464: shards are mixed within a block */
    fx_case_end(&c);
}

static uint32_t places_alike(struct fx_case *a, uint64_t from_a, struct fx_case *b, uint64_t from_b, uint32_t n)
{
    uint32_t alike = 0;
    for (uint32_t i = 0; i < n; i++) alike += fx_at(a, from_a + i).ordinal == fx_at(b, from_b + i).ordinal;
    return alike;
}

static void plan_shuffles_each_epoch_and_each_seed_differently(void **state)
{ /* Goal: another permutation for another epoch or seed. Method: count places alike of 500: 1 is expected by chance. */
    struct fx_random r = fx_random_fresh();
    uint64_t tokens[5] = {1001, 1001, 1001, 1001, 1001};
    for (uint32_t shuffle = REEVE_SHUFFLE_BLOCK; shuffle <= REEVE_SHUFFLE_GLOBAL; shuffle++) {
        struct fx_case a = {.manifest = fx_manifest(5, tokens, NULL)};
        a.config = (struct reeve_plan_config){.seed = fx_u64(&r), .shuffle = shuffle, .block_shards = 5,
                                              .sequence = 10, .global_batch = 4, .micro_batch = 4};
        struct fx_case b = a;
        b.config.seed ^= 1;
        a.plan = fx_plan(a.manifest, &a.config);
        b.plan = fx_plan(a.manifest, &b.config);
        assert_in_range(places_alike(&a, 0, &b, 0, 500), 0, 15);
        assert_in_range(places_alike(&a, 0, &a, 500, 500), 0, 15);
        assert_in_range(places_alike(&a, 500, &a, 1000, 500), 0, 15);
        assert_int_equal(places_alike(&a, 500, &a, 500, 500), 500);
        reeve_plan_destroy(b.plan);
        fx_case_end(&a);
    }
}

static void plan_of_a_trillion_samples_costs_memory_by_shard(void **state)
{ /* Goal: positions beyond 2^32 and steps beyond an epoch's end are right. Method: 2^60 tokens, far steps, an odd B. */
    uint64_t tokens[3] = {(uint64_t)1 << 60, 2, (uint64_t)1 << 60};
    for (uint32_t shuffle = 0; shuffle <= REEVE_SHUFFLE_GLOBAL; shuffle++) {
        struct fx_case c = {.manifest = fx_manifest(3, tokens, NULL)};
        c.config = (struct reeve_plan_config){.seed = 3, .shuffle = shuffle, .block_shards = 1, .sequence = 1024,
                                              .global_batch = 30000000, .micro_batch = 3};
        c.plan = fx_plan(c.manifest, &c.config);
        uint64_t per_shard = (((uint64_t)1 << 60) - 1) / 1024, visits = 2 * per_shard;
        assert_int_equal(reeve_plan_epoch_samples(c.plan), visits);
        struct reeve_sample out[3];
        uint64_t step = (uint64_t)1 << 40;
        unsigned __int128 position = (unsigned __int128)(step - 1) * c.config.global_batch + 3 * 9999999ull;
        (void)reeve_plan_micro_batch(c.plan, step, 9999999, out, NULL);
        for (int i = 0; i < 3; i++, position++) {
            assert_int_equal(out[i].epoch, (uint64_t)(position / visits));
            assert_true(out[i].index < per_shard && out[i].shard.v != 1);
            if (shuffle == 0) assert_int_equal(out[i].ordinal, (uint64_t)(position % visits));
        }
        fx_case_end(&c);
    }
}

static void plan_spans_several_epochs_in_one_micro_batch(void **state)
{ /* Goal: an epoch shorter than a micro-batch is legal. Method: N = 1, b = 4. */
    uint64_t tokens[1] = {2};
    for (uint32_t shuffle = 0; shuffle <= REEVE_SHUFFLE_GLOBAL; shuffle++) {
        struct fx_case c = {.manifest = fx_manifest(1, tokens, NULL)};
        c.config = (struct reeve_plan_config){.shuffle = shuffle, .block_shards = 1, .sequence = 1,
                                              .global_batch = 8, .micro_batch = 4};
        c.plan = fx_plan(c.manifest, &c.config);
        for (uint64_t i = 0; i < 16; i++) {
            assert_int_equal(fx_at(&c, i).epoch, i);
            assert_int_equal(fx_at(&c, i).ordinal, 0);
        }
        fx_case_end(&c);
    }
}

static void coverage_words_are_never_zero_and_tell_every_part_apart(void **state)
{ /* Goal: a word names (step, micro) and the plan. Method: no collision in 20000; every configuration value matters. */
    uint64_t tokens[2] = {1000, 500};
    struct reeve_manifest *m = fx_manifest(2, tokens, NULL);
    const struct reeve_plan_config base = {.seed = 1, .shuffle = 1, .block_shards = 2, .sequence = 8,
                                           .global_batch = 8, .micro_batch = 2, .holdout_ppm = 100000};
    reeve_plan *p = fx_plan(m, &base);
    for (uint64_t step = 1; step <= 5000; step++) {
        uint64_t sum = 0;
        for (uint32_t i = 0; i < 4; i++) {
            uint64_t word = reeve_plan_coverage_word(p, step, i);
            assert_int_not_equal(word, 0);
            assert_int_not_equal(word, reeve_plan_coverage_word(p, step, (i + 1) % 4));
            assert_int_not_equal(word, reeve_plan_coverage_word(p, REEVE_PLAN_EVAL_STEP(step), i));
            sum += word;
        }
        assert_int_equal(reeve_plan_coverage_step(p, step), sum);
        assert_int_not_equal(sum, reeve_plan_coverage_step(p, step + 1));
    }
    struct reeve_plan_config other[7] = {base, base, base, base, base, base, base};
    other[0].seed = 2;
    other[1].shuffle = 2;
    other[2].block_shards = 1;
    other[3].sequence = 9;
    other[4].global_batch = 16;
    other[5].micro_batch = 4;
    other[6].holdout_ppm = 100001;
    for (int i = 0; i < 7; i++) {
        reeve_plan *q = fx_plan(m, &other[i]);
        assert_int_not_equal(reeve_plan_coverage_word(p, 1, 0), reeve_plan_coverage_word(q, 1, 0));
        reeve_plan_destroy(q);
    }
    m->shards[1].digest.bytes[15] ^= 1;
    reeve_plan *q = fx_plan(m, &base);
    assert_int_not_equal(reeve_plan_coverage_word(p, 1, 0), reeve_plan_coverage_word(q, 1, 0));
    reeve_plan_destroy(q);
    reeve_plan_destroy(p);
    reeve_manifest_destroy(m);
}

static void refused(const struct reeve_manifest *m, struct reeve_plan_config config, const char *named)
{
    reeve_plan *p = NULL;
    struct reeve_error err = {0};
    assert_int_equal(reeve_plan_create(m, &config, &p, &err), REEVE_INPUT_INVALID);
    assert_null(p);
    if (strstr(err.text, named) == NULL) fail_msg("'%s' does not name %s", err.text, named);
}

static void plan_refuses_values_out_of_range_and_names_them(void **state)
{
    uint64_t tokens[2] = {100, 3};
    struct reeve_manifest *m = fx_manifest(2, tokens, NULL);
    const struct reeve_plan_config good = {.block_shards = 1, .sequence = 8, .global_batch = 8, .micro_batch = 2};
    struct reeve_plan_config c = good;
    reeve_plan_destroy(fx_plan(m, &c));
    c = good, c.shuffle = 3, refused(m, c, "data.shuffle");
    c = good, c.block_shards = 0, refused(m, c, "data.block_shards");
    c = good, c.sequence = 0, refused(m, c, "data.sequence");
    c = good, c.micro_batch = 0, refused(m, c, "train.micro_batch");
    c = good, c.global_batch = 0, refused(m, c, "train.global_batch");
    c = good, c.micro_batch = 3, refused(m, c, "train.global_batch");
    c = good, c.micro_batch = 16, refused(m, c, "train.global_batch");
    c = good, c.global_batch = UINT32_MAX, c.micro_batch = 1, refused(m, c, "train.micro_batch");
    c = good, c.holdout_ppm = 1000000, refused(m, c, "data.holdout");
    c = good, c.sequence = 100, refused(m, c, "no training sample");
    c = good, c.sequence = 99, c.holdout_ppm = 999999, reeve_plan_destroy(fx_plan(m, &c)); /* floor(0.99...) is 0 */
    reeve_manifest_destroy(m);
    uint64_t nothing[2] = {1, 0};
    m = fx_manifest(2, nothing, NULL);
    refused(m, good, "no training sample");
    reeve_manifest_destroy(m);
    m = fx_manifest(0, NULL, NULL);
    refused(m, good, "no shard");
    reeve_manifest_destroy(m);
    uint64_t huge[2] = {UINT64_MAX, UINT64_MAX};
    m = fx_manifest(2, huge, NULL);
    refused(m, (struct reeve_plan_config){.block_shards = 1, .sequence = 1, .global_batch = 1, .micro_batch = 1},
            "2^62");
    refused(m, (struct reeve_plan_config){.block_shards = 1, .sequence = 64, .global_batch = 1, .micro_batch = 1,
                                          .holdout_ppm = 500000}, "data.holdout");
    reeve_manifest_destroy(m);
    uint64_t many[1] = {((uint64_t)1 << 25) + 3}; /* held out: 2^24 + 1 of them, one task more than there may be */
    m = fx_manifest(1, many, NULL);
    c = (struct reeve_plan_config){
        .block_shards = 1, .sequence = 1, .global_batch = 1, .micro_batch = 1, .holdout_ppm = 500000};
    refused(m, c, "larger train.micro_batch");
    c.global_batch = c.micro_batch = 2, reeve_plan_destroy(fx_plan(m, &c));
    reeve_manifest_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_reads_each_visit_of_an_epoch_once_under_every_shuffle),
        cmocka_unit_test(plan_gives_the_same_samples_whatever_was_asked_before),
        cmocka_unit_test(plan_holds_out_the_last_samples_of_each_shard_and_never_trains_on_them),
        cmocka_unit_test(plan_cuts_a_shard_into_samples_of_one_token_more_than_the_sequence),
        cmocka_unit_test(plan_of_the_example_in_the_document_is_as_printed_there),
        cmocka_unit_test(plan_with_shuffle_block_stays_within_a_block_of_shards),
        cmocka_unit_test(plan_shuffles_each_epoch_and_each_seed_differently),
        cmocka_unit_test(plan_of_a_trillion_samples_costs_memory_by_shard),
        cmocka_unit_test(plan_spans_several_epochs_in_one_micro_batch),
        cmocka_unit_test(coverage_words_are_never_zero_and_tell_every_part_apart),
        cmocka_unit_test(plan_refuses_values_out_of_range_and_names_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
