/* RUN/verified: which shards some process of this launch has read and found to be the locked ones, so that the others
 * need not: for each shard a word of its identity, in one file for what all hosts share and in one for each host. Hints:
 * a word that is torn, old, foreign or missing matches no file, and then the file is read. It never becomes false.
 * Format: docs/format/run.md. */
#ifndef REEVE_STORE_SHARD_RECORD_H
#define REEVE_STORE_SHARD_RECORD_H

#include "store/shard_identity.h"

/* The word that is there; 0: none, or run_dir is "". */
uint64_t reeve_shard_record_read(const char *run_dir, const struct reeve_shard_place *place, uint32_t shard);
/* As well as it goes: whoever finds nothing there reads the shard. */
void reeve_shard_record_write(const char *run_dir, const struct reeve_shard_place *place, uint32_t shard,
                              uint64_t word);

#endif
