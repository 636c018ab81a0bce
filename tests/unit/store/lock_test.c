/* The lock of a manifest: what is written is read back, every damaged byte is found, and a full disk loses nothing. */
#include "store_fixture.h"

#include "store/lock.h"
#include "store/reader.h"
#include "store/seal_outside.h"

/* --- making ------------------------------------------------------------------------------------------------------- */

static void digest_random(struct fixture *f, struct reeve_digest *out)
{
    for (size_t i = 0; i < sizeof(out->bytes); i++)
        out->bytes[i] = (uint8_t)draw(f, 256);
}

static struct reeve_shard shard_random(struct fixture *f, uint64_t path_offset)
{
    static const uint8_t widths[5] = {0, 1, 2, 2, 4};
    struct reeve_shard s = {.path_offset = path_offset,
                            .priority = (int32_t)draw(f, 1000) - 500,
                            .weight = (uint16_t)(1 + draw(f, REEVE_SHARD_WEIGHT_MAX)),
                            .format = (uint8_t)(1 + draw(f, 4)),
                            .token_count = 1 + draw(f, 1u << 30)};
    s.token_bytes = widths[s.format];
    s.data_offset = draw(f, 5000);
    s.file_bytes = s.data_offset + s.token_count * s.token_bytes + draw(f, 100);
    digest_random(f, &s.digest);
    return s;
}

/* Random, valid, with awkward names. */
static struct reeve_manifest *manifest_random(struct fixture *f, uint32_t shard_count)
{
    static const char *const endings[] = {".txt", " with blanks", "-\xc3\xa4\xe2\x82\xac.bin", "'\"\\.h5"};
    struct reeve_manifest *m = calloc(1, sizeof(*m));
    m->shards = calloc(shard_count, sizeof(*m->shards));
    m->paths = calloc(shard_count, 64);
    m->shard_count = shard_count;
    m->vocab = 1 + (uint32_t)draw(f, 100000);
    m->base_dir = strdup(draw(f, 2) == 0 ? f->dir : "/");
    (void)snprintf(m->dataset, sizeof(m->dataset), "perl \xc3\xb6-%llu", (unsigned long long)draw(f, 1000));
    (void)snprintf(m->tokenizer, sizeof(m->tokenizer), "%s", draw(f, 2) == 0 ? "bytes" : "gpt2");
    for (uint32_t i = 0; i < shard_count; i++) {
        m->shards[i] = shard_random(f, m->paths_bytes);
        int n = snprintf(m->paths + m->paths_bytes, 64, "shard-%u%s", i, endings[draw(f, 4)]);
        m->paths_bytes += (uint64_t)n + 1;
    }
    m->digest = reeve_manifest_digest(m);
    return m;
}

static void check_equal(const struct reeve_manifest *a, const struct reeve_manifest *b)
{
    assert_string_equal(a->dataset, b->dataset);
    assert_string_equal(a->tokenizer, b->tokenizer);
    assert_string_equal(a->base_dir, b->base_dir);
    assert_int_equal(a->vocab, b->vocab);
    assert_int_equal(a->shard_count, b->shard_count);
    assert_int_equal(a->paths_bytes, b->paths_bytes);
    assert_memory_equal(a->paths, b->paths, a->paths_bytes);
    assert_true(reeve_digest_equal(a->digest, b->digest));
    for (uint32_t i = 0; i < a->shard_count; i++) {
        const struct reeve_shard *x = &a->shards[i], *y = &b->shards[i];
        assert_true(x->path_offset == y->path_offset && x->file_bytes == y->file_bytes && x->weight == y->weight);
        assert_true(x->data_offset == y->data_offset && x->token_count == y->token_count && x->format == y->format);
        assert_true(x->priority == y->priority && x->token_bytes == y->token_bytes);
        assert_true(reeve_digest_equal(x->digest, y->digest));
    }
}

static void path_in(const struct fixture *f, const char *name, char out[512])
{
    (void)snprintf(out, 512, "%s/%s", f->dir, name);
}

/* --- promises ------------------------------------------------------------------------------------------------------
 */

static void lock_written_is_lock_read(void **state)
{ /* Goal: nothing is lost or changed on the way. Method: random manifests of 1 to 10000 shards. */
    struct fixture *f = *state;
    struct reeve_error err;
    char path[512];
    static const uint32_t counts[] = {1, 2, 57, 4096, 4097, 10000};
    path_in(f, "manifest.h5", path);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct reeve_manifest *m = manifest_random(f, counts[i]), *back = NULL;
        OK(reeve_lock_write(path, m, &err));
        OK(reeve_lock_read(path, &back, &err));
        check_equal(m, back);
        reeve_manifest_destroy(back);
        reeve_manifest_destroy(m);
    }
}

static void lock_of_one_manifest_is_one_sequence_of_bytes(void **state)
{ /* Goal: no time stamp, no stale memory. Method: write twice, with memory dirtied in between. */
    struct fixture *f = *state;
    struct reeve_error err;
    char a[512], b[512];
    path_in(f, "a.h5", a);
    path_in(f, "b.h5", b);
    struct reeve_manifest *m = manifest_random(f, 200);
    OK(reeve_lock_write(a, m, &err));
    for (int i = 0; i < 8; i++) {
        uint8_t *dirt = malloc((size_t)1 << (14 + i));
        memset(dirt, 0xa5, (size_t)1 << (14 + i));
        free(dirt);
    }
    OK(reeve_lock_write(b, m, &err));
    size_t n, k;
    uint8_t *x = file_load(a, &n), *y = file_load(b, &k);
    assert_int_equal(n, k);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
    reeve_manifest_destroy(m);
}

/* What a lock that is not as written may come back as. */
static void check_refused(const char *path, const char *what, size_t at)
{
    struct reeve_error err;
    struct reeve_manifest *m = NULL;
    reeve_status st = reeve_lock_read(path, &m, &err);
    if (st != REEVE_STORE_CORRUPT)
        fail_msg("%s at byte %zu: %s, expected STORE_CORRUPT", what, at, reeve_status_name(st));
    assert_null(m);
    if (strstr(err.text, path) == NULL)
        fail_msg("%s at byte %zu: the message does not name the file: %s", what, at, err.text);
}

static void lock_every_flipped_byte_is_found(void **state)
{ /* Method: each byte of a small lock in turn, one random bit or all of them. */
    struct fixture *f = *state;
    struct reeve_error err;
    char path[512];
    size_t n;
    path_in(f, "manifest.h5", path);
    struct reeve_manifest *m = manifest_random(f, 3);
    OK(reeve_lock_write(path, m, &err));
    uint8_t *bytes = file_load(path, &n);
    for (size_t at = 0; at < n; at++) {
        uint8_t other = bytes[at] ^ (uint8_t)(draw(f, 4) == 0 ? 0xff : 1u << draw(f, 8));
        file_poke(path, at, &other, 1);
        check_refused(path, "flipped bit", at);
        file_poke(path, at, &bytes[at], 1);
    }
    struct reeve_manifest *back = NULL;
    OK(reeve_lock_read(path, &back, &err));
    reeve_manifest_destroy(back);
    free(bytes);
    reeve_manifest_destroy(m);
}

static void lock_cut_at_any_length_is_found(void **state)
{ /* Method: every length from 0 to one byte short, and bytes too many. */
    struct fixture *f = *state;
    struct reeve_error err;
    char path[512];
    size_t n;
    path_in(f, "manifest.h5", path);
    struct reeve_manifest *m = manifest_random(f, 3);
    OK(reeve_lock_write(path, m, &err));
    uint8_t *bytes = file_load(path, &n);
    for (size_t left = n; left-- > 0;) {
        assert_int_equal(truncate(path, (off_t)left), 0);
        check_refused(path, "cut", left);
    }
    uint8_t *more = calloc(1, n + 4096);
    memcpy(more, bytes, n);
    file_store(path, more, n + 1);
    check_refused(path, "one byte appended", n);
    file_store(path, more, n + 4096);
    check_refused(path, "a page appended", n);
    free(more);
    free(bytes);
    reeve_manifest_destroy(m);
}

/* Make the seal fit again, as somebody would who wants to be read. */
static void seal_again(const char *path)
{
    struct reeve_h5 *h;
    struct reeve_h5_dataset d;
    struct reeve_digest seal;
    assert_int_equal(reeve_h5_open(path, UINT64_MAX, &h, NULL), REEVE_OK);
    assert_int_equal(reeve_h5_dataset(h, "/seal", &d, NULL), REEVE_OK);
    assert_int_equal(
        reeve_seal_outside_file(reeve_h5_fd(h), reeve_h5_file_bytes(h), NULL, 0, d.file_offset, path, &seal, NULL),
        REEVE_OK);
    reeve_h5_close(h);
    file_poke(path, d.file_offset, &seal, sizeof(seal));
}

static void lock_sealed_lies_are_refused(void **state)
{ /* Goal: a fitting seal earns no trust. Method: absurd values in the first record, sealed again. */
    struct fixture *f = *state;
    struct reeve_error err;
    char path[512];
    struct reeve_h5 *h;
    struct reeve_h5_dataset shards, paths;
    path_in(f, "manifest.h5", path);
    struct reeve_manifest *m = manifest_random(f, 5);
    OK(reeve_lock_write(path, m, &err));
    OK(reeve_h5_open(path, UINT64_MAX, &h, &err));
    OK(reeve_h5_dataset(h, "/shards", &shards, &err));
    OK(reeve_h5_dataset(h, "/paths", &paths, &err));
    reeve_h5_close(h);
    size_t n;
    uint8_t *good = file_load(path, &n);
    static const uint8_t ones[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, zeros[8] = {0};
    const struct {
        const char *what;
        uint64_t at;
        const uint8_t *bytes;
        size_t n;
    } lies[] = {
        {"path beyond the table", shards.file_offset, ones, 8},
        {"empty file", shards.file_offset + 8, zeros, 8},
        {"data beyond the file", shards.file_offset + 16, ones, 8},
        {"2^64 tokens", shards.file_offset + 24, ones, 8},
        {"digest that is no text", shards.file_offset + 32, ones, 8},
        {"weight 0", shards.file_offset + 68, zeros, 2},
        {"format 255", shards.file_offset + 70, ones, 1},
        {"tokens of 0 bytes", shards.file_offset + 71, zeros, 1},
        {"last path not ended", paths.file_offset + paths.bytes - 1, ones, 1},
        {"another path", paths.file_offset, (const uint8_t *)"X", 1},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        file_store(path, good, n);
        file_poke(path, lies[i].at, lies[i].bytes, lies[i].n);
        seal_again(path);
        check_refused(path, lies[i].what, lies[i].at);
    }
    free(good);
    reeve_manifest_destroy(m);
}

static void lock_other_things_of_that_name_are_named(void **state)
{ /* Method: nothing, a folder, an empty file, text, a FIFO. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_manifest *m = NULL;
    char path[512];
    path_in(f, "other", path);
    FAILS(reeve_lock_read(path, &m, &err), REEVE_INPUT_MISSING);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(mkdir(path, 0777), 0);
    FAILS(reeve_lock_read(path, &m, &err), REEVE_INPUT_INVALID);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0666), 0);
    FAILS(reeve_lock_read(path, &m, &err), REEVE_INPUT_INVALID);
    assert_int_equal(unlink(path), 0);
    file_store(path, "", 0);
    check_refused(path, "empty", 0);
    char text[9000];
    memset(text, 'x', sizeof(text));
    file_store(path, text, sizeof(text));
    check_refused(path, "text", 0);
}

static void lock_that_cannot_be_written_leaves_the_old_one(void **state)
{ /* Goal: a full disk loses nothing. Method: a limit on the size of files, met in the middle of the write. */
    struct fixture *f = *state;
    struct reeve_error err;
    char path[512];
    path_in(f, "manifest.h5", path);
    struct reeve_manifest *old = manifest_random(f, 4), *new = manifest_random(f, 3000), *back = NULL;
    OK(reeve_lock_write(path, old, &err));
    pid_t pid = fork_child();
    if (pid == 0) {
        struct rlimit limit = {20000, 20000};
        (void)signal(SIGXFSZ, SIG_IGN);
        CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        CHILD_CHECK(reeve_lock_write(path, new, &err) == REEVE_STORE_WRITE);
        CHILD_CHECK(strstr(err.text, path) != NULL);
        reeve_manifest_destroy(old); /* valgrind looks for leaks in the child, too */
        reeve_manifest_destroy(new);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    OK(reeve_lock_read(path, &back, &err));
    check_equal(old, back);
    reeve_manifest_destroy(back);
    reeve_manifest_destroy(old);
    reeve_manifest_destroy(new);
}

static void lock_is_read_by_h5dump(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    char path[512];
    path_in(f, "manifest.h5", path);
    struct reeve_manifest *m = manifest_random(f, 7);
    OK(reeve_lock_write(path, m, &err));
    reeve_manifest_destroy(m);
    int header = h5dump_reads(path, "-H"), all = h5dump_reads(path, "-d /shards -d /paths -d /seal");
    if (header < 0) {
        print_message("skipped: no h5dump here\n");
        skip();
    }
    assert_int_equal(header, 1);
    assert_int_equal(all, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lock_written_is_lock_read, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(lock_of_one_manifest_is_one_sequence_of_bytes, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(lock_every_flipped_byte_is_found, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(lock_cut_at_any_length_is_found, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(lock_sealed_lies_are_refused, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(lock_other_things_of_that_name_are_named, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(lock_that_cannot_be_written_leaves_the_old_one, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(lock_is_read_by_h5dump, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
