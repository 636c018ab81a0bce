/* Tearing a journal as a power cut may: what was synced stays, what is left is a journal, and a run goes on from it.
 * Each master lives in a process of its own, which is gone in the middle of what it did, and says what it had synced. */
#include "store_fixture.h"

#include <sys/mman.h>

#include "store/journal.h"
#include "store/journal_tear.h"

#define SEGMENT_RECORDS 64u
#define RUNS 5
#define LIVES 12 /* masters of one run, one after the other */

/* What a master did, seen from outside: it may be dead at any time. */
struct life {
    uint64_t opened_lsn, last_lsn; /* before its first record; appended */
    uint64_t written_lsn;          /* the kernel has them */
    uint64_t synced_lsn;           /* the disk has them */
};

static void append(reeve_journal *j, struct life *l, enum reeve_event_kind kind)
{
    struct reeve_event ev = {.kind = (uint16_t)kind, .step = l->last_lsn, .a = l->last_lsn};
    reeve_journal_port *port = reeve_journal_as_port(j);
    CHILD_CHECK(port->ops->append(port, &ev, NULL) == REEVE_OK);
    bool next_segment = l->last_lsn > l->opened_lsn && (l->last_lsn - l->opened_lsn) % SEGMENT_RECORDS == 0;
    if (next_segment) l->written_lsn = l->synced_lsn = l->last_lsn; /* the full one was made durable */
    l->last_lsn++;
}

static void end_turn(reeve_journal *j, struct life *l, bool waits)
{
    reeve_journal_port *port = reeve_journal_as_port(j);
    CHILD_CHECK((waits ? port->ops->sync(port, NULL) : reeve_journal_flush(j, NULL)) == REEVE_OK);
    l->written_lsn = l->last_lsn;
    if (waits) l->synced_lsn = l->last_lsn;
}

/* The turns of a master (run/master_loop.c): what a commit makes possible, the next step and its first leases, is
 * synced together with it, so the last synced record is of a kind that nobody waits for. */
static void live(struct fixture *f, struct life *l)
{
    struct reeve_journal_info info;
    reeve_journal *j = NULL;
    CHILD_CHECK(reeve_journal_replay(f->dir, NULL, NULL, &info, NULL) == REEVE_OK);
    CHILD_CHECK(reeve_journal_open_sized(f->dir, &info, info.last_epoch + 1, 77, SEGMENT_RECORDS, &j, NULL) ==
                REEVE_OK);
    *l = (struct life){info.last_lsn, info.last_lsn, info.last_lsn, info.last_lsn};
    uint64_t turns = draw(f, 60), computed = 0, workers = 1 + draw(f, 9), batches = workers + draw(f, 40);
    for (uint64_t turn = 0; turn < turns; turn++) {
        bool opened = turn == 0, committed = !opened && computed >= batches;
        if (opened) append(j, l, REEVE_EVENT_RUN_OPENED);
        if (committed) append(j, l, REEVE_EVENT_STEP_COMMITTED);
        if (opened || committed) {
            computed = 0;
            append(j, l, REEVE_EVENT_STEP_OPENED);
            for (uint64_t i = 0; i < workers; i++)
                append(j, l, REEVE_EVENT_TASK_LEASED);
        }
        for (uint64_t i = draw(f, workers + 1); i > 0 && computed < batches; i--, computed++) {
            append(j, l, REEVE_EVENT_TASK_COMPUTED);
            append(j, l, REEVE_EVENT_TASK_LEASED);
        }
        if (turn + 1 == turns && draw(f, 4) == 0) break; /* gone before it could write */
        end_turn(j, l, opened || committed);
    }
    _exit(0);
}

static struct life live_and_die(struct fixture *f)
{
    struct life *l = mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(l, MAP_FAILED);
    int status = -1;
    pid_t pid = fork_child();
    assert_true(pid >= 0);
    if (pid == 0) live(f, l);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    struct life copy = *l;
    (void)munmap(l, sizeof(*l));
    f->draws += 1000; /* the child drew from a copy */
    return copy;
}

static void power_fails(struct fixture *f, const struct life *l, uint64_t *total)
{
    struct reeve_error err = {0};
    struct reeve_journal_info info;
    struct reeve_journal_check check;
    uint32_t torn = 0;
    OK(reeve_journal_replay(f->dir, NULL, NULL, &info, &err));
    uint64_t before = info.last_lsn;
    OK(reeve_journal_tear(f->dir, REEVE_SYNC_STEP, draw(f, UINT64_MAX), &torn, &err));
    assert_true(before >= l->synced_lsn && torn <= before - l->synced_lsn);
    /* A commit before a change of segments may be of the turn after it or not, so that sync may be one that was due. */
    bool at_change = (l->synced_lsn - l->opened_lsn) % SEGMENT_RECORDS == 0;
    assert_true(torn > 0 || before == l->synced_lsn || at_change);
    *total += torn;
    OK(reeve_journal_replay(f->dir, NULL, NULL, &info, &err));
    assert_true(info.last_lsn >= l->synced_lsn && info.last_lsn <= before);
    assert_true(torn == 0 || info.last_lsn < before);
    OK(reeve_journal_verify(f->dir, &check, &err));
}

static void tear_destroys_only_what_was_not_synced(void **state)
{ /* Goal: no synced record is lost, whatever kind it is of, and of the others something is. Method: random masters that
     die within a turn, at the change of segments, and before their first record; each journal torn up to three times,
     replayed, verified, and gone on with. */
    struct fixture *f = *state;
    uint64_t total = 0;
    for (int run = 0; run < RUNS; run++) {
        char journal[300];
        (void)snprintf(journal, sizeof(journal), "%s/journal", f->dir);
        assert_int_equal(mkdir(journal, 0777), 0);
        for (int i = 0; i < LIVES; i++) {
            struct life l = live_and_die(f);
            for (uint64_t cuts = draw(f, 4); cuts > 0; cuts--)
                power_fails(f, &l, &total);
        }
        assert_int_equal(reeve_remove_tree(journal, NULL), REEVE_OK);
    }
    assert_true(total > 0);
    printf("%llu records torn\n", (unsigned long long)total);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tear_destroys_only_what_was_not_synced, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
