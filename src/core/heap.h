/* A pairing heap over numbered items: the links live in arrays beside the items, so nothing is allocated after creation
 * and any item can be taken out from the middle. One item is in at most one place of one `links` array at a time.
 * Items that come in their order, which is the rule, wait in a list beside the heap, and cost O(1) to add and to take;
 * only the others go through the heap, whose first removal after n insertions would cost O(n).
 * Source: Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap", Algorithmica 1 (1986). */
#ifndef REEVE_CORE_HEAP_H
#define REEVE_CORE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#define REEVE_HEAP_NONE UINT32_MAX

struct reeve_heap_link {
    uint32_t child; /* first child */
    uint32_t next;  /* next sibling */
    uint32_t prev;  /* previous sibling, or the parent for a first child */
};

/* True if item a comes out before item b. A total order: never true both ways. */
typedef bool reeve_heap_before(const void *items, uint32_t a, uint32_t b);

#define REEVE_HEAP_LISTED (UINT32_MAX - 1) /* `child` of an item in the list, where `next` and `prev` are neighbours */

struct reeve_heap {
    uint32_t root;                  /* REEVE_HEAP_NONE: empty */
    uint32_t list_first, list_last; /* REEVE_HEAP_NONE: empty */
};

void reeve_heap_init(struct reeve_heap *h);
/* Cost: O(1). */
void reeve_heap_insert(struct reeve_heap *h, struct reeve_heap_link *links, const void *items,
                       reeve_heap_before *before, uint32_t item);
/* Take an item out, wherever it is in h. Cost: O(1) in the list, O(log n) amortised in the heap. */
void reeve_heap_remove(struct reeve_heap *h, struct reeve_heap_link *links, const void *items,
                       reeve_heap_before *before, uint32_t item);
/* NONE: empty. Cost: O(1). */
uint32_t reeve_heap_first(const struct reeve_heap *h, const void *items, reeve_heap_before *before);
/* The first item after the first, looking at no more than `look_max` of the root's children; NONE if there is none. */
uint32_t reeve_heap_second(const struct reeve_heap *h, const struct reeve_heap_link *links, const void *items,
                           reeve_heap_before *before, uint32_t look_max);

#endif
