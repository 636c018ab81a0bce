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
};

void reeve_holdings_fini(struct reeve_holdings *h);
/* A LEASE frame came. False: out of memory. */
bool reeve_holdings_add(struct reeve_holdings *h, const struct reeve_frame *lease);
/* The compute thread's COMPUTED, DONE or FAILED: keep or strike what it is about. False: of a lease that was taken
 * back. */
bool reeve_holdings_answer(struct reeve_holdings *h, const struct reeve_frame *answer);
/* The master took it back. */
void reeve_holdings_revoke(struct reeve_holdings *h, uint32_t task, uint32_t attempt);
/* The accumulators are wiped: all gradients and evaluations are over. */
void reeve_holdings_wipe(struct reeve_holdings *h);

#endif
