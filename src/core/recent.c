/* See recent.h. */
#include "core/recent.h"

void reeve_recent_add(struct reeve_recent *r, reeve_time_ns figure)
{
    r->figure[r->count++ % REEVE_RECENT_MAX] = figure;
}

reeve_time_ns reeve_recent_median(const struct reeve_recent *r)
{
    reeve_time_ns sorted[REEVE_RECENT_MAX];
    uint32_t count = r->count < REEVE_RECENT_MAX ? r->count : REEVE_RECENT_MAX;
    for (uint32_t i = 0; i < count; i++) { /* insertion: there are few */
        uint32_t at = i;
        for (; at > 0 && sorted[at - 1] > r->figure[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = r->figure[i];
    }
    return count > 0 ? sorted[count / 2] : 0;
}
