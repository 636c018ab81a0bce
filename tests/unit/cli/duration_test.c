/* Durations: each form has one meaning, and what could have two is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/duration.h"

static void each_form_has_its_meaning(void **state)
{
    static const struct {
        const char *text;
        uint64_t seconds;
    } known[] = {{"90s", 90},           {"0s", 0},           {"30m", 1800},       {"12h", 43200},
                 {"2d", 172800},        {"0:00:45", 45},     {"11:30:00", 41400}, {"1-12:00:00", 129600},
                 {"100:00:00", 360000}, {"3653d", 315619200}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint64_t seconds = UINT64_MAX;
        assert_true(reeve_duration_parse(known[i].text, &seconds));
        assert_true(seconds == known[i].seconds);
    }
}

static void everything_else_is_refused(void **state)
{
    static const char *const bad[] = {"",      "s",        "90",           "-1s",     "+1s",     " 1s",
                                      "1s ",   "1 s",      "1S",           "1.5h",    "1w",      "45:00",
                                      "1-12",  "1-12:00",  "::",           "1:60:00", "1:00:60", "1:00:00:0",
                                      "3654d", "1:00:00s", "99999999999s", "1-:0:0",  "0x10s"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t seconds;
        assert_false(reeve_duration_parse(bad[i], &seconds));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_has_its_meaning),
        cmocka_unit_test(everything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
