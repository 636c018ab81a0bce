/* Making HDF5 files in memory: the journal's next segment and a checkpoint's index are built by two threads. */
#include "store_fixture.h"

#include "store/make.h"
#include "store/reader.h"

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

static void tell_where_datasets_lie(void **state)
{
    /* Goal: bytes that are put where reeve_make_dataset() says are what the dataset holds, in small and in large files.
     * Method: datasets of 1 byte to some increments of the buffer, made in memory and filled by us; then the reader. */
    static const uint64_t counts[] = {1, 16, 4095, 4096, 65536, 300001};
    enum { SETS = sizeof(counts) / sizeof(counts[0]) };
    const struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_make_memory m;
    struct reeve_h5_dataset found;
    char name[16], path[300];
    uint64_t at[SETS], untouched = 7;
    void *image;
    size_t bytes;
    reeve_h5 *h5;
    assert_true(reeve_make_memory(&m));
    for (int i = 0; i < SETS; i++) {
        (void)snprintf(name, sizeof(name), "/set%d", i);
        assert_true(reeve_make_dataset(m.file, name, H5T_STD_U8LE, 1, &counts[i],
                                       i % 2 == 0 ? REEVE_MAKE_ZEROS : REEVE_MAKE_HOLE, &at[i]));
    }
    assert_false(reeve_make_dataset(m.file, "/set0", H5T_STD_U8LE, 1, counts, REEVE_MAKE_HOLE, &untouched));
    assert_int_equal(untouched, 7);
    assert_true(reeve_make_dataset(m.file, "/nobody_asks", H5T_STD_U8LE, 1, counts, REEVE_MAKE_ZEROS, NULL));
    assert_true(reeve_make_image(&m, &image, &bytes));
    for (int i = 0; i < SETS; i++) {
        assert_true(at[i] <= bytes && counts[i] <= bytes - at[i]);
        memset((uint8_t *)image + at[i], 'a' + i, (size_t)counts[i]);
    }
    (void)snprintf(path, sizeof(path), "%s/made.h5", f->dir);
    OK(reeve_file_replace(path, image, bytes, false, &err));
    OK(reeve_h5_open(path, 1 << 20, &h5, &err));
    for (int i = 0; i < SETS; i++) {
        (void)snprintf(name, sizeof(name), "/set%d", i);
        OK(reeve_h5_dataset(h5, name, &found, &err));
        assert_int_equal(found.file_offset, at[i]);
        memset(image, 0, (size_t)counts[i]);
        OK(reeve_h5_read(h5, &found, image, counts[i], &err));
        for (uint64_t b = 0; b < counts[i]; b++)
            assert_int_equal(((uint8_t *)image)[b], 'a' + i);
    }
    reeve_h5_close(h5);
    free(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(make_two_files_at_once),
        cmocka_unit_test_setup_teardown(tell_where_datasets_lie, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
