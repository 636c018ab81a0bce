/* The journal of a run: RUN/journal/EEEEEEEE-LLLLLLLLLLLLLLLL.h5 (epoch, first LSN; hex), preallocated segments of 64-byte records.
 *
 * Each segment is a complete, closed HDF5 file from the moment it has its name; records are written by pwrite at the
 * dataset's offset and made durable by fdatasync, many at once. So it can be dumped at any time, also while it grows.
 * Format and byte example: docs/format/journal.md. Source of the method: crash injection, docs/adr/0003. */
#ifndef REEVE_STORE_JOURNAL_H
#define REEVE_STORE_JOURNAL_H

#include <stdbool.h>

#include "port/store.h"

#define REEVE_JOURNAL_SEGMENT_RECORDS 16384u /* 1 MiB a segment */

typedef struct reeve_journal reeve_journal;

/* What replay found about the journal as a whole. */
struct reeve_journal_info {
    uint64_t last_lsn;       /* 0: empty */
    uint32_t last_epoch;
    uint32_t segments;
    uint64_t run_id;
    bool torn_tail;          /* the last write was cut: its incomplete records were ignored */
    char last_path[4096];
};

/* Called for each valid record in order. Return other than OK to stop; that status comes back from replay. */
typedef reeve_status reeve_journal_visit(void *arg, const struct reeve_event *ev, struct reeve_error *err);

/* Read all segments under RUN/journal in order and check every record: magic numbers, LSN without a gap, epoch never
 * decreasing, chained checksums. The first invalid record ends the journal only if nothing valid follows it;
 * otherwise STORE_CORRUPT naming file and record. A journal that does not exist is empty: OK, last_lsn 0.
 * Any process may call it at any time, also while the master appends. visit may be NULL. */
reeve_status reeve_journal_replay(const char *run_dir, reeve_journal_visit *visit, void *arg,
                                  struct reeve_journal_info *info, struct reeve_error *err);

/* Open for appending in a new segment that starts at info->last_lsn + 1 with `epoch` (> info->last_epoch). The caller
 * owns the run (store/owner.h) and has replayed the journal; info is what replay returned. Old segments are never
 * written again. STORE_CREATE | STORE_WRITE | JOB_NO_MEMORY. */
reeve_status reeve_journal_open(const char *run_dir, const struct reeve_journal_info *info, uint32_t epoch,
                                uint64_t run_id, reeve_journal **out, struct reeve_error *err);
reeve_journal_port *reeve_journal_as_port(reeve_journal *j); /* borrowed */
uint64_t reeve_journal_last_lsn(const reeve_journal *j);     /* of the last record appended */

/* Close after a sync. Takes NULL. STORE_WRITE if what was not yet synced cannot be. */
reeve_status reeve_journal_close(reeve_journal *j, struct reeve_error *err);

#endif
