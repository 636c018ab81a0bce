/* See journal_tear.h. What was synced is read from the journal itself, where a barrier says how far an earlier sync got;
 * whether one came after the last barrier, from what is recorded there: the master syncs whole turns, and a turn in which
 * it waits for no record ends without (run/master_loop.c). A kind that it may or may not wait for is taken as synced, so
 * that nothing is destroyed that was promised to be there. */
#include "store/journal_tear.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"
#include "base/random.h"
#include "store/journal.h"
#include "store/journal_segment.h"
#include "store/journal_tail.h"

/* The journal, up to its last record and beyond. */
struct segments {
    const char *run_dir;              /* borrowed */
    struct reeve_segment_name *names; /* owned */
    size_t count;
    size_t last;  /* holds the last record */
    uint32_t end; /* its slot behind that */
};

static bool is_waited_for(uint16_t kind, enum reeve_sync sync)
{
    switch (kind) {
    case REEVE_EVENT_STEP_OPENED:
    case REEVE_EVENT_TASK_LEASED:
    case REEVE_EVENT_TASK_COMPUTED:
    case REEVE_EVENT_TASK_RELEASED: return false;
    case REEVE_EVENT_CKPT_COMMIT: /* older checkpoints are removed after it */
    case REEVE_EVENT_RUN_STOPPED:
    case REEVE_EVENT_RUN_ENDED: return true; /* closing syncs */
    default: return sync != REEVE_SYNC_NONE;
    }
}

/* Slots from..end lie in sectors, each of which is lost or not; zeros are what the slots held before. */
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

/* Back from slots[end] to the last barrier; *waited is set if a record from there on is waited for. */
static uint32_t find_barrier(const struct reeve_event *slots, uint32_t end, enum reeve_sync sync, bool *waited)
{
    uint32_t slot = end;
    while (slot > 0) {
        slot--;
        *waited = *waited || is_waited_for(slots[slot].kind, sync);
        if ((slots[slot].flags & REEVE_RECORD_FLAG_BARRIER) != 0) break;
    }
    return slot; /* the first record of a segment always has one */
}

static reeve_status look_back(const struct segments *g, size_t i, enum reeve_sync sync, uint32_t *from, bool *waited,
                              struct reeve_error *err)
{
    struct reeve_segment s;
    reeve_status st = reeve_segment_open(g->run_dir, &g->names[i], &s, err);
    if (st != REEVE_OK) return st;
    uint32_t end = i == g->last ? g->end : s.capacity;
    struct reeve_event *slots = malloc((size_t)s.capacity * sizeof(*slots));
    if (slots == NULL) st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "tear %s: out of memory", s.path);
    if (st == REEVE_OK) st = reeve_segment_read(&s, 0, slots, err);
    if (st == REEVE_OK) *from = find_barrier(slots, end, sync, waited);
    free(slots);
    reeve_segment_close(&s);
    return st;
}

/* The first slot of the last segment that is not durable; its end if all are. The barrier at the start of a segment is
 * of the change of segments, and may lie within a turn, whose earlier records are then in the segment before. */
static reeve_status find_unsynced(const struct segments *g, enum reeve_sync sync, uint32_t *from,
                                  struct reeve_error *err)
{
    bool waited = false;
    reeve_status st = look_back(g, g->last, sync, from, &waited, err);
    uint32_t slot = *from;
    for (size_t i = g->last; st == REEVE_OK && !waited && slot == 0 && i > 0; i--) {
        if (g->names[i - 1].epoch != g->names[i].epoch) break;
        st = look_back(g, i - 1, sync, &slot, &waited, err);
    }
    if (waited) *from = g->end;
    return st;
}

/* A master went on behind the last record's segment, which it had synced before that. */
static reeve_status was_left(const struct segments *g, bool *left, struct reeve_error *err)
{
    struct reeve_segment s;
    uint64_t start = 0;
    reeve_status st = REEVE_OK;
    *left = g->names[g->count - 1].epoch != g->names[g->last].epoch;
    if (*left || g->last + 1 == g->count) return REEVE_OK;
    st = reeve_segment_open(g->run_dir, &g->names[g->last + 1], &s, err);
    if (st != REEVE_OK) return st;
    st = reeve_segment_read_start(&s, &start, err);
    reeve_segment_close(&s);
    *left = start != 0; /* otherwise it was made ahead of need */
    return st;
}

static reeve_status tear_end(const struct segments *g, enum reeve_sync sync, uint64_t seed, uint32_t *torn,
                             struct reeve_error *err)
{
    struct reeve_segment s;
    bool left = false;
    uint32_t from = g->end;
    reeve_status st = was_left(g, &left, err);
    if (st == REEVE_OK && !left) st = find_unsynced(g, sync, &from, err);
    if (st != REEVE_OK || from == g->end) return st;
    st = reeve_segment_open(g->run_dir, &g->names[g->last], &s, err);
    if (st != REEVE_OK) return st;
    st = tear(&s, from, g->end, seed, torn, err);
    reeve_segment_close(&s);
    return st;
}

reeve_status reeve_journal_tear(const char *run_dir, enum reeve_sync sync, uint64_t seed, uint32_t *torn,
                                struct reeve_error *err)
{
    struct reeve_journal_info info;
    struct segments g = {.run_dir = run_dir};
    *torn = 0;
    reeve_status st = reeve_journal_replay(run_dir, NULL, NULL, &info, err);
    if (st != REEVE_OK || info.last_lsn == 0 || sync == REEVE_SYNC_ALWAYS) return st;
    st = reeve_segment_list(run_dir, &g.names, &g.count, err);
    if (st != REEVE_OK) return st;
    g.last = g.count;
    while (g.last > 0 && g.names[g.last - 1].first_lsn > info.last_lsn)
        g.last--;
    if (g.last > 0) {
        g.last--;
        g.end = (uint32_t)(info.last_lsn + 1 - g.names[g.last].first_lsn);
        st = tear_end(&g, sync, seed, torn, err);
    }
    free(g.names);
    return st;
}
