/* Doing to a journal what a power cut may: of what was written after the last sync, some sectors reach the disk and
 * others do not. For `reeve chaos` and tests; nothing that recovers a run calls it. */
#ifndef REEVE_STORE_JOURNAL_TEAR_H
#define REEVE_STORE_JOURNAL_TEAR_H

#include <stdint.h>

#include "reeve/status.h"

/* The caller owns the run (store/owner.h), and its master is dead. Each sector behind the last record that the master
 * waited for loses its records, or keeps them, as the seed says; the last one loses them. *torn: records destroyed; 0
 * if nothing was written since the last sync. STORE_CORRUPT | STORE_READ | STORE_WRITE | JOB_NO_MEMORY. */
reeve_status reeve_journal_tear(const char *run_dir, uint64_t seed, uint32_t *torn, struct reeve_error *err);

#endif
