/* The last few figures of something that is measured time and again, and their median: what it usually takes, whatever
 * single figures say. Pure. */
#ifndef REEVE_CORE_RECENT_H
#define REEVE_CORE_RECENT_H

#include <stdint.h>

#include "reeve/ids.h"

#define REEVE_RECENT_MAX 31u

struct reeve_recent {
    reeve_time_ns figure[REEVE_RECENT_MAX]; /* a ring */
    uint32_t count;                         /* figures ever put into it */
};

void reeve_recent_add(struct reeve_recent *r, reeve_time_ns figure);
reeve_time_ns reeve_recent_median(const struct reeve_recent *r); /* 0: there is no figure yet */

#endif
