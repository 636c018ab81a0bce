/* The next segment of a journal is made while the one before is filled. What fails for a moment there (a folder that
 * cannot be opened, no descriptor left) is tried again when the segment is needed, and costs nothing. */
#include "store_fixture.h"

#include <stdatomic.h>

#include "store/journal.h"
#include "store/journal_segment.h"

#define RECORDS (3 * REEVE_SEGMENT_RECORDS_MIN)

/* The linker sends all calls of open() here (--wrap). The second one that ends like this fails, and has: `failed`. */
static struct {
    const char *ending;
    int flag;
} spoiled;
static atomic_int met, failed;

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    size_t n = strlen(path), ending = spoiled.ending != NULL ? strlen(spoiled.ending) : n + 1;
    bool is_it = (flags & spoiled.flag) == spoiled.flag && (flags & O_CREAT) == 0 && n >= ending &&
                 strcmp(path + n - ending, spoiled.ending) == 0;
    if (!is_it || atomic_fetch_add(&met, 1) != 1) return __real_open(path, flags, mode);
    atomic_store(&failed, 1);
    errno = EMFILE;
    return -1;
}

static void fill_three_segments(struct fixture *f, const char *ending, int flag)
{
    struct reeve_error err = {0};
    struct reeve_journal_info info = {0};
    reeve_journal *j = NULL;
    spoiled.ending = ending;
    spoiled.flag = flag;
    atomic_store(&met, 0);
    atomic_store(&failed, 0);
    OK(reeve_journal_open_sized(f->dir, &info, 1, 7, REEVE_SEGMENT_RECORDS_MIN, &j, &err));
    reeve_journal_port *port = reeve_journal_as_port(j);
    for (uint64_t lsn = 1; lsn <= RECORDS; lsn++) {
        struct reeve_event ev = {.kind = REEVE_EVENT_TASK_DONE, .a = lsn};
        OK(port->ops->append(port, &ev, &err));
    }
    OK(reeve_journal_close(j, &err));
    assert_int_equal(atomic_load(&failed), 1);
    spoiled.ending = NULL;
    OK(reeve_journal_replay(f->dir, NULL, NULL, &info, &err));
    assert_int_equal(info.last_lsn, RECORDS);
}

static void a_segment_that_was_made_and_could_not_be_opened_is_made_again(void **state)
{
    fill_three_segments(*state, ".h5", O_RDWR);
}

static void a_segment_whose_name_could_not_be_made_durable_is_made_again(void **state)
{
    fill_three_segments(*state, "/journal", O_DIRECTORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_segment_that_was_made_and_could_not_be_opened_is_made_again, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_segment_whose_name_could_not_be_made_durable_is_made_again, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
