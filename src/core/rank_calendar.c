/* See rank_calendar.h. A bucket is a stack: all that is done with one is to push a rank and to pop one. */
#include "core/rank_calendar.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/pages.h"

#define NONE UINT32_MAX
#define HALF (RANK_BUCKET_MAX / 2)

/* Two neighbours together hold more than HALF, and of each bucket one node may not be full. */
static uint32_t buckets_needed(uint32_t ranks_max)
{
    return ranks_max / (HALF / 2) + 2;
}

bool reeve_rank_calendar_init(struct reeve_rank_calendar *c, uint32_t ranks_max, uint32_t *places)
{
    uint32_t buckets_max = buckets_needed(ranks_max);
    *c = (struct reeve_rank_calendar){
        .buckets_max = buckets_max, .nodes_max = ranks_max / RANK_NODE_RANKS + buckets_max, .free_node = NONE};
    c->buckets = reeve_pages_take(c->buckets_max, sizeof(*c->buckets));
    c->nodes = reeve_pages_take(c->nodes_max, sizeof(*c->nodes));
    c->sorting = reeve_pages_take(RANK_BUCKET_MAX, sizeof(*c->sorting));
    bool heap = reeve_rank_heap_init(&c->near, RANK_BUCKET_MAX, places);
    if (heap && c->buckets != NULL && c->nodes != NULL && c->sorting != NULL) return true;
    reeve_rank_calendar_fini(c);
    return false;
}

void reeve_rank_calendar_fini(struct reeve_rank_calendar *c)
{
    reeve_rank_heap_fini(&c->near);
    reeve_pages_give_back(c->sorting, RANK_BUCKET_MAX, sizeof(*c->sorting));
    reeve_pages_give_back(c->nodes, c->nodes_max, sizeof(*c->nodes));
    reeve_pages_give_back(c->buckets, c->buckets_max, sizeof(*c->buckets));
    c->sorting = NULL;
    c->nodes = NULL;
    c->buckets = NULL;
}

/* ---- one bucket ---- */

static void push(struct reeve_rank_calendar *c, struct rank_bucket *b, struct reeve_rank rank)
{
    uint32_t at = b->count % RANK_NODE_RANKS;
    if (at == 0) {
        uint32_t node = c->free_node;
        if (node != NONE) c->free_node = c->nodes[node].next;
        else node = c->node_count++;
        REEVE_ASSERT(node < c->nodes_max);
        c->nodes[node].next = b->node;
        b->node = node;
    }
    c->nodes[b->node].ranks[at] = rank;
    b->count++;
}

static struct reeve_rank pop(struct reeve_rank_calendar *c, struct rank_bucket *b)
{
    uint32_t at = --b->count % RANK_NODE_RANKS, node = b->node;
    struct reeve_rank rank = c->nodes[node].ranks[at];
    if (at == 0) {
        b->node = c->nodes[node].next;
        c->nodes[node].next = c->free_node;
        c->free_node = node;
    }
    return rank;
}

/* ---- all buckets ---- */

/* The first bucket, the last one being in front, whose range begins at or before `rank`; bucket_count: it is near. */
static uint32_t bucket_for(const struct reeve_rank_calendar *c, struct reeve_rank rank)
{
    uint32_t at = 0; /* no branch depends on the ranks: they are as good as random */
    for (uint32_t left = c->bucket_count; left > 0;) {
        uint32_t half = left / 2;
        bool later = reeve_rank_before(rank, c->buckets[at + half].from);
        at = later ? at + half + 1 : at;
        left = later ? left - half - 1 : half;
    }
    return at;
}

static bool is_near(const struct reeve_rank_calendar *c, struct reeve_rank rank)
{
    return c->bucket_count == 0 || reeve_rank_before(rank, c->buckets[c->bucket_count - 1].from);
}

static struct rank_bucket *insert_bucket(struct reeve_rank_calendar *c, uint32_t at, struct reeve_rank from)
{
    REEVE_ASSERT(c->bucket_count < c->buckets_max);
    struct rank_bucket *b = &c->buckets[at];
    memmove(b + 1, b, (c->bucket_count++ - at) * sizeof(*b));
    *b = (struct rank_bucket){.from = from, .node = NONE};
    return b;
}

static void remove_bucket(struct reeve_rank_calendar *c, uint32_t at)
{
    struct rank_bucket *b = &c->buckets[at];
    memmove(b, b + 1, (--c->bucket_count - at) * sizeof(*b));
}

/* Hoare's selection: what comes before the middle is in front of it then, what comes after it behind. */
static void sort_around(struct reeve_rank *ranks, uint32_t count, uint32_t middle)
{
    uint32_t low = 0, high = count - 1;
    while (low < high) {
        struct reeve_rank pivot = ranks[low + (high - low) / 2];
        uint32_t i = low, j = high;
        for (;;) {
            while (reeve_rank_before(ranks[i], pivot))
                i++;
            while (reeve_rank_before(pivot, ranks[j]))
                j--;
            if (i >= j) break;
            struct reeve_rank swap = ranks[i];
            ranks[i++] = ranks[j];
            ranks[j--] = swap;
        }
        if (middle <= j) high = j;
        else low = j + 1;
    }
}

/* The later half of these goes to a new bucket before bucket `at`; the others stay in front of `ranks`. */
static uint32_t split(struct reeve_rank_calendar *c, uint32_t at, struct reeve_rank *ranks, uint32_t count)
{
    sort_around(ranks, count, count / 2);
    struct rank_bucket *later = insert_bucket(c, at, ranks[count / 2]);
    for (uint32_t i = count / 2; i < count; i++)
        push(c, later, ranks[i]);
    return count / 2;
}

static void split_bucket(struct reeve_rank_calendar *c, uint32_t at)
{
    struct rank_bucket *b = &c->buckets[at];
    uint32_t count = b->count;
    for (uint32_t i = 0; i < count; i++)
        c->sorting[i] = pop(c, b);
    uint32_t stay = split(c, at, c->sorting, count);
    for (uint32_t i = 0; i < stay; i++)
        push(c, &c->buckets[at + 1], c->sorting[i]);
}

static void split_near(struct reeve_rank_calendar *c)
{
    uint32_t count = c->near.count;
    memcpy(c->sorting, c->near.ranks, count * sizeof(*c->sorting));
    uint32_t stay = split(c, c->bucket_count, c->sorting, count);
    c->near.count = 0;
    for (uint32_t i = 0; i < stay; i++)
        reeve_rank_heap_insert(&c->near, c->sorting[i]);
}

/* The next bucket becomes near. */
static void come_near(struct reeve_rank_calendar *c)
{
    struct rank_bucket *b = &c->buckets[--c->bucket_count];
    while (b->count > 0)
        reeve_rank_heap_insert(&c->near, pop(c, b));
}

/* The bucket lost a rank: is it to be one with its neighbour behind? */
static bool merge(struct reeve_rank_calendar *c, uint32_t at)
{
    if (at + 1 >= c->bucket_count || c->buckets[at].count + c->buckets[at + 1].count > HALF) return false;
    while (c->buckets[at].count > 0)
        push(c, &c->buckets[at + 1], pop(c, &c->buckets[at]));
    remove_bucket(c, at);
    return true;
}

/* ---- the set ---- */

static void remove_from_bucket(struct reeve_rank_calendar *c, uint32_t at, struct reeve_rank rank)
{
    struct rank_bucket *b = &c->buckets[at];
    uint32_t node = b->node, left = b->count % RANK_NODE_RANKS;
    if (left == 0) left = RANK_NODE_RANKS;
    struct reeve_rank *found = NULL;
    for (; found == NULL && node != NONE; node = c->nodes[node].next, left = RANK_NODE_RANKS)
        for (uint32_t i = 0; i < left; i++)
            if (c->nodes[node].ranks[i].low == rank.low && c->nodes[node].ranks[i].high == rank.high)
                found = &c->nodes[node].ranks[i];
    REEVE_ASSERT(found != NULL);
    *found = pop(c, b); /* or itself */
    if (merge(c, at) || (at > 0 && merge(c, at - 1))) return;
    if (c->buckets[at].count == 0) remove_bucket(c, at);
}

void reeve_rank_calendar_insert(struct reeve_rank_calendar *c, struct reeve_rank rank)
{
    uint32_t at = bucket_for(c, rank);
    bool near = at == c->bucket_count;
    if ((near ? c->near.count : c->buckets[at].count) == RANK_BUCKET_MAX) {
        if (near) split_near(c);
        else split_bucket(c, at);
        at = bucket_for(c, rank);
    }
    if (at == c->bucket_count) reeve_rank_heap_insert(&c->near, rank);
    else push(c, &c->buckets[at], rank);
    c->count++;
}

bool reeve_rank_calendar_remove(struct reeve_rank_calendar *c, struct reeve_rank rank)
{
    c->count--;
    if (!is_near(c, rank)) {
        remove_from_bucket(c, bucket_for(c, rank), rank);
        return false;
    }
    reeve_rank_heap_remove(&c->near, reeve_rank_item(rank));
    if (c->near.count > 0 || c->bucket_count == 0) return false;
    come_near(c);
    return true;
}

bool reeve_rank_calendar_first(const struct reeve_rank_calendar *c, struct reeve_rank *out)
{
    return reeve_rank_heap_first(&c->near, out);
}

static bool bucket_sound(const struct reeve_rank_calendar *c, uint32_t at, const void *context,
                         bool (*right)(const void *context, struct reeve_rank rank))
{
    const struct rank_bucket *b = &c->buckets[at];
    if (b->count == 0 || b->count > RANK_BUCKET_MAX) return false;
    if (at > 0 && !reeve_rank_before(b->from, b[-1].from)) return false;
    if (at > 0 && b->count + b[-1].count <= HALF) return false;
    uint32_t node = b->node, left = b->count, here = (left - 1) % RANK_NODE_RANKS + 1;
    for (; left > 0; left -= here, here = RANK_NODE_RANKS, node = c->nodes[node].next) {
        if (node >= c->node_count) return false;
        for (uint32_t i = 0; i < here; i++) {
            struct reeve_rank rank = c->nodes[node].ranks[i];
            if (reeve_rank_before(rank, b->from) || (at > 0 && !reeve_rank_before(rank, b[-1].from))) return false;
            if (!right(context, rank)) return false;
        }
    }
    return node == NONE;
}

bool reeve_rank_calendar_check(const struct reeve_rank_calendar *c, const void *context,
                               bool (*right)(const void *context, struct reeve_rank rank))
{
    if (!reeve_rank_heap_check(&c->near, context, right) || (c->near.count == 0 && c->bucket_count > 0)) return false;
    for (uint32_t i = 0; i < c->near.count; i++)
        if (!is_near(c, c->near.ranks[i])) return false;
    uint64_t count = c->near.count, nodes = 0;
    for (uint32_t i = 0; i < c->bucket_count; i++) {
        if (!bucket_sound(c, i, context, right)) return false;
        count += c->buckets[i].count;
        nodes += (c->buckets[i].count + RANK_NODE_RANKS - 1) / RANK_NODE_RANKS;
    }
    for (uint32_t node = c->free_node; node != NONE && nodes <= c->node_count; node = c->nodes[node].next)
        nodes++;
    return count == c->count && nodes == c->node_count;
}
