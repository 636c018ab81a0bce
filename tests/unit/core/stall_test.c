/* When a whole job counts as hung: simulated time, no process. */
#include "fixture.h"

#include "base/clock.h"
#include "core/stall.h"

#define FLOOR_NS (60 * REEVE_SECOND_NS)

struct observer {
    struct reeve_stall stall;
    struct reeve_stall_mark mark;
    reeve_time_ns now_ns;
};

static void begin(struct observer *o)
{
    *o = (struct observer){.now_ns = 1000 * REEVE_SECOND_NS};
    reeve_stall_init(&o->stall, FLOOR_NS);
    reeve_stall_begin(&o->stall, o->now_ns);
}

/* Look every half second for so long. Returns whether it hung at any look. */
static bool watch_for(struct observer *o, reeve_time_ns ns)
{
    bool hung = false;
    for (reeve_time_ns end_ns = o->now_ns + ns; o->now_ns < end_ns;) {
        o->now_ns += REEVE_SECOND_NS / 2;
        reeve_stall_look(&o->stall, &o->mark, o->now_ns);
        hung = hung || reeve_stall_is_hung(&o->stall);
    }
    return hung;
}

static bool steps(struct observer *o, int count, reeve_time_ns each_ns)
{
    bool hung = false;
    o->mark.work = REEVE_STALL_STEPPING;
    for (int i = 0; i < count; i++) {
        hung = watch_for(o, each_ns) || hung;
        o->mark.step++;
    }
    return hung;
}

static void stall_short_steps_leave_the_floor(void **state)
{ /* Goal: steps of 0.1 s do not make two seconds without news a hang; the floor is the patience. */
    (void)state;
    struct observer o;
    begin(&o);
    for (int i = 0; i < 100; i++) {
        o.mark.work = REEVE_STALL_STEPPING;
        o.mark.step += 5;
        assert_false(watch_for(&o, REEVE_SECOND_NS / 2));
    }
    assert_int_equal(reeve_stall_patience(&o.stall), FLOOR_NS);
    assert_false(watch_for(&o, FLOOR_NS));
    assert_true(watch_for(&o, 2 * REEVE_SECOND_NS));
}

static void stall_long_steps_lengthen_the_patience(void **state)
{ /* Goal: a job with steps of a minute gets 20 of them; one slow step among them changes little. */
    (void)state;
    struct observer o;
    begin(&o);
    assert_false(steps(&o, 20, 60 * REEVE_SECOND_NS));
    assert_false(steps(&o, 1, 300 * REEVE_SECOND_NS));
    assert_false(steps(&o, 5, 60 * REEVE_SECOND_NS));
    assert_int_equal(reeve_stall_patience(&o.stall) / REEVE_SECOND_NS, 1200);
    assert_false(watch_for(&o, 1195 * REEVE_SECOND_NS));
    assert_true(watch_for(&o, 10 * REEVE_SECOND_NS));
}

static void stall_completed_tasks_are_progress(void **state)
{ /* Goal: one worker left of a hundred, and the step takes a hundred times as long: no hang while tasks complete. */
    (void)state;
    struct observer o;
    begin(&o);
    (void)steps(&o, 20, REEVE_SECOND_NS);
    for (o.mark.tasks_done = 1; o.mark.tasks_done < 100; o.mark.tasks_done++)
        assert_false(watch_for(&o, 50 * REEVE_SECOND_NS));
    assert_true(watch_for(&o, 62 * REEVE_SECOND_NS));
}

static void stall_work_of_unknown_length_gets_longer(void **state)
{ /* Goal: a start, the reading of a shard, an evaluation and a last save may take ten times as long, and not for ever. */
    (void)state;
    static const enum reeve_stall_work works[] = {REEVE_STALL_STARTING, REEVE_STALL_READING, REEVE_STALL_EVALUATING,
                                                  REEVE_STALL_SAVING};
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        struct observer o;
        begin(&o);
        o.mark.work = works[i];
        assert_false(watch_for(&o, 10 * FLOOR_NS));
        assert_true(watch_for(&o, 2 * REEVE_SECOND_NS));
    }
}

static void stall_to_and_fro_is_no_progress(void **state)
{ /* Goal: a worker that reads for ever and is heard of now and then, so that the kind of work seems to change, does hang;
   * steps that follow a long reading have their whole patience. */
    (void)state;
    struct observer o;
    bool hung = false;
    begin(&o);
    (void)steps(&o, 20, REEVE_SECOND_NS);
    assert_false(watch_for(&o, FLOOR_NS - REEVE_SECOND_NS));
    o.mark.work = REEVE_STALL_READING;
    assert_false(watch_for(&o, 10 * FLOOR_NS - REEVE_SECOND_NS));
    o.mark.work = REEVE_STALL_STEPPING;
    assert_false(watch_for(&o, FLOOR_NS - REEVE_SECOND_NS));
    o.mark.tasks_left++;
    for (int i = 0; i < 100 && !hung; i++) {
        o.mark.work = i % 2 == 0 ? REEVE_STALL_READING : REEVE_STALL_STEPPING;
        hung = watch_for(&o, FLOOR_NS / 2);
        assert_true(i >= 40 || !hung);
    }
    assert_true(hung);
}

static void stall_a_command_may_take_for_ever(void **state)
{ /* Goal: where nobody knows how long work takes, a job that tells of itself does not hang; a silent one does. */
    (void)state;
    struct observer o;
    begin(&o);
    o.mark.work = REEVE_STALL_STEPPING;
    for (int i = 0; i < 1000; i++) {
        o.mark.told_ns = (int64_t)o.now_ns;
        assert_false(watch_for(&o, REEVE_SECOND_NS));
    }
    assert_true(watch_for(&o, FLOOR_NS + 2 * REEVE_SECOND_NS));
}

static void stall_nothing_moves_from_the_start(void **state)
{ /* Goal: a launch that never says a word is found too. */
    (void)state;
    struct observer o;
    begin(&o);
    assert_false(watch_for(&o, 10 * FLOOR_NS - REEVE_SECOND_NS));
    assert_true(watch_for(&o, 3 * REEVE_SECOND_NS));
}

static void stall_a_suspended_observer_blames_nobody(void **state)
{ /* Goal: the whole allocation was suspended for an hour, observer included: that is no hang. Then it is one. */
    (void)state;
    struct observer o;
    begin(&o);
    (void)steps(&o, 20, REEVE_SECOND_NS);
    assert_false(watch_for(&o, FLOOR_NS / 2));
    o.now_ns += 3600 * REEVE_SECOND_NS;
    assert_false(watch_for(&o, FLOOR_NS / 2 - REEVE_SECOND_NS));
    assert_true(watch_for(&o, 3 * REEVE_SECOND_NS));
    assert_int_equal(reeve_stall_patience(&o.stall), FLOOR_NS); /* nor did it enter the measured steps */
}

static void stall_a_new_launch_starts_afresh_and_knows_its_steps(void **state)
{ /* Goal: after a restart the patience is that of a start, and the steps measured before still count. */
    (void)state;
    struct observer o;
    begin(&o);
    (void)steps(&o, 20, 30 * REEVE_SECOND_NS);
    assert_true(watch_for(&o, 602 * REEVE_SECOND_NS));
    reeve_stall_begin(&o.stall, o.now_ns);
    assert_false(reeve_stall_is_hung(&o.stall));
    o.mark = (struct reeve_stall_mark){.work = REEVE_STALL_STARTING};
    assert_false(watch_for(&o, 6000 * REEVE_SECOND_NS));
    o.mark = (struct reeve_stall_mark){.work = REEVE_STALL_STEPPING, .step = 10}; /* from the checkpoint of step 9 */
    assert_false(watch_for(&o, 600 * REEVE_SECOND_NS));
    assert_true(watch_for(&o, 2 * REEVE_SECOND_NS));
}

static void stall_never_cries_over_any_steady_run(void **state)
{ /* Goal: no false alarm. Method: random runs whose steps vary tenfold, seen at random moments. */
    (void)state;
    struct fx_random r = fx_random_fresh();
    for (int run = 0; run < 200; run++) {
        struct observer o;
        begin(&o);
        o.mark.work = REEVE_STALL_STEPPING;
        reeve_time_ns base_ns = REEVE_MILLISECOND_NS * (reeve_time_ns)(1 + fx_below(&r, 100000)), next_ns = o.now_ns;
        for (int i = 0; i < 2000; i++) {
            o.now_ns += REEVE_SECOND_NS / 10 + (reeve_time_ns)fx_below(&r, REEVE_SECOND_NS);
            while (o.now_ns >= next_ns) {
                o.mark.step++;
                next_ns += base_ns + (reeve_time_ns)fx_below(&r, 9 * (uint64_t)base_ns);
            }
            reeve_stall_look(&o.stall, &o.mark, o.now_ns);
            if (o.stall.steps.count >= 5 || 10 * base_ns < FLOOR_NS) assert_false(reeve_stall_is_hung(&o.stall));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stall_short_steps_leave_the_floor),
        cmocka_unit_test(stall_long_steps_lengthen_the_patience),
        cmocka_unit_test(stall_completed_tasks_are_progress),
        cmocka_unit_test(stall_work_of_unknown_length_gets_longer),
        cmocka_unit_test(stall_to_and_fro_is_no_progress),
        cmocka_unit_test(stall_a_command_may_take_for_ever),
        cmocka_unit_test(stall_nothing_moves_from_the_start),
        cmocka_unit_test(stall_a_suspended_observer_blames_nobody),
        cmocka_unit_test(stall_a_new_launch_starts_afresh_and_knows_its_steps),
        cmocka_unit_test(stall_never_cries_over_any_steady_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
