/* What the master promises of a run with steps: any number of workers, failing tasks, crashes of everything and restarts
 * end in the same weights; every sample is committed exactly once; replaying the durable events gives the live state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "master_sim.h"

static void master_ends_in_the_same_weights_for_any_number_of_workers(void **state)
{
    (void)state;
    uint64_t expected = sim_undisturbed_weights();
    for (uint32_t workers = 2; workers <= WORKERS_MAX; workers++) {
        struct sim *s = sim_start(100 + workers, workers);
        s->fail_percent = 5;
        assert_true(sim_run(s, 100000));
        for (uint32_t w = 1; w <= workers; w++)
            assert_true(s->worker[w].weights == expected);
        struct reeve_audit_result r = sim_audit(s);
        if (!r.exactly_once) fail_msg("audit: %s", r.first_violation);
        assert_int_equal(r.samples_committed, STEPS * SMALL_BATCH);
        sim_end(s);
    }
}

/* Goal: the loss of a large evaluation is divided by all of its tokens. Method: samples of 5 * 2^30 tokens. */
static void master_counts_more_tokens_than_32_bits_hold(void **state)
{
    (void)state;
    struct sim *s = sim_start(7, 2);
    assert_true(sim_run(s, 100000));
    uint64_t samples = reeve_plan_heldout_samples(s->plan);
    assert_true(samples > 0);
    assert_int_equal(sim_status(s).eval_tokens, samples * SIM_SAMPLE_TOKENS);
    sim_end(s);
}

/* Goal: the sum of what was finite is not told as the loss of all. */
static void master_has_no_loss_of_an_evaluation_that_was_not_finite(void **state)
{
    (void)state;
    struct sim *s = sim_start(7, 2);
    s->flag_evals = true;
    assert_true(sim_run(s, 100000));
    struct reeve_master_status status = sim_status(s);
    assert_true(status.ended);
    assert_int_equal(status.eval_step, STEPS);
    assert_int_equal(status.eval_tokens, 0);
    assert_int_equal(status.eval_loss, 0);
    assert_int_equal(status.refused_steps, 0);
    sim_end(s);
}

/* Method: everything dies at a random moment, many times; each restart has another number of workers. */
static void master_ends_in_the_same_weights_through_crashes_of_everything(void **state)
{
    (void)state;
    uint64_t expected = sim_undisturbed_weights(), seed = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t n = 0; n < 100; n++) {
        struct sim *s = sim_start(seed + n, 1 + (uint32_t)(n % WORKERS_MAX));
        s->fail_percent = 3;
        for (int crash = 0; crash < 8; crash++) {
            if (sim_run(s, (uint32_t)sim_draw(s, 400))) break;
            sim_restart(s, 1 + (uint32_t)sim_draw(s, WORKERS_MAX));
        }
        struct reeve_master_status status = sim_status(s);
        if (status.phase != REEVE_PHASE_ENDED && !sim_run(s, 100000))
            fail_msg("seed %llu: no end", (unsigned long long)s->seed);
        if (s->worker[1].weights != expected) fail_msg("seed %llu: other weights", (unsigned long long)s->seed);
        struct reeve_audit_result r = sim_audit(s);
        if (!r.exactly_once) fail_msg("seed %llu: audit: %s", (unsigned long long)s->seed, r.first_violation);
        sim_end(s);
    }
}

static void master_throws_a_step_away_whose_sum_holds_a_micro_batch_twice(void **state)
{
    (void)state;
    uint64_t expected = sim_undisturbed_weights();
    struct sim *s = sim_start(3, 2);
    s->cheat = true;
    assert_true(sim_run(s, 100000));
    uint32_t aborted = 0;
    for (uint32_t i = 0; i < s->events; i++)
        aborted += s->journal[i].kind == REEVE_EVENT_STEP_ABORTED;
    assert_int_equal(aborted, 1);
    assert_true(s->worker[1].weights == expected && s->worker[2].weights == expected);
    assert_true(sim_audit(s).exactly_once);
    sim_end(s);
}

static void master_stops_with_the_reason_and_a_checkpoint_when_a_sample_cannot_be_read(void **state)
{
    (void)state;
    struct sim *s = sim_start(4, 3);
    s->poison = 2;
    assert_true(sim_run(s, 100000));
    struct reeve_master_status status = sim_status(s);
    assert_int_equal(status.stop_reason, REEVE_INPUT_INVALID);
    assert_int_equal(status.step, 2);
    assert_int_equal(status.last_checkpoint, 2); /* nothing that was committed is lost */
    assert_false(status.ended);
    assert_true(status.dead >= 1);
    sim_end(s);
}

static void master_stops_at_a_step_boundary_with_a_checkpoint_and_goes_on_from_it(void **state)
{
    (void)state;
    uint64_t expected = sim_undisturbed_weights();
    struct sim *s = sim_start(5, 2);
    (void)sim_run(s, 120);
    struct reeve_master_input stop = {.kind = REEVE_INPUT_STOP, .status = REEVE_JOB_STOPPED};
    sim_give(s, &stop);
    assert_true(sim_run(s, 100000));
    struct reeve_master_status status = sim_status(s);
    assert_int_equal(status.stop_reason, REEVE_JOB_STOPPED);
    assert_int_equal(status.last_checkpoint, status.step);
    assert_true(status.step > 0 && status.step < STEPS);
    sim_restart(s, 3);
    assert_true(sim_run(s, 100000));
    assert_true(s->worker[3].weights == expected);
    struct reeve_audit_result r = sim_audit(s);
    assert_true(r.exactly_once && r.rolled_back_steps == 0);
    sim_end(s);
}

/* Goal: Ctrl-C while a run starts leaves no worker that nobody tells of the end. Method: the stop
 * is there before the first word of any of them. */
static void master_tells_workers_of_a_stop_that_was_asked_before_they_came(void **state)
{
    (void)state;
    struct sim *s = sim_start(5, 3);
    struct reeve_master_input stop = {.kind = REEVE_INPUT_STOP, .status = REEVE_JOB_STOPPED};
    sim_give(s, &stop);
    assert_true(sim_run(s, 100000));
    assert_int_equal(sim_status(s).step, 0);
    for (uint32_t w = 1; w <= 3; w++)
        assert_true(s->worker[w].gone);
    sim_restart(s, 2);
    assert_true(sim_run(s, 100000));
    assert_true(s->worker[2].weights == sim_undisturbed_weights());
    sim_end(s);
}

static void master_drops_words_of_old_epochs_and_of_strangers(void **state)
{
    (void)state;
    struct sim *s = sim_start(6, 2);
    (void)sim_run(s, 50);
    uint64_t before = reeve_master_digest(s->master);
    struct reeve_frame f = {.kind = REEVE_FRAME_COMPUTED, .epoch = s->epoch - 1, .task = 0, .attempt = 1};
    struct reeve_master_input in = {.kind = REEVE_INPUT_FRAME, .worker = 1, .frame = &f, .text = ""};
    sim_give(s, &in);
    f.epoch = s->epoch;
    in.worker = 99;
    sim_give(s, &in);
    in.worker = 0;
    sim_give(s, &in);
    in.worker = 1;
    f.task = 123456789;
    sim_give(s, &in);
    f.kind = 9999;
    sim_give(s, &in);
    assert_true(reeve_master_digest(s->master) == before);
    sim_end(s);
}

static void master_refuses_a_journal_that_cannot_be(void **state)
{ /* Method: drop each durable record in turn, and replay: either refused, or (for records without effect) the same. */
    (void)state;
    struct sim *s = sim_start(7, 2);
    assert_true(sim_run(s, 100000));
    uint64_t whole = reeve_master_digest(s->master);
    uint32_t refused = 0;
    for (uint32_t drop = 0; drop < s->events; drop++) {
        uint16_t kind = s->journal[drop].kind;
        sim_new_master(s);
        reeve_status st = REEVE_OK;
        for (uint32_t i = 0; i < s->events && st == REEVE_OK; i++)
            if (i != drop) st = reeve_master_apply(s->master, &s->journal[i], &s->err);
        refused += st != REEVE_OK;
        bool effectless =
            kind == REEVE_EVENT_STEP_WEIGHTS || kind == REEVE_EVENT_RUN_ENDED || kind == REEVE_EVENT_CKPT_COMMIT;
        if (st == REEVE_OK && !effectless && reeve_master_digest(s->master) == whole)
            fail_msg("record %u (%s) can be missing unseen", drop + 1, reeve_event_name(kind));
    }
    assert_true(refused > s->events / 2);
    sim_end(s);
}

static void master_goes_on_with_a_run_that_is_given_more_steps(void **state)
{ /* Method: end after 1 step, then 3, then all, without shuffle, so that each step meets shards not staged before. */
    (void)state;
    struct sim *s = malloc(sizeof(*s));
    assert_non_null(s);
    sim_init(s, 8);
    reeve_plan_destroy(s->worker_plan);
    s->job.plan.shuffle = REEVE_SHUFFLE_NONE;
    s->worker_plan = small_job_plan(&s->job);
    const uint64_t steps[] = {1, 3, STEPS};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        s->steps = steps[i];
        sim_restart(s, 1 + (uint32_t)i);
        assert_true(sim_run(s, 100000));
        struct reeve_master_status status = sim_status(s);
        assert_int_equal(status.step, steps[i]);
        assert_true(status.ended);
    }
    assert_true(sim_audit(s).exactly_once);
    sim_end(s);
}

static void master_ends_with_the_reason_when_a_model_cannot_be_built(void **state)
{
    (void)state;
    struct sim *s = sim_start(9, 2);
    s->fail_init = true;
    assert_true(sim_run(s, 100000));
    struct reeve_master_status status = sim_status(s);
    assert_int_equal(status.stop_reason, REEVE_JOB_NO_MEMORY);
    assert_false(status.ended);
    sim_end(s);
}

static void master_tries_a_checkpoint_again_only_when_all_parts_were_answered(void **state)
{
    (void)state;
    uint64_t expected = sim_undisturbed_weights();
    struct sim *s = sim_start(10, 3);
    s->fail_parts = 2;
    assert_true(sim_run(s, 100000));
    uint32_t failed = 0, committed = 0;
    for (uint32_t i = 0; i < s->events; i++) {
        failed += s->journal[i].kind == REEVE_EVENT_CKPT_FAILED;
        committed += s->journal[i].kind == REEVE_EVENT_CKPT_COMMIT;
    }
    assert_int_equal(failed, 2);
    assert_true(committed >= 1);
    assert_true(s->worker[2].weights == expected);
    sim_end(s);
}

static void master_hands_tasks_round_instead_of_filling_one_worker(void **state)
{
    (void)state;
    struct sim *s = sim_start(11, 3);
    assert_true(sim_run(s, 100000));
    uint32_t leases[4] = {0};
    for (uint32_t i = 0, n = 0; i < s->events && n < 3; i++) {
        if (s->journal[i].kind != REEVE_EVENT_TASK_LEASED || s->journal[i].a != REEVE_TASK_GRADIENT) continue;
        leases[s->journal[i].worker]++;
        n++;
    }
    for (uint32_t w = 1; w <= 3; w++)
        assert_int_equal(leases[w], 1);
    sim_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(master_ends_in_the_same_weights_for_any_number_of_workers),
        cmocka_unit_test(master_counts_more_tokens_than_32_bits_hold),
        cmocka_unit_test(master_has_no_loss_of_an_evaluation_that_was_not_finite),
        cmocka_unit_test(master_ends_in_the_same_weights_through_crashes_of_everything),
        cmocka_unit_test(master_throws_a_step_away_whose_sum_holds_a_micro_batch_twice),
        cmocka_unit_test(master_stops_with_the_reason_and_a_checkpoint_when_a_sample_cannot_be_read),
        cmocka_unit_test(master_stops_at_a_step_boundary_with_a_checkpoint_and_goes_on_from_it),
        cmocka_unit_test(master_tells_workers_of_a_stop_that_was_asked_before_they_came),
        cmocka_unit_test(master_goes_on_with_a_run_that_is_given_more_steps),
        cmocka_unit_test(master_ends_with_the_reason_when_a_model_cannot_be_built),
        cmocka_unit_test(master_tries_a_checkpoint_again_only_when_all_parts_were_answered),
        cmocka_unit_test(master_hands_tasks_round_instead_of_filling_one_worker),
        cmocka_unit_test(master_drops_words_of_old_epochs_and_of_strangers),
        cmocka_unit_test(master_refuses_a_journal_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
