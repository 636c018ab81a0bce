/* Pairing heap; see heap.h. Iterative, so that no input can exhaust the stack. */
#include "core/heap.h"

#include <stddef.h>

#define NONE REEVE_HEAP_NONE

static uint32_t meld(struct reeve_heap_link *l, const void *items, reeve_heap_before *before, uint32_t a, uint32_t b)
{
    if (a == NONE) return b;
    if (b == NONE) return a;
    if (before(items, b, a)) {
        uint32_t swap = a;
        a = b;
        b = swap;
    }
    l[b].prev = a;
    l[b].next = l[a].child;
    if (l[a].child != NONE) l[l[a].child].prev = b;
    l[a].child = b;
    l[a].next = NONE;
    l[a].prev = NONE;
    return a;
}

/* Two passes: meld neighbours from left to right, then the results from right to left. */
static uint32_t combine_siblings(struct reeve_heap_link *l, const void *items, reeve_heap_before *before,
                                 uint32_t first)
{
    uint32_t stack = NONE; /* melded pairs, linked through `next`, last pair on top */
    while (first != NONE) {
        uint32_t a = first;
        uint32_t b = l[a].next;
        first = b == NONE ? NONE : l[b].next;
        l[a].next = l[a].prev = NONE;
        if (b != NONE) l[b].next = l[b].prev = NONE;
        uint32_t pair = meld(l, items, before, a, b);
        l[pair].next = stack;
        stack = pair;
    }
    uint32_t root = NONE;
    while (stack != NONE) {
        uint32_t pair = stack;
        stack = l[pair].next;
        l[pair].next = NONE;
        root = meld(l, items, before, root, pair);
    }
    return root;
}

void reeve_heap_insert(struct reeve_heap *h, struct reeve_heap_link *links, const void *items,
                       reeve_heap_before *before, uint32_t item)
{
    links[item] = (struct reeve_heap_link){NONE, NONE, NONE};
    h->root = meld(links, items, before, h->root, item);
}

void reeve_heap_remove(struct reeve_heap *h, struct reeve_heap_link *links, const void *items,
                       reeve_heap_before *before, uint32_t item)
{
    uint32_t rest = combine_siblings(links, items, before, links[item].child);
    if (h->root == item) {
        h->root = rest;
    } else {
        uint32_t prev = links[item].prev;
        uint32_t next = links[item].next;
        if (links[prev].child == item) links[prev].child = next;
        else links[prev].next = next;
        if (next != NONE) links[next].prev = prev;
        h->root = meld(links, items, before, h->root, rest);
    }
    links[item] = (struct reeve_heap_link){NONE, NONE, NONE};
}

uint32_t reeve_heap_second(const struct reeve_heap *h, const struct reeve_heap_link *links, const void *items,
                           reeve_heap_before *before, uint32_t look_max)
{
    if (h->root == NONE) return NONE;
    uint32_t best = NONE;
    uint32_t at = links[h->root].child;
    for (uint32_t n = 0; at != NONE && n < look_max; n++, at = links[at].next)
        if (best == NONE || before(items, at, best)) best = at;
    return best;
}
