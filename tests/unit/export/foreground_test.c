/* A process that is stopped, or in the background of its terminal, has not got it; one that nothing is known of may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "export/foreground.h"

static void foreground_is_read_from_proc(void **state)
{
    (void)state;
    assert_true(reeve_foreground_parse("77 (reeve) S 1 77 70 34816 77 4194304 91 0"));
    assert_false(reeve_foreground_parse("77 (reeve) S 1 77 70 34816 70 4194304 91 0"));       /* bg */
    assert_false(reeve_foreground_parse("77 (reeve) T 1 77 70 34816 77 4194304 91 0"));       /* Ctrl-Z */
    assert_true(reeve_foreground_parse("77 (reeve) S 1 77 77 0 -1 4194304 91 0"));            /* no terminal */
    assert_false(reeve_foreground_parse("77 (a) T 1 9 (b) S 1 77 70 34816 70 4194304 91 0")); /* a name to mislead */
    assert_true(reeve_foreground_parse("77 (reeve"));
    assert_true(reeve_foreground_parse("77 (reeve) S 1"));
    assert_true(reeve_foreground_parse(""));
}

static void foreground_of_a_process_that_is_gone_is_not_denied(void **state)
{
    (void)state;
    assert_true(reeve_foreground_has(0x7fffffff));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreground_is_read_from_proc),
        cmocka_unit_test(foreground_of_a_process_that_is_gone_is_not_denied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
