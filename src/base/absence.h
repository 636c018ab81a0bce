/* Time in which this process did not run although it would have: the whole job was suspended (scontrol suspend, Ctrl-Z), the
 * machine slept, or it was swapped out. Nothing tells of it but two looks at the clock that lie too far apart. Others may
 * have stood still as well, so nobody is blamed for it: a patience with them is put off by it, or begins anew. */
#ifndef REEVE_BASE_ABSENCE_H
#define REEVE_BASE_ABSENCE_H

#include "base/clock.h"

/* Longer between two looks of a loop that turns every second or faster: it was away. */
#define REEVE_ABSENCE_NS (2 * REEVE_SECOND_NS)
/* Where the time of a user's work is given back for it, a slow disk shall not count: this long only a suspended job is. */
#define REEVE_SUSPENSION_NS (10 * REEVE_SECOND_NS)

/* How long this process was away since *looked_ns: what has passed since, if that is more than least_ns, else 0. Looks anew. */
static inline reeve_time_ns reeve_absence(reeve_time_ns *looked_ns, reeve_time_ns now_ns, reeve_time_ns least_ns)
{
    reeve_time_ns passed_ns = now_ns - *looked_ns;
    *looked_ns = now_ns;
    return passed_ns > least_ns ? passed_ns : 0;
}

#endif
