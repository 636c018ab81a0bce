/* Reading a journal: in order, believing nothing. What makes it safe beside a living master, and after dead ones:
 * - A segment of a later epoch says by its first LSN where the epoch before it ended; up to there every record must be
 *   valid, and what comes after has no meaning: a torn tail, or a master that did not know that it was replaced.
 * - In the last epoch, a segment is started only after the one before it is complete, so whether the next one is
 * started is asked before this one is read.
 * - What looks damaged may be a write in flight that was read half: it is read again before it is called damage. */
#include "store/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "store/journal_segment.h"
#include "store/journal_tail.h"

#define REREAD_PAUSE_NS (REEVE_MILLISECOND_NS / 5)
#define UNCHANGED_MAX 2 /* as often the same bytes, and it is no write in flight */
#define REREADS_MAX 100

struct replay {
    const char *run_dir;        /* borrowed */
    reeve_journal_visit *visit; /* may be NULL */
    void *arg;
    struct reeve_journal_check *check; /* borrowed; last_lsn and last_sum are where the chain stands */
    struct reeve_event *slots;         /* owned; of the segment being read */
    uint32_t slots_room;
    bool ended; /* the last valid record was found; what follows must be unused */
};

/* What the segments after it say about one segment. */
struct bounds {
    uint32_t required; /* so many records must be valid */
    uint32_t limit;    /* and no more than so many count */
};

static uint64_t expected_lsn(const struct replay *r)
{
    return r->check->info.last_lsn + 1;
}

static void note_torn(struct replay *r, const struct reeve_segment *s, uint32_t slots)
{
    if (slots == 0) return;
    if (r->check->torn_slots == 0) (void)snprintf(r->check->torn_path, sizeof(r->check->torn_path), "%s", s->path);
    r->check->torn_slots += slots;
}

static reeve_status grow_slots(struct replay *r, const struct reeve_segment *s, struct reeve_error *err)
{
    if (r->slots_room >= s->capacity) return REEVE_OK;
    struct reeve_event *larger = realloc(r->slots, (size_t)s->capacity * sizeof(*larger));
    if (larger == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "replay %s: out of memory", s->path);
    r->slots = larger;
    r->slots_room = s->capacity;
    return REEVE_OK;
}

/* Pass on the valid records from *at on, in order, up to limit. */
static reeve_status accept(struct replay *r, const struct reeve_segment *s, uint32_t *at, uint32_t limit,
                           struct reeve_error *err)
{
    struct reeve_journal_info *info = &r->check->info;
    reeve_status st = REEVE_OK;
    for (; *at < limit && st == REEVE_OK; (*at)++) {
        const struct reeve_event *slot = &r->slots[*at];
        if (!reeve_record_valid(slot, info->last_lsn + 1, s->name.epoch, info->last_sum)) break;
        if (*at == 0 || (slot->flags & REEVE_RECORD_FLAG_BARRIER) != 0) { /* a started segment is a barrier, too */
            info->durable_lsn = info->last_lsn;
            info->durable_sum = info->last_sum;
        }
        struct reeve_event ev = *slot;
        ev.flags &= (uint16_t)~REEVE_RECORD_FLAG_BARRIER;
        if (r->visit != NULL) st = r->visit(r->arg, &ev, err);
        info->last_lsn = slot->lsn;
        info->last_sum = slot->sum;
        r->check->records++;
    }
    return st;
}

static reeve_status damaged(const struct reeve_segment *s, uint32_t slot, uint32_t reached, uint32_t required,
                            struct reeve_error *err)
{
    unsigned long long lsn = s->name.first_lsn + slot;
    unsigned long long at = s->events_offset + (unsigned long long)slot * sizeof(struct reeve_event);
    if (reached < required)
        return reeve_fail(err, REEVE_STORE_CORRUPT,
                          "%s: record %u (LSN %llu, byte %llu) is damaged, and valid ones follow: no interrupted write "
                          "explains this; restore the file from a copy",
                          s->path, slot, lsn, at);
    return reeve_fail(
        err, REEVE_STORE_CORRUPT,
        "%s: record %u (LSN %llu, byte %llu) is damaged, which no interrupted write explains: restore the "
        "file from a copy",
        s->path, slot, lsn, at);
}

/* Read slots from `from` on once more; *unchanged counts how often they were the same. */
static reeve_status reread(struct replay *r, const struct reeve_segment *s, uint32_t from, uint32_t *unchanged,
                           struct reeve_error *err)
{
    size_t bytes = (size_t)(s->capacity - from) * sizeof(struct reeve_event);
    uint64_t before = reeve_digest64(r->slots + from, bytes, 0);
    reeve_clock_sleep(REREAD_PAUSE_NS);
    reeve_status st = reeve_segment_read(s, from, r->slots, err);
    bool same = st == REEVE_OK && before == reeve_digest64(r->slots + from, bytes, 0);
    *unchanged = same ? *unchanged + 1 : 0;
    return st;
}

/* Take in the records of a started segment, and judge what follows the last of them. */
static reeve_status read_started(struct replay *r, const struct reeve_segment *s, const struct bounds *b,
                                 struct reeve_error *err)
{
    uint32_t at = 0, unchanged = 0, place = 0;
    reeve_status st = reeve_segment_read(s, 0, r->slots, err);
    for (uint32_t rereads = 0; st == REEVE_OK; rereads++) {
        st = accept(r, s, &at, b->limit, err);
        if (st != REEVE_OK || at == b->limit) break;
        const uint64_t seed = r->check->info.last_sum;
        enum reeve_tail tail =
            reeve_tail_judge(r->slots, s->capacity, at, s->name.first_lsn, s->name.epoch, &seed, &place);
        if (at >= b->required && tail != REEVE_TAIL_DAMAGED) {
            r->ended = true;
            r->check->info.torn_tail = tail == REEVE_TAIL_TORN;
            break;
        }
        if (unchanged >= UNCHANGED_MAX || rereads >= REREADS_MAX)
            return damaged(s, at < b->required ? at : place, at, b->required, err);
        st = reread(r, s, at, &unchanged, err);
    }
    if (st != REEVE_OK) return st;
    if (at > 0) {
        r->check->info.last_segment_epoch = s->name.epoch;
        r->check->info.last_segment_lsn = s->name.first_lsn;
    }
    note_torn(r, s, reeve_tail_used(r->slots, at, s->capacity));
    return REEVE_OK;
}

/* A segment made ahead of need that nobody went on in. One that is being started just now is left to later readers. */
static reeve_status read_unstarted(struct replay *r, const struct reeve_segment *s, struct reeve_error *err)
{
    uint64_t start;
    uint32_t place = 0;
    r->ended = true;
    reeve_status st = reeve_segment_read(s, 0, r->slots, err);
    if (st != REEVE_OK) return st;
    enum reeve_tail tail = reeve_tail_judge(r->slots, s->capacity, 0, s->name.first_lsn, s->name.epoch, NULL, &place);
    if (tail == REEVE_TAIL_CLEAN) return REEVE_OK;
    st = reeve_segment_read_start(s, &start, err);
    if (st != REEVE_OK || start != 0) return st;
    if (tail == REEVE_TAIL_DAMAGED) return damaged(s, place, 0, 0, err);
    r->check->info.torn_tail = true;
    note_torn(r, s, reeve_tail_used(r->slots, 0, s->capacity));
    return REEVE_OK;
}

/* A segment from which recovery took nothing. */
static reeve_status read_cut(struct replay *r, const struct reeve_segment *s, uint64_t start, struct reeve_error *err)
{
    reeve_status st = reeve_segment_read(s, 0, r->slots, err);
    if (st != REEVE_OK) return st;
    uint32_t used = reeve_tail_used(r->slots, 0, s->capacity);
    bool known_place = s->name.first_lsn == expected_lsn(r);
    if (known_place && start != 0 && start != r->check->info.last_sum)
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: /chain_start does not fit the record before it", s->path);
    if (!known_place && start != 0) used++;
    note_torn(r, s, used);
    return REEVE_OK;
}

static reeve_status check_place(const struct replay *r, const struct reeve_segment *s, uint64_t start,
                                struct reeve_error *err)
{
    if (s->name.first_lsn != expected_lsn(r))
        return reeve_fail(err, REEVE_STORE_CORRUPT,
                          "%s: starts at LSN %llu, but the records before it end at %llu: a segment is missing",
                          s->path, (unsigned long long)s->name.first_lsn, (unsigned long long)expected_lsn(r) - 1);
    if (start != r->check->info.last_sum)
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: /chain_start does not fit the record before it", s->path);
    return REEVE_OK;
}

static reeve_status read_segment(struct replay *r, const struct reeve_segment *s, const struct bounds *b,
                                 struct reeve_error *err)
{
    uint64_t start;
    struct reeve_journal_info *info = &r->check->info;
    if (r->check->bytes == 0) info->run_id = s->run_id;
    if (s->run_id != info->run_id)
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: belongs to run %016llx, the segments before it to %016llx",
                          s->path, (unsigned long long)s->run_id, (unsigned long long)info->run_id);
    r->check->bytes += reeve_h5_file_bytes(s->h5);
    reeve_status st = grow_slots(r, s, err);
    if (st == REEVE_OK) st = reeve_segment_read_start(s, &start, err);
    if (st != REEVE_OK) return st;
    bool started = start != 0 || s->name.first_lsn == 1;
    if (b->limit == 0) return read_cut(r, s, start, err);
    if (r->ended)
        return started ? REEVE_OK : read_unstarted(r, s, err); /* started: after we looked at the one before */
    if (!started && b->required == 0) return read_unstarted(r, s, err);
    st = check_place(r, s, start, err);
    return st == REEVE_OK ? read_started(r, s, b, err) : st;
}

/* What the segments after names[i] say about s, which is that segment. */
static reeve_status find_bounds(const struct reeve_segment *s, const struct reeve_segment_name *names, size_t count,
                                size_t i, const struct reeve_segment *next, struct bounds *b, struct reeve_error *err)
{
    uint64_t start = 0;
    *b = (struct bounds){.required = 0, .limit = s->capacity};
    size_t later = i + 1;
    while (later < count && names[later].epoch == s->name.epoch)
        later++;
    if (later < count) {
        uint64_t cut = names[later].first_lsn, first = s->name.first_lsn;
        uint64_t length = cut > first ? cut - first : 0;
        b->limit = length < s->capacity ? (uint32_t)length : s->capacity;
        b->required = b->limit;
        return REEVE_OK;
    }
    if (next == NULL) return REEVE_OK;
    reeve_status st = reeve_segment_read_start(next, &start, err);
    if (start != 0) b->required = s->capacity;
    return st;
}

/* Open the first segment of names[*i..count) that is still there; *i: which. A spare one is removed when a run ends
 * well. */
static reeve_status open_from(const struct replay *r, const struct reeve_segment_name *names, size_t count, size_t *i,
                              struct reeve_segment *out, struct reeve_error *err)
{
    reeve_status st = REEVE_OK;
    for (; *i < count; (*i)++) {
        st = reeve_segment_open(r->run_dir, &names[*i], out, err);
        if (st != REEVE_INPUT_MISSING) return st;
    }
    return REEVE_OK;
}

static reeve_status read_all(struct replay *r, const struct reeve_segment_name *names, size_t count,
                             struct reeve_error *err)
{
    struct reeve_segment held[2] = {{.fd = -1}, {.fd = -1}}; /* this one and the next */
    struct bounds bounds;
    size_t i = 0, turn = 0;
    reeve_status st = open_from(r, names, count, &i, &held[0], err);
    while (st == REEVE_OK && i < count) {
        struct reeve_segment *this = &held[turn % 2], *next = &held[(turn + 1) % 2];
        size_t after = i + 1;
        st = open_from(r, names, count, &after, next, err);
        if (st == REEVE_OK) st = find_bounds(this, names, count, i, after < count ? next : NULL, &bounds, err);
        if (st == REEVE_OK) st = read_segment(r, this, &bounds, err);
        reeve_segment_close(this);
        i = after;
        turn++;
    }
    reeve_segment_close(&held[0]);
    reeve_segment_close(&held[1]);
    return st;
}

static reeve_status replay(const char *run_dir, reeve_journal_visit *visit, void *arg,
                           struct reeve_journal_check *check, struct reeve_error *err)
{
    struct replay r = {.run_dir = run_dir, .visit = visit, .arg = arg, .check = check};
    struct reeve_segment_name *names;
    size_t count;
    memset(check, 0, sizeof(*check));
    reeve_status st = reeve_segment_list(run_dir, &names, &count, err);
    if (st != REEVE_OK) return st;
    check->info.segments = (uint32_t)count;
    if (count > 0) check->info.last_epoch = names[count - 1].epoch;
    st = read_all(&r, names, count, err);
    free(r.slots);
    free(names);
    return st;
}

reeve_status reeve_journal_replay(const char *run_dir, reeve_journal_visit *visit, void *arg,
                                  struct reeve_journal_info *info, struct reeve_error *err)
{
    struct reeve_journal_check check;
    reeve_status st = replay(run_dir, visit, arg, &check, err);
    if (st == REEVE_OK && info != NULL) *info = check.info;
    return st;
}

reeve_status reeve_journal_verify(const char *run_dir, struct reeve_journal_check *check, struct reeve_error *err)
{
    return replay(run_dir, NULL, NULL, check, err);
}
