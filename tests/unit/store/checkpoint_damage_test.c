/* Checkpoints that are damaged, and disks that refuse: every byte is guarded, the damage is named, and an attempt that
 * failed leaves nothing behind and loses nothing older. */
#include <sched.h>

#include "checkpoint_fixture.h"

/* Verify step 1 after a change to one of its files: for a part, the index need not be opened anew each time. */
static reeve_status verify_file(struct fixture *f, reeve_checkpoint *c, const char *file, struct reeve_error *err)
{
    return strcmp(file, "index.h5") == 0 ? verify(f->dir, 1, err) : reeve_checkpoint_verify(c, NULL, err);
}

static void find_every_flip(struct fixture *f, const char *file)
{
    struct reeve_error err;
    reeve_checkpoint *c;
    char path[512];
    path_in(f->dir, 1, file, path);
    size_t n;
    uint8_t *bytes = file_load(path, &n);
    OK(reeve_checkpoint_open(f->dir, 1, NULL, &c, &err));
    for (size_t i = 0; i < n; i++) {
        uint8_t flipped = bytes[i] ^ (uint8_t)(1 + draw(f, 255));
        file_poke(path, i, &flipped, 1);
        reeve_status st = verify_file(f, c, file, &err);
        if (st != REEVE_STORE_CORRUPT) fail_msg("byte %zu of %zu of %s: %s", i, n, path, reeve_status_name(st));
        assert_non_null(strstr(err.text, file));
        file_poke(path, i, &bytes[i], 1);
    }
    reeve_checkpoint_close(c);
    OK(verify(f->dir, 1, &err));
    free(bytes);
}

/* Step 1, in one part of two small tensors: few enough bytes to try every one. */
static void save_small(struct fixture *f, const struct state *s)
{
    struct reeve_error err;
    struct reeve_digest digest;
    struct reeve_checkpoint_part part;
    struct reeve_checkpoint_meta meta = meta_of(s, 1);
    OK(reeve_checkpoint_begin(f->dir, 1, 1, &err));
    OK(reeve_checkpoint_write_part(f->dir, 1, 1, 0, &s->tensors[3], 2, &part, &err));
    OK(reeve_checkpoint_commit(f->dir, 1, 1, &meta, &part, 1, queue, sizeof(queue), &digest, &err));
}

static void checkpoint_finds_every_flipped_byte(void **state)
{ /* Goal: no byte of index or part is unguarded. Method: small files, each byte changed by a random difference. */
    struct fixture *f = *state;
    struct state s;
    state_create(&s, f, false);
    save_small(f, &s);
    find_every_flip(f, "index.h5");
    find_every_flip(f, "rank-00000.h5");
    state_destroy(&s);
}

static void checkpoint_damage_is_met_when_it_is_read(void **state)
{ /* Goal: restoring does not need verify: the damaged block is named. Method: flip bytes in blocks of the big tensor.
   */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_digest digest;
    struct state s, back;
    reeve_checkpoint *c;
    char path[512], expected[64];
    state_create(&s, f, true);
    OK(save(f->dir, 1, 1, &s, 1, &digest, &err));
    path_in(f->dir, 1, "rank-00000.h5", path);
    size_t n;
    uint8_t *bytes = file_load(path, &n);
    uint8_t *big = memmem(bytes, n, s.tensors[5].data, 4096);
    assert_non_null(big);
    state_like(&back, &s);
    const uint64_t blocks[] = {0, 1, 15, 16, 17};
    for (uint32_t i = 0; i < 5; i++) {
        size_t at =
            (size_t)(big - bytes) + blocks[i] * REEVE_CHECKPOINT_BLOCK_BYTES + (blocks[i] < 17 ? draw(f, 1u << 20) : 3);
        uint8_t flipped = bytes[at] ^ 0x10;
        file_poke(path, at, &flipped, 1);
        OK(reeve_checkpoint_open(f->dir, 1, NULL, &c, &err));
        FAILS(reeve_checkpoint_read(c, back.tensors, TENSORS, &err), REEVE_STORE_CORRUPT);
        (void)snprintf(expected, sizeof(expected), "tensor big is damaged in its block %llu ",
                       (unsigned long long)blocks[i]);
        assert_non_null(strstr(err.text, expected));
        assert_non_null(strstr(err.text, path));
        reeve_checkpoint_close(c);
        file_poke(path, at, &bytes[at], 1);
    }
    free(bytes);
    state_destroy(&back);
    state_destroy(&s);
}

static void checkpoint_finds_every_truncation_and_missing_file(void **state)
{ /* Goal: a shorter file, a longer one and none at all are refused. Method: each length of small files. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct state s;
    reeve_checkpoint *c;
    const char *files[] = {"index.h5", "rank-00000.h5"};
    state_create(&s, f, false);
    save_small(f, &s);
    OK(reeve_checkpoint_open(f->dir, 1, NULL, &c, &err));
    for (int i = 0; i < 2; i++) {
        char path[512];
        path_in(f->dir, 1, files[i], path);
        size_t n;
        uint8_t *bytes = file_load(path, &n);
        for (size_t length = n; length-- > 0;) {
            assert_int_equal(truncate(path, (off_t)length), 0);
            FAILS(verify_file(f, c, files[i], &err), REEVE_STORE_CORRUPT);
        }
        assert_int_equal(unlink(path), 0);
        FAILS(verify(f->dir, 1, &err), i == 0 ? REEVE_INPUT_MISSING : REEVE_STORE_CORRUPT);
        file_store(path, bytes, n);
        assert_int_equal(truncate(path, (off_t)n + 1), 0);
        FAILS(verify(f->dir, 1, &err), REEVE_STORE_CORRUPT);
        file_store(path, bytes, n);
        OK(verify(f->dir, 1, &err));
        free(bytes);
    }
    reeve_checkpoint_close(c);
    state_destroy(&s);
}

static void checkpoint_parts_of_two_checkpoints_do_not_mix(void **state)
{ /* Goal: a part that is whole, but of another save, is refused. Method: exchange parts of equal shape. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_digest digest;
    struct state a, b;
    char of_a[512], of_b[512];
    state_create(&a, f, false);
    state_create(&b, f, false);
    OK(save(f->dir, 1, 1, &a, 2, &digest, &err));
    OK(save(f->dir, 2, 1, &b, 2, &digest, &err));
    path_in(f->dir, 1, "rank-00001.h5", of_a);
    path_in(f->dir, 2, "rank-00001.h5", of_b);
    assert_int_equal(rename(of_b, of_a), 0);
    FAILS(verify(f->dir, 1, &err), REEVE_STORE_CORRUPT); /* another step */
    OK(save(f->dir, 2, 1, &b, 2, &digest, &err));
    path_in(f->dir, 2, "rank-00000.h5", of_b);
    size_t n;
    uint8_t *bytes = file_load(of_b, &n);
    OK(save(f->dir, 2, 1, &a, 2, &digest, &err));
    file_store(of_b, bytes, n); /* the same step, saved from another state */
    FAILS(verify(f->dir, 2, &err), REEVE_STORE_CORRUPT);
    assert_non_null(strstr(err.text, "rank-00000.h5"));
    free(bytes);
    state_destroy(&a);
    state_destroy(&b);
}

static void save_beyond_limit(struct fixture *f)
{
    struct reeve_error err;
    struct reeve_checkpoint_part part;
    struct state s;
    (void)signal(SIGXFSZ, SIG_IGN);
    state_create(&s, f, true);
    const rlim_t limits[] = {100, 4096, 1 << 20, 18 << 20};
    for (int i = 0; i < 4; i++) {
        struct rlimit limit = {limits[i], RLIM_INFINITY};
        char tmp[512];
        CHILD_CHECK(reeve_checkpoint_begin(f->dir, 1, 1, &err) == REEVE_OK);
        CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        CHILD_CHECK(reeve_checkpoint_write_part(f->dir, 1, 1, 0, s.tensors, TENSORS, &part, &err) == REEVE_STORE_WRITE);
        CHILD_CHECK(strstr(err.text, "rank-00000.h5") != NULL && strstr(err.text, "--run-dir") != NULL);
        reeve_checkpoint_tmp_dir(f->dir, 1, 1, tmp, sizeof(tmp));
        strcat(tmp, "/rank-00000.h5");
        CHILD_CHECK(!reeve_path_exists(tmp));
    }
    struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    struct reeve_digest digest;
    CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &none) == 0);
    CHILD_CHECK(save(f->dir, 1, 1, &s, 2, &digest, &err) == REEVE_OK && verify(f->dir, 1, &err) == REEVE_OK);
    state_destroy(&s);
    exit(0); /* with exit handlers: HDF5 must not crash in its own */
}

static void checkpoint_write_that_fails_leaves_nothing_and_says_why(void **state)
{ /* Goal: a limit is a message, not a crash, and the next attempt works. Method: limits on the size of files. */
    assert_int_equal(in_child(save_beyond_limit, *state), 0);
}

#define CHILD_SKIPS 77

static void save_to_full_disk(struct fixture *f)
{
    struct reeve_error err;
    struct reeve_digest digest;
    struct state s;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", f->dir, "tmpfs", 0, "size=8m") != 0)
        _exit(CHILD_SKIPS);
    state_create(&s, f, false);
    CHILD_CHECK(save(f->dir, 1, 1, &s, 2, &digest, &err) == REEVE_OK);
    state_destroy(&s);
    state_create(&s, f, true);
    CHILD_CHECK(save(f->dir, 2, 1, &s, 1, &digest, &err) == REEVE_STORE_WRITE);
    CHILD_CHECK(strstr(err.text, "disk is full") != NULL && strstr(err.text, "--run-dir") != NULL);
    reeve_checkpoint_abandon(f->dir, 2, 1);
    CHILD_CHECK(verify(f->dir, 1, &err) == REEVE_OK);
    state_destroy(&s);
}

static void checkpoint_full_disk_loses_no_older_one(void **state)
{
    int rc = in_child(save_to_full_disk, *state);
    if (rc == CHILD_SKIPS) {
        printf("skipped: we may not mount a small file system here\n");
        skip();
    }
    assert_int_equal(rc, 0);
}

int main(void)
{
#define CHECKPOINT_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CHECKPOINT_TEST(checkpoint_finds_every_flipped_byte),
        CHECKPOINT_TEST(checkpoint_damage_is_met_when_it_is_read),
        CHECKPOINT_TEST(checkpoint_finds_every_truncation_and_missing_file),
        CHECKPOINT_TEST(checkpoint_parts_of_two_checkpoints_do_not_mix),
        CHECKPOINT_TEST(checkpoint_write_that_fails_leaves_nothing_and_says_why),
        CHECKPOINT_TEST(checkpoint_full_disk_loses_no_older_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
