/* Goal: no process computes on bytes that are not the locked ones, whatever another process has seen under that name; and
 * a shard is read no more often than that takes. Method: count the readings; other bytes of the same size throughout. */
#include "shard_fixture.h"

#include <dirent.h>

#include "store/shard_identity.h"

static void expect_changed(struct shard_rig *r, reeve_shard_cache *c, int line)
{
    struct reeve_error err;
    char host[256], was[REEVE_DIGEST_HEX_BYTES];
    for (int i = 0; i < 2; i++) { /* a second attempt is no better */
        check_status(rig_read(r, c, 0, &err), REEVE_INPUT_CHANGED, &err, line);
        assert_int_equal(gethostname(host, sizeof(host)), 0);
        reeve_digest_hex(r->shard.digest, was);
        assert_non_null(strstr(err.text, r->source));
        assert_non_null(strstr(err.text, host));
        assert_non_null(strstr(err.text, was));
        assert_non_null(strstr(err.text, "restore the file, or lock the manifest again"));
    }
}
#define CHANGED(cache) expect_changed(r, (cache), __LINE__)

static void first_use_verifies_what_this_process_has(void **state)
{ /* Method: staged by one, then other bytes for the next, as on a node with a stale replica. */
    struct shard_rig *r = rig_new(*state);
    struct reeve_error err;
    reeve_shard_cache *stager = rig_process(r, ""), *other = rig_process(r, "");
    OK(reeve_shard_stage(stager, (reeve_shard_id){0}, &err));
    READS(stager, 0);
    tick();
    uint8_t *stale = malloc(SHARD_BYTES);
    memset(stale, 'x', SHARD_BYTES);
    assert_int_equal(unlink(r->source), 0);
    file_store(r->source, stale, SHARD_BYTES);
    CHANGED(other);
    CHANGED(stager); /* its open file is gone from the name as well */
    assert_int_equal(unlink(r->source), 0);
    FAILS(rig_read(r, other, 0, &err), REEVE_INPUT_MISSING);
    file_store(r->source, r->text, SHARD_BYTES);
    READS(other, 1); /* put back */
    free(stale);
    reeve_shard_cache_destroy(stager);
    reeve_shard_cache_destroy(other);
    rig_free(r);
}

static void one_reading_is_enough_for_all(void **state)
{
    struct shard_rig *r = rig_new(*state);
    struct reeve_error err;
    reeve_shard_cache *c[4];
    for (int i = 0; i < 4; i++)
        c[i] = rig_process(r, "");
    OK(reeve_shard_stage(c[0], (reeve_shard_id){0}, &err));
    assert_int_equal(r->readings, 1);
    for (int i = 0; i < 4; i++)
        READS(c[i], 0);
    OK(reeve_shard_stage(c[1], (reeve_shard_id){0}, &err)); /* whatever is known */
    assert_int_equal(r->readings, 2);
    reeve_shards_forget_verified(r->run_dir);
    READS(c[3], 0); /* it knows by itself */
    reeve_shard_cache *next = rig_process(r, "");
    READS(next, 1);
    reeve_shard_cache_destroy(next);
    for (int i = 0; i < 4; i++)
        reeve_shard_cache_destroy(c[i]);
    rig_free(r);
}

static void change_in_place_is_found_whatever_its_time_says(void **state)
{
    struct shard_rig *r = rig_new(*state);
    struct reeve_error err;
    reeve_shard_cache *c = rig_process(r, ""), *other = rig_process(r, "");
    READS(c, 1);
    READS(other, 0);
    flip_in_place(r->source, 7777); /* within the tick or after it */
    CHANGED(c);
    CHANGED(other);
    flip_in_place(r->source, 7777);
    READS(c, 1);
    READS(other, 0);
    assert_int_equal(chmod(r->source, 0600), 0); /* other times, the same bytes: read once more, by one of them */
    READS(other, 1);
    READS(c, 0);
    char moved[600];
    (void)snprintf(moved, sizeof(moved), "%s.new", r->source);
    file_store(moved, r->text, SHARD_BYTES);
    assert_int_equal(rename(moved, r->source), 0); /* replaced by an equal one */
    READS(c, 1);
    file_store(moved, r->text, SHARD_BYTES);
    flip_in_place(moved, 3);
    assert_int_equal(rename(moved, r->source), 0);
    CHANGED(c);
    CHANGED(other);
    FAILS(reeve_shard_stage(c, (reeve_shard_id){0}, &err), REEVE_INPUT_CHANGED);
    reeve_shard_cache_destroy(c);
    reeve_shard_cache_destroy(other);
    rig_free(r);
}

static void no_token_of_other_bytes_is_handed_out_while_somebody_writes(void **state)
{ /* Method: a process that flips a byte to and fro; whatever is read is the locked byte, or refused. */
    struct shard_rig *r = rig_new(*state);
    struct reeve_error err;
    reeve_shard_cache *c = rig_process(r, "");
    pid_t pid = fork_child();
    if (pid == 0)
        for (;;) {
            flip_in_place(r->source, 50);
            flip_in_place(r->source, 50);
            const struct timespec pause = {.tv_nsec = (long)draw(r->f, 60000000)};
            (void)nanosleep(&pause, NULL);
        }
    int good = 0, refused = 0;
    for (int i = 0; i < 60; i++) {
        reeve_status st = rig_read(r, c, 0, &err);
        if (st == REEVE_OK) good++;
        else {
            check_status(st, REEVE_INPUT_CHANGED, &err, __LINE__);
            refused++;
        }
        const struct timespec pause = {.tv_nsec = 2000000};
        (void)nanosleep(&pause, NULL);
    }
    print_message("%d samples were read, %d refused\n", good, refused);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    reeve_shard_cache_destroy(c);
    rig_free(r);
}

static void first_record(const struct shard_rig *r, char out[600])
{
    char folder[560];
    (void)snprintf(folder, sizeof(folder), "%s/verified", r->run_dir);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    out[0] = '\0';
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.') (void)snprintf(out, 600, "%s/%.32s", folder, e->d_name);
    (void)closedir(dir);
    assert_true(out[0] != '\0');
}

static void another_process_reads(struct shard_rig *r, int readings, int line)
{
    reeve_shard_cache *c = rig_process(r, "");
    rig_reads(r, c, readings, line);
    reeve_shard_cache_destroy(c);
}

static void record_is_a_hint_and_no_more(void **state)
{ /* Method: every kind of thing that may lie there instead; a reading each time, never a failure, never other bytes. */
    struct shard_rig *r = rig_new(*state);
    char record[600], elsewhere[600];
    another_process_reads(r, 1, __LINE__);
    another_process_reads(r, 0, __LINE__);
    first_record(r, record);
    assert_int_equal(file_size(record), 8);
    size_t n;
    uint8_t *word = file_load(record, &n);

    assert_int_equal(truncate(record, 5), 0); /* torn */
    another_process_reads(r, 1, __LINE__);
    uint64_t old = 0x0123456789abcdef;
    file_poke(record, 0, &old, 8);
    another_process_reads(r, 1, __LINE__);
    old = 0;
    file_poke(record, 0, &old, 8);
    another_process_reads(r, 1, __LINE__);
    assert_int_equal(truncate(record, 100000), 0); /* longer: what it says of this shard still holds */
    another_process_reads(r, 0, __LINE__);

    (void)snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", r->f->dir);
    assert_int_equal(rename(record, elsewhere), 0);
    assert_int_equal(symlink(elsewhere, record), 0); /* not followed, not written through */
    another_process_reads(r, 1, __LINE__);
    another_process_reads(r, 1, __LINE__);
    assert_int_equal(file_size(elsewhere), 100000);
    assert_int_equal(unlink(record), 0);
    assert_int_equal(mkdir(record, 0777), 0);
    another_process_reads(r, 1, __LINE__);
    assert_int_equal(rmdir(record), 0);
    assert_int_equal(mkfifo(record, 0666), 0);
    another_process_reads(r, 1, __LINE__);
    reeve_shards_forget_verified(r->run_dir);
    assert_false(reeve_path_exists(record));
    another_process_reads(r, 1, __LINE__);
    another_process_reads(r, 0, __LINE__);

    reeve_shards_forget_verified(r->run_dir);
    (void)snprintf(record, sizeof(record), "%s/verified", r->run_dir);
    file_store(record, "a file", 6); /* where the folder is to be */
    another_process_reads(r, 1, __LINE__);
    another_process_reads(r, 1, __LINE__);
    reeve_shards_forget_verified(r->run_dir);
    assert_int_equal(rmdir(r->run_dir), 0); /* no run folder at all */
    another_process_reads(r, 1, __LINE__);
    free(word);
    rig_free(r);
}

static void old_record_does_not_vouch_for_another_lock(void **state)
{ /* Method: the shard is another file under the same lock, then the same file under another lock. */
    struct shard_rig *r = rig_new(*state);
    another_process_reads(r, 1, __LINE__);
    tick();
    flip_in_place(r->source, 10);
    reeve_shard_cache *c = rig_process(r, "");
    CHANGED(c);
    reeve_shard_cache_destroy(c);
    flip_in_place(r->source, 10);
    another_process_reads(r, 1, __LINE__);
    struct reeve_digest was = r->shard.digest;
    r->shard.digest.bytes[5] ^= 1; /* locked otherwise */
    c = rig_process(r, "");
    CHANGED(c);
    reeve_shard_cache_destroy(c);
    r->shard.digest = was;
    another_process_reads(r, 0, __LINE__);
    rig_free(r);
}

static void several_processes_read_the_right_bytes(void **state)
{
    struct shard_rig *r = rig_new(*state);
    pid_t pids[4];
    for (int i = 0; i < 4; i++) {
        pids[i] = fork_child();
        if (pids[i] != 0) continue;
        struct reeve_error err;
        reeve_shard_cache *c = rig_process(r, "");
        for (uint64_t at = 0; at + SAMPLE_TOKENS < SHARD_BYTES; at += 1000)
            CHILD_CHECK(rig_read(r, c, at, &err) == REEVE_OK);
        reeve_shard_cache_destroy(c);
        _exit(0);
    }
    for (int i = 0; i < 4; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    another_process_reads(r, 0, __LINE__);
    rig_free(r);
}

static void identity_tells_hosts_apart_where_they_share_nothing(void **state)
{
    (void)state;
    struct stat info = {.st_ino = 12, .st_size = 100, .st_mtim = {1000, 5}, .st_ctim = {2000, 7}};
    struct reeve_digest locked = {{1, 2, 3}}, other = {{1, 2, 4}};
    struct reeve_shard_place here = {.known = true, .inodes = true, .device = 1, .host = 77}, there = here;
    uint64_t word = reeve_shard_identity(&info, &here, &locked);
    assert_true(word != 0 && word == reeve_shard_identity(&info, &here, &locked));
    assert_true(word != reeve_shard_identity(&info, &here, &other));
    there.host = 78;
    assert_true(word != reeve_shard_identity(&info, &there, &locked));
    there = here;
    there.device = 2;
    assert_true(word != reeve_shard_identity(&info, &there, &locked));
    here = (struct reeve_shard_place){.known = true, .inodes = true, .shared = true, .device = 1};
    there = here;
    there.device = 2; /* as another host calls it */
    word = reeve_shard_identity(&info, &here, &locked);
    assert_true(word == reeve_shard_identity(&info, &there, &locked));
    struct stat changed = info;
    changed.st_ctim.tv_nsec++;
    assert_true(word != reeve_shard_identity(&changed, &here, &locked));
    changed = info;
    changed.st_mtim.tv_sec--;
    assert_true(word != reeve_shard_identity(&changed, &here, &locked));
    changed = info;
    changed.st_ino++;
    assert_true(word != reeve_shard_identity(&changed, &here, &locked));
    here.inodes = false; /* they are made up anew when a file is opened again */
    assert_true(reeve_shard_identity(&info, &here, &locked) == reeve_shard_identity(&changed, &here, &locked));
}

static void reading_waits_for_the_clock_of_the_file_system(void **state)
{
    (void)state;
    const int64_t second = 1000000000, ms = 1000000;
    struct stat info = {.st_ctim = {5000, 300}};
    struct reeve_shard_place near = {.known = true, .inodes = true},
                             far = {.known = true, .inodes = true, .shared = true};
    int64_t at = 5000 * second + 300;
    assert_int_equal(reeve_shard_settles_in(&info, &near, at), 20 * ms);
    assert_int_equal(reeve_shard_settles_in(&info, &near, at + 15 * ms), 5 * ms);
    assert_int_equal(reeve_shard_settles_in(&info, &near, at + 20 * ms), 0);
    assert_int_equal(reeve_shard_settles_in(&info, &far, at + 20 * ms), 1980 * ms);
    assert_int_equal(reeve_shard_settles_in(&info, &far, at + 2 * second), 0);
    assert_int_equal(reeve_shard_settles_in(&info, &far, at - second), 3 * second); /* clocks that differ a little */
    assert_int_equal(reeve_shard_settles_in(&info, &far, at - 60 * second), 0); /* or no matter how long one waits */
    info.st_ctim.tv_nsec = 0; /* whole seconds: more may not be kept */
    assert_int_equal(reeve_shard_settles_in(&info, &near, 5001 * second), second);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(first_use_verifies_what_this_process_has),
        TEST(one_reading_is_enough_for_all),
        TEST(change_in_place_is_found_whatever_its_time_says),
        TEST(no_token_of_other_bytes_is_handed_out_while_somebody_writes),
        TEST(record_is_a_hint_and_no_more),
        TEST(old_record_does_not_vouch_for_another_lock),
        TEST(several_processes_read_the_right_bytes),
        TEST(identity_tells_hosts_apart_where_they_share_nothing),
        TEST(reading_waits_for_the_clock_of_the_file_system),
    };
    return cmocka_run_group_tests_name("shard_verify", tests, NULL, NULL);
}
