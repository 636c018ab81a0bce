/* The priorities that ready tasks have, each with a list of its tasks in the order in which they became ready; and which of
 * these lists, highest priority first, has any. Knows nothing of tasks: who uses it links them. Nothing is allocated.
 *
 * A priority, once seen, keeps its level. There is room for READY_LEVELS_MAX of them; tasks of any other one are the
 * caller's to keep. Cost: O(1), but for a priority never seen before: O(READY_LEVELS_MAX). */
#ifndef REEVE_CORE_READY_LEVELS_H
#define REEVE_CORE_READY_LEVELS_H

#include <stdbool.h>
#include <stdint.h>

#define READY_LEVELS_MAX 1024u
#define READY_LEVEL_NONE UINT32_MAX

struct ready_level {
    uint64_t last_order;  /* what the last task in the list is compared by */
    uint32_t first, last; /* tasks; READY_LEVEL_NONE: the list is empty */
    int32_t priority;
    uint32_t place; /* among all levels, in the order of priorities */
};

struct ready_levels {
    uint32_t count;
    uint32_t first;  /* what ready_levels_first() says */
    uint32_t recent; /* asked for last: mostly it is asked for again */
    uint64_t words;                             /* bit w: a bit of waiting[w] is set */
    uint64_t waiting[READY_LEVELS_MAX / 64];    /* bit p: the level at place p has tasks */
    uint16_t at_place[READY_LEVELS_MAX];        /* numbers of levels, highest priority first */
    uint16_t table[2 * READY_LEVELS_MAX];       /* of all priorities, hashed: number of the level + 1; 0: free */
    struct ready_level level[READY_LEVELS_MAX]; /* by number */
};

void ready_levels_init(struct ready_levels *l);

/* The number of this priority's level, made if it was not there; READY_LEVEL_NONE: there is none, and no more room. */
uint32_t ready_levels_of(struct ready_levels *l, int32_t priority);
/* Tell that the list of this level has tasks now, or has none. */
void ready_levels_set(struct ready_levels *l, uint32_t number, bool waiting);
/* Of those with tasks, the one with the highest priority; and of those below `number`. READY_LEVEL_NONE: there is none. */
uint32_t ready_levels_first(const struct ready_levels *l);
uint32_t ready_levels_below(const struct ready_levels *l, uint32_t number);

#endif
