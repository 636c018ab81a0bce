/* The line that says what the bits of a run depend on: nothing may be cut off it, for the processor comes last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "run/build_text.h"
#include "run/library_file.h"
#include "store/checkpoint.h"

static void a_build_text_has_room_for_the_longest_names(void **state)
{ /* Method: the end of the line, from the compiler on, is the same behind a long library and a long GPU. */
    char plain[REEVE_CHECKPOINT_BUILD_BYTES], longest[REEVE_CHECKPOINT_BUILD_BYTES];
    char library[REEVE_LIBRARY_TEXT_BYTES], device[128];
    (void)state;
    memset(library, 'l', sizeof(library) - 1);
    memset(device, 'd', sizeof(device) - 1);
    library[sizeof(library) - 1] = device[sizeof(device) - 1] = '\0';
    reeve_build_text("", "", plain, sizeof(plain));
    reeve_build_text(library, device, longest, sizeof(longest));
    assert_non_null(strstr(longest, library));
    assert_non_null(strstr(longest, device));
    const char *end = strstr(plain, "gcc");
    assert_non_null(end);
    assert_true(strlen(longest) > strlen(end));
    assert_string_equal(longest + strlen(longest) - strlen(end), end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_build_text_has_room_for_the_longest_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
