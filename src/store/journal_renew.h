/* Making durable what a new master goes on from.
 *
 * The last records of the master before it may be in the page cache only, and a sync that returns OK does not show that
 * they are on the disk: where a write to the disk has failed, Linux keeps the page, readable, and takes it for written;
 * whoever opens the file after that finds nothing to sync. So these records are written once more, the same bytes at
 * the same place, and then synced. A crash in between leaves, in each sector, the bytes or what was there before.
 * Source: Rebello et al., Can Applications Recover from fsync Failures?, USENIX ATC 2020. */
#ifndef REEVE_STORE_JOURNAL_RENEW_H
#define REEVE_STORE_JOURNAL_RENEW_H

#include "store/journal.h"

/* The records behind info->durable_lsn, all of them in the last segment, where the journal does not show itself that they
 * are durable. They are read and checked anew, and no byte behind them is written: a master that was replaced and does
 * not know it may be appending there. Cost: a write of these records (those of a step, mostly), one fdatasync.
 * STORE_WRITE | STORE_READ (they are not what was replayed: pages that had failed are gone by now, and the next replay
 * ends before them) | STORE_CORRUPT | INPUT_PERMISSION | JOB_NO_MEMORY. */
reeve_status reeve_journal_renew(const char *run_dir, const struct reeve_journal_info *info, struct reeve_error *err);

#endif
