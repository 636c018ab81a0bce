/* Tearing a journal as a power cut may: what was synced stays, what is left is a journal, and a run goes on from it. */
#include "store_fixture.h"

#include "store/journal.h"
#include "store/journal_tear.h"

static void append(reeve_journal *j, enum reeve_event_kind kind, uint64_t step)
{
    struct reeve_error err = {0};
    struct reeve_event ev = {.kind = (uint16_t)kind, .step = step, .a = step};
    reeve_journal_port *port = reeve_journal_as_port(j);
    OK(port->ops->append(port, &ev, &err));
}

/* `steps` committed steps, then an open one with so many leases. Returns the lsn of the last commit. */
static uint64_t write_journal(const struct fixture *f, uint64_t steps, uint64_t leases)
{
    struct reeve_error err = {0};
    struct reeve_journal_info info;
    reeve_journal *j = NULL;
    OK(reeve_journal_replay(f->dir, NULL, NULL, &info, &err));
    OK(reeve_journal_open_sized(f->dir, &info, info.last_epoch + 1, 77, 64, &j, &err));
    append(j, REEVE_EVENT_RUN_OPENED, 0);
    for (uint64_t step = 1; step <= steps; step++) {
        append(j, REEVE_EVENT_STEP_OPENED, step);
        append(j, REEVE_EVENT_TASK_LEASED, step);
        append(j, REEVE_EVENT_STEP_COMMITTED, step);
    }
    uint64_t synced = reeve_journal_last_lsn(j);
    for (uint64_t i = 0; i < leases; i++)
        append(j, REEVE_EVENT_TASK_LEASED, steps + 1);
    OK(reeve_journal_close(j, &err));
    return synced;
}

static reeve_status count_commits(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    (void)err;
    if (ev->kind == REEVE_EVENT_STEP_COMMITTED) ++*(uint64_t *)arg;
    return REEVE_OK;
}

static void tear_destroys_only_what_was_not_synced(void **state)
{ /* Goal: no committed step is lost, and something is. Method: random journals over segments of 64 records, each torn,
     replayed, verified, and gone on with. */
    struct fixture *f = *state;
    struct reeve_error err = {0};
    char journal[300];
    (void)snprintf(journal, sizeof(journal), "%s/journal", f->dir);
    uint64_t commits = 0;
    assert_int_equal(mkdir(journal, 0777), 0);
    for (int round = 0; round < 60; round++) {
        uint64_t steps = draw(f, 40), leases = draw(f, 90);
        uint64_t synced = write_journal(f, steps, leases);
        commits += steps;
        uint32_t torn = 0;
        OK(reeve_journal_tear(f->dir, draw(f, UINT64_MAX), &torn, &err));
        assert_true(leases > 0 ? torn > 0 && torn <= leases : torn == 0);
        struct reeve_journal_info info;
        uint64_t seen = 0;
        OK(reeve_journal_replay(f->dir, count_commits, &seen, &info, &err));
        assert_int_equal(seen, commits);
        assert_true(info.last_lsn >= synced && info.last_lsn <= synced + leases);
        assert_true(leases == 0 || info.last_lsn < synced + leases);
        struct reeve_journal_check check;
        OK(reeve_journal_verify(f->dir, &check, &err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tear_destroys_only_what_was_not_synced, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
