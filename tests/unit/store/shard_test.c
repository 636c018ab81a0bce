/* Shards: measured as they are, refused with a remedy when they are not what they seem, checked against the lock,
 * staged once, and read token by token. */
#include "store_fixture.h"

#include <dirent.h>
#include <hdf5.h>

#include "store/lock.h"
#include "store/reader.h"
#include "store/shard.h"

/* --- making ------------------------------------------------------------------------------------------------------- */

static char path[512]; /* of the file that was made last */

/* A cache that shares what it verifies with nobody. */
static reeve_status cache_of(const struct reeve_manifest *m, const char *cache_dir, uint32_t open_max,
                             reeve_shard_cache **out, struct reeve_error *err)
{
    const struct reeve_shard_config config = {
        .manifest = m, .cache_dir = cache_dir, .run_dir = "", .open_max = open_max};
    return reeve_shard_cache_create(&config, out, err);
}

static void make(struct fixture *f, const char *name, const void *bytes, size_t n)
{
    (void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    file_store(path, bytes, n);
}

static void make_llmc(struct fixture *f, const char *name, uint32_t magic, uint32_t version, uint32_t said,
                      const void *tokens, size_t bytes)
{
    uint8_t *file = calloc(1, 1024 + bytes);
    const uint32_t head[3] = {magic, version, said};
    memcpy(file, head, sizeof(head));
    if (bytes > 0) memcpy(file + 1024, tokens, bytes);
    make(f, name, file, 1024 + bytes);
    free(file);
}

enum layout { CONTIGUOUS, CHUNKED, COMPACT, UNWRITTEN };

static void make_hdf5(struct fixture *f, const char *name, const char *dataset, hid_t type, enum layout layout,
                      hsize_t count, const void *tokens)
{
    reeve_h5_library_init();
    (void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    hid_t dcpl = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &count, NULL);
    if (layout == CHUNKED) (void)H5Pset_chunk(dcpl, 1, &count);
    if (layout == COMPACT) (void)H5Pset_layout(dcpl, H5D_COMPACT);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t set = H5Dcreate2(file, dataset, type, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    assert_true(set >= 0);
    if (layout != UNWRITTEN) assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, tokens) >= 0);
    (void)H5Dclose(set);
    (void)H5Sclose(space);
    (void)H5Pclose(dcpl);
    assert_true(H5Fclose(file) >= 0);
}

static struct reeve_shard measured(uint8_t format, uint8_t token_bytes)
{
    struct reeve_error err;
    struct reeve_shard s = {.format = format, .token_bytes = token_bytes, .weight = 3, .priority = -7};
    OK(reeve_shard_measure(path, &s, &err));
    assert_true(s.weight == 3 && s.priority == -7 && s.format == format);
    size_t n;
    uint8_t *bytes = file_load(path, &n);
    assert_int_equal(s.file_bytes, n);
    assert_true(reeve_digest_equal(s.digest, reeve_digest_of(bytes, n)));
    free(bytes);
    return s;
}

/* Refused with a message that names the file and has these words; the shard is left as it was. */
static void check_refused(uint8_t format, uint8_t token_bytes, const char *words)
{
    struct reeve_error err;
    struct reeve_shard s = {.format = format, .token_bytes = token_bytes}, before = s;
    FAILS(reeve_shard_measure(path, &s, &err), REEVE_INPUT_INVALID);
    if (strstr(err.text, words) == NULL || strstr(err.text, path) == NULL)
        fail_msg("expected \"%s\": %s", words, err.text);
    assert_memory_equal(&s, &before, sizeof(s));
}

/* A manifest over files in the fixture's folder, filled by measuring. */
static struct reeve_manifest *manifest_new(struct fixture *f, uint32_t shard_count, uint32_t vocab)
{
    struct reeve_manifest *m = calloc(1, sizeof(*m));
    m->shards = calloc(shard_count, sizeof(*m->shards));
    m->paths = calloc(shard_count, 64);
    m->paths_bytes = (uint64_t)shard_count * 64;
    m->shard_count = shard_count;
    m->vocab = vocab;
    m->base_dir = strdup(f->dir);
    (void)strcpy(m->dataset, "test");
    (void)strcpy(m->tokenizer, "bytes");
    return m;
}

static void manifest_add(struct reeve_manifest *m, uint32_t i, const char *name, uint8_t format, uint8_t token_bytes)
{
    m->shards[i] = measured(format, token_bytes);
    m->shards[i].path_offset = (uint64_t)i * 64;
    (void)snprintf(m->paths + (size_t)i * 64, 64, "%s", name);
}

static const uint16_t tokens16[6] = {10, 11, 12, 255, 4, 5};
static const uint32_t tokens32[6] = {10, 11, 12, 255, 4, 5};
static const uint8_t tokens8[6] = {10, 11, 12, 255, 4, 5};

/* --- measuring ---------------------------------------------------------------------------------------------------- */

static void shard_of_each_format_is_measured(void **state)
{
    struct fixture *f = *state;
    make(f, "text", "one line\n\0\xff two", 15);
    struct reeve_shard s = measured(REEVE_SHARD_TEXT, 0);
    assert_true(s.token_bytes == 1 && s.data_offset == 0 && s.token_count == 15);
    make(f, "raw", tokens16, sizeof(tokens16));
    s = measured(REEVE_SHARD_NANOGPT, 0);
    assert_true(s.token_bytes == 2 && s.data_offset == 0 && s.token_count == 6);
    make_llmc(f, "llmc", 20240520, 1, 6, tokens16, sizeof(tokens16));
    s = measured(REEVE_SHARD_LLMC, 0);
    assert_true(s.token_bytes == 2 && s.data_offset == 1024 && s.token_count == 6);
    make_llmc(f, "llama", 20240801, 7, 6, tokens32, sizeof(tokens32));
    s = measured(REEVE_SHARD_LLMC, 0);
    assert_true(s.token_bytes == 4 && s.data_offset == 1024 && s.token_count == 6);
    const hid_t types[3] = {H5T_STD_U8LE, H5T_STD_U16LE, H5T_STD_U32LE};
    const void *data[3] = {tokens8, tokens16, tokens32};
    for (int i = 0; i < 3; i++) {
        make_hdf5(f, "h5", "tokens", types[i], CONTIGUOUS, 6, data[i]);
        s = measured(REEVE_SHARD_HDF5, 0);
        assert_true(s.token_bytes == 1 << i && s.token_count == 6);
        size_t n;
        uint8_t *bytes = file_load(path, &n);
        assert_true(s.data_offset + 6 * s.token_bytes <= n);
        assert_memory_equal(bytes + s.data_offset, data[i], 6 * (size_t)s.token_bytes);
        free(bytes);
    }
}

static void shard_format_is_guessed_by_its_mark_alone(void **state)
{
    struct fixture *f = *state;
    make_llmc(f, "llmc", 20240520, 1, 6, tokens16, sizeof(tokens16));
    assert_int_equal(reeve_shard_guess_format(path), REEVE_SHARD_LLMC);
    make_llmc(f, "llama", 20240801, 7, 6, tokens32, sizeof(tokens32));
    assert_int_equal(reeve_shard_guess_format(path), REEVE_SHARD_LLMC);
    make_hdf5(f, "h5", "tokens", H5T_STD_U16LE, CONTIGUOUS, 6, tokens16);
    assert_int_equal(reeve_shard_guess_format(path), REEVE_SHARD_HDF5);
    make(f, "raw", tokens16, sizeof(tokens16));
    assert_int_equal(reeve_shard_guess_format(path), 0);
    make(f, "short", "\x89H", 2);
    assert_int_equal(reeve_shard_guess_format(path), 0);
    make(f, "empty", "", 0);
    assert_int_equal(reeve_shard_guess_format(path), 0);
    assert_int_equal(reeve_shard_guess_format("/nowhere/at/all"), 0);
    assert_int_equal(reeve_shard_guess_format(f->dir), 0);
}

static void shard_that_is_not_what_it_seems_is_refused_with_the_remedy(void **state)
{
    struct fixture *f = *state;
    make(f, "empty", "", 0);
    for (uint8_t format = REEVE_SHARD_TEXT; format <= REEVE_SHARD_HDF5; format++)
        check_refused(format, 0, "is empty");
    make(f, "odd", "abc", 3);
    check_refused(REEVE_SHARD_NANOGPT, 0, "whole number of 2-byte tokens");
    check_refused(REEVE_SHARD_NANOGPT, 4, "2 bytes, not 4");
    check_refused(REEVE_SHARD_TEXT, 2, "1 byte, not 2");
    check_refused(REEVE_SHARD_LLMC, 0, "header of an llm.c file alone has 1024");
    check_refused(REEVE_SHARD_HDF5, 0, "no HDF5 file");
    check_refused(77, 0, "unknown format 77");
    make_llmc(f, "magic", 20240521, 1, 6, tokens16, sizeof(tokens16));
    check_refused(REEVE_SHARD_LLMC, 0, "byte 0: magic number 20240521");
    make_llmc(f, "version", 20240520, 7, 6, tokens16, sizeof(tokens16));
    check_refused(REEVE_SHARD_LLMC, 0, "byte 4: version 7, expected 1");
    make_llmc(f, "long", 20240520, 1, 5, tokens16, sizeof(tokens16));
    check_refused(REEVE_SHARD_LLMC, 0, "5 tokens make 1034 bytes, the file has 1036");
    make_llmc(f, "short", 20240520, 1, UINT32_MAX, tokens16, sizeof(tokens16));
    check_refused(REEVE_SHARD_LLMC, 0, "byte 8: 4294967295 tokens");
    make_llmc(f, "none", 20240520, 1, 0, NULL, 0);
    check_refused(REEVE_SHARD_LLMC, 0, "no tokens");
}

static void shard_in_hdf5_that_cannot_be_read_in_place_is_refused(void **state)
{
    struct fixture *f = *state;
    make_hdf5(f, "chunked", "tokens", H5T_STD_U16LE, CHUNKED, 6, tokens16);
    check_refused(REEVE_SHARD_HDF5, 0, "h5repack -l CONTI");
    make_hdf5(f, "compact", "tokens", H5T_STD_U16LE, COMPACT, 6, tokens16);
    check_refused(REEVE_SHARD_HDF5, 0, "h5repack -l CONTI");
    make_hdf5(f, "unwritten", "tokens", H5T_STD_U16LE, UNWRITTEN, 6, NULL);
    check_refused(REEVE_SHARD_HDF5, 0, "never written");
    make_hdf5(f, "other", "words", H5T_STD_U16LE, CONTIGUOUS, 6, tokens16);
    check_refused(REEVE_SHARD_HDF5, 0, "no dataset /tokens");
    make_hdf5(f, "signed", "tokens", H5T_STD_I16LE, CONTIGUOUS, 6, tokens16);
    check_refused(REEVE_SHARD_HDF5, 0, "astype('<u2')");
    make_hdf5(f, "wide", "tokens", H5T_STD_U64LE, CONTIGUOUS, 1, tokens16);
    check_refused(REEVE_SHARD_HDF5, 0, "8-byte elements");
    make_hdf5(f, "big", "tokens", H5T_STD_U16BE, CONTIGUOUS, 6, tokens16);
    check_refused(REEVE_SHARD_HDF5, 0, "little-endian");
}

static void shard_missing_or_no_file_is_named(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_shard s = {.format = REEVE_SHARD_TEXT};
    FAILS(reeve_shard_measure("/nowhere/at/all", &s, &err), REEVE_INPUT_MISSING);
    assert_non_null(strstr(err.text, "/nowhere/at/all: no such file"));
    FAILS(reeve_shard_measure(f->dir, &s, &err), REEVE_INPUT_INVALID);
    assert_non_null(strstr(err.text, "is a folder"));
    (void)snprintf(path, sizeof(path), "%s/fifo", f->dir);
    assert_int_equal(mkfifo(path, 0666), 0);
    FAILS(reeve_shard_measure(path, &s, &err), REEVE_INPUT_INVALID);
}

/* --- checking ----------------------------------------------------------------------------------------------------- */

static void shard_that_changed_since_the_lock_is_found(void **state)
{ /* Method: one byte more, one less, one other; touched but equal is the same shard. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_manifest *m = manifest_new(f, 1, 256);
    const reeve_shard_id id = {0};
    make(f, "text", "some text", 9);
    manifest_add(m, 0, "text", REEVE_SHARD_TEXT, 1);
    OK(reeve_shard_check(m, id, &err));
    make(f, "text", "some text", 9);
    OK(reeve_shard_check(m, id, &err));
    make(f, "text", "some text!", 10);
    FAILS(reeve_shard_check(m, id, &err), REEVE_INPUT_CHANGED);
    assert_non_null(strstr(err.text, "10 bytes, locked with 9"));
    make(f, "text", "some tex", 8);
    FAILS(reeve_shard_check(m, id, &err), REEVE_INPUT_CHANGED);
    make(f, "text", "some Text", 9);
    FAILS(reeve_shard_check(m, id, &err), REEVE_INPUT_CHANGED);
    assert_non_null(strstr(err.text, "reeve manifest lock"));
    assert_int_equal(unlink(path), 0);
    FAILS(reeve_shard_check(m, id, &err), REEVE_INPUT_MISSING);
    assert_non_null(strstr(err.text, path));
    reeve_manifest_destroy(m);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static struct reeve_sample sample_at(uint32_t shard, uint64_t token_offset)
{
    return (struct reeve_sample){.shard = {shard}, .token_offset = token_offset};
}

static void tokens_are_the_same_in_each_format(void **state)
{ /* Method: the same six tokens in every format and width, every offset and length. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_manifest *m = manifest_new(f, 6, 256);
    reeve_shard_cache *c;
    make(f, "0", tokens8, sizeof(tokens8));
    manifest_add(m, 0, "0", REEVE_SHARD_TEXT, 1);
    make(f, "1", tokens16, sizeof(tokens16));
    manifest_add(m, 1, "1", REEVE_SHARD_NANOGPT, 2);
    make_llmc(f, "2", 20240520, 1, 6, tokens16, sizeof(tokens16));
    manifest_add(m, 2, "2", REEVE_SHARD_LLMC, 0);
    make_llmc(f, "3", 20240801, 7, 6, tokens32, sizeof(tokens32));
    manifest_add(m, 3, "3", REEVE_SHARD_LLMC, 0);
    make_hdf5(f, "4", "tokens", H5T_STD_U8LE, CONTIGUOUS, 6, tokens8);
    manifest_add(m, 4, "4", REEVE_SHARD_HDF5, 0);
    make_hdf5(f, "5", "tokens", H5T_STD_U32LE, CONTIGUOUS, 6, tokens32);
    manifest_add(m, 5, "5", REEVE_SHARD_HDF5, 0);
    OK(cache_of(m, "", 3, &c, &err));
    for (uint32_t shard = 0; shard < 6; shard++)
        for (uint32_t from = 0; from < 6; from++)
            for (uint32_t count = 1; from + count <= 6; count++) {
                int32_t read[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
                struct reeve_sample s = sample_at(shard, from);
                OK(reeve_shard_read(c, &s, count - 1, read, &err));
                for (uint32_t i = 0; i < count; i++)
                    assert_int_equal(read[i], tokens32[from + i]);
                for (uint32_t i = count; i < 8; i++)
                    assert_int_equal(read[i], -1); /* not a byte too far */
            }
    reeve_shard_cache_destroy(c);
    reeve_shard_cache_destroy(NULL);
    reeve_manifest_destroy(m);
}

static void token_outside_the_vocabulary_is_named(void **state)
{ /* Goal: file, token, byte and value are in the message. Method: the boundary, and a u32 that an int32 cannot hold. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_manifest *m = manifest_new(f, 2, 255);
    reeve_shard_cache *c;
    int32_t read[6];
    static const uint32_t huge[6] = {0, 1, 2, 3, 4, UINT32_MAX};
    make_llmc(f, "a", 20240520, 1, 6, tokens16, sizeof(tokens16));
    manifest_add(m, 0, "a", REEVE_SHARD_LLMC, 0);
    char first[512];
    (void)snprintf(first, sizeof(first), "%s", path);
    make_llmc(f, "b", 20240801, 7, 6, huge, sizeof(huge));
    manifest_add(m, 1, "b", REEVE_SHARD_LLMC, 0);
    OK(cache_of(m, "", 8, &c, &err));
    struct reeve_sample s = sample_at(0, 1);
    FAILS(reeve_shard_read(c, &s, 4, read, &err), REEVE_INPUT_INVALID);
    assert_non_null(strstr(err.text, first));
    assert_non_null(strstr(err.text, "token 3 (byte 1030) is 255"));
    assert_non_null(strstr(err.text, "only 255"));
    OK(reeve_shard_read(c, &s, 1, read, &err)); /* the tokens before it are fine */
    m->vocab = 256;
    OK(reeve_shard_read(c, &s, 4, read, &err));
    m->vocab = UINT32_MAX;
    s = sample_at(1, 0);
    FAILS(reeve_shard_read(c, &s, 5, read, &err), REEVE_INPUT_INVALID);
    assert_non_null(strstr(err.text, "token 5 (byte 1044) is 4294967295"));
    reeve_shard_cache_destroy(c);
    reeve_manifest_destroy(m);
}

static void shard_that_shrinks_while_it_is_open_is_found(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_manifest *m = manifest_new(f, 1, 256);
    reeve_shard_cache *c;
    int32_t read[6];
    make(f, "text", tokens8, sizeof(tokens8));
    manifest_add(m, 0, "text", REEVE_SHARD_TEXT, 1);
    OK(cache_of(m, "", 1, &c, &err));
    struct reeve_sample s = sample_at(0, 0);
    OK(reeve_shard_read(c, &s, 5, read, &err));
    assert_int_equal(truncate(path, 4), 0);
    FAILS(reeve_shard_read(c, &s, 5, read, &err), REEVE_INPUT_CHANGED);
    assert_non_null(strstr(err.text, path));
    FAILS(reeve_shard_read(c, &s, 2, read, &err), REEVE_INPUT_CHANGED); /* opened anew: the size says so */
    make(f, "text", tokens8, sizeof(tokens8));
    OK(reeve_shard_read(c, &s, 5, read, &err)); /* restored: another attempt goes well */
    assert_int_equal(unlink(path), 0);
    reeve_shard_cache_destroy(c);
    OK(cache_of(m, "", 1, &c, &err));
    FAILS(reeve_shard_read(c, &s, 5, read, &err), REEVE_INPUT_MISSING);
    reeve_shard_cache_destroy(c);
    reeve_manifest_destroy(m);
}

static int descriptors_open(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count;
}

static void open_files_stay_within_the_bound(void **state)
{ /* Method: 40 shards through a cache of 5, in random order; every token still right. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_manifest *m = manifest_new(f, 40, 256);
    reeve_shard_cache *c;
    int32_t read[2];
    for (uint32_t i = 0; i < 40; i++) {
        char name[16];
        const uint8_t text[2] = {(uint8_t)i, (uint8_t)(i + 100)};
        (void)snprintf(name, sizeof(name), "s%u", i);
        make(f, name, text, sizeof(text));
        manifest_add(m, i, name, REEVE_SHARD_TEXT, 1);
    }
    int before = descriptors_open();
    OK(cache_of(m, "", 5, &c, &err));
    for (int i = 0; i < 500; i++) {
        uint32_t shard = (uint32_t)draw(f, 40);
        struct reeve_sample s = sample_at(shard, 0);
        OK(reeve_shard_read(c, &s, 1, read, &err));
        assert_true(read[0] == (int32_t)shard && read[1] == (int32_t)shard + 100);
        if (i % 50 == 0) assert_true(descriptors_open() <= before + 5);
    }
    reeve_shard_cache_destroy(c);
    assert_int_equal(descriptors_open(), before);
    reeve_manifest_destroy(m);
}

/* --- staging ------------------------------------------------------------------------------------------------------ */

static void copy_path(const struct fixture *f, const struct reeve_manifest *m, char out[512])
{
    char hex[REEVE_DIGEST_HEX_BYTES];
    reeve_digest_hex(m->shards[0].digest, hex);
    (void)snprintf(out, 512, "%s/cache/deep/%s", f->dir, hex);
}

static struct reeve_manifest *manifest_of_text(struct fixture *f, size_t bytes)
{
    uint8_t *text = malloc(bytes);
    for (size_t i = 0; i < bytes; i++)
        text[i] = (uint8_t)reeve_random_below(f->seed, 9, i, 256);
    struct reeve_manifest *m = manifest_new(f, 1, 256);
    make(f, "text", text, bytes);
    manifest_add(m, 0, "text", REEVE_SHARD_TEXT, 1);
    free(text);
    return m;
}

static void cache_dir_of(const struct fixture *f, char out[512])
{
    (void)snprintf(out, 512, "%s/cache/deep", f->dir);
}

static void staged_copy_is_read_and_shared(void **state)
{ /* Goal: after staging the shard itself is not needed. Method: read, stage, delete the shard, read from two caches. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_manifest *m = manifest_of_text(f, 3000000);
    char dir[512], copy[512];
    reeve_shard_cache *a, *b;
    int32_t before[100], after[100];
    cache_dir_of(f, dir);
    copy_path(f, m, copy);
    OK(cache_of(m, dir, 2, &a, &err));
    OK(cache_of(m, dir, 2, &b, &err));
    struct reeve_sample s = sample_at(0, 2999900);
    OK(reeve_shard_stage(a, (reeve_shard_id){0}, &err));
    OK(reeve_shard_read(a, &s, 99, before, &err));
    assert_int_equal(file_size(copy), 3000000);
    assert_int_equal(unlink(path), 0);
    OK(reeve_shard_read(a, &s, 99, after, &err));
    assert_memory_equal(before, after, sizeof(before));
    OK(reeve_shard_read(b, &s, 99, after, &err));
    assert_memory_equal(before, after, sizeof(before));
    OK(reeve_shard_stage(b, (reeve_shard_id){0}, &err)); /* there already, and good */
    reeve_shard_cache_destroy(a);
    reeve_shard_cache_destroy(b);
    reeve_manifest_destroy(m);
}

static int entries_in(const char *dir)
{
    int count = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        count += e->d_name[0] != '.';
    (void)closedir(d);
    return count;
}

static void staged_copy_that_is_damaged_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_manifest *m = manifest_of_text(f, 5000);
    char dir[512], copy[512];
    reeve_shard_cache *c;
    int32_t read[11];
    cache_dir_of(f, dir);
    copy_path(f, m, copy);
    size_t n;
    uint8_t *text = file_load(path, &n);
    OK(cache_of(m, dir, 2, &c, &err));
    OK(reeve_shard_stage(c, (reeve_shard_id){0}, &err));
    uint8_t other = text[100] ^ 1;
    file_poke(copy, 100, &other, 1);
    OK(reeve_shard_stage(c, (reeve_shard_id){0}, &err));
    struct reeve_sample s = sample_at(0, 100);
    OK(reeve_shard_read(c, &s, 10, read, &err));
    for (int i = 0; i < 11; i++)
        assert_int_equal(read[i], text[100 + i]);
    reeve_shard_cache_destroy(c);
    assert_int_equal(truncate(copy, 10), 0); /* cut, and not staged again: the shard itself is read */
    OK(cache_of(m, dir, 2, &c, &err));
    OK(reeve_shard_read(c, &s, 10, read, &err));
    for (int i = 0; i < 11; i++)
        assert_int_equal(read[i], text[100 + i]);
    reeve_shard_cache_destroy(c);
    assert_int_equal(entries_in(dir), 1);
    free(text);
    reeve_manifest_destroy(m);
}

static void staging_a_changed_shard_leaves_no_copy(void **state)
{ /* Method: with and without a cache folder; same size, one byte other. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_manifest *m = manifest_of_text(f, 5000);
    char dir[512];
    reeve_shard_cache *cached, *plain;
    cache_dir_of(f, dir);
    size_t n;
    uint8_t *text = file_load(path, &n), other = text[4999] ^ 0x80;
    file_poke(path, 4999, &other, 1);
    OK(cache_of(m, dir, 2, &cached, &err));
    OK(cache_of(m, "", 2, &plain, &err));
    FAILS(reeve_shard_stage(cached, (reeve_shard_id){0}, &err), REEVE_INPUT_CHANGED);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(entries_in(dir), 0);
    FAILS(reeve_shard_stage(plain, (reeve_shard_id){0}, &err), REEVE_INPUT_CHANGED);
    file_poke(path, 4999, &text[4999], 1);
    OK(reeve_shard_stage(plain, (reeve_shard_id){0}, &err));
    assert_int_equal(unlink(path), 0);
    FAILS(reeve_shard_stage(cached, (reeve_shard_id){0}, &err), REEVE_INPUT_MISSING);
    FAILS(reeve_shard_stage(plain, (reeve_shard_id){0}, &err), REEVE_INPUT_MISSING);
    assert_int_equal(entries_in(dir), 0);
    reeve_shard_cache_destroy(cached);
    reeve_shard_cache_destroy(plain);
    free(text);
    reeve_manifest_destroy(m);
}

static void staging_onto_a_full_disk_fails_and_leaves_nothing(void **state)
{ /* Method: a limit on the size of files, met in the middle of the copy. */
    struct fixture *f = *state;
    struct reeve_manifest *m = manifest_of_text(f, 3000000);
    char dir[512];
    cache_dir_of(f, dir);
    pid_t pid = fork_child();
    if (pid == 0) {
        struct reeve_error err;
        struct rlimit limit = {1500000, 1500000};
        reeve_shard_cache *c;
        (void)signal(SIGXFSZ, SIG_IGN);
        CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        CHILD_CHECK(cache_of(m, dir, 2, &c, &err) == REEVE_OK);
        CHILD_CHECK(reeve_shard_stage(c, (reeve_shard_id){0}, &err) == REEVE_STORE_WRITE);
        CHILD_CHECK(strstr(err.text, dir) != NULL);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(entries_in(dir), 0);
    reeve_manifest_destroy(m);
}

static void staging_that_is_killed_leaves_nothing(void **state)
{ /* Goal: a cache folder outlives many workers, and does not fill up with what they were copying when they died.
   * Method: the kernel kills a process in the middle of a copy, at a limit on the size of files. */
    struct fixture *f = *state;
    struct reeve_manifest *m = manifest_of_text(f, 3000000);
    char dir[512];
    int fd = open(f->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        reeve_manifest_destroy(m);
        print_message("skipped: the file system of %s has no files without a name\n", f->dir);
        skip();
    }
    (void)close(fd);
    cache_dir_of(f, dir);
    pid_t pid = fork_child();
    if (pid == 0) {
        struct reeve_error err;
        struct rlimit limit = {1500000, 1500000}, no_core = {0, 0};
        reeve_shard_cache *c;
        (void)signal(SIGXFSZ, SIG_DFL);
        CHILD_CHECK(setrlimit(RLIMIT_CORE, &no_core) == 0 && setrlimit(RLIMIT_FSIZE, &limit) == 0);
        CHILD_CHECK(cache_of(m, dir, 2, &c, &err) == REEVE_OK);
        (void)reeve_shard_stage(c, (reeve_shard_id){0}, &err);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
    assert_int_equal(entries_in(dir), 0);
    reeve_manifest_destroy(m);
}

static void shard_staged_by_several_at_once_is_one_good_copy(void **state)
{ /* Method: six processes stage the same shard into one folder. */
    struct fixture *f = *state;
    struct reeve_manifest *m = manifest_of_text(f, 2500000);
    char dir[512];
    pid_t pids[6];
    cache_dir_of(f, dir);
    for (int i = 0; i < 6; i++) {
        pids[i] = fork_child();
        if (pids[i] != 0) continue;
        struct reeve_error err;
        reeve_shard_cache *c;
        CHILD_CHECK(cache_of(m, dir, 2, &c, &err) == REEVE_OK);
        CHILD_CHECK(reeve_shard_stage(c, (reeve_shard_id){0}, &err) == REEVE_OK);
        _exit(0);
    }
    for (int i = 0; i < 6; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(entries_in(dir), 1);
    char copy[512];
    copy_path(f, m, copy);
    size_t n;
    uint8_t *bytes = file_load(copy, &n);
    assert_true(reeve_digest_equal(reeve_digest_of(bytes, n), m->shards[0].digest));
    free(bytes);
    reeve_manifest_destroy(m);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(shard_of_each_format_is_measured),
        TEST(shard_format_is_guessed_by_its_mark_alone),
        TEST(shard_that_is_not_what_it_seems_is_refused_with_the_remedy),
        TEST(shard_in_hdf5_that_cannot_be_read_in_place_is_refused),
        TEST(shard_missing_or_no_file_is_named),
        TEST(shard_that_changed_since_the_lock_is_found),
        TEST(tokens_are_the_same_in_each_format),
        TEST(token_outside_the_vocabulary_is_named),
        TEST(shard_that_shrinks_while_it_is_open_is_found),
        TEST(open_files_stay_within_the_bound),
        TEST(staged_copy_is_read_and_shared),
        TEST(staged_copy_that_is_damaged_is_replaced),
        TEST(staging_a_changed_shard_leaves_no_copy),
        TEST(staging_onto_a_full_disk_fails_and_leaves_nothing),
        TEST(staging_that_is_killed_leaves_nothing),
        TEST(shard_staged_by_several_at_once_is_one_good_copy),
    };
    return cmocka_run_group_tests_name("shard", tests, NULL, NULL);
}
