/* The audit finds nothing wrong with what is right, counts truly, and survives what no master ever wrote. */
#include "audit_history.h"

#include "core/audit_leases.h"

static void audit_proves_exactly_once_for_any_correct_history(void **state)
{ /* Goal: no false alarm, and true counts. Method: 300 random histories against the generator's own counts. */
    struct fx_random r = fx_random_fresh();
    for (int n = 0; n < 300; n++) {
        struct generator g;
        history_generate(&g, (struct fx_random){r.seed + (uint64_t)n, 0}, 1 + (uint64_t)n % 40);
        struct reeve_audit_result result = history_audit(g.plan, &g.h);
        if (!result.exactly_once)
            fail_msg("history %d: %s", n, result.violations > 0 ? result.first_violation : "no violation");
        uint64_t refused = 0;
        for (uint64_t s = 1; s <= g.step; s++) refused += g.refused[s];
        assert_int_equal(result.steps, g.step);
        assert_int_equal(result.samples_expected, g.step * STEP_SAMPLES);
        assert_int_equal(result.samples_committed, g.step * STEP_SAMPLES);
        assert_int_equal(result.samples_refused, refused * STEP_SAMPLES);
        assert_int_equal(result.epochs_complete, g.step * STEP_SAMPLES / reeve_plan_epoch_samples(g.plan));
        assert_int_equal(result.rolled_back_steps, g.expect.rolled_back_steps);
        assert_int_equal(result.recomputed, g.expect.recomputed);
        assert_int_equal(result.restarts, g.expect.restarts);
        assert_int_equal(result.leases, g.expect.leases);
        assert_int_equal(result.stale + result.missing + result.duplicates, 0);
        history_generator_end(&g);
    }
}

static void audit_finds_nothing_wrong_with_any_beginning_of_a_history(void **state)
{ /* Goal: a run may die at any record. Method: cut one history behind each of its records. */
    struct fx_random r = fx_random_fresh();
    struct generator g;
    history_generate(&g, r, 25);
    struct history h = g.h;
    for (h.count = 0; h.count <= g.h.count; h.count++) {
        struct reeve_audit_result result = history_audit(g.plan, &h);
        if (!result.exactly_once) fail_msg("%zu records: %s", h.count, result.first_violation);
    }
    history_generator_end(&g);
}

static void audit_passes_over_volatile_events(void **state)
{ /* Goal: it can be fed by a live master. Method: a volatile event, which has no number, between all others. */
    struct generator g;
    history_generate(&g, fx_random_fresh(), 10);
    struct reeve_event beat = {.kind = REEVE_EVENT_HEARTBEAT, .worker = 1};
    reeve_audit *a = NULL;
    struct reeve_audit_result r;
    assert_int_equal(reeve_audit_create(g.plan, &a, NULL), REEVE_OK);
    for (size_t i = 0; i < g.h.count; i++) {
        assert_int_equal(reeve_audit_event(a, &beat, NULL), REEVE_OK);
        assert_int_equal(reeve_audit_event(a, &g.h.events[i], NULL), REEVE_OK);
    }
    assert_int_equal(reeve_audit_finish(a, &r, NULL), REEVE_OK);
    assert_true(r.exactly_once);
    reeve_audit_destroy(a);
    history_generator_end(&g);
}

static void audit_survives_any_records(void **state)
{ /* Goal: a journal is untrusted. Method: random fields in and out of range; it ends, and never proves nonsense. */
    struct fx_random r = fx_random_fresh();
    uint64_t tokens[1] = {50};
    struct reeve_manifest *m = fx_manifest(1, tokens, NULL);
    struct reeve_plan_config config = {.block_shards = 1, .sequence = 4, .global_batch = 4, .micro_batch = 2};
    reeve_plan *plan = fx_plan(m, &config);
    for (int n = 0; n < 200; n++) {
        reeve_audit *a = NULL;
        struct reeve_audit_result result;
        assert_int_equal(reeve_audit_create(plan, &a, NULL), REEVE_OK);
        for (uint64_t i = 0; i < 200; i++) {
            uint64_t wild = fx_below(&r, 10) == 0 ? UINT64_MAX : 4;
            struct reeve_event ev = {
                .lsn = i + 1 + (fx_below(&r, 20) == 0),
                .kind = (uint16_t)fx_below(&r, 26),
                .step = fx_below(&r, wild),
                .task = (uint32_t)fx_below(&r, wild),
                .worker = (uint32_t)fx_below(&r, 4),
                .attempt = (uint32_t)fx_below(&r, 2),
                .arg = (uint32_t)fx_below(&r, wild),
                .a = fx_below(&r, wild),
                .b = fx_below(&r, wild),
            };
            assert_int_equal(reeve_audit_event(a, &ev, NULL), REEVE_OK);
        }
        assert_int_equal(reeve_audit_finish(a, &result, NULL), REEVE_OK);
        assert_false(result.exactly_once);
        assert_int_equal(result.missing + result.samples_committed, result.samples_expected);
        reeve_audit_destroy(a);
    }
    reeve_plan_destroy(plan);
    reeve_manifest_destroy(m);
}

static void feed(reeve_audit *a, struct reeve_event ev, uint64_t *lsn)
{
    ev.lsn = ++*lsn;
    assert_int_equal(reeve_audit_event(a, &ev, NULL), REEVE_OK);
}

static void audit_takes_a_run_of_a_million_steps(void **state)
{ /* Goal: long runs, and a roll-back over half of one. Method: 10^6 steps of one micro-batch; back to 500000. */
    uint64_t tokens[1] = {4001};
    struct reeve_manifest *m = fx_manifest(1, tokens, NULL);
    struct reeve_plan_config config = {.block_shards = 1, .sequence = 4, .global_batch = 1, .micro_batch = 1};
    reeve_plan *plan = fx_plan(m, &config);
    reeve_audit *a = NULL;
    assert_int_equal(reeve_audit_create(plan, &a, NULL), REEVE_OK);
    uint64_t lsn = 0;
    feed(a, (struct reeve_event){.kind = REEVE_EVENT_RUN_OPENED}, &lsn);
    for (uint64_t pass = 0, from = 1; pass < 2; pass++, from = 500001) {
        for (uint64_t s = from; s <= 1000000; s++) {
            feed(a, (struct reeve_event){.kind = REEVE_EVENT_STEP_OPENED, .epoch = (uint32_t)pass, .step = s, .arg = 1,
                                         .a = s - 1, .b = 1}, &lsn);
            struct reeve_event ev = {.kind = REEVE_EVENT_TASK_LEASED, .epoch = (uint32_t)pass, .step = s, .worker = 1,
                                     .attempt = 1, .a = REEVE_TASK_GRADIENT};
            feed(a, ev, &lsn);
            ev.kind = REEVE_EVENT_TASK_COMPUTED;
            feed(a, ev, &lsn);
            feed(a, (struct reeve_event){.kind = REEVE_EVENT_STEP_COMMITTED, .epoch = (uint32_t)pass, .step = s,
                                         .arg = 1, .b = reeve_plan_coverage_step(plan, s)}, &lsn);
            if (s == 500000)
                feed(a, (struct reeve_event){.kind = REEVE_EVENT_CKPT_COMMIT, .epoch = (uint32_t)pass, .step = s},
                     &lsn);
        }
        if (pass == 1) break;
        feed(a, (struct reeve_event){.kind = REEVE_EVENT_RUN_OPENED, .epoch = 1}, &lsn);
        feed(a, (struct reeve_event){.kind = REEVE_EVENT_RUN_RESUMED, .epoch = 1, .step = 500000}, &lsn);
    }
    struct reeve_audit_result r;
    assert_int_equal(reeve_audit_finish(a, &r, NULL), REEVE_OK);
    if (!r.exactly_once) fail_msg("%s", r.first_violation);
    assert_int_equal(r.samples_committed, 1000000);
    assert_int_equal(r.epochs_complete, 1000);
    assert_int_equal(r.rolled_back_steps, 500000);
    reeve_audit_destroy(a);
    reeve_plan_destroy(plan);
    reeve_manifest_destroy(m);
}

static void lease_table_holds_what_was_put_and_not_removed(void **state)
{ /* Goal: no task is forgotten when another one leaves. Method: random puts and removals against a plain array. */
    struct fx_random r = fx_random_fresh();
    static uint32_t attempt_of[512]; /* 0: not held */
    struct audit_leases t = {0};
    uint32_t held = 0;
    memset(attempt_of, 0, sizeof(attempt_of));
    for (uint32_t i = 1; i <= 20000; i++) {
        uint32_t n = (uint32_t)fx_below(&r, 512), task = n < 256 ? n : n << 24 | n; /* dense ones, and far apart */
        struct audit_lease *l = audit_leases_find(&t, task);
        assert_true((l != NULL) == (attempt_of[n] != 0));
        if (l != NULL) assert_int_equal(l->attempt, attempt_of[n]);
        if (l != NULL && fx_below(&r, 2) == 0) {
            audit_leases_remove(&t, l);
            attempt_of[n] = 0;
            held--;
        } else if (l == NULL) {
            l = audit_leases_put(&t, task);
            assert_non_null(l);
            l->attempt = attempt_of[n] = i;
            held++;
        }
        assert_int_equal(t.count, held);
        if (i == 10000) {
            audit_leases_clear(&t);
            memset(attempt_of, 0, sizeof(attempt_of));
            held = 0;
        }
    }
    audit_leases_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(audit_proves_exactly_once_for_any_correct_history),
        cmocka_unit_test(audit_finds_nothing_wrong_with_any_beginning_of_a_history),
        cmocka_unit_test(audit_passes_over_volatile_events),
        cmocka_unit_test(audit_survives_any_records),
        cmocka_unit_test(audit_takes_a_run_of_a_million_steps),
        cmocka_unit_test(lease_table_holds_what_was_put_and_not_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
