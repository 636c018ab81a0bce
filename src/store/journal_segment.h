/* One segment of a journal: a closed HDF5 file whose /events dataset is filled in place. Format:
 * docs/format/journal.md.
 *
 * A segment is made ahead of need, so all but one thing is known then: the sum of the record before its first, which
 * is therefore a dataset of its own (/chain_start), written by pwrite when the segment is started. 0 in a segment that
 * was never started. The seal covers all bytes but /events and /chain_start, which prove each other. */
#ifndef REEVE_STORE_JOURNAL_SEGMENT_H
#define REEVE_STORE_JOURNAL_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/path.h"
#include "core/event.h"
#include "store/reader.h"

#define REEVE_SEGMENT_RECORDS_MAX (1u << 20)
#define REEVE_SEGMENT_RECORDS_MIN 64u /* and a multiple of it: whole pages, which HDF5 then aligns */

/* Where a segment stands in the journal: this and nothing else is in its file name. */
struct reeve_segment_name {
    uint32_t epoch;
    uint64_t first_lsn;
};

/* All segments under RUN/journal in the order of their names; other files there are left alone. A folder that does not
 * exist is an empty list. *names is the caller's to free. STORE_READ | JOB_NO_MEMORY. */
reeve_status reeve_segment_list(const char *run_dir, struct reeve_segment_name **names, size_t *count,
                                struct reeve_error *err);
reeve_status reeve_segment_path(const char *run_dir, const struct reeve_segment_name *name, char *out, size_t out_bytes,
                                struct reeve_error *err);

/* A segment that can be written: its file is on the disk with its final name, and full of zeros. */
struct reeve_segment {
    struct reeve_segment_name name;
    uint64_t run_id;
    uint32_t capacity;      /* records */
    uint64_t events_offset; /* in the file; multiple of REEVE_SEGMENT_SECTOR_BYTES */
    uint64_t chain_start_offset;
    int fd;       /* owned; read-write when created, read-only when opened */
    reeve_h5 *h5; /* owned; NULL when created */
    char path[REEVE_PATH_BYTES_MAX];
};

/* What a disk writes whole or not at all, after a power cut. */
#define REEVE_SEGMENT_SECTOR_BYTES 512u
#define REEVE_SEGMENT_SECTOR_RECORDS (REEVE_SEGMENT_SECTOR_BYTES / sizeof(struct reeve_event))

/* Create the file. chain_start: 0 where it is not known yet. Any thread; RUN/journal must exist.
 * STORE_CREATE | STORE_WRITE | JOB_NO_MEMORY. */
reeve_status reeve_segment_create(const char *run_dir, const struct reeve_segment_name *name, uint32_t capacity,
                                  uint64_t run_id, uint64_t chain_start, struct reeve_segment *out,
                                  struct reeve_error *err);
/* Write /chain_start: from now on the segment is started. */
reeve_status reeve_segment_start(const struct reeve_segment *s, uint64_t chain_start, struct reeve_error *err);

/* Open an existing one for reading, and check all but its records: structure, attributes against its name, seal.
 * INPUT_MISSING: it is gone | STORE_CORRUPT | STORE_READ | JOB_NO_MEMORY. */
reeve_status reeve_segment_open(const char *run_dir, const struct reeve_segment_name *name, struct reeve_segment *out,
                                struct reeve_error *err);
reeve_status reeve_segment_read_start(const struct reeve_segment *s, uint64_t *chain_start, struct reeve_error *err);
/* Read records from..capacity into slots[from..]. */
reeve_status reeve_segment_read(const struct reeve_segment *s, uint32_t from, struct reeve_event *slots,
                                struct reeve_error *err);
void reeve_segment_close(struct reeve_segment *s); /* also of one that failed to open; twice is once */

#endif
