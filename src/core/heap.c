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

void reeve_heap_init(struct reeve_heap *h)
{
    *h = (struct reeve_heap){NONE, NONE, NONE};
}

void reeve_heap_insert(struct reeve_heap *h, struct reeve_heap_link *links, const void *items,
                       reeve_heap_before *before, uint32_t item)
{
    if (h->list_last != NONE && before(items, item, h->list_last)) {
        links[item] = (struct reeve_heap_link){NONE, NONE, NONE};
        h->root = meld(links, items, before, h->root, item);
        return;
    }
    links[item] = (struct reeve_heap_link){.child = REEVE_HEAP_LISTED, .next = NONE, .prev = h->list_last};
    if (h->list_last != NONE) links[h->list_last].next = item;
    else h->list_first = item;
    h->list_last = item;
}

static void remove_listed(struct reeve_heap *h, struct reeve_heap_link *links, uint32_t item)
{
    uint32_t prev = links[item].prev, next = links[item].next;
    if (prev != NONE) links[prev].next = next;
    else h->list_first = next;
    if (next != NONE) links[next].prev = prev;
    else h->list_last = prev;
}

static void remove_melded(struct reeve_heap *h, struct reeve_heap_link *links, const void *items,
                          reeve_heap_before *before, uint32_t item)
{
    uint32_t rest = combine_siblings(links, items, before, links[item].child);
    if (h->root == item) {
        h->root = rest;
        return;
    }
    uint32_t prev = links[item].prev, next = links[item].next;
    if (links[prev].child == item) links[prev].child = next;
    else links[prev].next = next;
    if (next != NONE) links[next].prev = prev;
    h->root = meld(links, items, before, h->root, rest);
}

void reeve_heap_remove(struct reeve_heap *h, struct reeve_heap_link *links, const void *items,
                       reeve_heap_before *before, uint32_t item)
{
    if (links[item].child == REEVE_HEAP_LISTED) remove_listed(h, links, item);
    else remove_melded(h, links, items, before, item);
    links[item] = (struct reeve_heap_link){NONE, NONE, NONE};
}

static uint32_t earlier(const void *items, reeve_heap_before *before, uint32_t a, uint32_t b)
{
    if (a == NONE || b == NONE) return a == NONE ? b : a;
    return before(items, b, a) ? b : a;
}

uint32_t reeve_heap_first(const struct reeve_heap *h, const void *items, reeve_heap_before *before)
{
    return earlier(items, before, h->list_first, h->root);
}

uint32_t reeve_heap_second(const struct reeve_heap *h, const struct reeve_heap_link *links, const void *items,
                           reeve_heap_before *before, uint32_t look_max)
{
    uint32_t first = reeve_heap_first(h, items, before);
    if (first == NONE) return NONE;
    if (first == h->list_first) return earlier(items, before, links[first].next, h->root);
    uint32_t best = h->list_first;
    uint32_t at = links[h->root].child;
    for (uint32_t n = 0; at != NONE && n < look_max; n++, at = links[at].next)
        best = earlier(items, before, best, at);
    return best;
}
