/* What people meant is guessed where it is likely, and nothing is said where it is not. (In whole messages: job_errors.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "config/hints.h"
#include "fixture.h"

static void hints_of_numbers(void **state)
{
    static const struct {
        const char *yaml;
        bool whole;
        const char *hint;
    } cases[] = {
        {"3,0e-3", false, "; the decimal mark is a point: 3.0e-3"},
        {"1,2,3", false, ""},
        {"fast", false, ""},
        {"\"0.5\"", false, "; leave the quotes out"},
        {"\"fast\"", false, ""},
        {"1e3", true, "; written as 1000"},
        {"2.5e1", true, "; written as 25"},
        {"2.5", true, ""},
        {"-1e3", true, ""}, /* as -1000 it would be refused as well */
        {"1e6", true, ""},
        {"1e5", true, "; written as 100000"},
        {"-0.0", true, "; written as 0"},
        {"1_000_000", true, ""},
        {"1e300", true, ""},
        {"1,000", true, "; written as 1000"},
        {"1_000", true, "; written as 1000"},
        {"0.5,0", true, ""},
        {"010", true, "; without zeros in front"},
        {"-1", true, ""},
        {"99999999999999999999", true, ""},
        {"0x10", true, ""},
        {"11111111111111111111111111111111111111111111111111111111111111111111,0", true, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reeve_yaml y;
        char out[REEVE_HINT_BYTES];
        assert_int_equal(reeve_yaml_parse("f", false, cases[i].yaml, strlen(cases[i].yaml), &y, NULL), 0);
        assert_string_equal(cases[i].whole ? reeve_hint_whole(&y, 0, 0, 100000, out) : reeve_hint_real(&y, 0, out),
                            cases[i].hint);
        reeve_yaml_fini(&y);
    }
}

static void hints_of_words(void **state)
{
    static const char *const boolean[] = {"false", "true", NULL}, *const order[] = {"none", "block", "global", NULL};
    char out[REEVE_HINT_BYTES];
    (void)state;
    assert_string_equal(reeve_hint_choice("OFF", boolean, out), "; did you mean 'false'?");
    assert_string_equal(reeve_hint_choice("ture", boolean, out), "; did you mean 'true'?");
    assert_string_equal(reeve_hint_choice("no", order, out), "");
    assert_string_equal(reeve_hint_choice("blok", order, out), "; did you mean 'block'?");
}

static void hints_of_keys_and_paths(void **state)
{
    (void)state;
    assert_string_equal(reeve_hint_key("steps:3"), "; a blank belongs behind the ':'");
    assert_string_equal(reeve_hint_key("steps:"), "");
    assert_string_equal(reeve_hint_key(":"), "");
    assert_string_equal(reeve_hint_key("0e-3"), "; the decimal mark is a point, and a comma begins another key");
    assert_string_equal(reeve_hint_key("stpes"), "");
    assert_string_equal(reeve_hint_path("~/a.txt"), "; no shell reads this: `~` and variables stay as they are");
    assert_string_equal(reeve_hint_path("$DATA/a"), "; no shell reads this: `~` and variables stay as they are");
    assert_string_equal(reeve_hint_path("a~/b"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hints_of_numbers),
        cmocka_unit_test(hints_of_words),
        cmocka_unit_test(hints_of_keys_and_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
