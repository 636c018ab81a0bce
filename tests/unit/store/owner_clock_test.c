/* Taking over from an owner on another machine, whatever the clocks say: it must have been watched, and have done nothing.
 * No second is slept (quick_clock.h). */
#include "store_fixture.h"

#include "base/clock.h"
#include "quick_clock.h"
#include "store/owner.h"
#include "store/owner_record.h"

/* The owner on node17, by whose clock times are `ahead_s` later than here. */
static struct {
    char path[512];
    long ahead_s;
    int64_t began_s, refresh_after_s; /* 0: never */
    unsigned refreshes;
} owner;

static void store(const char *host)
{
    struct reeve_owner_record r;
    char text[REEVE_OWNER_RECORD_BYTES];
    reeve_owner_record_make(&r);
    (void)snprintf(r.host, sizeof(r.host), "%s", host);
    (void)strcpy(r.boot, "00000000-0000-0000-0000-000000000000/4026531836");
    file_store(owner.path, text, reeve_owner_record_print(&r, text));
}

static void touch(long ago_s)
{
    const struct timespec t = {.tv_sec = time(NULL) + quick_clock_skipped_s() - owner.began_s + owner.ahead_s - ago_s};
    assert_int_equal(utimensat(AT_FDCWD, owner.path, (struct timespec[2]){t, t}, 0), 0);
}

/* An owner that lives, and refreshes every so many seconds. */
static void refresh(void *arg)
{
    (void)arg;
    int64_t age_s = quick_clock_skipped_s() - owner.began_s;
    if (owner.refresh_after_s == 0 || age_s % owner.refresh_after_s != 0) return;
    touch(0);
    owner.refreshes++;
}

/* It took the run, and touched its file ago_s ago. */
static void own(const struct fixture *f, const char *role, long ahead_s, long ago_s, int64_t refresh_after_s)
{
    (void)snprintf(owner.path, sizeof(owner.path), "%s/%s", f->dir, role);
    owner.ahead_s = ahead_s;
    owner.began_s = quick_clock_skipped_s();
    owner.refresh_after_s = refresh_after_s;
    owner.refreshes = 0;
    store("node17");
    touch(ago_s);
    quick_clock_at_wake(refresh, NULL);
}

static int64_t watched_s(void)
{
    return quick_clock_skipped_s() - owner.began_s;
}

static void living_owner_keeps_its_run_whatever_its_clock_says(void **state)
{ /* Method: clocks of a day before and a day ahead; also a refresh as late as is promised. LOCK must be as it was. */
    struct fixture *f = *state;
    const long ahead_s[] = {-86400, -REEVE_OWNER_SILENT_S - 20, 0, REEVE_OWNER_SILENT_S + 20, 86400};
    for (int i = 0; i < 20; i++) {
        struct reeve_error err;
        reeve_owner *o = NULL;
        bool over = false, supervisor = i % 2 == 1;
        size_t n_before, n_after;
        own(f, supervisor ? "LOCK.supervisor" : "LOCK", ahead_s[i / 4], 3, i % 4 < 2 ? 10 : REEVE_OWNER_SILENT_S / 4);
        uint8_t *before = file_load(owner.path, &n_before);
        FAILS(reeve_owner_acquire_as(f->dir, supervisor ? REEVE_OWNER_SUPERVISOR : REEVE_OWNER_MASTER, &o, &over, &err),
              REEVE_STORE_IN_USE);
        assert_non_null(strstr(err.text, "on node17"));
        uint8_t *after = file_load(owner.path, &n_after);
        assert_true(n_before == n_after && memcmp(before, after, n_before) == 0);
        free(before);
        free(after);
        assert_int_equal(owner.refreshes, ahead_s[i / 4] == 0 ? 0 : 1); /* the first that is seen is enough */
    }
}

static void dead_owner_is_taken_over_whatever_its_clock_said(void **state)
{
    struct fixture *f = *state;
    const long ahead_s[] = {-86400, 0, 86400};
    for (int i = 0; i < 3; i++) {
        struct reeve_error err;
        reeve_owner *o = NULL;
        bool over = false;
        own(f, "LOCK", ahead_s[i], REEVE_OWNER_SILENT_S + 5, 0);
        OK(reeve_owner_acquire(f->dir, &o, &over, &err));
        assert_true(over);
        assert_in_range(watched_s(), REEVE_OWNER_WATCH_S - 2, REEVE_OWNER_WATCH_S); /* real seconds count too */
        OK(reeve_owner_refresh(o, &err));
        reeve_owner_release(o);
    }
}

static void nobody_is_watched_where_more_is_known(void **state)
{ /* Method: fresh; dead on this machine; given up by this job. No second passes. */
    struct fixture *f = *state;
    struct reeve_error err;
    reeve_owner *o = NULL;
    bool over = false;
    own(f, "LOCK", 0, REEVE_OWNER_SILENT_S - 5, 0);
    FAILS(reeve_owner_acquire(f->dir, &o, &over, &err), REEVE_STORE_IN_USE);
    pid_t pid = fork_child();
    if (pid == 0) {
        CHILD_CHECK(unlink(owner.path) == 0);
        CHILD_CHECK(reeve_owner_acquire(f->dir, &o, &over, &err) == REEVE_OK);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    touch(86400);
    OK(reeve_owner_acquire(f->dir, &o, &over, &err));
    assert_true(over);
    reeve_owner_release(o);
    own(f, "LOCK", 0, 86400, 0);
    char *text;
    size_t n;
    struct reeve_owner_record r;
    OK(reeve_file_read(owner.path, REEVE_OWNER_RECORD_BYTES, &text, &n, &err));
    assert_true(reeve_owner_record_parse(text, &r));
    free(text);
    struct reeve_owner_process lost = {.pid = r.pid, .start = r.start};
    memcpy(lost.boot, r.boot, sizeof(lost.boot));
    OK(reeve_owner_succeed(f->dir, &lost, 1, NULL, &o, &over, &err));
    reeve_owner_release(o);
    assert_int_equal(watched_s(), 0);
}

static void what_was_watched_just_now_is_not_watched_again(void **state)
{ /* Method: looks while the owner seems to be fresh; it becomes silent, and is taken. If it was touched after the last look,
   * nothing of that counts. */
    struct fixture *f = *state;
    for (int touched = 0; touched < 2; touched++) {
        struct reeve_error err;
        struct reeve_owner_watch watch = {.looked_ns = 0};
        reeve_owner *o = NULL;
        bool over = false;
        char who[512];
        own(f, "LOCK", 0, REEVE_OWNER_SILENT_S + 5, 0);
        for (int i = 0; i <= 20; i++) {
            (void)reeve_owner_look_again(f->dir, REEVE_OWNER_MASTER, &watch, who, sizeof(who));
            if (i < 20) reeve_clock_sleep(REEVE_SECOND_NS);
        }
        if (touched) touch(86400);
        OK(reeve_owner_succeed(f->dir, NULL, 0, &watch, &o, &over, &err));
        assert_true(over);
        int64_t most = touched ? 20 + REEVE_OWNER_WATCH_S : REEVE_OWNER_WATCH_S;
        assert_in_range(watched_s(), most - 2, most);
        reeve_owner_release(o);
    }
}

static void replace_by_somebody(void *arg)
{
    (void)arg;
    if (watched_s() != 7) return;
    store("node18");
    touch(0);
}

static void release_it(void *arg)
{
    (void)arg;
    if (watched_s() == 7) assert_int_equal(unlink(owner.path), 0);
}

static void run_may_change_hands_while_it_is_watched(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    reeve_owner *o = NULL;
    bool over = true;
    own(f, "LOCK", 0, 86400, 0);
    quick_clock_at_wake(replace_by_somebody, NULL);
    FAILS(reeve_owner_acquire(f->dir, &o, &over, &err), REEVE_STORE_IN_USE);
    assert_non_null(strstr(err.text, "on node18"));
    own(f, "LOCK", 0, 86400, 0);
    quick_clock_at_wake(release_it, NULL);
    OK(reeve_owner_acquire(f->dir, &o, &over, &err));
    assert_false(over);
    assert_int_equal(watched_s(), 7);
    reeve_owner_release(o);
}

static void look_takes_a_time_to_come_for_no_sign_of_life(void **state)
{ /* Or a run whose owner's clock was a day ahead would be refused for a day. */
    struct fixture *f = *state;
    char who[512];
    own(f, "LOCK", 0, 5, 0);
    assert_int_equal(reeve_owner_look(f->dir, REEVE_OWNER_MASTER, who, sizeof(who)), REEVE_OWNER_ELSEWHERE);
    own(f, "LOCK", 86400, 5, 0);
    assert_int_equal(reeve_owner_look(f->dir, REEVE_OWNER_MASTER, who, sizeof(who)), REEVE_OWNER_NOBODY);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(living_owner_keeps_its_run_whatever_its_clock_says),
        TEST(dead_owner_is_taken_over_whatever_its_clock_said),
        TEST(nobody_is_watched_where_more_is_known),
        TEST(what_was_watched_just_now_is_not_watched_again),
        TEST(run_may_change_hands_while_it_is_watched),
        TEST(look_takes_a_time_to_come_for_no_sign_of_life),
    };
    return cmocka_run_group_tests_name("owner_clock", tests, NULL, NULL);
}
