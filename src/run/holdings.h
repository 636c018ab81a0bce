/* What a worker holds: every lease that it was given and that is not over, computed ones included until their step is.
 * It is what it tells after a regrouping, and what decides whether an answer of the compute thread is still worth
 * telling. */
#ifndef REEVE_RUN_HOLDINGS_H
#define REEVE_RUN_HOLDINGS_H

#include <stdbool.h>

#include "core/frame.h"

struct reeve_holdings {
    struct reeve_frame *list; /* (count,) owned; HOLDING frames, in the order of the leases */
    uint32_t count, room;
    struct reeve_frame *ended; /* (ended_max,) owned, ring; the last words that ended a listed lease; NULL: none yet */
    uint32_t ended_max, ended_count; /* set by the owner, 0: none are kept; so many ever */
};

void reeve_holdings_fini(struct reeve_holdings *h);
/* A LEASE frame came. False: out of memory. */
bool reeve_holdings_add(struct reeve_holdings *h, const struct reeve_frame *lease);
/* The compute thread's COMPUTED, DONE or FAILED: keep or strike what it is about. False: of a lease that was taken
 * back. */
bool reeve_holdings_answer(struct reeve_holdings *h, const struct reeve_frame *answer);
/* A master lends a worker at most so many tasks as it has credit. So the last ended_max = credit words that ended a
 * lease are all that it can have missed, and need no acknowledgement: the i-th of them, the oldest first; NULL behind
 * the last. */
const struct reeve_frame *reeve_holdings_ended(const struct reeve_holdings *h, uint32_t i);
/* The master took it back. */
void reeve_holdings_revoke(struct reeve_holdings *h, uint32_t task, uint32_t attempt);
/* The accumulators are wiped: all gradients and evaluations are over. */
void reeve_holdings_wipe(struct reeve_holdings *h);

#endif
