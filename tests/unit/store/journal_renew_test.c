/* Going on from records of which nobody knows whether they are on the disk. That they are written anew, and that it helps,
 * is seen in crash.journal_faults; here is what must not happen meanwhile. */
#include "store_fixture.h"

#include "store/journal.h"
#include "store/journal_segment.h"

#define RUN_ID 0x1122334455667788u

static reeve_journal *open_after(const char *dir, const struct reeve_journal_info *info)
{
    struct reeve_error err;
    reeve_journal *j = NULL;
    OK(reeve_journal_open_sized(dir, info, info->last_epoch + 1, RUN_ID, REEVE_SEGMENT_RECORDS_MIN, &j, &err));
    return j;
}

static void append(reeve_journal *j, uint32_t count, bool sync)
{
    struct reeve_error err;
    reeve_journal_port *port = reeve_journal_as_port(j);
    for (uint32_t i = 0; i < count; i++) {
        struct reeve_event ev = {.kind = REEVE_EVENT_TASK_COMPUTED, .step = reeve_journal_last_lsn(j) + 1};
        OK(port->ops->append(port, &ev, &err));
    }
    OK(sync ? port->ops->sync(port, &err) : reeve_journal_flush(j, &err));
}

static void replay(const char *dir, uint64_t last_lsn, uint64_t durable_lsn, struct reeve_journal_info *info)
{
    struct reeve_error err;
    OK(reeve_journal_replay(dir, NULL, NULL, info, &err));
    assert_int_equal(info->last_lsn, last_lsn);
    assert_int_equal(info->durable_lsn, durable_lsn);
}

static void path_of(const char *dir, uint32_t epoch, uint64_t first_lsn, char path[REEVE_PATH_BYTES_MAX])
{
    const struct reeve_segment_name name = {epoch, first_lsn};
    assert_int_equal(reeve_segment_path(dir, &name, path, REEVE_PATH_BYTES_MAX, NULL), REEVE_OK);
}

static void journal_shows_how_far_it_is_durable(void **state)
{ /* Method: syncs and flushes in turn, within a segment, over its end, and in the next epoch. */
    struct fixture *f = *state;
    struct reeve_journal_info info;
    replay(f->dir, 0, 0, &info);
    reeve_journal *j = open_after(f->dir, &info);
    append(j, 3, false);
    replay(f->dir, 3, 0, &info);
    append(j, 2, true);
    replay(f->dir, 5, 0, &info); /* nothing says so yet */
    append(j, 4, false);
    append(j, 4, false);
    replay(f->dir, 13, 5, &info);
    append(j, 60, false);
    replay(f->dir, 73, 64, &info);
    assert_int_equal(info.last_segment_lsn, 65);
    assert_int_equal(reeve_journal_close(j, NULL), REEVE_OK);
    j = open_after(f->dir, &info);
    append(j, 1, false);
    replay(f->dir, 74, 73, &info);
    assert_int_equal(info.last_segment_epoch, 2);
    assert_int_equal(reeve_journal_close(j, NULL), REEVE_OK);
}

static void master_that_was_replaced_may_append_meanwhile(void **state)
{ /* Goal: not one byte of its segment becomes another. Method: it goes on between its successor's replay and opening. */
    struct fixture *f = *state;
    struct reeve_journal_info info;
    char path[REEVE_PATH_BYTES_MAX];
    size_t n_before, n_after;
    replay(f->dir, 0, 0, &info);
    reeve_journal *old = open_after(f->dir, &info);
    append(old, 9, true);
    append(old, 5, false);
    replay(f->dir, 14, 9, &info);
    append(old, 3, false);
    path_of(f->dir, 1, 1, path);
    uint8_t *before = file_load(path, &n_before);
    reeve_journal *j = open_after(f->dir, &info);
    uint8_t *after = file_load(path, &n_after);
    assert_true(n_before == n_after);
    assert_memory_equal(before, after, n_before);
    free(before);
    free(after);
    append(j, 1, true);
    append(old, 2, true);
    replay(f->dir, 15, 14, &info);
    assert_int_equal(reeve_journal_close(j, NULL), REEVE_OK);
    assert_int_equal(reeve_journal_close(old, NULL), REEVE_OK);
}

static void record_that_went_since_it_was_replayed_is_told(void **state)
{ /* Goal: nobody goes on from what is no longer there. Method: the last record goes, as with a page that had failed. */
    static const struct reeve_event nothing;
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_journal_info info;
    struct reeve_segment s;
    reeve_journal *j, *never = NULL;
    replay(f->dir, 0, 0, &info);
    j = open_after(f->dir, &info);
    append(j, 9, true);
    append(j, 5, false);
    replay(f->dir, 14, 9, &info);
    const struct reeve_segment_name name = {1, 1};
    OK(reeve_segment_open(f->dir, &name, &s, &err));
    file_poke(s.path, s.events_offset + 13 * sizeof(nothing), &nothing, sizeof(nothing));
    reeve_segment_close(&s);
    FAILS(reeve_journal_open(f->dir, &info, 2, RUN_ID, &never, &err), REEVE_STORE_READ);
    assert_non_null(strstr(err.text, "00000001-0000000000000001.h5: record 13 is no longer what was read"));
    replay(f->dir, 13, 9, &info);
    assert_int_equal(reeve_journal_close(open_after(f->dir, &info), NULL), REEVE_OK);
    assert_int_equal(reeve_journal_close(j, NULL), REEVE_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(journal_shows_how_far_it_is_durable),
        TEST(master_that_was_replaced_may_append_meanwhile),
        TEST(record_that_went_since_it_was_replayed_is_told),
    };
    return cmocka_run_group_tests_name("journal_renew", tests, NULL, NULL);
}
