/* Appending to a journal. Records wait in a batch, go to the page cache with one pwrite, and to the disk with one
 * fdatasync. A segment is complete and durable before the next one is started, and a file that failed once is never
 * trusted again. */
#include "store/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "store/disk.h"
#include "store/journal_ahead.h"
#include "store/journal_renew.h"
#include "store/journal_segment.h"
#include "store/journal_tail.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are stored as they lie in memory");

#define WRITEBACK_RECORDS 8192u /* 512 KiB */

struct reeve_journal {
    struct reeve_journal_port port; /* first: the port is the journal */
    struct reeve_segment segment;   /* owned; the one that is written */
    struct reeve_ahead ahead;       /* owned; the one after it */
    char run_dir[REEVE_PATH_BYTES_MAX];
    uint32_t epoch;
    uint64_t run_id;
    uint32_t segment_records_max;
    uint32_t written;            /* records of this segment that the kernel has */
    uint32_t batched;            /* records behind them that only we have */
    uint64_t last_lsn, last_sum; /* of the last record appended */
    uint64_t synced_lsn;         /* up to here records are durable */
    bool unsynced;               /* something was written since the last sync */
    reeve_status failed;         /* not OK: for good */
    struct reeve_error failure;
    struct reeve_event batch[REEVE_JOURNAL_BATCH_RECORDS];
};

static reeve_journal *from_port(reeve_journal_port *port)
{
    return (reeve_journal *)(void *)port;
}

/* Remember a failure: what failed once stays failed. */
static reeve_status settle(reeve_journal *j, reeve_status st, const struct reeve_error *failure,
                           struct reeve_error *err)
{
    if (st == REEVE_OK) return st;
    if (j->failed == REEVE_OK) {
        j->failed = REEVE_STORE_WRITE;
        j->failure = *failure;
        j->failure.status = REEVE_STORE_WRITE;
    }
    if (err != NULL) *err = j->failure;
    return j->failed;
}

static reeve_status write_batch(reeve_journal *j, struct reeve_error *err)
{
    if (j->batched == 0) return REEVE_OK;
    uint64_t offset = j->segment.events_offset + (uint64_t)j->written * sizeof(struct reeve_event);
    j->unsynced = true;
    reeve_status st = reeve_disk_write(j->segment.fd, j->batch, j->batched * sizeof(struct reeve_event), offset,
                                       j->segment.path, err);
    if (st != REEVE_OK) return st;
    uint32_t before = j->written / WRITEBACK_RECORDS * WRITEBACK_RECORDS;
    j->written += j->batched;
    j->batched = 0;
    uint32_t after = j->written / WRITEBACK_RECORDS * WRITEBACK_RECORDS;
    if (after > before) /* where nobody asks for a sync before the segment is full, the disk would idle until then */
        reeve_disk_begin_sync(j->segment.fd, j->segment.events_offset + (uint64_t)before * sizeof(struct reeve_event),
                              (uint64_t)(after - before) * sizeof(struct reeve_event));
    return REEVE_OK;
}

static reeve_status sync_all(reeve_journal *j, struct reeve_error *err)
{
    reeve_status st = write_batch(j, err);
    if (st == REEVE_OK && j->unsynced) st = reeve_disk_sync(j->segment.fd, j->segment.path, err);
    if (st != REEVE_OK) return st;
    j->unsynced = false;
    j->synced_lsn = j->last_lsn;
    return REEVE_OK;
}

/* late: the segments are filled faster than they are made. What making one costs is mostly the same for a large one. */
static void begin_next(reeve_journal *j, bool late)
{
    const struct reeve_segment_name next = {j->epoch, j->segment.name.first_lsn + j->segment.capacity};
    uint32_t records = j->segment.capacity;
    if (late && records < j->segment_records_max) records *= 2;
    reeve_ahead_begin(&j->ahead, j->run_dir, &next, records, j->run_id);
}

/* Go on in the next segment. The full one is made durable first: a started segment proves the one before complete. */
static reeve_status rotate(reeve_journal *j, struct reeve_error *err)
{
    struct reeve_segment next;
    reeve_status st = sync_all(j, err);
    bool late = reeve_ahead_is_late(&j->ahead);
    if (st == REEVE_OK) st = reeve_ahead_take(&j->ahead, &next, err);
    if (st != REEVE_OK) return st;
    st = reeve_segment_start(&next, j->last_sum, err);
    if (st != REEVE_OK) {
        reeve_segment_close(&next);
        return st;
    }
    reeve_segment_close(&j->segment);
    j->segment = next;
    j->written = 0;
    j->unsynced = true; /* /chain_start goes to the disk with the first records */
    begin_next(j, late);
    return REEVE_OK;
}

/* Room for one more record, in the segment and in the batch. */
static reeve_status make_room(reeve_journal *j, struct reeve_error *err)
{
    struct reeve_error failure = {0};
    reeve_status st = REEVE_OK;
    if (j->failed != REEVE_OK) return settle(j, j->failed, &j->failure, err);
    if (j->written + j->batched == j->segment.capacity) st = rotate(j, &failure);
    if (st == REEVE_OK && j->batched == REEVE_JOURNAL_BATCH_RECORDS) st = write_batch(j, &failure);
    return settle(j, st, &failure, err);
}

static bool has_room(const reeve_journal *j)
{
    return j->failed == REEVE_OK && j->written + j->batched < j->segment.capacity &&
           j->batched < REEVE_JOURNAL_BATCH_RECORDS;
}

static reeve_status port_append(reeve_journal_port *port, struct reeve_event *ev, struct reeve_error *err)
{
    reeve_journal *j = from_port(port);
    if (ev->kind == REEVE_EVENT_NONE || ev->kind >= REEVE_EVENT_VOLATILE)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "journal: event kind %u is not one that is stored", ev->kind);
    reeve_status st = has_room(j) ? REEVE_OK : make_room(j, err);
    if (st != REEVE_OK) return st;
    struct reeve_event *record = &j->batch[j->batched];
    *record = *ev;
    record->lsn = j->last_lsn + 1;
    record->epoch = j->epoch;
    record->flags &= (uint16_t)~REEVE_RECORD_FLAG_BARRIER;
    if (j->synced_lsn == j->last_lsn) record->flags |= REEVE_RECORD_FLAG_BARRIER;
    record->sum = reeve_record_sum(record, j->last_sum);
    j->batched++;
    j->last_lsn = record->lsn;
    j->last_sum = record->sum;
    ev->lsn = record->lsn;
    ev->epoch = record->epoch;
    ev->sum = record->sum;
    return REEVE_OK;
}

static reeve_status port_sync(reeve_journal_port *port, struct reeve_error *err)
{
    reeve_journal *j = from_port(port);
    struct reeve_error failure = {0};
    reeve_status st = j->failed != REEVE_OK ? j->failed : sync_all(j, &failure);
    return settle(j, st, &failure, err);
}

reeve_status reeve_journal_flush(reeve_journal *j, struct reeve_error *err)
{
    struct reeve_error failure = {0};
    reeve_status st = j->failed != REEVE_OK ? j->failed : write_batch(j, &failure);
    return settle(j, st, &failure, err);
}

/* --- opening and closing ------------------------------------------------------------------------------------------ */

/* Segments that a dead process had not finished. */
static void sweep_temporary(const char *dir_path)
{
    char path[REEVE_PATH_BYTES_MAX];
    DIR *dir = opendir(dir_path);
    if (dir == NULL) return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (strstr(entry->d_name, ".h5.tmp-") != NULL &&
            reeve_path_join(path, sizeof(path), dir_path, entry->d_name, NULL) == REEVE_OK)
            (void)unlink(path);
    (void)closedir(dir);
}

static reeve_status make_folder(const char *run_dir, struct reeve_error *err)
{
    char dir[REEVE_PATH_BYTES_MAX];
    reeve_status st = reeve_path_join(dir, sizeof(dir), run_dir, "journal", err);
    if (st == REEVE_OK) st = reeve_mkdir_parents(dir, err);
    if (st == REEVE_OK) st = reeve_fsync_dir(run_dir, err);
    if (st == REEVE_OK) sweep_temporary(dir);
    return st;
}

static reeve_status check_order(const char *run_dir, const struct reeve_journal_info *info, uint32_t epoch,
                                uint64_t run_id, uint32_t segment_records, struct reeve_error *err)
{
    if (strlen(run_dir) >= REEVE_PATH_BYTES_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID, "open the journal: the path of the run is too long");
    if (segment_records == 0 || segment_records > REEVE_SEGMENT_RECORDS_MAX ||
        segment_records % REEVE_SEGMENT_RECORDS_MIN != 0)
        return reeve_fail(err, REEVE_INPUT_INVALID, "open the journal: %u records a segment; expected a multiple of %u",
                          segment_records, REEVE_SEGMENT_RECORDS_MIN);
    if (epoch <= info->last_epoch)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "open the journal of %s: epoch %u is not after epoch %u", run_dir,
                          epoch, info->last_epoch);
    if (info->segments > 0 && info->run_id != run_id)
        return reeve_fail(err, REEVE_STORE_MISMATCH, "open the journal of %s: it belongs to run %016llx, not %016llx",
                          run_dir, (unsigned long long)info->run_id, (unsigned long long)run_id);
    return REEVE_OK;
}

/* An epoch is one master's. One that stood still between its replay and this, while another took the run, may have its
 * segment from another LSN on, and the other one's records could not be told from a gap: no journal begins where there is a
 * segment of this epoch or a later one but `mine` (NULL: none is). */
static reeve_status check_alone(const char *run_dir, uint32_t epoch, const struct reeve_segment *mine,
                                struct reeve_error *err)
{
    struct reeve_segment_name *names;
    size_t count;
    reeve_status st = reeve_segment_list(run_dir, &names, &count, err);
    if (st != REEVE_OK) return st;
    for (size_t i = 0; i < count && st == REEVE_OK; i++)
        if (names[i].epoch >= epoch &&
            (mine == NULL || names[i].epoch != epoch || names[i].first_lsn != mine->name.first_lsn))
            st = reeve_fail(err, REEVE_STORE_IN_USE,
                            "open the journal of %s: another master has begun epoch %u since it was read; this one was "
                            "to begin epoch %u: run the same command again if no other is running",
                            run_dir, names[i].epoch, epoch);
    free(names);
    return st;
}

/* Looked at again once it is there: of two that do this at once, one sees the other. */
static reeve_status create_first(reeve_journal *j, uint32_t records, struct reeve_error *err)
{
    const struct reeve_segment_name name = {j->epoch, j->last_lsn + 1};
    reeve_status st = check_alone(j->run_dir, j->epoch, NULL, err);
    if (st == REEVE_OK) st = reeve_segment_create(j->run_dir, &name, records, j->run_id, j->last_sum, &j->segment, err);
    if (st != REEVE_OK) return st;
    st = check_alone(j->run_dir, j->epoch, &j->segment, err);
    if (st == REEVE_OK) return st;
    (void)unlink(j->segment.path);
    reeve_segment_close(&j->segment);
    return st;
}

static reeve_status open_growing(const char *run_dir, const struct reeve_journal_info *info, uint32_t epoch,
                                 uint64_t run_id, uint32_t segment_records, uint32_t segment_records_max,
                                 reeve_journal **out, struct reeve_error *err)
{
    static const struct reeve_journal_ops ops = {.append = port_append, .sync = port_sync};
    reeve_status st = check_order(run_dir, info, epoch, run_id, segment_records, err);
    if (st == REEVE_OK) st = make_folder(run_dir, err);
    if (st == REEVE_OK) st = reeve_journal_renew(run_dir, info, err);
    if (st != REEVE_OK) return st;
    reeve_journal *j = calloc(1, sizeof(*j));
    if (j == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "open the journal of %s: out of memory", run_dir);
    j->port.ops = &ops;
    j->epoch = epoch;
    j->run_id = run_id;
    j->segment_records_max = segment_records_max;
    j->last_lsn = j->synced_lsn = info->last_lsn;
    j->last_sum = info->last_sum;
    (void)snprintf(j->run_dir, sizeof(j->run_dir), "%s", run_dir);
    st = create_first(j, segment_records, err);
    if (st != REEVE_OK) {
        free(j);
        return st;
    }
    begin_next(j, false);
    *out = j;
    return REEVE_OK;
}

reeve_status reeve_journal_open_sized(const char *run_dir, const struct reeve_journal_info *info, uint32_t epoch,
                                      uint64_t run_id, uint32_t segment_records, reeve_journal **out,
                                      struct reeve_error *err)
{
    return open_growing(run_dir, info, epoch, run_id, segment_records, segment_records, out, err);
}

reeve_status reeve_journal_open(const char *run_dir, const struct reeve_journal_info *info, uint32_t epoch,
                                uint64_t run_id, reeve_journal **out, struct reeve_error *err)
{
    return open_growing(run_dir, info, epoch, run_id, REEVE_JOURNAL_SEGMENT_RECORDS, REEVE_JOURNAL_SEGMENT_RECORDS_MAX,
                        out, err);
}

reeve_journal_port *reeve_journal_as_port(reeve_journal *j)
{
    return &j->port;
}

uint64_t reeve_journal_last_lsn(const reeve_journal *j)
{
    return j->last_lsn;
}

reeve_status reeve_journal_close(reeve_journal *j, struct reeve_error *err)
{
    if (j == NULL) return REEVE_OK;
    reeve_status st = port_sync(&j->port, err);
    reeve_ahead_drop(&j->ahead);
    reeve_segment_close(&j->segment);
    free(j);
    return st;
}
