/* When a lost worker's place is filled again: run/replacement.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "run/replacement.h"

static void waits_until_a_step_or_a_while_shows_that_the_job_goes_on(void **state)
{
    (void)state;
    struct reeve_replacement r = {0};
    assert_false(reeve_replacement_regrouped(&r, 0, 0, 7, REEVE_SECOND_NS));
    assert_false(reeve_replacement_due(&r, 1, 7, 5 * REEVE_SECOND_NS));
    assert_true(reeve_replacement_due(&r, 1, 7, 10 * REEVE_SECOND_NS));
    assert_false(reeve_replacement_due(&r, 1, 8, REEVE_SECOND_NS)); /* another loss may follow at once */
    assert_true(reeve_replacement_due(&r, 1, 8, 2 * REEVE_SECOND_NS));
    assert_false(reeve_replacement_due(&r, 0, 8, 2 * REEVE_SECOND_NS)); /* nobody is missing */
}

static void tries_later_and_later_and_then_no_more(void **state)
{
    (void)state;
    struct reeve_replacement r = {0};
    reeve_time_ns now_ns = REEVE_SECOND_NS, wait_ns = REEVE_SECOND_NS;
    (void)reeve_replacement_regrouped(&r, 0, 0, 1, now_ns);
    for (uint64_t step = 2; step < 2 + REEVE_REPLACEMENT_TRIES_MAX; step++) {
        now_ns += wait_ns;
        assert_true(reeve_replacement_due(&r, 1, step, now_ns));
        assert_false(reeve_replacement_given_up(&r));
        reeve_replacement_ask(&r);
        assert_true(reeve_replacement_regrouped(&r, 0, 0, step, now_ns));
        wait_ns = REEVE_SECOND_NS << (step - 2);
        assert_false(reeve_replacement_due(&r, 1, step + 1, now_ns + wait_ns - 1));
    }
    assert_true(reeve_replacement_given_up(&r));
    assert_false(reeve_replacement_due(&r, 1, 1000, now_ns + 3600 * REEVE_SECOND_NS));
}

static void presses_when_good_moments_do_not_come(void **state)
{
    (void)state;
    struct reeve_replacement r = {0};
    (void)reeve_replacement_regrouped(&r, 0, 0, 7, REEVE_SECOND_NS);
    assert_false(reeve_replacement_presses(&r, 8));
    assert_true(reeve_replacement_presses(&r, 20));
}

static void who_comes_and_is_lost_at_once_has_failed(void **state)
{
    (void)state;
    struct reeve_replacement r = {0};
    reeve_replacement_ask(&r);
    assert_false(reeve_replacement_regrouped(&r, 1, 0, 5, REEVE_SECOND_NS));
    assert_true(reeve_replacement_regrouped(&r, 0, 0, 5, 2 * REEVE_SECOND_NS)); /* lost before any progress */
    assert_int_equal(r.failures, 1);
}

static void progress_with_who_came_forgets_the_failures(void **state)
{
    (void)state;
    struct reeve_replacement r = {.failures = 3};
    reeve_replacement_ask(&r);
    assert_false(reeve_replacement_regrouped(&r, 1, 0, 5, REEVE_SECOND_NS));
    assert_false(reeve_replacement_due(&r, 0, 6, 2 * REEVE_SECOND_NS));
    assert_int_equal(r.failures, 0);
    assert_false(reeve_replacement_regrouped(&r, 0, 0, 9, 3 * REEVE_SECOND_NS)); /* an ordinary loss, later */
    assert_int_equal(r.failures, 0);
}

static void two_masters_that_were_lost_of_it_are_enough(void **state)
{ /* Each new master has a count of its own, so what the ones before died of would be tried by all of them. */
    (void)state;
    struct reeve_replacement r = {0};
    assert_false(reeve_replacement_regrouped(&r, 0, 1, 5, REEVE_SECOND_NS));
    assert_true(reeve_replacement_due(&r, 2, 6, 10 * REEVE_SECOND_NS));
    struct reeve_replacement next = {0};
    assert_true(reeve_replacement_regrouped(&next, 0, 2, 6, 30 * REEVE_SECOND_NS)); /* which is told, once */
    assert_true(reeve_replacement_given_up(&next));
    assert_false(reeve_replacement_due(&next, 3, 1000, 3600 * REEVE_SECOND_NS));
    assert_false(reeve_replacement_regrouped(&next, 0, 2, 7, 40 * REEVE_SECOND_NS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_until_a_step_or_a_while_shows_that_the_job_goes_on),
        cmocka_unit_test(tries_later_and_later_and_then_no_more),
        cmocka_unit_test(presses_when_good_moments_do_not_come),
        cmocka_unit_test(who_comes_and_is_lost_at_once_has_failed),
        cmocka_unit_test(progress_with_who_came_forgets_the_failures),
        cmocka_unit_test(two_masters_that_were_lost_of_it_are_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
