/* A journal that is filled faster than its segments are made. By how much depends on the machine; what is read back may
 * not. */
#include "store_fixture.h"

#include "store/journal.h"
#include "store/journal_segment.h"

#define RECORDS 100000u

static struct reeve_event event_of(uint64_t lsn)
{
    return (struct reeve_event){.kind = REEVE_EVENT_TASK_DONE, .task = (uint32_t)lsn, .a = lsn * lsn};
}

static reeve_status see(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    uint64_t *seen = arg;
    const struct reeve_event expected = event_of(++*seen);
    (void)err;
    assert_int_equal(ev->lsn, *seen);
    assert_int_equal(ev->task, expected.task);
    assert_int_equal(ev->a, expected.a);
    return REEVE_OK;
}

static void journal_gives_back_what_came_faster_than_its_segments(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err = {0};
    struct reeve_journal_info info = {0};
    reeve_journal *j = NULL;
    OK(reeve_journal_open(f->dir, &info, 1, 7, &j, &err));
    reeve_journal_port *port = reeve_journal_as_port(j);
    for (uint64_t lsn = 1; lsn <= RECORDS; lsn++) {
        struct reeve_event ev = event_of(lsn);
        OK(port->ops->append(port, &ev, &err));
        if (lsn % 300 == 0) OK(reeve_journal_flush(j, &err));
    }
    OK(reeve_journal_close(j, &err));
    uint64_t seen = 0;
    OK(reeve_journal_replay(f->dir, see, &seen, &info, &err));
    assert_int_equal(seen, RECORDS);

    struct reeve_segment_name *names = NULL;
    size_t count = 0;
    uint32_t before = REEVE_JOURNAL_SEGMENT_RECORDS;
    OK(reeve_segment_list(f->dir, &names, &count, &err));
    for (size_t i = 0; i < count; i++) { /* each as long as the one before, or twice as long */
        struct reeve_segment s;
        OK(reeve_segment_open(f->dir, &names[i], &s, &err));
        assert_true(s.capacity == before || (i > 0 && s.capacity == 2 * before));
        assert_true(s.capacity <= REEVE_JOURNAL_SEGMENT_RECORDS_MAX);
        before = s.capacity;
        reeve_segment_close(&s);
    }
    free(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        journal_gives_back_what_came_faster_than_its_segments, fixture_setup, fixture_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
