/* The history of a run, folded from events: what survives a rollback, and how each start ended. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/history.h"
#include "core/exact_sum.h"

#define SEQUENCE 16u
#define BATCH 8u

static uint64_t lsn;

static void add(struct reeve_history *h, struct reeve_event ev)
{
    struct reeve_error err = {0};
    ev.lsn = ++lsn;
    assert_int_equal(reeve_history_event(h, &ev, &err), REEVE_OK);
}

static void open_run(struct reeve_history *h, uint32_t epoch, uint32_t workers)
{
    add(h, (struct reeve_event){.kind = REEVE_EVENT_RUN_OPENED, .epoch = epoch, .arg = workers, .a = 77});
    add(h, (struct reeve_event){.kind = REEVE_EVENT_SEGMENT_STAMP, .a = 1000 * epoch});
    for (uint32_t w = 1; w <= workers; w++)
        add(h, (struct reeve_event){.kind = REEVE_EVENT_WORKER_JOINED, .worker = w});
}

static void commit(struct reeve_history *h, uint64_t first, uint64_t last, double nats_per_token, uint16_t flags)
{
    struct reeve_exact_flags unused = {0};
    for (uint64_t step = first; step <= last; step++)
        add(h, (struct reeve_event){.kind = REEVE_EVENT_STEP_COMMITTED,
                                    .step = step,
                                    .arg = BATCH,
                                    .flags = flags,
                                    .a = (uint64_t)reeve_exact_loss(nats_per_token * BATCH * SEQUENCE, &unused)});
}

static void checkpoint(struct reeve_history *h, uint64_t step)
{
    add(h, (struct reeve_event){.kind = REEVE_EVENT_STEP_WEIGHTS, .step = step, .a = step, .b = ~step});
    add(h,
        (struct reeve_event){.kind = REEVE_EVENT_CKPT_COMMIT, .step = step, .a = 100 + step, .b = lsn - 1, .arg = 3});
}

static void evaluate(struct reeve_history *h, uint64_t step, uint64_t nats)
{
    add(h, (struct reeve_event){
               .kind = REEVE_EVENT_EVAL_COMMITTED, .step = step, .a = 2 * nats << REEVE_LOSS_UNIT_BITS, .b = 2});
}

static void whole_run_is_told_in_order(void **state)
{
    (void)state;
    struct reeve_history h = {0};
    open_run(&h, 1, 3);
    commit(&h, 1, 10, 2.5, 0);
    checkpoint(&h, 10);
    add(&h,
        (struct reeve_event){.kind = REEVE_EVENT_EVAL_COMMITTED, .step = 10, .a = 3 << REEVE_LOSS_UNIT_BITS, .b = 2});
    add(&h, (struct reeve_event){.kind = REEVE_EVENT_RUN_ENDED, .step = 10});
    assert_int_equal(h.step, 10);
    assert_int_equal(h.run_id, 77);
    assert_int_equal(h.workers_seen, 3);
    assert_true(reeve_history_loss(&h, SEQUENCE) == 2.5);
    assert_true(reeve_history_eval_loss(&h) == 1.5);
    assert_int_equal(h.opening_count, 1);
    assert_int_equal(h.openings[0].end, REEVE_OPENING_ENDED);
    assert_int_equal(h.openings[0].wall_ns, 1000);
    assert_int_equal(h.weights_step, 10);
    uint64_t word;
    memcpy(&word, h.weights_digest.bytes + 8, 8);
    assert_true(word == ~(uint64_t)10);
    reeve_history_destroy(&h);
}

static void rollback_takes_back_what_it_undid(void **state)
{
    (void)state;
    struct reeve_history h = {0};
    open_run(&h, 1, 2);
    commit(&h, 1, 5, 3.0, 0);
    checkpoint(&h, 5);
    evaluate(&h, 4, 3);
    commit(&h, 6, 6, 9.0, REEVE_EVENT_FLAG_REFUSED);
    commit(&h, 7, 9, 2.0, 0);
    checkpoint(&h, 8);
    evaluate(&h, 8, 2);
    assert_int_equal(h.eval.step, 8);
    open_run(&h, 2, 5);
    add(&h, (struct reeve_event){.kind = REEVE_EVENT_RUN_RESUMED, .step = 5});
    assert_int_equal(h.step, 5);
    assert_true(reeve_history_loss(&h, SEQUENCE) == 3.0); /* that of step 5 again */
    assert_int_equal(h.checkpoint_count, 1);
    assert_int_equal(h.checkpoints[0].digest64, 105);
    assert_int_equal(h.refused_count, 0);
    assert_int_equal(h.rolled_back_steps, 4);
    assert_int_equal(h.eval.step, 4); /* which was true before, and is again */
    assert_true(reeve_history_eval_loss(&h) == 3.0);
    assert_int_equal(h.weights_step, 0); /* that of step 8 is no longer true */
    assert_int_equal(h.openings[0].end, REEVE_OPENING_DIED);
    assert_int_equal(h.openings[1].end, REEVE_OPENING_OPEN);
    assert_int_equal(h.openings[1].resumed_at, 5);
    assert_int_equal(h.workers_seen, 5);
    commit(&h, 6, 9, 1.0, 0);
    assert_int_equal(h.step, 9);
    assert_int_equal(h.openings[1].first_step, 6);
    assert_int_equal(h.openings[1].last_step, 9);
    reeve_history_destroy(&h);
}

/* Goal: who was lost is counted, also where mpirun ended all because it had lost one. Method: four starts; the first dies with
 * three workers, the second outlives one of three and is stopped, the third outlives one and dies with two. */
static void workers_of_a_start_that_died_are_lost(void **state)
{
    (void)state;
    char text[REEVE_HISTORY_LOST_BYTES];
    struct reeve_history h = {0};
    open_run(&h, 1, 3);
    commit(&h, 1, 2, 1.0, 0);
    assert_string_equal(reeve_history_lost(&h, text), "0 lost");
    open_run(&h, 2, 3);
    assert_int_equal(h.workers_lost, 3);
    assert_string_equal(reeve_history_lost(&h, text), "3 lost, with 1 start that died");
    add(&h, (struct reeve_event){.kind = REEVE_EVENT_WORKER_LOST, .worker = 2});
    add(&h, (struct reeve_event){.kind = REEVE_EVENT_RUN_STOPPED, .step = 2, .arg = REEVE_JOB_STOPPED});
    open_run(&h, 3, 3);
    assert_int_equal(h.workers_lost, 4);
    add(&h, (struct reeve_event){.kind = REEVE_EVENT_WORKER_LOST, .worker = 1});
    open_run(&h, 4, 2);
    assert_int_equal(h.workers_lost, 7);
    assert_int_equal(h.lost_with_start, 5);
    static const uint32_t lost[] = {3, 1, 3, 0};
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(h.openings[i].workers_lost, lost[i]);
    assert_string_equal(reeve_history_lost(&h, text), "7 lost (5 of them with 2 starts that died)");
    reeve_history_destroy(&h);
}

/* Goal: who came in the place of a lost worker is lost with a start that dies, too. Method: of two workers one is lost,
 * and replaced; so is one that had never joined, and the start dies with three. */
static void who_took_a_lost_workers_place_is_lost_with_the_start(void **state)
{
    (void)state;
    struct reeve_history h = {0};
    open_run(&h, 1, 2);
    add(&h, (struct reeve_event){.kind = REEVE_EVENT_WORKER_LOST, .worker = 2});
    add(&h, (struct reeve_event){.kind = REEVE_EVENT_WORKER_REPLACED, .worker = 2});
    add(&h, (struct reeve_event){.kind = REEVE_EVENT_WORKER_LOST, .worker = 3});
    add(&h, (struct reeve_event){.kind = REEVE_EVENT_WORKER_REPLACED, .worker = 3});
    assert_int_equal(h.workers_seen, 3);
    open_run(&h, 2, 3);
    assert_int_equal(h.openings[0].workers_joined, 2);
    assert_int_equal(h.openings[0].workers_lost, 5);
    assert_int_equal(h.lost_with_start, 3);
    reeve_history_destroy(&h);
}

static void stop_has_its_reason(void **state)
{
    (void)state;
    struct reeve_history h = {0};
    open_run(&h, 1, 1);
    commit(&h, 1, 1, 1.0, 0);
    add(&h, (struct reeve_event){.kind = REEVE_EVENT_RUN_STOPPED, .step = 1, .arg = REEVE_JOB_STOPPED});
    assert_int_equal(h.openings[0].end, REEVE_OPENING_STOPPED);
    assert_int_equal(h.openings[0].reason, REEVE_JOB_STOPPED);
    reeve_history_destroy(&h);
}

static void loss_of_a_refused_or_missing_step_is_no_number(void **state)
{
    (void)state;
    struct reeve_history h = {0};
    assert_true(isnan(reeve_history_loss(&h, SEQUENCE)) && isnan(reeve_history_eval_loss(&h)));
    open_run(&h, 1, 1);
    commit(&h, 1, 1, 1.0, REEVE_EVENT_FLAG_REFUSED);
    assert_true(isnan(reeve_history_loss(&h, SEQUENCE)));
    assert_int_equal(h.refused_count, 1);
    reeve_history_destroy(&h);
}

/* Goal: valid records in an impossible order are told, not trusted. */
static void steps_out_of_order_are_refused(void **state)
{
    (void)state;
    static const uint64_t wrong[] = {0, 2, 1ull << 40, UINT64_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct reeve_history h = {0};
        struct reeve_error err = {0};
        struct reeve_event ev = {.kind = REEVE_EVENT_STEP_COMMITTED, .lsn = 9, .step = wrong[i], .arg = 1};
        assert_int_equal(reeve_history_event(&h, &ev, &err), REEVE_STORE_CORRUPT);
        assert_non_null(strstr(err.text, "record 9"));
        reeve_history_destroy(&h);
    }
}

static void events_before_any_start_do_no_harm(void **state)
{
    (void)state;
    for (uint16_t kind = 0; kind < 200; kind++) {
        struct reeve_history h = {0};
        struct reeve_event ev = {.kind = kind, .lsn = 1, .step = UINT64_MAX, .worker = UINT32_MAX, .arg = UINT32_MAX};
        (void)reeve_history_event(&h, &ev, NULL);
        reeve_history_destroy(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_run_is_told_in_order),
        cmocka_unit_test(rollback_takes_back_what_it_undid),
        cmocka_unit_test(workers_of_a_start_that_died_are_lost),
        cmocka_unit_test(who_took_a_lost_workers_place_is_lost_with_the_start),
        cmocka_unit_test(stop_has_its_reason),
        cmocka_unit_test(loss_of_a_refused_or_missing_step_is_no_number),
        cmocka_unit_test(steps_out_of_order_are_refused),
        cmocka_unit_test(events_before_any_start_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
