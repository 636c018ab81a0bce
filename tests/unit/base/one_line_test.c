/* What comes from outside is no command to a terminal, and no line of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/one_line.h"

static void control_characters_become_blanks_and_letters_stay(void **state)
{
    (void)state;
    static const struct {
        const char *text, *line, *lines;
    } cases[] = {
        {"", "", ""},
        {"plain", "plain", "plain"},
        {"\033[31mred\a", " [31mred ", " [31mred "},
        {"a\nb\tc\rd\177e", "a b c d e", "a\nb\tc d e"},
        {"\302\2332J \302\200\302\237", "  2J     ", "  2J     "}, /* CSI as one character of C1 */
        {"caf\303\251 \302\240\302\265 \342\202\254", "caf\303\251 \302\240\302\265 \342\202\254",
         "caf\303\251 \302\240\302\265 \342\202\254"},
        {"cut \302", "cut \302", "cut \302"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[64], lines[64];
        memcpy(line, cases[i].text, strlen(cases[i].text) + 1);
        memcpy(lines, cases[i].text, strlen(cases[i].text) + 1);
        reeve_one_line(line);
        reeve_plain_lines(lines);
        assert_string_equal(line, cases[i].line);
        assert_string_equal(lines, cases[i].lines);
        assert_int_equal(reeve_is_one_line(cases[i].text), strcmp(cases[i].text, cases[i].line) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(control_characters_become_blanks_and_letters_stay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
