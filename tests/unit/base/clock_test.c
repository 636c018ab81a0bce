/* Clocks: the monotonic one never goes back, and the wall clock's text is UTC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"

static void clock_never_goes_back(void **state)
{
    reeve_time_ns last = reeve_clock_now();
    for (int i = 0; i < 100000; i++) {
        reeve_time_ns now = reeve_clock_now();
        assert_true(now >= last);
        last = now;
    }
}

static void clock_sleep_takes_at_least_its_time(void **state)
{
    reeve_time_ns before = reeve_clock_now();
    reeve_clock_sleep(5 * REEVE_MILLISECOND_NS);
    assert_true(reeve_clock_now() - before >= 5 * REEVE_MILLISECOND_NS);
    reeve_clock_sleep(0);
    reeve_clock_sleep(-1);
}

static void clock_text_is_utc(void **state)
{
    char text[21];
    reeve_clock_format_utc(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    reeve_clock_format_utc(951782399 * REEVE_SECOND_NS + 999999999, text); /* the last second before a leap day */
    assert_string_equal(text, "2000-02-28T23:59:59Z");
    reeve_clock_format_utc(951782400 * REEVE_SECOND_NS, text);
    assert_string_equal(text, "2000-02-29T00:00:00Z");
    reeve_clock_format_utc(INT64_MAX, text);
    assert_string_equal(text, "2262-04-11T23:47:16Z");
    assert_true(reeve_clock_wall_ns() > 1600000000 * REEVE_SECOND_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_never_goes_back),
        cmocka_unit_test(clock_sleep_takes_at_least_its_time),
        cmocka_unit_test(clock_text_is_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
