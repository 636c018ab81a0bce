/* "did you mean": helps with slips, and does not guess. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/suggest.h"

static const char *const verbs[] = {"run",    "plan",  "manifest", "status", "inspect",
                                    "verify", "audit", "doctor",   "version"};
#define VERBS (sizeof verbs / sizeof verbs[0])

static void slips_find_their_word(void **state)
{
    (void)state;
    static const char *const slips[][2] = {{"statsu", "status"},    {"verfiy", "verify"}, {"manifst", "manifest"},
                                           {"insspect", "inspect"}, {"audti", "audit"},   {"rnu", "run"},
                                           {"verison", "version"},  {"plans", "plan"}};
    for (size_t i = 0; i < sizeof slips / sizeof slips[0]; i++) {
        const char *nearest = reeve_cli_nearest(slips[i][0], verbs, VERBS);
        assert_non_null(nearest);
        assert_string_equal(nearest, slips[i][1]);
    }
}

static void other_words_find_nothing(void **state)
{
    (void)state;
    static const char *const words[] = {"frobnicate", "", "x", "train", "helicopter"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        assert_null(reeve_cli_nearest(words[i], verbs, VERBS));
    assert_null(reeve_cli_nearest("run", verbs, 0));
}

static void very_long_words_are_no_trouble(void **state)
{
    (void)state;
    char word[5000];
    memset(word, 'r', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    assert_null(reeve_cli_nearest(word, verbs, VERBS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slips_find_their_word),
        cmocka_unit_test(other_words_find_nothing),
        cmocka_unit_test(very_long_words_are_no_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
