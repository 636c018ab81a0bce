/* Pages for large arrays: zeroed, aligned, all of them writable, and refused where they cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pages.h"

static void pages_are_zero_and_whole_from_end_to_end(void **state)
{ /* Method: sizes around a page and a huge page; with the guard of the kernel, one byte too few would be a fault. */
    (void)state;
    const size_t counts[] = {0, 1, 511, 512, 513, ((size_t)2 << 20) / 8 - 1, ((size_t)2 << 20) / 8, 1000001};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        uint64_t *at = reeve_pages_take(counts[i], sizeof(*at));
        assert_non_null(at);
        assert_int_equal((uintptr_t)at % 4096, 0);
        for (size_t k = 0; k < counts[i]; k++) {
            assert_int_equal(at[k], 0);
            at[k] = k;
        }
        reeve_pages_give_back(at, counts[i], sizeof(*at));
    }
    reeve_pages_give_back(NULL, 5, 8);
}

static void pages_that_cannot_be_are_refused(void **state)
{
    (void)state;
    assert_null(reeve_pages_take(SIZE_MAX / 4, 8));
    assert_null(reeve_pages_take(SIZE_MAX / 8, 8));
    assert_null(reeve_pages_take((size_t)1 << 60, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_zero_and_whole_from_end_to_end),
        cmocka_unit_test(pages_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
