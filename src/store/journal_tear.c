/* See journal_tear.h. Which records the master waits for: core/master_decide.c (journal.sync: step). Kinds that it may
 * or may not have waited for are taken as synced, so that nothing is destroyed that was promised to be there. */
#include "store/journal_tear.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"
#include "base/random.h"
#include "store/journal.h"
#include "store/journal_segment.h"

struct tail {
    uint64_t synced_lsn;
};

static reeve_status visit(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    (void)err;
    struct tail *t = arg;
    switch (ev->kind) {
    case REEVE_EVENT_STEP_OPENED:
    case REEVE_EVENT_TASK_LEASED:
    case REEVE_EVENT_TASK_COMPUTED:
    case REEVE_EVENT_TASK_RELEASED: break;
    default: t->synced_lsn = ev->lsn;
    }
    return REEVE_OK;
}

/* Zeros are what the slots held before. */
static reeve_status tear(const struct reeve_segment *s, uint64_t from, uint64_t end, uint64_t seed, uint32_t *torn,
                         struct reeve_error *err)
{
    static const struct reeve_event nothing[REEVE_SEGMENT_SECTOR_RECORDS];
    int fd = open(s->path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return reeve_fail(err, REEVE_STORE_WRITE, "tear %s: %m", s->path);
    reeve_status st = REEVE_OK;
    for (uint64_t slot = from, sector = 0; slot < end && st == REEVE_OK; sector++) {
        uint64_t next = (slot / REEVE_SEGMENT_SECTOR_RECORDS + 1) * REEVE_SEGMENT_SECTOR_RECORDS;
        uint64_t count = (next < end ? next : end) - slot;
        if (slot + count == end || reeve_random_below(seed, 1, sector, 2) == 0) {
            st = reeve_pwrite_all(fd, nothing, count * sizeof(nothing[0]), s->events_offset + slot * sizeof(nothing[0]),
                                  s->path, err);
            *torn += (uint32_t)count;
        }
        slot += count;
    }
    if (fdatasync(fd) != 0 && st == REEVE_OK) st = reeve_fail(err, REEVE_STORE_WRITE, "tear %s: %m", s->path);
    (void)close(fd);
    return st;
}

reeve_status reeve_journal_tear(const char *run_dir, uint64_t seed, uint32_t *torn, struct reeve_error *err)
{
    struct tail t = {0};
    struct reeve_journal_info info;
    struct reeve_segment_name *names = NULL;
    size_t count = 0;
    *torn = 0;
    reeve_status st = reeve_journal_replay(run_dir, visit, &t, &info, err);
    if (st != REEVE_OK || info.last_lsn == t.synced_lsn) return st;
    st = reeve_segment_list(run_dir, &names, &count, err);
    while (st == REEVE_OK && count > 0 && names[count - 1].first_lsn > info.last_lsn)
        count--; /* made ahead of need */
    if (st == REEVE_OK && count > 0) {
        struct reeve_segment s;
        uint64_t first = names[count - 1].first_lsn, from = t.synced_lsn + 1 > first ? t.synced_lsn + 1 : first;
        st = reeve_segment_open(run_dir, &names[count - 1], &s, err);
        if (st == REEVE_OK) {
            st = tear(&s, from - first, info.last_lsn + 1 - first, seed, torn, err);
            reeve_segment_close(&s);
        }
    }
    free(names);
    return st;
}
