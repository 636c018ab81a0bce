/* What numbered items are ordered by: two words, compared as one number. */
#ifndef REEVE_CORE_RANK_H
#define REEVE_CORE_RANK_H

#include <stdbool.h>
#include <stdint.h>

#define REEVE_RANK_NONE UINT32_MAX /* no item */

/* Lower comes first: `high`, then `low`. The item's number is the last 32 bits, so no two ranks are equal. */
struct reeve_rank {
    uint64_t high, low;
};

static inline bool reeve_rank_before(struct reeve_rank a, struct reeve_rank b)
{
    return ((unsigned __int128)a.high << 64 | a.low) < ((unsigned __int128)b.high << 64 | b.low);
}

static inline uint32_t reeve_rank_item(struct reeve_rank rank)
{
    return (uint32_t)rank.low;
}

#endif
