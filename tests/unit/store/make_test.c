/* Making HDF5 files in memory: the journal's next segment and a checkpoint's index are built by two threads. */
#include "store_fixture.h"

#include "store/make.h"

static void make_two_files_at_once(void **state)
{
    /* Goal: one file in memory does not keep another from being made. Method: two that are open at the same time. */
    struct reeve_make_memory a, b;
    void *image;
    size_t bytes;
    (void)state;
    assert_true(reeve_make_memory(&a));
    assert_true(reeve_make_memory(&b));
    assert_true(reeve_make_attr_u64(a.file, "which", 1));
    assert_true(reeve_make_attr_u64(b.file, "which", 2));
    assert_true(reeve_make_image(&b, &image, &bytes));
    free(image);
    assert_true(reeve_make_image(&a, &image, &bytes));
    assert_memory_equal(image, "\x89HDF", 4);
    free(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(make_two_files_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
