/* See journal_renew.h. */
#include "store/journal_renew.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "store/disk.h"
#include "store/journal_segment.h"
#include "store/journal_tail.h"

/* The last records of a segment: slots from..end. */
struct tail {
    const struct reeve_journal_info *info; /* borrowed */
    struct reeve_event *slots;             /* (capacity of the segment,) owned */
    uint32_t from, end;
};

static reeve_status read_again(const struct tail *t, const struct reeve_segment *s, struct reeve_error *err)
{
    uint64_t sum = t->info->durable_sum;
    reeve_status st = reeve_segment_read(s, t->from, t->slots, err);
    if (st != REEVE_OK) return st;
    uint32_t i = t->from;
    while (i < t->end && reeve_record_valid(&t->slots[i], s->name.first_lsn + i, s->name.epoch, sum))
        sum = t->slots[i++].sum;
    if (i == t->end && sum == t->info->last_sum) return REEVE_OK;
    return reeve_fail(
        err, REEVE_STORE_READ,
        "%s: record %u is no longer what was read a moment ago: look at the kernel's log for errors of the "
        "disk, and run the same command again",
        s->path, i);
}

/* The start of a segment is not durable before its first record is. */
static reeve_status write_again(const struct tail *t, const struct reeve_segment *s, struct reeve_error *err)
{
    uint64_t at = s->events_offset + (uint64_t)t->from * sizeof(*t->slots);
    reeve_status st =
        reeve_disk_write(s->fd, t->slots + t->from, (t->end - t->from) * sizeof(*t->slots), at, s->path, err);
    if (st == REEVE_OK && t->from == 0) st = reeve_segment_start(s, t->info->durable_sum, err);
    return st == REEVE_OK ? reeve_disk_sync(s->fd, s->path, err) : st;
}

static reeve_status renew(const struct reeve_segment *s, const struct reeve_journal_info *info, struct reeve_error *err)
{
    struct reeve_segment writable = *s;
    struct tail t = {.info = info,
                     .from = (uint32_t)(info->durable_lsn + 1 - s->name.first_lsn),
                     .end = (uint32_t)(info->last_lsn + 1 - s->name.first_lsn)};
    if (t.from >= t.end || t.end > s->capacity)
        return reeve_fail(err, REEVE_STORE_READ, "%s: is no longer the file that was read a moment ago", s->path);
    t.slots = malloc((size_t)s->capacity * sizeof(*t.slots));
    if (t.slots == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "go on after %s: out of memory", s->path);
    reeve_status st = read_again(&t, s, err);
    writable.fd = st == REEVE_OK ? open(s->path, O_WRONLY | O_CLOEXEC) : -1;
    if (st == REEVE_OK && writable.fd < 0) st = reeve_disk_fail(err, errno, "open", s->path, 0);
    if (st == REEVE_OK) st = write_again(&t, &writable, err);
    if (writable.fd >= 0 && close(writable.fd) != 0 && st == REEVE_OK)
        st = reeve_disk_fail(err, errno, "close", s->path, 0);
    free(t.slots);
    return st;
}

reeve_status reeve_journal_renew(const char *run_dir, const struct reeve_journal_info *info, struct reeve_error *err)
{
    struct reeve_segment s;
    const struct reeve_segment_name name = {info->last_segment_epoch, info->last_segment_lsn};
    if (info->last_lsn == 0) return REEVE_OK;
    reeve_status st = reeve_segment_open(run_dir, &name, &s, err);
    if (st != REEVE_OK) return st;
    st = renew(&s, info, err);
    reeve_segment_close(&s);
    return st;
}
