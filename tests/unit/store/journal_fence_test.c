/* Two masters that begin the same epoch: one has replayed the journal and stood still, the other has gone on in its place.
 * Whatever was between the two, the records of the one that was first are there. The linker puts our calls before the C
 * library's. */
#include "store_fixture.h"

#include "core/event.h"
#include "store/disk.h"
#include "store/journal.h"

#define RUN_ID 77u
#define RECORDS 64u

int __real_renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags);
int __wrap_renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);

static struct {
    bool old;          /* a file system that cannot rename "not over another" */
    bool without_link; /* nor link */
    const char *takes; /* somebody else makes this file before our next link or rename */
} disk;

static void somebody_comes(void)
{
    if (disk.takes != NULL) file_store(disk.takes, "theirs", 6);
    disk.takes = NULL;
}

int __wrap_renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
    if (!disk.old) return __real_renameat2(from_at, from, to_at, to, flags);
    errno = EINVAL;
    return -1;
}

int __wrap_rename(const char *from, const char *to)
{
    somebody_comes();
    return __real_rename(from, to);
}

int __wrap_link(const char *from, const char *to)
{
    errno = EPERM;
    if (disk.without_link) return -1;
    somebody_comes();
    return __real_link(from, to);
}

static void append(reeve_journal *j, uint32_t count)
{
    struct reeve_error err;
    reeve_journal_port *port = reeve_journal_as_port(j);
    for (uint32_t i = 0; i < count; i++) {
        struct reeve_event ev = {.kind = REEVE_EVENT_STEP_COMMITTED, .step = reeve_journal_last_lsn(j)};
        OK(port->ops->append(port, &ev, &err));
    }
    OK(port->ops->sync(port, &err));
}

static struct reeve_journal_info survey(const struct fixture *f)
{
    struct reeve_error err;
    struct reeve_journal_info info;
    OK(reeve_journal_replay(f->dir, NULL, NULL, &info, &err));
    return info;
}

static reeve_journal *open_after(const struct fixture *f, const struct reeve_journal_info *info)
{
    struct reeve_error err;
    reeve_journal *j = NULL;
    OK(reeve_journal_open_sized(f->dir, info, info->last_epoch + 1, RUN_ID, RECORDS, &j, &err));
    return j;
}

static void close_now(reeve_journal *j)
{
    struct reeve_error err;
    OK(reeve_journal_close(j, &err));
}

static void check_late(struct fixture *f, bool over)
{ /* Method: the master of epoch 1 is cut off and still writes when both replay. over: and a third one comes before. */
    struct reeve_error err;
    reeve_journal *none = NULL;
    struct reeve_journal_info empty = survey(f);
    reeve_journal *first = open_after(f, &empty);
    append(first, 5);
    struct reeve_journal_info stale = survey(f);
    append(first, 3);
    struct reeve_journal_info info = survey(f);
    reeve_journal *winner = open_after(f, &info);
    append(winner, 40);
    if (over) {
        info = survey(f);
        reeve_journal *third = open_after(f, &info);
        append(third, 7);
        close_now(third);
    }
    FAILS(reeve_journal_open_sized(f->dir, &stale, stale.last_epoch + 1, RUN_ID, RECORDS, &none, &err),
          REEVE_STORE_IN_USE);
    assert_non_null(strstr(err.text, "another master has begun epoch"));
    append(winner, 2);
    close_now(winner);
    close_now(first);
    info = survey(f);
    assert_int_equal(info.last_lsn, over ? 5 + 3 + 40 + 7 : 5 + 3 + 40 + 2);
}

static void epoch_that_another_master_has_begun_is_not_begun_again(void **state)
{
    check_late(*state, false);
}

static void epoch_before_that_of_another_master_is_not_begun_again(void **state)
{
    check_late(*state, true);
}

static void name_that_somebody_takes_at_the_last_moment_is_theirs(void **state)
{ /* Method: on each kind of file system; where there is nothing but look and rename, only before the look. */
    struct fixture *f = *state;
    struct reeve_error err;
    char path[512];
    size_t n;
    (void)snprintf(path, sizeof(path), "%s/new", f->dir);
    for (int kind = 0; kind < 3; kind++) {
        disk.old = kind > 0;
        disk.without_link = kind == 2;
        if (kind == 1) disk.takes = path;
        else file_store(path, "theirs", 6);
        FAILS(reeve_disk_create(path, "mine", 4, &err), REEVE_STORE_CREATE);
        disk.takes = NULL;
        uint8_t *bytes = file_load(path, &n);
        assert_true(n == 6 && memcmp(bytes, "theirs", 6) == 0);
        free(bytes);
        assert_int_equal(unlink(path), 0);
        OK(reeve_disk_create(path, "mine", 4, &err));
        assert_int_equal(file_size(path), 4);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(f->dir), 0); /* nothing is left behind */
        assert_int_equal(mkdir(f->dir, 0700), 0);
    }
    disk.old = disk.without_link = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(epoch_that_another_master_has_begun_is_not_begun_again, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(epoch_before_that_of_another_master_is_not_begun_again, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(name_that_somebody_takes_at_the_last_moment_is_theirs, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
