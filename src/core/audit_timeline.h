/* Private to the audit: the steps that count, what is wrong with some of them, and which samples follow from that.
 * A byte a step, so that a roll-back is a shorter array and nothing has to be unmarked. */
#ifndef REEVE_CORE_AUDIT_TIMELINE_H
#define REEVE_CORE_AUDIT_TIMELINE_H

#include "core/audit.h"

#define AUDIT_ALL_MICRO_BATCHES UINT32_MAX

/* A micro-batch that did not enter the model once: times - 1. */
struct audit_note {
    uint64_t step;
    uint32_t micro; /* or AUDIT_ALL_MICRO_BATCHES */
    int64_t extra;
};

struct audit_timeline {
    uint64_t last;            /* last committed step */
    uint8_t *refused;         /* (last,) owned; of step s at [s - 1] */
    uint64_t refused_room;
    struct audit_note *notes; /* (note_count,) owned */
    size_t note_count, note_room;
};

void audit_timeline_free(struct audit_timeline *t);
bool audit_timeline_append(struct audit_timeline *t, uint64_t step, bool refused); /* step == last + 1 */
bool audit_timeline_note(struct audit_timeline *t, uint64_t step, uint32_t micro, int64_t extra);
void audit_timeline_roll_back(struct audit_timeline *t, uint64_t step); /* step <= last */

/* Mark every sample visit of every step, and fill in out what follows: steps, samples_*, duplicates, missing,
 * epochs_complete. Cost: O(samples of the timeline), N bits of memory for the epoch under way. */
reeve_status audit_timeline_mark(struct audit_timeline *t, reeve_plan *plan, struct reeve_audit_result *out,
                                 struct reeve_error *err);

#endif
