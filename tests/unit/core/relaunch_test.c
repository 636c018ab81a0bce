/* What follows the end of a launch: again, over, or given up. */
#include "fixture.h"

#include "base/clock.h"
#include "core/relaunch.h"
#include "reeve/status.h"

static const struct reeve_relaunch_policy policy = {
    .restarts_max = 4, .crash_limit = 3, .wait_max_ns = 10 * REEVE_SECOND_NS};
static const struct reeve_relaunch_end nothing = {.last_word = -1};

/* Lost while step + 1 was under way. */
static struct reeve_relaunch_end lost_after(uint64_t step, uint64_t checkpoint)
{
    return (struct reeve_relaunch_end){.last_word = -1,
                                       .lost = true,
                                       .began = true,
                                       .trained = true,
                                       .step = step,
                                       .open_step = step + 1,
                                       .checkpoint = checkpoint};
}

static struct reeve_relaunch_end lost_at_start(uint64_t step, uint64_t checkpoint)
{
    struct reeve_relaunch_end end = lost_after(step, checkpoint);
    end.trained = false;
    end.open_step = 0;
    return end;
}

static enum reeve_relaunch_kind judge(struct reeve_relaunch *r, struct reeve_relaunch_end end)
{
    return reeve_relaunch_judge(r, &end).kind;
}

static void relaunch_a_loss_is_started_again(void **state)
{ /* Goal: also the hundredth, as long as there is progress between; and at once, near enough. */
    (void)state;
    struct reeve_relaunch r;
    reeve_relaunch_init(&r, &policy, &nothing);
    for (uint64_t i = 1; i <= 100; i++) {
        struct reeve_relaunch_end end = lost_after(i * 10, i * 10 - 5);
        struct reeve_relaunch_verdict v = reeve_relaunch_judge(&r, &end);
        assert_int_equal(v.kind, REEVE_RELAUNCH_AGAIN);
        assert_true(v.wait_ns <= REEVE_SECOND_NS);
    }
}

static void relaunch_what_a_restart_cannot_mend_is_over(void **state)
{ /* Goal: every documented exit code but "internal" stands, at the first launch and at the tenth. */
    (void)state;
    static const int stands[] = {0, 3, 64, 65, 66, 69, 73, 74, 75, 77, 78, 130};
    for (size_t i = 0; i < sizeof(stands) / sizeof(stands[0]); i++)
        for (uint64_t before = 0; before < 2; before++) {
            struct reeve_relaunch r;
            reeve_relaunch_init(&r, &policy, &nothing);
            if (before > 0) assert_int_equal(judge(&r, lost_after(7, 5)), REEVE_RELAUNCH_AGAIN);
            struct reeve_relaunch_end end = lost_after(20, 10);
            end.last_word = stands[i];
            end.lost = stands[i] != 0;
            assert_int_equal(judge(&r, end), REEVE_RELAUNCH_OVER);
        }
    struct reeve_relaunch r;
    reeve_relaunch_init(&r, &policy, &nothing);
    struct reeve_relaunch_end end = lost_after(20, 10);
    end.last_word = REEVE_EXIT_INTERNAL;
    assert_int_equal(judge(&r, end), REEVE_RELAUNCH_AGAIN);
}

static void relaunch_a_stop_that_was_asked_for_stands_whoever_is_lost_after_it(void **state)
{ /* Goal: what was asked to stop, and is saved, is not begun again because a process or a host died on its way out. */
    (void)state;
    struct reeve_relaunch r;
    reeve_relaunch_init(&r, &policy, &nothing);
    struct reeve_relaunch_end end = lost_after(20, 20);
    end.last_word = REEVE_EXIT_AGAIN;
    assert_int_equal(judge(&r, end), REEVE_RELAUNCH_OVER);
    end.host_lost = true;
    assert_int_equal(judge(&r, end), REEVE_RELAUNCH_OVER);
}

static void relaunch_gives_up_after_restarts_max_without_progress(void **state)
{ /* Goal: the limit is exact, the waits double up to their limit, and progress clears the count. */
    (void)state;
    struct reeve_relaunch r;
    reeve_relaunch_init(&r, &policy, &(struct reeve_relaunch_end){.step = 100, .checkpoint = 90});
    for (uint64_t round = 0; round < 3; round++) {
        reeve_time_ns before = 0;
        for (uint32_t i = 0; i < policy.restarts_max; i++) {
            bool progress = round > 0 && i == 0;
            struct reeve_relaunch_end end = progress ? lost_after(100 + round, 90) : lost_at_start(100, 90);
            struct reeve_relaunch_verdict v = reeve_relaunch_judge(&r, &end);
            assert_int_equal(v.kind, REEVE_RELAUNCH_AGAIN);
            assert_true(v.wait_ns == (before > 0 ? 2 * before : REEVE_SECOND_NS / 2));
            before = v.wait_ns;
        }
    }
    assert_int_equal(judge(&r, lost_at_start(100, 90)), REEVE_RELAUNCH_FRUITLESS);
}

static void relaunch_waits_have_a_limit(void **state)
{
    (void)state;
    struct reeve_relaunch r;
    struct reeve_relaunch_policy many = policy;
    many.restarts_max = 1000000;
    reeve_relaunch_init(&r, &many, &nothing);
    for (int i = 0; i < 1000; i++) {
        struct reeve_relaunch_end end = lost_at_start(0, 0);
        struct reeve_relaunch_verdict v = reeve_relaunch_judge(&r, &end);
        assert_true(v.wait_ns > 0 && v.wait_ns <= many.wait_max_ns);
        if (i > 10) assert_true(v.wait_ns == many.wait_max_ns);
    }
}

static void relaunch_steps_done_again_are_no_progress(void **state)
{ /* Goal: a run that dies each time before it gets past where it once was does not go on for ever. */
    (void)state;
    struct reeve_relaunch r;
    reeve_relaunch_init(&r, &policy, &nothing);
    assert_int_equal(judge(&r, lost_after(150, 100)), REEVE_RELAUNCH_AGAIN);
    for (uint64_t i = 1; i < policy.restarts_max; i++)
        assert_int_equal(judge(&r, lost_after(110 + i * 7, 100)), REEVE_RELAUNCH_AGAIN);
    assert_int_equal(judge(&r, lost_after(149, 100)), REEVE_RELAUNCH_FRUITLESS);
}

static void relaunch_a_new_checkpoint_is_progress(void **state)
{ /* Goal: the step may be an old one; what is saved now is not lost again. */
    (void)state;
    struct reeve_relaunch r;
    reeve_relaunch_init(&r, &policy, &nothing);
    assert_int_equal(judge(&r, lost_after(150, 100)), REEVE_RELAUNCH_AGAIN);
    for (uint64_t i = 1; i <= 40; i++)
        assert_int_equal(judge(&r, lost_after(100 + i, 100 + i)), REEVE_RELAUNCH_AGAIN);
}

static void relaunch_the_same_step_again_and_again_is_poison(void **state)
{ /* Goal: crash_limit deaths in a row in one step end it, whatever restarts_max allows; another step between clears. */
    (void)state;
    struct reeve_relaunch r;
    struct reeve_relaunch_policy many = policy;
    many.restarts_max = 1000;
    reeve_relaunch_init(&r, &many, &nothing);
    assert_int_equal(judge(&r, lost_after(41, 40)), REEVE_RELAUNCH_AGAIN);
    assert_int_equal(judge(&r, lost_after(41, 40)), REEVE_RELAUNCH_AGAIN);
    assert_int_equal(judge(&r, lost_after(40, 40)), REEVE_RELAUNCH_AGAIN);
    assert_int_equal(judge(&r, lost_after(41, 40)), REEVE_RELAUNCH_AGAIN);
    assert_int_equal(judge(&r, lost_after(41, 40)), REEVE_RELAUNCH_AGAIN);
    assert_int_equal(judge(&r, lost_after(41, 40)), REEVE_RELAUNCH_POISON);
}

static void relaunch_a_loss_while_starting_blames_no_step(void **state)
{ /* Goal: kills during the start neither make a step poison nor take the blame from one that is. */
    (void)state;
    struct reeve_relaunch r;
    struct reeve_relaunch_policy many = policy;
    many.restarts_max = 1000;
    reeve_relaunch_init(&r, &many, &nothing);
    for (int i = 0; i < 50; i++)
        assert_int_equal(judge(&r, lost_at_start(0, 0)), REEVE_RELAUNCH_AGAIN);
    assert_int_equal(judge(&r, lost_after(0, 0)), REEVE_RELAUNCH_AGAIN);
    assert_int_equal(judge(&r, lost_at_start(0, 0)), REEVE_RELAUNCH_AGAIN);
    assert_int_equal(judge(&r, lost_after(0, 0)), REEVE_RELAUNCH_AGAIN);
    assert_int_equal(judge(&r, lost_after(0, 0)), REEVE_RELAUNCH_POISON);
}

static void relaunch_a_lost_host_blames_no_step(void **state)
{ /* Goal: three nodes lost in one long step are three lost nodes. */
    (void)state;
    struct reeve_relaunch r;
    struct reeve_relaunch_policy many = policy;
    many.restarts_max = 1000;
    reeve_relaunch_init(&r, &many, &nothing);
    struct reeve_relaunch_end end = lost_after(41, 40);
    end.host_lost = true;
    for (int i = 0; i < 50; i++)
        assert_int_equal(judge(&r, end), REEVE_RELAUNCH_AGAIN);
    assert_int_equal(judge(&r, lost_after(41, 40)), REEVE_RELAUNCH_AGAIN);
    assert_int_equal(judge(&r, end), REEVE_RELAUNCH_AGAIN);
    assert_int_equal(judge(&r, lost_after(41, 40)), REEVE_RELAUNCH_AGAIN);
    assert_int_equal(judge(&r, lost_after(41, 40)), REEVE_RELAUNCH_POISON);
}

static void relaunch_a_launcher_that_cannot_start_is_told_at_once(void **state)
{ /* Goal: a wrong flag of mpirun is not tried ten times; after it once worked, it is. */
    (void)state;
    struct reeve_relaunch r;
    reeve_relaunch_init(&r, &policy, &nothing);
    struct reeve_relaunch_end end = {.last_word = -1};
    assert_int_equal(judge(&r, end), REEVE_RELAUNCH_NO_START);
    reeve_relaunch_init(&r, &policy, &nothing);
    assert_int_equal(judge(&r, lost_after(5, 0)), REEVE_RELAUNCH_AGAIN);
    assert_int_equal(judge(&r, end), REEVE_RELAUNCH_AGAIN);
    reeve_relaunch_init(&r, &policy, &nothing);
    end.lost = true; /* killed before its first word */
    assert_int_equal(judge(&r, end), REEVE_RELAUNCH_AGAIN);
}

static void relaunch_switched_off_never_starts_again(void **state)
{
    (void)state;
    struct reeve_relaunch r;
    struct reeve_relaunch_policy none = policy;
    none.restarts_max = 0;
    reeve_relaunch_init(&r, &none, &nothing);
    assert_int_equal(judge(&r, lost_after(5, 0)), REEVE_RELAUNCH_NEVER);
}

static void relaunch_always_comes_to_an_end(void **state)
{ /* Goal: no sequence of ends without progress is restarted for ever. Method: random ones, all below one step. */
    (void)state;
    struct fx_random rnd = fx_random_fresh();
    for (int run = 0; run < 2000; run++) {
        struct reeve_relaunch r;
        reeve_relaunch_init(&r, &policy, &nothing);
        int launches = 0;
        enum reeve_relaunch_kind kind = judge(&r, lost_after(500, 400));
        for (; kind == REEVE_RELAUNCH_AGAIN && launches < 100; launches++) {
            uint64_t step = 400 + fx_below(&rnd, 100);
            kind = judge(&r, fx_below(&rnd, 3) == 0 ? lost_at_start(400, 400) : lost_after(step, 400));
        }
        assert_true(kind == REEVE_RELAUNCH_FRUITLESS || kind == REEVE_RELAUNCH_POISON);
        assert_true(launches <= (int)policy.restarts_max);
    }
}

static void tell(struct reeve_relaunch_end *end, uint32_t epoch, enum reeve_event_kind kind, uint64_t step)
{
    const struct reeve_event ev = {.kind = (uint16_t)kind, .epoch = epoch, .step = step, .a = step};
    reeve_relaunch_event(end, 1, &ev);
}

static void relaunch_the_journal_says_what_a_launch_did(void **state)
{ /* Goal: events of earlier launches are not this launch's, and steps rolled back are not committed. */
    (void)state;
    struct reeve_relaunch_end end = {.last_word = -1};
    tell(&end, 1, REEVE_EVENT_RUN_OPENED, 0);
    for (uint64_t step = 1; step <= 7; step++) {
        tell(&end, 1, REEVE_EVENT_STEP_OPENED, step);
        tell(&end, 1, REEVE_EVENT_STEP_COMMITTED, step);
        if (step == 5) tell(&end, 1, REEVE_EVENT_CKPT_COMMIT, 5);
    }
    tell(&end, 1, REEVE_EVENT_STEP_OPENED, 8);
    assert_false(end.began || end.trained);
    assert_int_equal(end.step, 7);
    tell(&end, 2, REEVE_EVENT_RUN_OPENED, 5);
    assert_true(end.began && !end.trained && end.open_step == 0);
    tell(&end, 2, REEVE_EVENT_RUN_RESUMED, 5);
    tell(&end, 2, REEVE_EVENT_STEP_OPENED, 6);
    assert_true(end.trained);
    assert_int_equal(end.step, 5);
    assert_int_equal(end.open_step, 6);
    assert_int_equal(end.checkpoint, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relaunch_a_loss_is_started_again),
        cmocka_unit_test(relaunch_what_a_restart_cannot_mend_is_over),
        cmocka_unit_test(relaunch_a_stop_that_was_asked_for_stands_whoever_is_lost_after_it),
        cmocka_unit_test(relaunch_gives_up_after_restarts_max_without_progress),
        cmocka_unit_test(relaunch_waits_have_a_limit),
        cmocka_unit_test(relaunch_steps_done_again_are_no_progress),
        cmocka_unit_test(relaunch_a_new_checkpoint_is_progress),
        cmocka_unit_test(relaunch_the_same_step_again_and_again_is_poison),
        cmocka_unit_test(relaunch_a_loss_while_starting_blames_no_step),
        cmocka_unit_test(relaunch_a_lost_host_blames_no_step),
        cmocka_unit_test(relaunch_a_launcher_that_cannot_start_is_told_at_once),
        cmocka_unit_test(relaunch_switched_off_never_starts_again),
        cmocka_unit_test(relaunch_always_comes_to_an_end),
        cmocka_unit_test(relaunch_the_journal_says_what_a_launch_did),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
