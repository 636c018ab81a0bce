/* The state of one worker for those who have just taken the place of lost ones: piece by piece in sums over all workers, to
 * which everybody else adds zeros. So it takes the way of the gradients, needs no other, and ends as a sum does when
 * somebody is lost on the way. The last sum is the digest of what was brought, and of the weights in it. */
#ifndef REEVE_RUN_STATE_SHARE_H
#define REEVE_RUN_STATE_SHARE_H

#include <stdbool.h>

#include "core/frame.h"
#include "port/collective.h"
#include "run/compute.h"

enum { REEVE_SHARE_WORDS = 3 }; /* of the last sum: digest of the state, both halves of that of the weights */

struct reeve_state_share {
    bool active, brings, takes; /* both false: this worker only adds zeros */
    struct reeve_frame frame;   /* the STATE that began it */
    bool begun, summing, last;
    size_t bytes, offset, piece; /* of the state; of the piece under way */
    uint64_t digest;             /* of what has gone by, where it is brought or taken */
    int64_t *in, *out;           /* (words of a piece,) owned while active */
};

/* The master asked for it. self: this worker; bare: it has no state. JOB_NO_MEMORY. */
reeve_status reeve_state_share_begin(struct reeve_state_share *s, const struct reeve_frame *frame, uint32_t self,
                                     bool bare, struct reeve_error *err);
/* Move it along; never waits. *done: it has ended here, and where the state was taken the compute thread was told.
 * OK | WORKER_LOST and others, of the sum | JOB_INTERNAL (what came is not what was sent). */
reeve_status reeve_state_share_turn(struct reeve_state_share *s, reeve_compute *c, reeve_collective *sum,
                                    bool *progress, bool *done, struct reeve_error *err);
/* Give it up, in whatever state; the caller has abandoned the sum. */
void reeve_state_share_end(struct reeve_state_share *s);

#endif
