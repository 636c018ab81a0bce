/* The wait of a loop that has nothing to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/idle.h"

static void wait_times(struct reeve_idle *idle, uint32_t count, reeve_time_ns sleep_ns_max)
{
    for (uint32_t i = 0; i < count; i++) reeve_idle_wait(idle, sleep_ns_max);
}

/* Goal: no core is burnt for nothing. Method: after the polls and yields are used up, ten waits with a cap take at least
 * what ten doubling sleeps take. */
static void idle_sleeps_longer_and_longer_up_to_the_cap(void **state)
{
    struct reeve_idle idle;
    reeve_idle_init(&idle, true);
    wait_times(&idle, idle.free_polls_max + idle.yields_max, 64000);
    reeve_time_ns expected_ns = 0, start_ns = reeve_clock_now();
    for (uint32_t i = 0; i < 10; i++) expected_ns += i < 6 ? 1000 << i : 64000;
    wait_times(&idle, 10, 64000);
    assert_true(reeve_clock_now() - start_ns >= expected_ns);
    assert_true(idle.sleep_ns <= 2 * 64000);
}

/* A smaller cap counts at once, a larger one is approached again by doubling. */
static void idle_obeys_the_cap_of_each_wait(void **state)
{
    struct reeve_idle idle;
    reeve_idle_init(&idle, true);
    wait_times(&idle, idle.free_polls_max + idle.yields_max + 10, 512000);
    assert_int_equal(idle.sleep_ns, 2 * 512000);
    reeve_idle_wait(&idle, 2000);
    assert_int_equal(idle.sleep_ns, 2 * 2000);
}

static void idle_never_sleeps_without_a_cap_and_never_wraps(void **state)
{
    struct reeve_idle idle;
    reeve_idle_init(&idle, false);
    wait_times(&idle, idle.free_polls_max + idle.yields_max + 1000, 0);
    assert_int_equal(idle.sleep_ns, 1000); /* untouched: no sleep was taken */
    idle.wait_count = UINT32_MAX;
    wait_times(&idle, 3, 0);
    assert_int_equal(idle.wait_count, UINT32_MAX);
}

static void idle_reset_makes_the_next_wait_short(void **state)
{
    struct reeve_idle idle;
    reeve_idle_init(&idle, true);
    wait_times(&idle, idle.free_polls_max + idle.yields_max + 8, 100000);
    assert_true(idle.sleep_ns > 1000);
    reeve_idle_reset(&idle);
    assert_int_equal(idle.wait_count, 0);
    assert_int_equal(idle.sleep_ns, 1000);
}

static void idle_gives_its_core_away_sooner_when_cores_are_short(void **state)
{
    struct reeve_idle few, many;
    reeve_idle_init(&few, true);
    reeve_idle_init(&many, false);
    assert_true(few.free_polls_max < many.free_polls_max);
    assert_true(few.yields_max < many.yields_max);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_sleeps_longer_and_longer_up_to_the_cap),
        cmocka_unit_test(idle_obeys_the_cap_of_each_wait),
        cmocka_unit_test(idle_never_sleeps_without_a_cap_and_never_wraps),
        cmocka_unit_test(idle_reset_makes_the_next_wait_short),
        cmocka_unit_test(idle_gives_its_core_away_sooner_when_cores_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
