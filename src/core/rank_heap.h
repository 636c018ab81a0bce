/* A heap of numbered items, each with its rank beside it: four children a node, so that one level is one cache line of
 * 64 bytes, and an item is read only once it was chosen. Any item can be taken out from the middle. Nothing is
 * allocated after init(). Every operation costs O(log n) at worst, O(1) for an item that goes behind all others.
 * Source: LaMarca, Ladner, "The influence of caches on the performance of heaps", ACM JEA 1 (1996). */
#ifndef REEVE_CORE_RANK_HEAP_H
#define REEVE_CORE_RANK_HEAP_H

#include "core/rank.h"

struct reeve_rank_heap {
    struct reeve_rank *ranks; /* (items_max,) in heap order; into `memory`, the children of a node on one cache line */
    uint32_t *places;         /* (items_max,) borrowed: where in `ranks` an item is. Heaps may share it, if no item is
                               * in two of them */
    uint32_t count, items_max;
    void *memory; /* owned */
};

bool reeve_rank_heap_init(struct reeve_rank_heap *h, uint32_t items_max, uint32_t *places); /* false: out of memory */
void reeve_rank_heap_fini(struct reeve_rank_heap *h);

void reeve_rank_heap_insert(struct reeve_rank_heap *h, struct reeve_rank rank);
void reeve_rank_heap_remove(struct reeve_rank_heap *h, uint32_t item);               /* it is in h (asserted) */
bool reeve_rank_heap_first(const struct reeve_rank_heap *h, struct reeve_rank *out); /* false: it is empty */

/* Proves the invariants by looking at everything, and asks `right` for each rank. False: something is wrong. */
bool reeve_rank_heap_check(const struct reeve_rank_heap *h, const void *context,
                           bool (*right)(const void *context, struct reeve_rank rank));

#endif
