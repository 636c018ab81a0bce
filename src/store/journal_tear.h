/* Doing to a journal what a power cut may: of what was written after the last sync, some sectors reach the disk and
 * others do not. For `reeve chaos` and tests; nothing that recovers a run calls it. */
#ifndef REEVE_STORE_JOURNAL_TEAR_H
#define REEVE_STORE_JOURNAL_TEAR_H

#include <stdint.h>

#include "core/job.h"
#include "reeve/status.h"

/* The caller owns the run (store/owner.h), and its master, whose job said journal.sync: `sync`, is dead. Each sector of
 * what that master had not synced loses its records, or keeps them, as the seed says; the last one loses them. Synced
 * was all before the last barrier (docs/format/journal.md), all that another segment goes on from, and a turn with a
 * record that the master waits for; with `always`, all. (What a master that ended by itself synced on closing, and
 * nobody waited for, cannot be told from the rest.) *torn: records destroyed; 0 if all was synced.
 * STORE_CORRUPT | STORE_READ | STORE_WRITE | JOB_NO_MEMORY. */
reeve_status reeve_journal_tear(const char *run_dir, enum reeve_sync sync, uint64_t seed, uint32_t *torn,
                                struct reeve_error *err);

#endif
