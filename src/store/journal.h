/* The journal of a run: RUN/journal/EEEEEEEE-LLLLLLLLLLLLLLLL.h5 (epoch, first LSN; hex), preallocated segments of
 * 64-byte records.
 *
 * Each segment is a complete, closed HDF5 file from the moment it has its name; records are written by pwrite at the
 * dataset's offset and made durable by fdatasync, many at once. So it can be dumped at any time, also while it grows.
 * Format and byte example: docs/format/journal.md. Source of the method: crash injection, docs/adr/0003. */
#ifndef REEVE_STORE_JOURNAL_H
#define REEVE_STORE_JOURNAL_H

#include <stdbool.h>

#include "port/store.h"

#define REEVE_JOURNAL_SEGMENT_RECORDS 16384u      /* 1 MiB a segment; twice that when one is full before the next is made */
#define REEVE_JOURNAL_SEGMENT_RECORDS_MAX 262144u /* and again, up to 16 MiB */
#define REEVE_JOURNAL_BATCH_RECORDS 4096u         /* appended and not yet written: 256 KiB at most */

typedef struct reeve_journal reeve_journal;

/* What replay found about the journal as a whole. */
struct reeve_journal_info {
    uint64_t last_lsn; /* 0: empty */
    uint32_t last_epoch;
    uint32_t segments;
    uint64_t run_id;
    bool torn_tail;              /* the last write was cut: its incomplete records were ignored */
    uint64_t last_sum;           /* of the last record: what the next one goes on from */
    uint32_t last_segment_epoch; /* the segment that holds the last record: what its name says */
    uint64_t last_segment_lsn;
    uint64_t durable_lsn; /* up to here the journal itself shows that records are on the disk; the rest is in there */
    uint64_t durable_sum; /* of that record */
};

/* What verify found besides. */
struct reeve_journal_check {
    struct reeve_journal_info info;
    uint64_t records; /* valid ones */
    uint64_t bytes;   /* of all segments: each of them was checked */
    uint64_t
        torn_slots; /* not zero and part of no record: left by interrupted writes, at the end or where recovery cut */
    char torn_path[4096]; /* the first segment with such slots; "" if there is none */
};

/* Called for each valid record in order. Return other than OK to stop; that status comes back from replay. */
typedef reeve_status reeve_journal_visit(void *arg, const struct reeve_event *ev, struct reeve_error *err);

/* Read all segments under RUN/journal in order and check every record: magic numbers, LSN without a gap, epoch never
 * decreasing, chained checksums. The first invalid record ends the journal only if an interrupted write explains all
 * that follows it; otherwise STORE_CORRUPT naming file and record. A journal that does not exist is empty: OK, last_lsn
 * 0. Any process may call it at any time, also while the master appends. visit may be NULL. STORE_CORRUPT | STORE_READ
 * | JOB_NO_MEMORY. Cost: 10^6 records take some tens of ms. */
reeve_status reeve_journal_replay(const char *run_dir, reeve_journal_visit *visit, void *arg,
                                  struct reeve_journal_info *info, struct reeve_error *err);

/* The same for every byte of every segment: records by their chain, all else by the segment's seal, unused slots must
 * be zero. What was cut off by an earlier recovery has no meaning; it is counted in torn_slots. visit may be NULL.
 * STORE_CORRUPT (file, place) | STORE_READ | JOB_NO_MEMORY. */
reeve_status reeve_journal_verify(const char *run_dir, struct reeve_journal_check *check, struct reeve_error *err);

/* Open for appending in a new segment that starts at info->last_lsn + 1 with `epoch` (> info->last_epoch). The caller
 * owns the run (store/owner.h) and has replayed the journal; info is what replay returned. What it replayed is durable
 * when this returns OK (store/journal_renew.h); apart from that old segments are never written again.
 * STORE_CREATE | STORE_READ | STORE_WRITE | STORE_MISMATCH (another run's journal) | STORE_IN_USE (another master has
 * begun this epoch, or a later one, since it was replayed) | JOB_NO_MEMORY.
 *
 * Through the port, append() sets ev->lsn, ev->epoch and ev->sum; bit 15 of the flags is the journal's own on disk.
 * Records wait in memory (REEVE_JOURNAL_BATCH_RECORDS at most) for flush, sync or a full batch. A write or sync that
 * failed is final: everything after it returns STORE_WRITE with the same text.
 * The next segment is made by a thread ahead of need; if the disk is too full for it, a warning is logged then. */
reeve_status reeve_journal_open(const char *run_dir, const struct reeve_journal_info *info, uint32_t epoch,
                                uint64_t run_id, reeve_journal **out, struct reeve_error *err);
/* The same with segments of another size, and always that, 64..1048576 records in multiples of 64. */
reeve_status reeve_journal_open_sized(const char *run_dir, const struct reeve_journal_info *info, uint32_t epoch,
                                      uint64_t run_id, uint32_t segment_records, reeve_journal **out,
                                      struct reeve_error *err);
reeve_journal_port *reeve_journal_as_port(reeve_journal *j); /* borrowed */
uint64_t reeve_journal_last_lsn(const reeve_journal *j);     /* of the last record appended */

/* Hand what was appended to the kernel: from now on it survives the death of this process (`kill -9`), though not of
 * the machine. The master calls it each turn before it speaks. Cost: one pwrite. STORE_WRITE. */
reeve_status reeve_journal_flush(reeve_journal *j, struct reeve_error *err);

/* Close after a sync. Takes NULL. STORE_WRITE if what was not yet synced cannot be. */
reeve_status reeve_journal_close(reeve_journal *j, struct reeve_error *err);

#endif
