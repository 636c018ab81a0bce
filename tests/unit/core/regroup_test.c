/* Losses inside a job. The promises: whoever is lost, whenever, the run ends in the same weights, every sample is committed
 * once, no committed step is lost, and a new master that replays the journal comes to the state of the one that was lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "regroup_job.h"

static uint64_t calm_weights(void)
{
    struct job *j = job_start(1, 3);
    job_run(j, 0, 0);
    uint64_t weights = j->worker[1].weights;
    job_end(j);
    return weights;
}

static void check_weights(const struct job *j, uint64_t expected)
{
    for (uint32_t w = 1; w <= WORKERS; w++)
        if (j->worker[w].alive && j->worker[w].weights != expected)
            fail_msg("seed %llu: worker %u has other weights", (unsigned long long)j->seed, w);
}

static uint64_t first_seed(void)
{
    const char *given = getenv("REEVE_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) * 1000;
    print_message("seed %llu\n", (unsigned long long)seed);
    return seed;
}

static void losses_at_any_moment_end_in_the_same_weights_and_lose_no_step(void **state)
{
    (void)state;
    uint64_t expected = calm_weights(), seed = first_seed(), losses = 0;
    for (uint64_t n = 0; n < 400; n++) {
        struct job *j = job_start(seed + n, 1000);
        job_run(j, 50 + n % 5 * 100, 0);
        check_weights(j, expected);
        assert_int_equal(job_audit(j).rolled_back_steps, 0);
        losses += j->losses;
        job_end(j);
    }
    print_message("%llu losses\n", (unsigned long long)losses);
    assert_true(losses > 400);
}

/* A machine that lost power took the last records of the journal with it: what the workers hold then goes beyond them.
 * */
static void a_journal_cut_short_ends_in_the_same_weights(void **state)
{
    (void)state;
    uint64_t expected = calm_weights(), seed = first_seed(), rolled_back = 0;
    for (uint64_t n = 0; n < 400; n++) {
        struct job *j = job_start(seed + n, 1000);
        job_run(j, 60 + n % 5 * 100, 40);
        check_weights(j, expected);
        rolled_back += job_audit(j).rolled_back_steps;
        job_end(j);
    }
    print_message("%llu steps rolled back\n", (unsigned long long)rolled_back);
}

/* Method: whoever begins micro-batch 2 of step 3 is lost at once. */
static void a_task_that_loses_its_worker_time_and_again_stops_the_run(void **state)
{
    (void)state;
    struct job *j = job_start(7, 3);
    for (uint32_t n = 0; n < 400000 && job_status(j).phase != REEVE_PHASE_ENDED; n++) {
        uint32_t id = 1 + (uint32_t)job_draw(j, WORKERS);
        struct worker *w = &j->worker[id];
        job_worker_turn(j, id);
        if (job_draw(j, 2) == 0) job_master_turn(j);
        if (!w->alive || w->work_count == 0 || w->work[0].a != REEVE_TASK_GRADIENT || w->work[0].step != 3 ||
            w->work[0].arg != 2)
            continue;
        w->alive = false;
        j->losses++;
        job_regroup(j);
    }
    struct reeve_master_status s = job_status(j);
    assert_int_equal(s.phase, REEVE_PHASE_ENDED);
    assert_int_equal(j->losses, 3);
    assert_int_equal(s.stop_reason, REEVE_WORKER_LOST);
    assert_int_equal(s.step, 2);
    assert_int_equal(s.last_checkpoint, 2); /* what was committed is saved */
    job_end(j);
}

/* Goal: what survivors have computed is not computed again. Method: a loss when all but one task is computed. */
static void accumulators_of_survivors_are_kept(void **state)
{
    (void)state;
    struct job *j = job_start(11, 3);
    while (!(job_status(j).step == 2 && job_status(j).computed == SMALL_MICRO_BATCHES - 1)) {
        job_worker_turn(j, 1 + (uint32_t)job_draw(j, WORKERS));
        job_master_turn(j);
    }
    uint32_t held = 0, victim = WORKERS;
    for (uint32_t i = 0; i < j->worker[victim].holds.count; i++)
        held += j->worker[victim].holds.list[i].c != 0;
    j->worker[victim].alive = false;
    job_regroup(j);
    assert_int_equal(job_status(j).computed, SMALL_MICRO_BATCHES - 1 - held);
    job_run(j, 0, 0);
    struct reeve_audit_result r = job_audit(j);
    assert_int_equal(r.recomputed, held);
    job_end(j);
}

static void turn(struct job *j)
{
    job_worker_turn(j, 1 + (uint32_t)job_draw(j, WORKERS));
    job_master_turn(j);
}

/* Commits of this checkpoint on record, from the record `from` on. */
static uint32_t commits_of(const struct job *j, uint64_t step, uint32_t from)
{
    uint32_t n = 0;
    for (uint32_t i = from; i < j->events; i++)
        n += j->journal[i].kind == REEVE_EVENT_CKPT_COMMIT && j->journal[i].step == step;
    return n;
}

/* Goal: a checkpoint that somebody asked for is not forgotten because a process is lost while it is written. Method: of a step
 * at which none is due; the loss comes as soon as a worker has written its part. */
static void a_checkpoint_that_was_asked_for_outlives_a_loss(void **state)
{
    (void)state;
    struct job *j = job_start(13, 3);
    while (job_status(j).step < 5)
        turn(j);
    job_ask_save(j);
    while (j->saved[5] == 0 && j->saved[6] == 0)
        turn(j);
    j->worker[WORKERS].alive = false;
    job_regroup(j);
    job_run(j, 0, 0);
    assert_int_equal(commits_of(j, 5, 0) + commits_of(j, 6, 0) + commits_of(j, 7, 0), 1);
    job_end(j);
}

/* Goal: going back inside the job goes to the newest checkpoint, and misses none on the way forward again. Method: that of
 * step 4 is being made durable until step 9, so that 8 is left out; then a worker says that it holds weights of no step. */
static void a_job_that_goes_back_waits_for_its_checkpoint_and_leaves_none_out(void **state)
{
    (void)state;
    struct job *j = job_start(17, 3);
    uint64_t held = 0;
    while (job_status(j).step < 9) {
        turn(j);
        if (held == 0) held = j->ckpt_done_step;
        j->ckpt_done_step = 0;
    }
    assert_int_equal(held, 4);
    j->worker[2].applied = 100;
    job_regroup(j);
    uint32_t from = j->events;
    for (int n = 0; n < 2000; n++)
        turn(j);
    assert_int_equal(job_status(j).step, 9); /* it waits for what it may go back to */
    j->ckpt_done_step = held;
    job_run(j, 0, 0);
    uint64_t back_to = UINT64_MAX;
    for (uint32_t i = from; i < j->events && back_to == UINT64_MAX; i++)
        if (j->journal[i].kind == REEVE_EVENT_RUN_RESUMED) back_to = j->journal[i].step;
    assert_int_equal(back_to, 4);
    assert_int_equal(commits_of(j, 4, 0), 1);
    assert_int_equal(commits_of(j, 8, from), 1);
    assert_int_equal(commits_of(j, 12, from), 1);
    check_weights(j, calm_weights());
    job_end(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_at_any_moment_end_in_the_same_weights_and_lose_no_step),
        cmocka_unit_test(a_journal_cut_short_ends_in_the_same_weights),
        cmocka_unit_test(a_task_that_loses_its_worker_time_and_again_stops_the_run),
        cmocka_unit_test(accumulators_of_survivors_are_kept),
        cmocka_unit_test(a_checkpoint_that_was_asked_for_outlives_a_loss),
        cmocka_unit_test(a_job_that_goes_back_waits_for_its_checkpoint_and_leaves_none_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
