/* Two masters that begin the same epoch: one has replayed the journal and stood still, the other has gone on in its place.
 * Whatever was between the two, the records of the one that was first are there. */
#include "store_fixture.h"

#include "core/event.h"
#include "store/journal.h"

#define RUN_ID 77u
#define RECORDS 64u

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(epoch_that_another_master_has_begun_is_not_begun_again, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(epoch_before_that_of_another_master_is_not_begun_again, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
