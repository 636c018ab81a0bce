/* Proves the queue's invariants by looking at everything; see queue_index.h for which state is where. */
#include <stdlib.h>
#include <string.h>

#include "core/queue_index.h"

#define NONE REEVE_HEAP_NONE

/* Number of items in the list beside a group's heap, or UINT32_MAX when its order or links are broken. */
static uint32_t list_size(const reeve_queue *q, const struct reeve_heap *h)
{
    const struct reeve_heap_link *l = q->group_links;
    uint32_t n = 0, prev = NONE;
    for (uint32_t at = h->list_first; at != NONE; prev = at, at = l[at].next, n++)
        if (n >= q->limits.tasks_max || l[at].child != REEVE_HEAP_LISTED || l[at].prev != prev ||
            (prev != NONE && !queue_ready_before(q->tasks, prev, at)))
            return UINT32_MAX;
    return prev == h->list_last ? n : UINT32_MAX;
}

/* The same for the heap itself. Walks without recursion. */
static uint32_t heap_size(const reeve_queue *q, const struct reeve_heap *h)
{
    const struct reeve_heap_link *l = q->group_links;
    if (h->root == NONE) return 0;
    uint32_t n = 1;
    uint32_t at = h->root;
    while (n <= q->limits.tasks_max) {
        uint32_t parent = at;
        if (l[at].child != NONE) {
            at = l[at].child;
            if (l[at].prev != parent || queue_ready_before(q->tasks, at, parent)) return UINT32_MAX;
            n++;
            continue;
        }
        while (at != h->root && l[at].next == NONE) {
            while (l[l[at].prev].child != at)
                at = l[at].prev; /* back to the first sibling */
            at = l[at].prev;
        }
        if (at == h->root) return n;
        uint32_t next = l[at].next;
        if (l[next].prev != at) return UINT32_MAX;
        at = next;
        n++;
    }
    return UINT32_MAX;
}

/* Number of tasks in the list of one priority, or UINT32_MAX. */
static uint32_t level_size(const reeve_queue *q, const struct ready_level *level)
{
    uint32_t n = 0, prev = NONE;
    for (uint32_t at = level->first; at != NONE; prev = at, at = q->tasks[at].next, n++)
        if (n >= q->limits.tasks_max || q->places[at] != QUEUE_LISTED || q->tasks[at].prev != prev ||
            q->tasks[at].state != REEVE_STATE_READY || q->tasks[at].priority != level->priority ||
            (prev != NONE && !queue_ready_before(q->tasks, prev, at)))
            return UINT32_MAX;
    if (prev != NONE && level->last_order != queue_ready_order(&q->tasks[prev])) return UINT32_MAX;
    return prev == level->last ? n : UINT32_MAX;
}

/* The same of all priorities. Those with tasks must be met in their order, and no others. */
static uint32_t ready_list_size(const reeve_queue *q)
{
    uint32_t n = 0, met = 0, above = READY_LEVEL_NONE;
    for (uint32_t i = 0; i < q->levels.count; i++) {
        uint32_t size = level_size(q, &q->levels.level[i]);
        if (size == UINT32_MAX) return UINT32_MAX;
        met += size > 0;
        n += size;
    }
    for (uint32_t at = ready_levels_first(&q->levels); at != READY_LEVEL_NONE;
         above = at, at = ready_levels_below(&q->levels, at), met--)
        if (met == 0 || q->levels.level[at].first == NONE ||
            (above != READY_LEVEL_NONE && q->levels.level[above].priority <= q->levels.level[at].priority))
            return UINT32_MAX;
    return met == 0 ? n : UINT32_MAX;
}

static bool is_rank(const reeve_queue *q, struct reeve_rank rank, enum reeve_task_state state,
                    struct reeve_rank (*rank_of)(const struct reeve_task *t, uint32_t id))
{
    uint32_t id = reeve_rank_item(rank);
    if (id >= q->limits.tasks_max || q->tasks[id].state != state) return false;
    struct reeve_rank expected = rank_of(&q->tasks[id], id);
    return rank.high == expected.high && rank.low == expected.low;
}

static bool is_ready_rank(const void *q, struct reeve_rank rank)
{
    return is_rank(q, rank, REEVE_STATE_READY, queue_ready_rank);
}

static bool is_delay_rank(const void *q, struct reeve_rank rank)
{
    return is_rank(q, rank, REEVE_STATE_DELAYED, queue_timer_rank);
}

static bool is_lease_rank(const void *q, struct reeve_rank rank)
{
    return is_rank(q, rank, REEVE_STATE_LEASED, queue_timer_rank);
}

/* The edges of one task, each counted to the task that waits. Returns how many there are, or UINT32_MAX. */
static uint32_t edge_count(const reeve_queue *q, uint32_t first, uint32_t *waits)
{
    uint32_t n = 0;
    for (uint32_t e = first; e != NONE; e = q->edges[e].next, n++) {
        if (n >= q->limits.edges_max) return UINT32_MAX;
        if (waits != NULL && queue_edge_lives(q, &q->edges[e])) waits[q->edges[e].task]++;
    }
    return n;
}

/* Every edge is in one list, every slot that is free too, and tasks wait for as many as there are edges to them. */
static const char *check_waiting(const reeve_queue *q, uint32_t *waits)
{
    uint32_t edges = edge_count(q, q->free_edge, NULL), in_use = 0, n = 0;
    if (edges == UINT32_MAX) return "list of free edges";
    for (uint32_t i = 0; i < q->limits.tasks_max; i++) {
        if (q->tasks[i].state == REEVE_STATE_FREE) continue;
        uint32_t more = edge_count(q, q->tasks[i].first_edge, waits);
        if (more == UINT32_MAX) return "edges of a task";
        edges += more;
        in_use++;
    }
    if (edges != q->limits.edges_max) return "an edge is lost";
    for (uint32_t i = 0; i < q->limits.tasks_max; i++)
        if (q->tasks[i].state == REEVE_STATE_BLOCKED && q->tasks[i].waits_for != NONE &&
            q->tasks[i].waits_for != waits[i])
            return "waits for more or fewer than there are edges to it";
    for (uint32_t at = q->free_head; at != NONE && n <= q->limits.tasks_max; at = q->tasks[at].next, n++)
        if (q->tasks[at].state != REEVE_STATE_FREE) return "in use, and in the list of free slots";
    return n + in_use == q->limits.tasks_max ? NULL : "list of free slots";
}

const char *reeve_queue_check(const reeve_queue *q)
{
    uint32_t counts[REEVE_TASK_KINDS][REEVE_STATE_STATES] = {{0}};
    uint32_t soft_or_none = 0, grouped = 0, held = 0;
    for (uint32_t i = 0; i < q->limits.tasks_max; i++) {
        const struct reeve_task *t = &q->tasks[i];
        if (t->state == REEVE_STATE_FREE) continue;
        if (t->state >= REEVE_STATE_STATES || t->kind == 0 || t->kind >= REEVE_TASK_KINDS)
            return "unknown kind or state";
        counts[t->kind][t->state]++;
        bool holding = t->state == REEVE_STATE_LEASED || t->state == REEVE_STATE_COMPUTED;
        if (holding != (t->holder != 0)) return "holder without a lease, or a lease without a holder";
        if (t->state == REEVE_STATE_READY) {
            soft_or_none += t->affinity != REEVE_AFFINITY_HARD;
            grouped += t->affinity != REEVE_AFFINITY_NONE;
            if (t->waits_for != 0) return "ready while it waits";
        }
        held += holding;
    }
    if (memcmp(counts, q->counts, sizeof(counts)) != 0) return "counts differ from the tasks";
    for (int state = 0; state < REEVE_STATE_STATES; state++) {
        uint32_t n = 0;
        for (int kind = 1; kind < REEVE_TASK_KINDS; kind++)
            n += counts[kind][state];
        if (n != q->totals[state]) return "totals differ from the counts";
    }
    uint32_t ready_listed = ready_list_size(q);
    if (ready_listed == UINT32_MAX) return "ready list";
    if (q->ready.count + ready_listed != soft_or_none || !reeve_rank_heap_check(&q->ready, q, is_ready_rank))
        return "ready heap";
    if (q->delays.count != q->totals[REEVE_STATE_DELAYED] || !reeve_rank_calendar_check(&q->delays, q, is_delay_rank))
        return "calendar of delays";
    if (q->leases.count != q->totals[REEVE_STATE_LEASED] || !reeve_rank_heap_check(&q->leases, q, is_lease_rank))
        return "heap of leases";
    uint32_t in_groups = 0, in_lists = 0;
    for (uint32_t g = 0; g < q->limits.workers_max + 1 + q->limits.nodes_max + 1; g++) {
        uint32_t listed = list_size(q, &q->group_ready[g]), melded = heap_size(q, &q->group_ready[g]);
        if (listed == UINT32_MAX || melded == UINT32_MAX) return "an affinity heap";
        in_groups += listed + melded;
    }
    if (in_groups != grouped) return "affinity heaps";
    for (uint32_t w = 0; w <= q->limits.workers_max; w++) {
        uint32_t n = 0;
        for (uint32_t at = q->held_head[w]; at != NONE && n <= held; at = q->tasks[at].next, n++)
            if (q->tasks[at].holder != w) return "in the list of another holder";
        if (n != q->held_count[w]) return "count of what a worker holds";
        in_lists += n;
    }
    if (in_lists != held) return "lists of holders";
    uint32_t *waits = calloc(q->limits.tasks_max, sizeof(*waits));
    if (waits == NULL) return "no memory to look";
    const char *wrong = check_waiting(q, waits);
    free(waits);
    return wrong;
}
