/* A master that was replaced, and does not know it, commits a step that its successor has saved. Whatever moment it stood
 * still at, what its successor saved is there. The linker puts our rename() before the C library's. */
#include <sys/resource.h>

#include "checkpoint_fixture.h"

#define STEP 5
#define ZOMBIE 2
#define LATER 3

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

/* The later master's folder: away from its name until the call number `at`, which is made after it has come. */
static struct {
    char waits[512], final[512];
    unsigned at, calls;
    bool starve, starves; /* from the first call of a commit on no file can be opened */
} later;

static void limit_files(rlim_t files)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = files < limit.rlim_max ? files : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

int __wrap_rename(const char *from, const char *to)
{
    if (++later.calls == later.at) {
        (void)reeve_remove_tree(later.final, NULL); /* as its own commit and sweep have done */
        if (__real_rename(later.waits, later.final) != 0) abort();
    }
    if (later.starves) limit_files(0);
    return __real_rename(from, to);
}

static uint64_t save_as(const struct fixture *f, uint32_t epoch, const struct state *s)
{
    struct reeve_error err;
    struct reeve_digest digest;
    uint64_t digest64;
    OK(save(f->dir, STEP, epoch, s, 2, &digest, &err));
    memcpy(&digest64, digest.bytes, sizeof(digest64));
    return digest64;
}

static void check_is(const struct fixture *f, uint64_t digest64)
{
    struct reeve_error err;
    reeve_checkpoint *c;
    OK(reeve_checkpoint_open(f->dir, STEP, &digest64, &c, &err));
    assert_int_equal(reeve_checkpoint_meta(c)->epoch, LATER);
    OK(reeve_checkpoint_verify(c, NULL, &err));
    reeve_checkpoint_close(c);
}

/* The later master saves, and the zombie has all its parts; before: what has the name already when it commits. */
static reeve_status commit_as_zombie(const struct fixture *f, const struct state *s, unsigned later_at,
                                     bool earlier_is_there, uint64_t *digest64, struct reeve_error *err)
{
    struct reeve_checkpoint_part parts[2];
    struct reeve_digest digest;
    struct reeve_checkpoint_meta meta = meta_of(s, STEP);
    reeve_checkpoint_dir(f->dir, STEP, later.final, sizeof(later.final));
    (void)snprintf(later.waits, sizeof(later.waits), "%s/waits", f->dir);
    later.at = 0;
    *digest64 = save_as(f, LATER, s);
    if (later_at > 0) assert_int_equal(__real_rename(later.final, later.waits), 0);
    if (earlier_is_there) (void)save_as(f, 1, s);
    assert_int_equal(reeve_checkpoint_begin(f->dir, STEP, ZOMBIE, err), REEVE_OK);
    assert_int_equal(write_parts(f->dir, STEP, ZOMBIE, s, 2, parts, err), REEVE_OK);
    later.calls = 0;
    later.at = later_at;
    later.starves = later.starve;
    return reeve_checkpoint_commit(f->dir, STEP, ZOMBIE, &meta, parts, 2, queue, sizeof(queue), &digest, err);
}

static void checkpoint_of_a_later_master_is_not_replaced(void **state)
{ /* Goal: not touched, and the words say why. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct state s;
    uint64_t digest64;
    char old[600];
    state_create(&s, f, false);
    FAILS(commit_as_zombie(f, &s, 0, false, &digest64, &err), REEVE_STORE_IN_USE);
    assert_non_null(strstr(err.text, "step-0000000005: a later master of this run has saved this step"));
    assert_int_equal(later.calls, 1); /* which found the name taken */
    check_is(f, digest64);
    (void)snprintf(old, sizeof(old), "%s.old-%u", later.final, ZOMBIE);
    assert_false(reeve_path_exists(old));
    state_destroy(&s);
}

static void later_master_may_come_at_any_moment_of_a_commit(void **state)
{ /* Method: it comes before the 1st, 2nd ... rename, with an earlier folder in the way and without. If the zombie's commit
   * is over by then, the name was its own, and the later one takes it. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct state s;
    unsigned refused = 0;
    state_create(&s, f, false);
    for (unsigned n = 0; n < 8; n++) {
        uint64_t digest64;
        reeve_status st = commit_as_zombie(f, &s, 1 + n / 2, n % 2 == 1, &digest64, &err);
        bool came = later.calls >= later.at;
        if (came) check_is(f, digest64);
        if (came != (st == REEVE_STORE_IN_USE)) fail_msg("case %u: %s: %s", n, reeve_status_name(st), err.text);
        refused += came;
        later.at = 0;
        OK(reeve_checkpoint_sweep(f->dir, NULL, 0, &err));
        OK(reeve_remove_tree(later.waits, &err));
    }
    assert_int_equal(refused,
                     4); /* at the name; with an earlier one there also at putting that aside, and the name again */
    state_destroy(&s);
}

static void put_aside_by(uint32_t epoch)
{
    char old[600];
    (void)snprintf(old, sizeof(old), "%s.old-%u", later.final, epoch);
    assert_int_equal(__real_rename(later.final, old), 0);
}

/* What the later one saves is found where a zombie has left it, and gets its name back. */
static void check_survives(const struct fixture *f, const struct state *s)
{
    struct reeve_error err;
    uint64_t digest64 = save_as(f, LATER, s);
    put_aside_by(ZOMBIE);
    check_is(f, digest64);
    OK(reeve_checkpoint_sweep(f->dir, &(uint64_t){STEP}, 1, &err));
    assert_true(reeve_path_exists(later.final));
    check_is(f, digest64);
}

static void zombie_that_dies_within_leaves_what_the_later_one_saved(void **state)
{ /* Goal: put aside is not gone. Method: the later one's folder under the name that such a commit leaves it. */
    struct fixture *f = *state;
    struct state s;
    state_create(&s, f, false);
    reeve_checkpoint_dir(f->dir, STEP, later.final, sizeof(later.final));
    later.at = 0;
    check_survives(f, &s);
    state_destroy(&s);
}

static void folder_that_cannot_be_read_now_may_be_a_later_ones(void **state)
{ /* Goal: a look that fails is no look. Method: no descriptor is left once the name is found taken. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct state s;
    uint64_t digest64;
    struct rlimit before;
    state_create(&s, f, false);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    later.starve = true;
    reeve_status st = commit_as_zombie(f, &s, 0, false, &digest64, &err);
    later.starve = later.starves = false;
    limit_files(before.rlim_cur);
    FAILS(st, REEVE_STORE_READ);
    check_is(f, digest64);
    state_destroy(&s);
}

static void later_ones_is_found_whoever_put_it_aside(void **state)
{ /* Goal: what counts is who has committed it. Method: an earlier one under the later one's number, and the later one's under
   * the zombie's. */
    struct fixture *f = *state;
    struct state s;
    state_create(&s, f, false);
    reeve_checkpoint_dir(f->dir, STEP, later.final, sizeof(later.final));
    later.at = 0;
    (void)save_as(f, 1, &s);
    put_aside_by(LATER);
    check_survives(f, &s);
    state_destroy(&s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(checkpoint_of_a_later_master_is_not_replaced),
        TEST(later_master_may_come_at_any_moment_of_a_commit),
        TEST(zombie_that_dies_within_leaves_what_the_later_one_saved),
        TEST(folder_that_cannot_be_read_now_may_be_a_later_ones),
        TEST(later_ones_is_found_whoever_put_it_aside),
    };
    return cmocka_run_group_tests_name("checkpoint_fence", tests, NULL, NULL);
}
