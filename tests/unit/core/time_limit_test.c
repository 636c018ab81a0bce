/* The last safe step: runs of a simulated hour or minute, whose steps and checkpoints vary within the promised factors,
 * are saved before their time is up, and do not give away more of it than the margins. */
#include "fixture.h"

#include "core/time_limit.h"

#define SECOND INT64_C(1000000000)

static void without_an_end_a_run_is_never_due(void **state)
{
    struct reeve_time_limit t;
    reeve_time_limit_init(&t, 5 * SECOND);
    assert_true(reeve_time_limit_due(&t) == REEVE_TIME_NEVER);
    reeve_time_limit_step(&t, 6 * SECOND, false);
    reeve_time_limit_step(&t, 9 * SECOND, false);
    reeve_time_limit_checkpoint(&t, SECOND);
    assert_true(reeve_time_limit_due(&t) == REEVE_TIME_NEVER);
    assert_false(reeve_time_limit_is_near(&t, 100 * SECOND));
}

static void margins_are_those_of_the_header(void **state)
{
    struct reeve_time_limit t;
    reeve_time_limit_init(&t, 0);
    reeve_time_limit_set_end(&t, 3600 * SECOND);
    assert_int_equal(reeve_time_limit_due(&t) / SECOND, 3600 - 60 - 60); /* nothing measured: a guess of 60 s */
    reeve_time_limit_step(&t, 50 * SECOND, false);                       /* loading: says nothing of steps */
    reeve_time_limit_checkpoint(&t, 5 * SECOND);
    reeve_time_limit_checkpoint(&t, 3 * SECOND); /* the longest counts */
    assert_int_equal(reeve_time_limit_due(&t) / SECOND, 3600 - 60 - 10);
    reeve_time_limit_step(&t, 54 * SECOND, false);
    assert_int_equal(reeve_time_limit_due(&t) / SECOND, 3600 - 60 - 10 - 6);
    reeve_time_limit_step(&t, 74 * SECOND, true); /* a step of 20 s, with an evaluation */
    assert_int_equal(reeve_time_limit_due(&t) / SECOND, 3600 - 60 - 10 - 30);
}

static void a_slow_step_is_forgotten_and_a_slow_evaluation_is_not(void **state)
{
    struct reeve_time_limit t;
    reeve_time_ns now = SECOND;
    reeve_time_limit_init(&t, 0);
    reeve_time_limit_set_end(&t, 36000 * SECOND);
    reeve_time_limit_checkpoint(&t, 0);
    reeve_time_limit_step(&t, now, false);
    reeve_time_limit_step(&t, now += 600 * SECOND, false); /* the job was suspended, say */
    assert_int_equal(reeve_time_limit_due(&t) / SECOND, 36000 - 60 - 900);
    for (uint32_t i = 0; i < REEVE_TIME_LIMIT_STEPS; i++)
        reeve_time_limit_step(&t, now += 2 * SECOND, false);
    assert_int_equal(reeve_time_limit_due(&t) / SECOND, 36000 - 60 - 3);
    reeve_time_limit_step(&t, now += 40 * SECOND, true);
    for (uint32_t i = 0; i < 10 * REEVE_TIME_LIMIT_STEPS; i++)
        reeve_time_limit_step(&t, now += 2 * SECOND, false);
    assert_int_equal(reeve_time_limit_due(&t) / SECOND, 36000 - 60 - 60);
}

static void a_changed_end_moves_the_moment(void **state)
{
    struct reeve_time_limit t;
    reeve_time_limit_init(&t, 1000 * SECOND);
    reeve_time_limit_set_end(&t, 4600 * SECOND);
    reeve_time_ns before = reeve_time_limit_due(&t);
    reeve_time_limit_set_end(&t, 5600 * SECOND); /* scontrol update TimeLimit */
    assert_true(reeve_time_limit_due(&t) == before + 1000 * SECOND);
    reeve_time_limit_set_end(&t, 1030 * SECOND); /* pre-empted, with 30 s of grace */
    assert_true(reeve_time_limit_due(&t) < 1030 * SECOND);
    assert_true(reeve_time_limit_due(&t) > 1000 * SECOND); /* and still a part of it for steps */
}

static void commands_have_their_drain_and_half_of_the_time_at_most(void **state)
{
    struct reeve_time_limit t;
    reeve_time_limit_init(&t, 0);
    reeve_time_limit_set_drain(&t, 310 * SECOND);
    reeve_time_limit_set_end(&t, 3600 * SECOND);
    assert_int_equal(reeve_time_limit_due(&t) / SECOND, 3600 - 60 - 310);
    reeve_time_limit_set_end(&t, 100 * SECOND);
    assert_int_equal(reeve_time_limit_due(&t) / SECOND, 100 - 10 - 50);
}

static void a_signal_is_of_the_limit_only_near_the_end(void **state)
{
    struct reeve_time_limit t;
    reeve_time_limit_init(&t, 0);
    reeve_time_limit_set_end(&t, 24 * 3600 * SECOND);
    assert_false(reeve_time_limit_is_near(&t, 20 * 3600 * SECOND));
    assert_true(reeve_time_limit_is_near(&t, (24 * 3600 - 659) * SECOND));
    assert_false(reeve_time_limit_is_near(&t, (24 * 3600 - 661) * SECOND));
    reeve_time_limit_set_end(&t, 1000 * SECOND);
    assert_false(reeve_time_limit_is_near(&t, 739 * SECOND));
    assert_true(reeve_time_limit_is_near(&t, 741 * SECOND));
}

/* One life of a run: steps until it is due, then the rest of the open step, then a checkpoint. Returns when it is saved. */
static reeve_time_ns live(struct fx_random *r, reeve_time_ns length, reeve_time_ns step, reeve_time_ns save,
                          reeve_time_ns *stopped)
{
    struct reeve_time_limit t;
    reeve_time_ns begin = (reeve_time_ns)fx_below(r, 1000000) * SECOND, now = begin;
    reeve_time_limit_init(&t, begin);
    reeve_time_limit_set_end(&t, begin + length);
    now += save; /* loading */
    for (uint64_t n = 0; now < reeve_time_limit_due(&t); n++) {
        /* Once the longest was seen, nothing takes more than 1.5 times, and no checkpoint more than twice, as long. */
        now += n < 2 ? step : step / 2 + (reeve_time_ns)fx_below(r, (uint64_t)step);
        reeve_time_limit_step(&t, now, false);
        if (n % 10 == 5)
            reeve_time_limit_checkpoint(&t,
                                        save / 2 + (n > 5 ? (reeve_time_ns)fx_below(r, (uint64_t)save / 2) : save / 2));
    }
    *stopped = now - begin;
    return now - begin + save + (reeve_time_ns)fx_below(r, (uint64_t)save);
}

static void a_run_is_saved_in_time_and_wastes_little(void **state)
{
    struct fx_random r = fx_random_fresh();
    for (uint32_t round = 0; round < 4000; round++) {
        reeve_time_ns length = (reeve_time_ns)(60 + fx_below(&r, 4 * 3600)) * SECOND;
        reeve_time_ns step = length / (reeve_time_ns)(40 + fx_below(&r, 5000));
        reeve_time_ns save = length / (reeve_time_ns)(40 + fx_below(&r, 1000)) + 2;
        reeve_time_ns stopped = 0, saved = live(&r, length, step, save, &stopped);
        reeve_time_ns reserve = length / 10 > 60 * SECOND ? 60 * SECOND : length / 10;
        assert_true(saved <= length - reserve);
        /* What was given away: the reserve, two checkpoints (or the guess), and 1.5 of the longest of 1.5 steps. */
        assert_true(stopped >= length - reserve - 2 * save - (step * 9) / 4 - 60 * SECOND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_an_end_a_run_is_never_due),
        cmocka_unit_test(margins_are_those_of_the_header),
        cmocka_unit_test(a_slow_step_is_forgotten_and_a_slow_evaluation_is_not),
        cmocka_unit_test(a_changed_end_moves_the_moment),
        cmocka_unit_test(commands_have_their_drain_and_half_of_the_time_at_most),
        cmocka_unit_test(a_signal_is_of_the_limit_only_near_the_end),
        cmocka_unit_test(a_run_is_saved_in_time_and_wastes_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
