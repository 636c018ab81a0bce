/* Who of a job hangs: simulated time, no process. */
#include "fixture.h"

#include "base/clock.h"
#include "core/eviction.h"
#include "core/task.h"

#define FLOOR_NS (15 * REEVE_SECOND_NS)
#define MS REEVE_MILLISECOND_NS

static struct reeve_eviction begin(void)
{
    struct reeve_eviction e;
    reeve_eviction_init(&e, FLOOR_NS);
    return e;
}

static void measure(struct reeve_eviction *e, enum reeve_pace pace, reeve_time_ns took_ns, int times)
{
    for (int i = 0; i < times; i++)
        reeve_eviction_measure(e, pace, took_ns);
}

static struct reeve_eviction_worker awaited(reeve_time_ns silence_ns)
{
    return (struct reeve_eviction_worker){.awaited = true, .heard = true, .silence_ns = silence_ns};
}

static void eviction_of_a_silent_worker(void **state)
{ /* Goal: who says nothing for longer than the floor is silent; nobody is of whom no word is awaited. */
    (void)state;
    struct reeve_eviction e = begin();
    struct reeve_eviction_worker w = awaited(FLOOR_NS);
    assert_int_equal(reeve_eviction_judge(&e, &w), REEVE_VERDICT_GOES_ON);
    w.silence_ns++;
    assert_int_equal(reeve_eviction_judge(&e, &w), REEVE_VERDICT_SILENT);
    w.awaited = false;
    assert_int_equal(reeve_eviction_judge(&e, &w), REEVE_VERDICT_GOES_ON);
}

static void eviction_needs_more_where_others_may_be_waited_for(void **state)
{ /* Goal: before its first word since the ranks came together a worker may wait for another that hangs: it goes only if it
     is seen to be stopped itself. */
    (void)state;
    struct reeve_eviction e = begin();
    struct reeve_eviction_worker w = awaited(FLOOR_NS + 1);
    w.heard = false;
    assert_int_equal(reeve_eviction_judge(&e, &w), REEVE_VERDICT_SILENT_IF_STOPPED);
}

static void eviction_waits_longer_where_words_come_late(void **state)
{ /* Goal: on a machine on which words come each four seconds, 15 s are no silence, and ten times that are. Answers that
     follow each other at once do not shorten that. */
    (void)state;
    struct reeve_eviction e = begin();
    for (int i = 0; i < 4; i++)
        reeve_eviction_heard(&e, 60 * REEVE_SECOND_NS); /* a few are no measure */
    assert_int_equal(reeve_eviction_deadline(&e, REEVE_PACE_WORD, false), FLOOR_NS);
    for (int i = 0; i < 20; i++) {
        reeve_eviction_heard(&e, 4 * REEVE_SECOND_NS);
        for (int answers = 0; answers < 100; answers++)
            reeve_eviction_heard(&e, MS);
    }
    assert_int_equal(reeve_eviction_deadline(&e, REEVE_PACE_WORD, false), 40 * REEVE_SECOND_NS);
    struct reeve_eviction_worker w = awaited(39 * REEVE_SECOND_NS);
    assert_int_equal(reeve_eviction_judge(&e, &w), REEVE_VERDICT_GOES_ON);
    w.silence_ns = 41 * REEVE_SECOND_NS;
    assert_int_equal(reeve_eviction_judge(&e, &w), REEVE_VERDICT_SILENT);
}

static void eviction_of_who_is_stuck_in_a_task(void **state)
{ /* Goal: each kind of task has the deadline of its own median, with the floor; what was never measured has none. */
    (void)state;
    struct reeve_eviction e = begin();
    struct reeve_eviction_worker w = awaited(REEVE_SECOND_NS);
    w.pace = REEVE_PACE_GRADIENT;
    w.lasts_ns = 100000 * REEVE_SECOND_NS;
    assert_int_equal(reeve_eviction_judge(&e, &w), REEVE_VERDICT_GOES_ON);
    measure(&e, REEVE_PACE_GRADIENT, 10 * MS, 5);
    w.lasts_ns = FLOOR_NS;
    assert_int_equal(reeve_eviction_judge(&e, &w), REEVE_VERDICT_GOES_ON);
    w.lasts_ns = FLOOR_NS + 1;
    assert_int_equal(reeve_eviction_judge(&e, &w), REEVE_VERDICT_STUCK);
    w.pace = REEVE_PACE_EVAL;
    assert_int_equal(reeve_eviction_judge(&e, &w), REEVE_VERDICT_GOES_ON);
    measure(&e, REEVE_PACE_EVAL, 20 * REEVE_SECOND_NS, 3);
    w.lasts_ns = 200 * REEVE_SECOND_NS;
    assert_int_equal(reeve_eviction_judge(&e, &w), REEVE_VERDICT_GOES_ON);
    w.lasts_ns++;
    assert_int_equal(reeve_eviction_judge(&e, &w), REEVE_VERDICT_STUCK);
}

static void eviction_is_slow_to_blame_the_first_of_a_kind(void **state)
{ /* Goal: kernels are loaded and pages come in at the first: it has ten times the deadline. One slow figure among quick
     ones changes nothing. */
    (void)state;
    struct reeve_eviction e = begin();
    measure(&e, REEVE_PACE_GRADIENT, 3 * REEVE_SECOND_NS, 6);
    measure(&e, REEVE_PACE_GRADIENT, 500 * REEVE_SECOND_NS, 1);
    struct reeve_eviction_worker w = awaited(0);
    w.pace = REEVE_PACE_GRADIENT;
    w.first = true;
    w.lasts_ns = 300 * REEVE_SECOND_NS;
    assert_int_equal(reeve_eviction_judge(&e, &w), REEVE_VERDICT_GOES_ON);
    w.lasts_ns++;
    assert_int_equal(reeve_eviction_judge(&e, &w), REEVE_VERDICT_STUCK);
    w.first = false;
    w.lasts_ns = 30 * REEVE_SECOND_NS + 1;
    assert_int_equal(reeve_eviction_judge(&e, &w), REEVE_VERDICT_STUCK);
}

static void eviction_can_be_switched_off(void **state)
{
    (void)state;
    struct reeve_eviction e;
    reeve_eviction_init(&e, 0);
    measure(&e, REEVE_PACE_GRADIENT, MS, 5);
    struct reeve_eviction_worker w = awaited(1000000 * REEVE_SECOND_NS);
    w.pace = REEVE_PACE_GRADIENT;
    w.lasts_ns = w.silence_ns;
    assert_int_equal(reeve_eviction_judge(&e, &w), REEVE_VERDICT_GOES_ON);
}

static void eviction_knows_what_takes_as_long_as_it_takes(void **state)
{ /* Goal: staging, saving and sampling are never late; gradients, evaluations, updates and opening are timed apart. */
    (void)state;
    static const struct {
        uint16_t kind;
        uint64_t task;
        enum reeve_pace pace;
    } table[] = {{REEVE_FRAME_INIT, 0, REEVE_PACE_LOAD},
                 {REEVE_FRAME_RESTORE, 0, REEVE_PACE_LOAD},
                 {REEVE_FRAME_APPLY, 0, REEVE_PACE_APPLY},
                 {REEVE_FRAME_LEASE, REEVE_TASK_GRADIENT, REEVE_PACE_GRADIENT},
                 {REEVE_FRAME_LEASE, REEVE_TASK_EVAL, REEVE_PACE_EVAL},
                 {REEVE_FRAME_LEASE, REEVE_TASK_STAGE, REEVE_PACE_OTHER},
                 {REEVE_FRAME_LEASE, REEVE_TASK_GENERATE, REEVE_PACE_OTHER},
                 {REEVE_FRAME_CHECKPOINT, 0, REEVE_PACE_OTHER},
                 {REEVE_FRAME_DISCARD, 0, REEVE_PACE_OTHER}};
    struct reeve_eviction e = begin();
    measure(&e, REEVE_PACE_OTHER, MS, 5);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct reeve_frame f = {.kind = table[i].kind, .a = table[i].task};
        assert_int_equal(reeve_pace_of(&f), table[i].pace);
    }
    assert_int_equal(reeve_eviction_deadline(&e, REEVE_PACE_OTHER, false), INT64_MAX);
    assert_int_equal(reeve_eviction_deadline(&e, REEVE_PACE_NONE, false), INT64_MAX);
}

static void eviction_hears_what_heartbeats_tell(void **state)
{ /* Goal: what a worker said last counts: any other word says that this has ended. Numbers from the wire are not
     trusted. */
    (void)state;
    struct reeve_eviction_worker w = {0};
    struct reeve_frame f = {.kind = REEVE_FRAME_HEARTBEAT};
    reeve_eviction_tell(&f, REEVE_PACE_APPLY, true, 7 * REEVE_SECOND_NS);
    reeve_eviction_hear(&w, &f);
    assert_true(w.heard && w.first);
    assert_int_equal(w.pace, REEVE_PACE_APPLY);
    assert_int_equal(w.lasts_ns, 7 * REEVE_SECOND_NS);
    f.arg = 77;
    f.a = UINT64_MAX;
    reeve_eviction_hear(&w, &f);
    assert_int_equal(w.pace, REEVE_PACE_OTHER);
    assert_int_equal(w.lasts_ns, 0);
    f = (struct reeve_frame){.kind = REEVE_FRAME_COMPUTED, .arg = REEVE_PACE_GRADIENT, .a = 5};
    reeve_eviction_hear(&w, &f);
    assert_int_equal(w.pace, REEVE_PACE_NONE);
    struct reeve_eviction e = begin();
    measure(&e, REEVE_PACE_GRADIENT, (reeve_time_ns)UINT64_MAX, 3);
    measure(&e, REEVE_PACE_GRADIENT, INT64_MAX, 3);
    measure(&e, (enum reeve_pace)4711, MS, 3);
    assert_int_equal(reeve_eviction_deadline(&e, REEVE_PACE_GRADIENT, false), INT64_MAX);
}

static void eviction_of_nobody_for_a_sum_that_does_not_end(void **state)
{ /* Goal: a sum is begun again only if it was measured, has outlived its deadline, and no worker is silent, computes, or
     was not yet heard: then one of those is the cause. */
    (void)state;
    struct reeve_eviction e = begin();
    struct reeve_eviction_worker w[3] = {awaited(MS), awaited(REEVE_SECOND_NS), {0}};
    assert_false(reeve_eviction_sum_is_stuck(&e, REEVE_PACE_SUM, w, 3, 1000 * REEVE_SECOND_NS));
    measure(&e, REEVE_PACE_SUM, 2 * REEVE_SECOND_NS, 4);
    assert_false(reeve_eviction_sum_is_stuck(&e, REEVE_PACE_SUM, w, 3, 20 * REEVE_SECOND_NS));
    assert_true(reeve_eviction_sum_is_stuck(&e, REEVE_PACE_SUM, w, 3, 21 * REEVE_SECOND_NS));
    w[1].silence_ns = 5 * REEVE_SECOND_NS;
    assert_false(reeve_eviction_sum_is_stuck(&e, REEVE_PACE_SUM, w, 3, 21 * REEVE_SECOND_NS));
    w[1] = awaited(MS);
    w[0].pace = REEVE_PACE_OTHER;
    assert_false(reeve_eviction_sum_is_stuck(&e, REEVE_PACE_SUM, w, 3, 21 * REEVE_SECOND_NS));
    w[0] = awaited(MS);
    w[0].heard = false;
    assert_false(reeve_eviction_sum_is_stuck(&e, REEVE_PACE_SUM, w, 3, 21 * REEVE_SECOND_NS));
}

static void eviction_of_nobody_for_a_state_that_does_not_move(void **state)
{ /* Goal: a state is moved in small pieces, so that none moves needs no figure to be called a hang; five figures of
     * sums, who is silent, and who is busy count as in any sum. */
    (void)state;
    struct reeve_eviction e = begin();
    struct reeve_eviction_worker w[2] = {awaited(MS), awaited(REEVE_SECOND_NS)};
    assert_false(reeve_eviction_sum_is_stuck(&e, REEVE_PACE_STATE, w, 2, e.floor_ns));
    assert_true(reeve_eviction_sum_is_stuck(&e, REEVE_PACE_STATE, w, 2, e.floor_ns + 1));
    w[1].pace = REEVE_PACE_OTHER;
    assert_false(reeve_eviction_sum_is_stuck(&e, REEVE_PACE_STATE, w, 2, e.floor_ns + 1));
    w[1].pace = REEVE_PACE_NONE;
    measure(&e, REEVE_PACE_SUM, e.floor_ns, 4);
    assert_true(reeve_eviction_sum_is_stuck(&e, REEVE_PACE_STATE, w, 2, e.floor_ns + 1));
    measure(&e, REEVE_PACE_SUM, e.floor_ns, 1);
    assert_false(reeve_eviction_sum_is_stuck(&e, REEVE_PACE_STATE, w, 2, 10 * e.floor_ns));
    assert_true(reeve_eviction_sum_is_stuck(&e, REEVE_PACE_STATE, w, 2, 10 * e.floor_ns + 1));
    reeve_eviction_init(&e, 0);
    assert_false(reeve_eviction_sum_is_stuck(&e, REEVE_PACE_STATE, w, 2, 1000 * REEVE_SECOND_NS));
}

static void recent_median_forgets(void **state)
{ /* Goal: the median of the last 31 figures, whatever came before. */
    (void)state;
    struct reeve_recent r = {0};
    assert_int_equal(reeve_recent_median(&r), 0);
    reeve_recent_add(&r, 9);
    assert_int_equal(reeve_recent_median(&r), 9);
    for (int i = 0; i < 100; i++)
        reeve_recent_add(&r, 1000);
    for (int i = 0; i < 31; i++)
        reeve_recent_add(&r, i);
    assert_int_equal(reeve_recent_median(&r), 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eviction_of_a_silent_worker),
        cmocka_unit_test(eviction_needs_more_where_others_may_be_waited_for),
        cmocka_unit_test(eviction_waits_longer_where_words_come_late),
        cmocka_unit_test(eviction_of_who_is_stuck_in_a_task),
        cmocka_unit_test(eviction_is_slow_to_blame_the_first_of_a_kind),
        cmocka_unit_test(eviction_can_be_switched_off),
        cmocka_unit_test(eviction_knows_what_takes_as_long_as_it_takes),
        cmocka_unit_test(eviction_hears_what_heartbeats_tell),
        cmocka_unit_test(eviction_of_nobody_for_a_sum_that_does_not_end),
        cmocka_unit_test(eviction_of_nobody_for_a_state_that_does_not_move),
        cmocka_unit_test(recent_median_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
