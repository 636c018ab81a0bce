/* Where a journal ends: is what follows the last valid record nothing, the leavings of an interrupted write, or damage?
 * Pure. The rule and its reasons: docs/format/journal.md, "The end of the journal".
 *
 * A write that was killed leaves a prefix of its bytes. A power cut leaves some of its sectors and not others. Neither
 * can touch what was synced before. So the leavings are zeros, whole records that come from behind a gap of lost
 * sectors, and at most one cut record at the very end; and none of those records bears the mark of a sync after the
 * gap. */
#ifndef REEVE_STORE_JOURNAL_TAIL_H
#define REEVE_STORE_JOURNAL_TAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/event.h"

/* In `flags`, on disk only: every record before this one was durable when this one was made. */
#define REEVE_RECORD_FLAG_BARRIER 0x8000u

enum reeve_tail {
    REEVE_TAIL_CLEAN,   /* zeros */
    REEVE_TAIL_TORN,    /* what an interrupted write leaves; nothing in it was ever acknowledged as durable */
    REEVE_TAIL_DAMAGED, /* something that no interrupted write explains */
};

/* The sum that a record must have after one whose sum is `seed`. */
uint64_t reeve_record_sum(const struct reeve_event *record, uint64_t seed);

/* A whole record at its place: LSN, epoch, a durable kind, and the chain. */
bool reeve_record_valid(const struct reeve_event *record, uint64_t lsn, uint32_t epoch, uint64_t seed);

/* Judge slots[bad..capacity) of a segment whose slot `bad` holds no valid record.
 *   in   seed   sum of the record before slot `bad`; NULL: not known (the segment was never started)
 *   out  place  TORN: first slot that is not zero; DAMAGED: the slot in question; may not be NULL */
enum reeve_tail reeve_tail_judge(const struct reeve_event *slots, uint32_t capacity, uint32_t bad, uint64_t first_lsn,
                                 uint32_t epoch, const uint64_t *seed, uint32_t *place);

/* How many slots of from..capacity are not zero. */
uint32_t reeve_tail_used(const struct reeve_event *slots, uint32_t from, uint32_t capacity);

#endif
