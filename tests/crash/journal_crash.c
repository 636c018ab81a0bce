/* Goal: after any crash the journal gives back every record that was acknowledged, in order and unchanged, and can be
 * gone on with. Method: three masters after each other, segments of 64 records, flushed and synced as a master does;
 * each crash state is replayed, verified, opened with the next epoch and appended to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "crash.h"
#include "store/journal.h"

#define SEGMENT 64u
#define RUN_ID 0x1122334455667788u
#define RECORDS_MAX 1024

static struct reeve_event truth[RECORDS_MAX];
static uint64_t truth_count;

static reeve_status append(reeve_journal *j, uint64_t n, struct reeve_error *err)
{
    struct reeve_event ev = {.kind = (uint16_t)(n % 7 == 0 ? REEVE_EVENT_STEP_COMMITTED : REEVE_EVENT_TASK_COMPUTED),
                             .step = n,
                             .task = (uint32_t)(n * 2654435761u),
                             .a = n * 0x9e3779b97f4a7c15u,
                             .b = ~n};
    reeve_journal_port *port = reeve_journal_as_port(j);
    return port->ops->append(port, &ev, err);
}

/* So many turns of a master: some records, then a flush, and each third time a sync. */
static reeve_status take_turns(reeve_journal *j, unsigned turns, struct reeve_error *err)
{
    reeve_journal_port *port = reeve_journal_as_port(j);
    for (unsigned turn = 0; turn < turns; turn++) {
        unsigned count = 1 + turn * 5 % 17;
        for (unsigned i = 0; i < count; i++)
            TRY(append(j, reeve_journal_last_lsn(j) + 1, err));
        bool syncs = turn % 3 == 2;
        TRY(syncs ? port->ops->sync(port, err) : reeve_journal_flush(j, err));
        trace_mark(syncs ? MARK_SYNCED : MARK_FLUSHED, reeve_journal_last_lsn(j), 0);
    }
    return REEVE_OK;
}

static reeve_status be_master(const char *root, uint32_t epoch, unsigned turns, bool ends_well, struct reeve_error *err)
{
    struct reeve_journal_info info;
    reeve_journal *j;
    TRY(reeve_journal_replay(root, NULL, NULL, &info, err));
    TRY(reeve_journal_open_sized(root, &info, epoch, RUN_ID, SEGMENT, &j, err));
    reeve_journal_port *port = reeve_journal_as_port(j);
    reeve_status st = take_turns(j, turns, err);
    if (st != REEVE_OK && port->ops->sync(port, NULL) == REEVE_OK)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "after a failure a sync says OK");
    if (st != REEVE_OK || !ends_well) return st; /* as after kill -9: nobody closes it */
    uint64_t last = reeve_journal_last_lsn(j);
    TRY(reeve_journal_close(j, err));
    trace_mark(MARK_SYNCED, last, 0);
    return REEVE_OK;
}

static reeve_status act(const char *root, struct reeve_error *err)
{
    TRY(be_master(root, 1, 11, true, err));
    TRY(be_master(root, 2, 8, false, err));
    return be_master(root, 3, 10, true, err);
}

static reeve_status again(const char *root, struct reeve_error *err)
{
    struct reeve_journal_info info;
    TRY(reeve_journal_replay(root, NULL, NULL, &info, err));
    return be_master(root, info.last_epoch + 1, 4, true, err);
}

static reeve_status note(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    (void)arg;
    (void)err;
    if (truth_count < RECORDS_MAX) truth[truth_count++] = *ev;
    return REEVE_OK;
}

static void learn(const char *root)
{
    truth_count = 0;
    (void)reeve_journal_replay(root, note, NULL, NULL, NULL);
}

/* Records must be those of the undisturbed run, from the first on. */
static reeve_status compare(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    (void)arg;
    if (ev->lsn <= truth_count && memcmp(ev, &truth[ev->lsn - 1], sizeof(*ev)) == 0) return REEVE_OK;
    return reeve_fail(err, REEVE_JOB_INTERNAL, "record %llu is not the one that was written",
                      (unsigned long long)ev->lsn);
}

static reeve_status go_on(const char *folder, const struct reeve_journal_info *info, struct reeve_error *err)
{
    reeve_journal *j = NULL;
    struct reeve_event ev = {.kind = REEVE_EVENT_RUN_OPENED};
    uint64_t run_id = info->segments > 0 ? info->run_id : RUN_ID;
    reeve_status st = reeve_journal_open_sized(folder, info, info->last_epoch + 1, run_id, SEGMENT, &j, err);
    if (st != REEVE_OK) return st;
    reeve_journal_port *port = reeve_journal_as_port(j);
    st = port->ops->append(port, &ev, err);
    if (st == REEVE_OK) st = port->ops->sync(port, err);
    if (st != REEVE_OK) {
        (void)reeve_journal_close(j, NULL);
        return st;
    }
    return reeve_journal_close(j, err);
}

static bool check(const char *folder, const struct crash_promise *p, char *why, size_t why_bytes)
{
    struct reeve_error err = {0};
    struct reeve_journal_info info, after;
    struct reeve_journal_check found;
    char segments[4096];
    (void)snprintf(segments, sizeof(segments), "%s/journal", folder);
    if (!crash_stock_reads_all(segments, 28, why, why_bytes)) return false;
    if (reeve_journal_replay(folder, p->disturbed ? NULL : compare, NULL, &info, &err) != REEVE_OK)
        return crash_found(why, why_bytes, "replay: %s", err.text);
    if (info.last_lsn < p->lsn)
        return crash_found(why, why_bytes, "record %llu was acknowledged, the replay ends at %llu",
                           (unsigned long long)p->lsn, (unsigned long long)info.last_lsn);
    if (reeve_journal_verify(folder, &found, &err) != REEVE_OK)
        return crash_found(why, why_bytes, "verify: %s", err.text);
    if (go_on(folder, &info, &err) != REEVE_OK) return crash_found(why, why_bytes, "going on: %s", err.text);
    if (reeve_journal_replay(folder, NULL, NULL, &after, &err) != REEVE_OK)
        return crash_found(why, why_bytes, "replay after going on: %s", err.text);
    if (after.last_lsn != info.last_lsn + 1 || after.torn_tail)
        return crash_found(why, why_bytes, "one record was added to %llu, and the replay ends at %llu",
                           (unsigned long long)info.last_lsn, (unsigned long long)after.last_lsn);
    return true;
}

int main(int argc, char **argv)
{
    static const struct crash_case cases[] = {
        {.name = "journal", .act = act, .learn = learn, .check = check, .again = again, .share = 2},
        {.name = "journal-without-flags",
         .act = act,
         .learn = learn,
         .check = check,
         .again = again,
         .conditions = {.no_flags = true},
         .share = 1},
    };
    return crash_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
