/* The hardened reader: it reads what is plain, and refuses whatever could make HDF5 do more than read.
 * The hostile files are made with the library itself, so that each is a valid HDF5 file. */
#include "store_fixture.h"

#include <hdf5.h>
#include <pthread.h>

#include "store/reader.h"

#define FILE_BYTES_MAX ((uint64_t)1 << 30)

/* --- making ------------------------------------------------------------------------------------------------------- */

static char path[512]; /* of the file under test */

/* ours: superblock version 3, as libver v110 makes it; otherwise what h5py makes by default. */
static hid_t file_make(struct fixture *f, bool ours)
{
    reeve_h5_library_init();
    (void)snprintf(path, sizeof(path), "%s/file.h5", f->dir);
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);
    assert_true(H5Pset_fclose_degree(fapl, H5F_CLOSE_STRONG) >= 0);
    if (ours) assert_true(H5Pset_libver_bounds(fapl, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, fapl);
    assert_true(file >= 0);
    (void)H5Pclose(fapl);
    return file;
}

static void dataset_make(hid_t file, const char *name, hid_t type, int rank, const hsize_t *dims, hid_t dcpl,
                         const void *data)
{
    hid_t space = H5Screate_simple(rank, dims, NULL);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    assert_true(set >= 0);
    if (data != NULL) assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    (void)H5Dclose(set);
    (void)H5Sclose(space);
}

static void group_make(hid_t file, const char *name)
{
    hid_t group = H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(group >= 0 && H5Gclose(group) >= 0);
}

static const hsize_t four[1] = {4};
static const uint16_t numbers[4] = {1, 2, 3, 65535};

/* Something good beside the evil. */
static hid_t file_with_data(struct fixture *f)
{
    hid_t file = file_make(f, true);
    dataset_make(file, "good", H5T_STD_U16LE, 1, four, H5P_DEFAULT, numbers);
    return file;
}

static void file_done(hid_t file)
{
    assert_true(H5Fclose(file) >= 0);
}

/* Refused with these words, and with the name of the file. */
static void check_refused(const char *words)
{
    struct reeve_error err;
    reeve_h5 *h = NULL;
    reeve_status st = reeve_h5_open(path, FILE_BYTES_MAX, &h, &err);
    if (st != REEVE_STORE_CORRUPT) fail_msg("%s, expected STORE_CORRUPT (\"%s\")", reeve_status_name(st), words);
    assert_null(h);
    if (strstr(err.text, words) == NULL || strstr(err.text, path) == NULL)
        fail_msg("expected \"%s\": %s", words, err.text);
}

/* --- what is read ------------------------------------------------------------------------------------------------- */

static void attribute_make(hid_t object, const char *name, hid_t type, const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attr = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(attr >= 0 && H5Awrite(attr, type, value) >= 0);
    (void)H5Aclose(attr);
    (void)H5Sclose(space);
}

static void check_numbers(reeve_h5 *h, const char *name)
{
    struct reeve_error err;
    struct reeve_h5_dataset d;
    uint16_t read[4] = {0};
    OK(reeve_h5_dataset(h, name, &d, &err));
    assert_int_equal(d.type, 'u');
    assert_int_equal(d.rank, 1);
    assert_int_equal(d.dims[0], 4);
    assert_int_equal(d.element_bytes, 2);
    OK(reeve_h5_read(h, &d, read, sizeof(read), &err));
    assert_memory_equal(read, numbers, sizeof(numbers));
    FAILS(reeve_h5_read(h, &d, read, sizeof(read) - 1, &err), REEVE_STORE_CORRUPT);
}

static void reader_reads_plain_datasets_and_attributes(void **state)
{ /* Method: nested groups, all kinds of the allow-list, contiguous and compact. */
    struct reeve_error err;
    struct reeve_h5_dataset d;
    reeve_h5 *h;
    hid_t file = file_with_data(*state);
    hid_t compact = H5Pcreate(H5P_DATASET_CREATE), text = H5Tcopy(H5T_C_S1), pair = H5Tcreate(H5T_COMPOUND, 12);
    const hsize_t shape[3] = {2, 3, 4}, none[1] = {0};
    const double zeros[24] = {0};
    const uint64_t big = 0xfedcba9876543210u;
    (void)H5Pset_layout(compact, H5D_COMPACT);
    (void)H5Tset_size(text, 5);
    (void)H5Tinsert(pair, "a", 0, H5T_STD_I32LE);
    (void)H5Tinsert(pair, "b", 4, H5T_IEEE_F64LE);
    group_make(file, "a");
    group_make(file, "a/b");
    dataset_make(file, "a/b/compact", H5T_STD_U16LE, 1, four, compact, numbers);
    dataset_make(file, "a/doubles", H5T_IEEE_F64LE, 3, shape, H5P_DEFAULT, zeros);
    dataset_make(file, "a/pairs", pair, 1, four, H5P_DEFAULT, zeros);
    dataset_make(file, "a/texts", text, 1, four, H5P_DEFAULT, zeros);
    dataset_make(file, "a/none", H5T_STD_I8LE, 1, none, H5P_DEFAULT, NULL);
    dataset_make(file, "a/never written", H5T_STD_I8LE, 1, four, H5P_DEFAULT, NULL);
    attribute_make(file, "big", H5T_STD_U64LE, &big);
    attribute_make(file, "text", text, "ab\0cd");
    attribute_make(file, "full", text, "abcde");
    file_done(file);

    OK(reeve_h5_open(path, FILE_BYTES_MAX, &h, &err));
    check_numbers(h, "/good");
    check_numbers(h, "/a/b/compact");
    OK(reeve_h5_dataset(h, "/a/doubles", &d, &err));
    assert_true(d.type == 'f' && d.rank == 3 && d.dims[2] == 4 && d.bytes == sizeof(zeros) &&
                d.file_offset < file_size(path));
    OK(reeve_h5_dataset(h, "/a/pairs", &d, &err));
    assert_true(d.type == 'c' && d.element_bytes == 12);
    OK(reeve_h5_dataset(h, "/a/texts", &d, &err));
    assert_true(d.type == 's' && d.element_bytes == 5);
    OK(reeve_h5_dataset(h, "/a/none", &d, &err));
    assert_int_equal(d.bytes, 0);
    OK(reeve_h5_read(h, &d, NULL, 0, &err));
    uint8_t never[4] = {9, 9, 9, 9};
    OK(reeve_h5_dataset(h, "/a/never written", &d, &err));
    assert_true(d.file_offset == UINT64_MAX);
    OK(reeve_h5_read(h, &d, never, sizeof(never), &err));
    assert_memory_equal(never, zeros, sizeof(never));
    FAILS(reeve_h5_dataset(h, "/a/missing", &d, &err), REEVE_STORE_CORRUPT);
    FAILS(reeve_h5_dataset(h, "/a", &d, &err), REEVE_STORE_CORRUPT);

    uint64_t value = 1;
    char words[6] = "";
    OK(reeve_h5_attr_u64(h, "/", "big", &value, &err));
    assert_true(value == big);
    FAILS(reeve_h5_attr_u64(h, "/", "text", &value, &err), REEVE_STORE_CORRUPT);
    FAILS(reeve_h5_attr_u64(h, "/", "missing", &value, &err), REEVE_STORE_CORRUPT);
    FAILS(reeve_h5_attr_u64(h, "/nowhere", "big", &value, &err), REEVE_STORE_CORRUPT);
    OK(reeve_h5_attr_text(h, "/", "text", words, sizeof(words), &err));
    assert_string_equal(words, "ab");
    OK(reeve_h5_attr_text(h, "/", "full", words, sizeof(words), &err));
    assert_true(strncmp(words, "abcd", 4) == 0);
    FAILS(reeve_h5_attr_text(h, "/", "full", words, 4, &err), REEVE_STORE_CORRUPT);
    FAILS(reeve_h5_attr_text(h, "/", "big", words, sizeof(words), &err), REEVE_STORE_CORRUPT);
    reeve_h5_close(h);
    reeve_h5_close(NULL);
}

static void reader_takes_old_superblocks_from_others_only(void **state)
{ /* Goal: h5py's files are read as tokens, but nothing without metadata checksums passes for ours. */
    struct reeve_error err;
    reeve_h5 *h;
    hid_t file = file_make(*state, false);
    dataset_make(file, "tokens", H5T_STD_U16LE, 1, four, H5P_DEFAULT, numbers);
    file_done(file);
    check_refused("superblock version 0");
    OK(reeve_h5_open_foreign(path, FILE_BYTES_MAX, &h, &err));
    check_numbers(h, "/tokens");
    reeve_h5_close(h);
}

static void reader_opens_one_file_many_times(void **state)
{ /* Goal: closing one handle leaves the other alone. HDF5 shares what it opened twice. */
    struct reeve_error err;
    reeve_h5 *a, *b;
    file_done(file_with_data(*state));
    OK(reeve_h5_open(path, FILE_BYTES_MAX, &a, &err));
    OK(reeve_h5_open(path, FILE_BYTES_MAX, &b, &err));
    reeve_h5_close(a);
    uint64_t value;
    check_numbers(b, "/good");
    FAILS(reeve_h5_attr_u64(b, "/", "missing", &value, &err), REEVE_STORE_CORRUPT);
    assert_true(fcntl(reeve_h5_fd(b), F_GETFD) >= 0);
    reeve_h5_close(b);
}

static void *open_often(void *arg)
{
    struct reeve_h5_dataset d;
    uint16_t read[4];
    reeve_h5 *h;
    for (int i = 0; i < 100; i++) {
        if (reeve_h5_open(path, FILE_BYTES_MAX, &h, NULL) != REEVE_OK) return arg;
        reeve_status st = reeve_h5_dataset(h, i % 2 == 0 ? "/good" : "/missing", &d, NULL);
        if (st == REEVE_OK) st = reeve_h5_read(h, &d, read, sizeof(read), NULL);
        reeve_h5_close(h);
        if (st != (i % 2 == 0 ? REEVE_OK : REEVE_STORE_CORRUPT)) return arg;
        if (st == REEVE_OK && memcmp(read, numbers, sizeof(read)) != 0) return arg;
    }
    return NULL;
}

static void reader_serves_several_threads(void **state)
{ /* Goal: shards are measured by a crew. Method: four threads open, read and close the same file. */
    pthread_t threads[4];
    void *failed;
    file_done(file_with_data(*state));
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, open_often, path), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

/* --- what is refused ------------------------------------------------------------------------------------------------
 */

static void reader_refuses_links_that_lead_elsewhere(void **state)
{ /* Method: an external, a soft and a dangling soft link; each would be followed by a plain reader. */
    hid_t file = file_with_data(*state);
    assert_true(H5Lcreate_external("/etc/passwd", "/", file, "evil", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    file_done(file);
    check_refused("/evil is a link to another file");
    file = file_with_data(*state);
    assert_true(H5Lcreate_soft("/good", file, "evil", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    file_done(file);
    check_refused("/evil is a soft link");
    file = file_with_data(*state);
    group_make(file, "deep");
    assert_true(H5Lcreate_soft("/nowhere", file, "deep/evil", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    file_done(file);
    check_refused("/deep/evil is a soft link");
}

static void reader_refuses_an_object_by_two_names(void **state)
{ /* Method: a second hard link to a dataset, to the root (a circle), and to a parent group. */
    hid_t file = file_with_data(*state);
    assert_true(H5Lcreate_hard(file, "good", file, "again", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    file_done(file);
    check_refused("two links");
    file = file_with_data(*state);
    assert_true(H5Lcreate_hard(file, "/", file, "circle", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    file_done(file);
    check_refused("deep");
    file = file_with_data(*state);
    group_make(file, "a");
    assert_true(H5Lcreate_hard(file, "a", file, "b", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    file_done(file);
    check_refused("two links");
}

static void reader_refuses_data_outside_the_file(void **state)
{ /* Method: external storage that names a file of the system; a virtual dataset. */
    hid_t file = file_with_data(*state);
    hid_t dcpl = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_external(dcpl, "/etc/passwd", 0, 8) >= 0);
    dataset_make(file, "evil", H5T_STD_U16LE, 1, four, dcpl, NULL);
    file_done(file);
    check_refused("/evil has its data in external files");

    file = file_with_data(*state);
    hid_t virtual = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, four, NULL);
    assert_true(H5Pset_virtual(virtual, space, "elsewhere.h5", "/x", space) >= 0);
    dataset_make(file, "evil", H5T_STD_U16LE, 1, four, virtual, NULL);
    file_done(file);
    check_refused("/evil is virtual");
}

static void reader_refuses_chunks_and_filters_with_the_remedy(void **state)
{
    hid_t file = file_with_data(*state);
    hid_t dcpl = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_chunk(dcpl, 1, four) >= 0);
    dataset_make(file, "evil", H5T_STD_U16LE, 1, four, dcpl, numbers);
    file_done(file);
    check_refused("h5repack -l CONTI");
    file = file_with_data(*state);
    assert_true(H5Pset_shuffle(dcpl) >= 0 && H5Pset_fletcher32(dcpl) >= 0);
    dataset_make(file, "evil", H5T_STD_U16LE, 1, four, dcpl, numbers);
    file_done(file);
    check_refused("h5repack -f NONE -l CONTI");
}

static void reader_refuses_types_that_are_not_plain(void **state)
{ /* Method: one dataset of each type that has pointers, bits to spare, another order, or code to run. */
    hid_t vlen_text = H5Tcopy(H5T_C_S1), vlen = H5Tvlen_create(H5T_STD_U8LE), opaque = H5Tcreate(H5T_OPAQUE, 8);
    hid_t odd = H5Tcopy(H5T_STD_U16LE), gap = H5Tcopy(H5T_IEEE_F32LE), nested = H5Tcreate(H5T_COMPOUND, 8);
    hid_t inner = H5Tcreate(H5T_COMPOUND, 4), with_vlen = H5Tcreate(H5T_COMPOUND, 32),
          array = H5Tarray_create2(H5T_STD_U8LE, 1, four);
    hid_t choice = H5Tenum_create(H5T_STD_U8LE);
    (void)H5Tset_size(vlen_text, H5T_VARIABLE);
    (void)H5Tset_precision(odd, 11);
    (void)H5Tset_fields(gap, 31, 20, 11, 0, 20);
    (void)H5Tinsert(inner, "x", 0, H5T_STD_U32LE);
    (void)H5Tinsert(nested, "inner", 0, inner);
    (void)H5Tinsert(with_vlen, "text", 8, vlen_text);
    (void)H5Tenum_insert(choice, "a", numbers);
    const hid_t types[] = {vlen_text,     vlen,           opaque,       odd,           gap,
                           nested,        with_vlen,      array,        choice,        H5T_STD_REF_OBJ,
                           H5T_STD_U16BE, H5T_IEEE_F64BE, H5T_STD_B8LE, H5T_UNIX_D32LE};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        hid_t file = file_with_data(*state);
        dataset_make(file, "evil", types[i], 1, four, H5P_DEFAULT, NULL);
        file_done(file);
        check_refused("/evil has a type that is not read");
    }
    hid_t file = file_with_data(*state), named = H5Tcopy(H5T_STD_U16LE);
    assert_true(H5Tcommit2(file, "named", named, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT) >= 0);
    file_done(file);
    check_refused("/named is neither a group nor a dataset");
}

static void reader_refuses_shapes_larger_than_the_file(void **state)
{ /* Goal: no allocation on the word of a header. Method: huge, overflowing and many dimensions, never allocated. */
    static const hsize_t huge[1] = {(hsize_t)1 << 40}, nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    hid_t late = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_alloc_time(late, H5D_ALLOC_TIME_LATE) >= 0);
    hid_t file = file_with_data(*state);
    dataset_make(file, "evil", H5T_STD_U16LE, 1, huge, late, NULL);
    file_done(file);
    check_refused("larger than the whole file");
    file = file_with_data(*state);
    dataset_make(file, "evil", H5T_STD_U8LE, 9, nine, late, numbers);
    file_done(file);
    check_refused("more than 8 dimensions");
    file = file_with_data(*state);
    hid_t null_space = H5Screate(H5S_NULL);
    assert_true(H5Dcreate2(file, "evil", H5T_STD_U8LE, null_space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT) >= 0);
    file_done(file);
    check_refused("no shape");
}

static void reader_refuses_groups_too_deep_and_names_too_long(void **state)
{
    hid_t file = file_with_data(*state);
    char name[300] = "";
    for (int i = 0; i < 5; i++) {
        (void)strcat(name, "/g");
        group_make(file, name);
        if (i == 3) { /* four are fine */
            reeve_h5 *h;
            struct reeve_error err;
            file_done(file);
            OK(reeve_h5_open(path, FILE_BYTES_MAX, &h, &err));
            reeve_h5_close(h);
            file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
            assert_true(file >= 0);
        }
    }
    file_done(file);
    check_refused("/g/g/g/g/g lies too deep");
    file = file_with_data(*state);
    memset(name, 'n', sizeof(name) - 1);
    dataset_make(file, name, H5T_STD_U16LE, 1, four, H5P_DEFAULT, numbers);
    file_done(file);
    check_refused("longer than 255 bytes");
}

static void reader_refuses_files_over_the_cap_and_other_things(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    reeve_h5 *h = NULL;
    file_done(file_with_data(f));
    FAILS(reeve_h5_open(path, file_size(path) - 1, &h, &err), REEVE_STORE_CORRUPT);
    OK(reeve_h5_open(path, file_size(path), &h, &err));
    assert_int_equal(reeve_h5_file_bytes(h), file_size(path));
    reeve_h5_close(h);
    assert_int_equal(unlink(path), 0);
    FAILS(reeve_h5_open(path, FILE_BYTES_MAX, &h, &err), REEVE_INPUT_MISSING);
    FAILS(reeve_h5_open(f->dir, FILE_BYTES_MAX, &h, &err), REEVE_INPUT_INVALID);
    FAILS(reeve_h5_open("/dev/zero", FILE_BYTES_MAX, &h, &err), REEVE_INPUT_INVALID);
    file_store(path, "text", 4);
    check_refused("4 bytes");
}

/* --- damage ---------------------------------------------------------------------------------------------------------
 */

/* Open, and read whatever can be read; any answer will do. */
static void read_everything(bool foreign)
{
    struct reeve_h5_dataset d;
    static uint8_t out[65536];
    reeve_h5 *h;
    reeve_status st =
        foreign ? reeve_h5_open_foreign(path, FILE_BYTES_MAX, &h, NULL) : reeve_h5_open(path, FILE_BYTES_MAX, &h, NULL);
    if (st != REEVE_OK) return;
    if (reeve_h5_dataset(h, "/good", &d, NULL) == REEVE_OK) (void)reeve_h5_read(h, &d, out, sizeof(out), NULL);
    if (reeve_h5_dataset(h, "/a/compact", &d, NULL) == REEVE_OK) (void)reeve_h5_read(h, &d, out, sizeof(out), NULL);
    uint64_t value;
    (void)reeve_h5_attr_u64(h, "/", "big", &value, NULL);
    reeve_h5_close(h);
}

static void damage_and_read(struct fixture *f)
{
    size_t n;
    uint8_t *bytes = file_load(path, &n);
    for (size_t at = 0; at < n; at++) {
        uint8_t other = bytes[at] ^ (uint8_t)(1u << draw(f, 8));
        file_poke(path, at, &other, 1);
        read_everything(false);
        file_poke(path, at, &bytes[at], 1);
    }
    for (size_t left = n; left > 0; left -= left < 7 ? left : 7) {
        CHILD_CHECK(truncate(path, (off_t)left) == 0);
        read_everything(false);
    }
    free(bytes);
}

static void reader_survives_any_flipped_bit_and_any_cut(void **state)
{ /* Goal: damage is an answer, never a crash. Method: a child flips a bit of each byte, and cuts; its end is looked at.
   */
    struct fixture *f = *state;
    const uint64_t big = 7;
    hid_t file = file_with_data(f), compact = H5Pcreate(H5P_DATASET_CREATE);
    (void)H5Pset_layout(compact, H5D_COMPACT);
    group_make(file, "a");
    dataset_make(file, "a/compact", H5T_STD_U16LE, 1, four, compact, numbers);
    attribute_make(file, "big", H5T_STD_U64LE, &big);
    file_done(file);
    assert_int_equal(in_child(damage_and_read, f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reader_reads_plain_datasets_and_attributes, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(reader_takes_old_superblocks_from_others_only, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(reader_opens_one_file_many_times, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(reader_serves_several_threads, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(reader_refuses_links_that_lead_elsewhere, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(reader_refuses_an_object_by_two_names, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(reader_refuses_data_outside_the_file, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(reader_refuses_chunks_and_filters_with_the_remedy, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(reader_refuses_types_that_are_not_plain, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(reader_refuses_shapes_larger_than_the_file, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(reader_refuses_groups_too_deep_and_names_too_long, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(reader_refuses_files_over_the_cap_and_other_things, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(reader_survives_any_flipped_bit_and_any_cut, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
