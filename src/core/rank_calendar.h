/* A set of ranks from which the first is taken, for ranks that are in no cache because there are a million of them:
 * those that come next are in a small heap, all later ones in buckets without an order, one for each range of ranks. To
 * add a rank is to find its bucket and write behind what is there; when the heap is empty the next bucket is put into
 * it. So the lower levels of a large heap, each of which is a read from memory at every removal, are not there.
 *
 * The ranges follow the ranks: a full bucket is split in the middle of what it holds, and what is left of two
 * neighbours becomes one. Nothing is allocated after init(). Which rank is first depends on the ranks alone.
 * Cost: O(log n), and O(BUCKET_MAX + n / BUCKET_MAX) at worst, once in some BUCKET_MAX / 2 times.
 * Source: Tang, Goh, Thng, "Ladder queue", ACM TOMACS 15 (2005). */
#ifndef REEVE_CORE_RANK_CALENDAR_H
#define REEVE_CORE_RANK_CALENDAR_H

#include "core/rank_heap.h"

#define RANK_BUCKET_MAX 256u /* ranks */
#define RANK_NODE_RANKS 15u

/* Some of the ranks of one bucket. */
struct rank_node {
    struct reeve_rank ranks[RANK_NODE_RANKS];
    uint32_t next; /* node of the same bucket, which is full; or free */
    uint32_t unused[3];
};
_Static_assert(sizeof(struct rank_node) == 256, "a node is four cache lines");

struct rank_bucket {
    struct reeve_rank from; /* no rank in it comes before this one */
    uint32_t node;          /* the only one that may not be full */
    uint32_t count;         /* ranks, 1 to BUCKET_MAX */
};

struct reeve_rank_calendar {
    struct reeve_rank_heap near; /* all before the last bucket's `from`; empty only if there is no bucket */
    struct rank_bucket *buckets; /* (buckets_max,) owned; what comes last is in front */
    struct rank_node *nodes;     /* (nodes_max,) owned */
    struct reeve_rank *sorting;  /* (BUCKET_MAX,) owned; a bucket that is being split */
    uint32_t bucket_count, buckets_max;
    uint32_t node_count, nodes_max; /* taken so far */
    uint32_t free_node;
    uint32_t count; /* ranks */
};

/* `places` as in rank_heap.h. False: out of memory. */
bool reeve_rank_calendar_init(struct reeve_rank_calendar *c, uint32_t ranks_max, uint32_t *places);
void reeve_rank_calendar_fini(struct reeve_rank_calendar *c);

void reeve_rank_calendar_insert(struct reeve_rank_calendar *c, struct reeve_rank rank); /* it is not in c */
/* It is in c (asserted). True: others came near, and who will read what they stand for may fetch it meanwhile. */
bool reeve_rank_calendar_remove(struct reeve_rank_calendar *c, struct reeve_rank rank);
bool reeve_rank_calendar_first(const struct reeve_rank_calendar *c, struct reeve_rank *out); /* false: empty. O(1) */

/* Proves the invariants by looking at everything, and asks `right` for each rank. False: something is wrong. */
bool reeve_rank_calendar_check(const struct reeve_rank_calendar *c, const void *context,
                               bool (*right)(const void *context, struct reeve_rank rank));

#endif
