/* Goal: with a cache folder each host has its own good copy of what it reads, made once, and a run does not end because
 * of that folder. Method: two folders are two hosts; copies are damaged, removed, held up and impossible. */
#include "shard_fixture.h"

#include <dirent.h>

#include "store/shard_cache.h"

static void folder_of(const struct shard_rig *r, const char *name, char out[600])
{
    (void)snprintf(out, 600, "%s/%s", r->f->dir, name);
}

static void copy_in(const struct shard_rig *r, const char *folder, char out[700])
{
    char hex[REEVE_DIGEST_HEX_BYTES];
    reeve_digest_hex(r->shard.digest, hex);
    (void)snprintf(out, 700, "%s/%s", folder, hex);
}

static void check_good_copy(struct shard_rig *r, const char *folder)
{
    char copy[700];
    size_t n;
    copy_in(r, folder, copy);
    uint8_t *bytes = file_load(copy, &n);
    assert_true(n == SHARD_BYTES && memcmp(bytes, r->text, n) == 0);
    free(bytes);
    int count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        count += e->d_name[0] != '.';
    (void)closedir(dir);
    assert_int_equal(count, 1);
}

static void each_host_gets_its_own_copy(void **state)
{ /* Method: staged on one; the other has none until it reads; then the shard itself is not needed any more. */
    struct shard_rig *r = rig_new(*state);
    struct reeve_error err;
    char one[600], two[600];
    folder_of(r, "one/deep", one);
    folder_of(r, "two/deep", two);
    reeve_shard_cache *a = rig_process(r, one), *b = rig_process(r, two), *beside_b = rig_process(r, two);
    OK(reeve_shard_stage(a, (reeve_shard_id){0}, &err));
    check_good_copy(r, one);
    assert_false(reeve_path_exists(two));
    READS(b, 1);
    check_good_copy(r, two);
    assert_int_equal(unlink(r->source), 0);
    READS(a, 0);
    READS(b, 0);
    READS(beside_b, 0); /* on the word of who made it */
    reeve_shards_forget_verified(r->run_dir);
    reeve_shard_cache *next = rig_process(r, two); /* of the next launch */
    READS(next, 1);
    reeve_shard_cache_destroy(next);
    reeve_shard_cache_destroy(a);
    reeve_shard_cache_destroy(b);
    reeve_shard_cache_destroy(beside_b);
    rig_free(r);
}

static void copy_that_was_damaged_is_made_again(void **state)
{ /* Method: before it is first used, while it is used, cut short, and a folder in its place. */
    struct shard_rig *r = rig_new(*state);
    char folder[600], copy[700];
    folder_of(r, "cache", folder);
    copy_in(r, folder, copy);
    reeve_shard_cache *c = rig_process(r, folder);
    READS(c, 1);
    tick();
    flip_in_place(copy, 100);
    READS(c, 1);
    check_good_copy(r, folder);
    reeve_shard_cache_destroy(c);
    tick();
    flip_in_place(copy, 100);
    c = rig_process(r, folder);
    READS(c, 1);
    check_good_copy(r, folder);
    assert_int_equal(truncate(copy, 1000), 0);
    READS(c, 1);
    check_good_copy(r, folder);
    assert_int_equal(unlink(copy), 0);
    READS(c, 1);
    check_good_copy(r, folder);
    reeve_shard_cache_destroy(c);
    rig_free(r);
}

static void shard_that_changed_is_not_copied(void **state)
{
    struct shard_rig *r = rig_new(*state);
    struct reeve_error err;
    char folder[600], copy[700];
    folder_of(r, "cache", folder);
    copy_in(r, folder, copy);
    flip_in_place(r->source, 9);
    reeve_shard_cache *c = rig_process(r, folder);
    FAILS(rig_read(r, c, 0, &err), REEVE_INPUT_CHANGED);
    assert_non_null(strstr(err.text, r->source));
    FAILS(rig_read(r, c, 0, &err), REEVE_INPUT_CHANGED);
    assert_false(reeve_path_exists(copy));
    flip_in_place(r->source, 9);
    READS(c, 1); /* put back: copied after all */
    check_good_copy(r, folder);
    reeve_shard_cache_destroy(c);
    rig_free(r);
}

static void run_goes_on_where_no_copy_can_be_made(void **state)
{ /* Method: a file where the folder is to be. Tried once: then the shard itself is read, and read once. */
    struct shard_rig *r = rig_new(*state);
    struct reeve_error err;
    char folder[600];
    folder_of(r, "text/cache", folder);
    reeve_shard_cache *c = rig_process(r, folder), *other = rig_process(r, folder);
    READS(c, 1);
    for (int i = 0; i < 3; i++) {
        c->slots[0].last_use = 0;
        (void)close(c->slots[0].fd); /* as when another shard needs its place */
        c->slots[0].fd = -1;
        READS(c, 0);
    }
    READS(other, 0);
    assert_int_not_equal(reeve_shard_stage(c, (reeve_shard_id){0}, &err), REEVE_OK); /* which says what is wrong */
    assert_non_null(strstr(err.text, folder));
    tick();
    flip_in_place(r->source, 9);
    FAILS(rig_read(r, c, 0, &err), REEVE_INPUT_CHANGED);
    reeve_shard_cache_destroy(c);
    reeve_shard_cache_destroy(other);
    rig_free(r);
}

static void one_process_of_a_host_copies_for_all(void **state)
{ /* Method: six begin at once. Had two of them copied, one would have open what is no longer behind the name. */
    struct shard_rig *r = rig_new(*state);
    char folder[600], copy[700];
    int open_ino[2];
    pid_t pids[6];
    folder_of(r, "cache", folder);
    copy_in(r, folder, copy);
    assert_int_equal(pipe(open_ino), 0);
    for (int i = 0; i < 6; i++) {
        pids[i] = fork_child();
        if (pids[i] != 0) continue;
        struct reeve_error err;
        struct stat info;
        reeve_shard_cache *c = rig_process(r, folder);
        CHILD_CHECK(rig_read(r, c, 0, &err) == REEVE_OK);
        CHILD_CHECK(fstat(c->slots[0].fd, &info) == 0 && c->slots[0].copy);
        CHILD_CHECK(write(open_ino[1], &info.st_ino, sizeof(info.st_ino)) == (ssize_t)sizeof(info.st_ino));
        reeve_shard_cache_destroy(c);
        _exit(0);
    }
    for (int i = 0; i < 6; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    struct stat named;
    assert_int_equal(stat(copy, &named), 0);
    for (int i = 0; i < 6; i++) {
        ino_t ino;
        assert_int_equal(read(open_ino[0], &ino, sizeof(ino)), (ssize_t)sizeof(ino));
        assert_true(ino == named.st_ino);
    }
    check_good_copy(r, folder);
    assert_int_equal(close(open_ino[0]), 0);
    assert_int_equal(close(open_ino[1]), 0);
    rig_free(r);
}

static void process_that_hangs_in_its_turn_holds_nobody_up_for_ever(void **state)
{ /* Method: another process has the turns of all shards, and does not let go. When it dies, they are free. */
    struct shard_rig *r = rig_new(*state);
    char folder[600], turns[700];
    int ready[2];
    folder_of(r, "cache", folder);
    (void)snprintf(turns, sizeof(turns), "%s/.turns", folder);
    assert_int_equal(mkdir(folder, 0777), 0);
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork_child();
    if (pid == 0) {
        int fd = open(turns, O_RDWR | O_CREAT, 0666);
        struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        CHILD_CHECK(fd >= 0 && fcntl(fd, F_OFD_SETLK, &all) == 0 && write(ready[1], "", 1) == 1);
        for (;;)
            (void)pause();
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    reeve_shard_cache *c = rig_process(r, folder), *next = rig_process(r, folder);
    c->turn_ns = 50000000;
    READS(c, 1);
    check_good_copy(r, folder);
    char copy[700];
    copy_in(r, folder, copy);
    assert_int_equal(unlink(copy), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    READS(next, 1); /* with the patience of ten minutes */
    check_good_copy(r, folder);
    assert_int_equal(close(ready[0]), 0);
    assert_int_equal(close(ready[1]), 0);
    reeve_shard_cache_destroy(c);
    reeve_shard_cache_destroy(next);
    rig_free(r);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_host_gets_its_own_copy),          TEST(copy_that_was_damaged_is_made_again),
        TEST(shard_that_changed_is_not_copied),     TEST(run_goes_on_where_no_copy_can_be_made),
        TEST(one_process_of_a_host_copies_for_all), TEST(process_that_hangs_in_its_turn_holds_nobody_up_for_ever),
    };
    return cmocka_run_group_tests_name("shard_copy", tests, NULL, NULL);
}
