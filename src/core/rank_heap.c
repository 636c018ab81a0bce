/* See rank_heap.h. Node i has the children 4i + 1 .. 4i + 4. */
#include "core/rank_heap.h"

#include <stddef.h>

#include "base/error.h"
#include "base/pages.h"

#define CHILDREN 4u
#define LINE_BYTES 64u
_Static_assert(CHILDREN * sizeof(struct reeve_rank) == LINE_BYTES, "the children of a node fill a cache line");

static void put(struct reeve_rank_heap *h, uint32_t at, struct reeve_rank rank)
{
    h->ranks[at] = rank;
    h->places[reeve_rank_item(rank)] = at;
}

/* The root ends a cache line, so that its first child begins one. */
static size_t memory_count(uint32_t items_max)
{
    return (size_t)items_max + CHILDREN - 1;
}

bool reeve_rank_heap_init(struct reeve_rank_heap *h, uint32_t items_max, uint32_t *places)
{
    struct reeve_rank *memory = reeve_pages_take(memory_count(items_max), sizeof(*memory));
    if (memory == NULL) return false;
    *h = (struct reeve_rank_heap){
        .ranks = memory + CHILDREN - 1, .places = places, .items_max = items_max, .memory = memory};
    return true;
}

void reeve_rank_heap_fini(struct reeve_rank_heap *h)
{
    reeve_pages_give_back(h->memory, memory_count(h->items_max), sizeof(struct reeve_rank));
    h->memory = NULL;
}

/* The place `at` is empty: move what ranks behind `rank` down into it, until `rank` fits. */
static void sift_up(struct reeve_rank_heap *h, uint32_t at, struct reeve_rank rank)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / CHILDREN;
        if (!reeve_rank_before(rank, h->ranks[parent])) break;
        put(h, at, h->ranks[parent]);
        at = parent;
    }
    put(h, at, rank);
}

/* The first of the children from `child` on. */
static uint32_t first_child(const struct reeve_rank_heap *h, uint32_t child)
{
    const struct reeve_rank *c = &h->ranks[child];
    if (h->count - child >= CHILDREN) { /* no branch depends on the ranks: they are as good as random */
        uint32_t left = reeve_rank_before(c[1], c[0]);
        uint32_t right = 2 + reeve_rank_before(c[3], c[2]);
        return child + (reeve_rank_before(c[right], c[left]) ? right : left);
    }
    uint32_t best = 0;
    for (uint32_t i = 1; i < h->count - child; i++)
        if (reeve_rank_before(c[i], c[best])) best = i;
    return child + best;
}

static void sift_down(struct reeve_rank_heap *h, uint32_t at, struct reeve_rank rank)
{
    for (uint32_t child = CHILDREN * at + 1; child < h->count; child = CHILDREN * at + 1) {
        /* Whichever child it is, its children are on one of these lines. Reading past the end is no harm here. */
        const struct reeve_rank *next = h->ranks + CHILDREN * (uint64_t)child + 1;
        for (uint32_t i = 0; i < CHILDREN; i++)
            __builtin_prefetch(next + CHILDREN * i);
        child = first_child(h, child);
        if (!reeve_rank_before(h->ranks[child], rank)) break;
        put(h, at, h->ranks[child]);
        at = child;
    }
    put(h, at, rank);
}

void reeve_rank_heap_insert(struct reeve_rank_heap *h, struct reeve_rank rank)
{
    sift_up(h, h->count++, rank);
}

void reeve_rank_heap_remove(struct reeve_rank_heap *h, uint32_t item)
{
    uint32_t at = h->places[item];
    REEVE_ASSERT(at < h->count && reeve_rank_item(h->ranks[at]) == item);
    struct reeve_rank last = h->ranks[--h->count];
    if (at == h->count) return;
    if (at > 0 && reeve_rank_before(last, h->ranks[(at - 1) / CHILDREN])) sift_up(h, at, last);
    else sift_down(h, at, last);
}

bool reeve_rank_heap_first(const struct reeve_rank_heap *h, struct reeve_rank *out)
{
    if (h->count > 0) *out = h->ranks[0];
    return h->count > 0;
}

bool reeve_rank_heap_check(const struct reeve_rank_heap *h, const void *context,
                           bool (*right)(const void *context, struct reeve_rank rank))
{
    for (uint32_t i = 0; i < h->count; i++) {
        if (!right(context, h->ranks[i]) || h->places[reeve_rank_item(h->ranks[i])] != i) return false;
        if (i > 0 && !reeve_rank_before(h->ranks[(i - 1) / CHILDREN], h->ranks[i])) return false;
    }
    return true;
}
