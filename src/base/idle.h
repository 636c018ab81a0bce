/* How a loop waits when it has nothing to do: a few free polls, then it gives its core away, then it sleeps for longer
 * and longer. An idle rank that spins takes the core from a rank that computes; one that sleeps long answers late. */
#ifndef REEVE_BASE_IDLE_H
#define REEVE_BASE_IDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "reeve/ids.h"

struct reeve_idle {
    uint32_t free_polls_max; /* waits that return at once */
    uint32_t yields_max;     /* then waits that yield the core */
    uint32_t wait_count;     /* waits since something was done */
    reeve_time_ns sleep_ns;  /* length of the next sleep */
};

/* For the calling thread, which is the one that will wait: it also asks the kernel to be punctual with short sleeps.
 *   in  cores_short  more busy threads than cores on this node: yield and sleep sooner */
void reeve_idle_init(struct reeve_idle *idle, bool cores_short);

/* Something was done: the next wait is a short one again. */
void reeve_idle_reset(struct reeve_idle *idle);

/* Nothing was done: wait a little, longer each time.
 *   in  sleep_ns_max  no sleep is longer; 0: never sleep, only poll and yield. Usual: 500 us when idle, 20 us while
 *                     peers wait for this one (a sum is in progress) */
void reeve_idle_wait(struct reeve_idle *idle, reeve_time_ns sleep_ns_max);

#endif
