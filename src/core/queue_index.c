/* The queue's memory and indices; see queue_index.h for which state is where. */
#include "core/queue_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define NONE REEVE_HEAP_NONE

bool queue_ready_before(const void *tasks, uint32_t a, uint32_t b)
{
    const struct reeve_task *x = (const struct reeve_task *)tasks + a;
    const struct reeve_task *y = (const struct reeve_task *)tasks + b;
    if (x->priority != y->priority) return x->priority > y->priority;
    if (x->redelivered != y->redelivered) return x->redelivered > y->redelivered;
    return x->sequence < y->sequence;
}

bool queue_timer_before(const void *tasks, uint32_t a, uint32_t b)
{
    const struct reeve_task *x = (const struct reeve_task *)tasks + a;
    const struct reeve_task *y = (const struct reeve_task *)tasks + b;
    if (x->due_ns != y->due_ns) return x->due_ns < y->due_ns;
    return x->sequence < y->sequence;
}

static void hold(reeve_queue *q, uint32_t id)
{
    struct reeve_task *t = &q->tasks[id];
    t->held_prev = NONE;
    t->held_next = q->held_head[t->holder];
    if (t->held_next != NONE) q->tasks[t->held_next].held_prev = id;
    q->held_head[t->holder] = id;
    q->held_count[t->holder]++;
}

static void unhold(reeve_queue *q, uint32_t id)
{
    struct reeve_task *t = &q->tasks[id];
    if (t->held_prev != NONE) q->tasks[t->held_prev].held_next = t->held_next;
    else q->held_head[t->holder] = t->held_next;
    if (t->held_next != NONE) q->tasks[t->held_next].held_prev = t->held_prev;
    t->held_next = t->held_prev = NONE;
    q->held_count[t->holder]--;
}

void queue_enter(reeve_queue *q, uint32_t id, enum reeve_task_state state)
{
    struct reeve_task *t = &q->tasks[id];
    t->state = (uint8_t)state;
    q->counts[t->kind][state]++;
    if (state == REEVE_STATE_READY) {
        if (t->affinity != REEVE_AFFINITY_HARD)
            reeve_heap_insert(&q->ready, q->ready_links, q->tasks, queue_ready_before, id);
        if (t->affinity != REEVE_AFFINITY_NONE)
            reeve_heap_insert(&q->group_ready[t->group], q->group_links, q->tasks, queue_ready_before, id);
    }
    if (state == REEVE_STATE_DELAYED || state == REEVE_STATE_LEASED)
        reeve_heap_insert(&q->timers, q->timer_links, q->tasks, queue_timer_before, id);
    if (state == REEVE_STATE_LEASED || state == REEVE_STATE_COMPUTED) hold(q, id);
}

void queue_leave(reeve_queue *q, uint32_t id)
{
    struct reeve_task *t = &q->tasks[id];
    REEVE_ASSERT(q->counts[t->kind][t->state] > 0);
    q->counts[t->kind][t->state]--;
    if (t->state == REEVE_STATE_READY) {
        if (t->affinity != REEVE_AFFINITY_HARD)
            reeve_heap_remove(&q->ready, q->ready_links, q->tasks, queue_ready_before, id);
        if (t->affinity != REEVE_AFFINITY_NONE)
            reeve_heap_remove(&q->group_ready[t->group], q->group_links, q->tasks, queue_ready_before, id);
    }
    if (t->state == REEVE_STATE_DELAYED || t->state == REEVE_STATE_LEASED)
        reeve_heap_remove(&q->timers, q->timer_links, q->tasks, queue_timer_before, id);
    if (t->state == REEVE_STATE_LEASED || t->state == REEVE_STATE_COMPUTED) unhold(q, id);
}

void queue_move(reeve_queue *q, uint32_t id, enum reeve_task_state state)
{
    queue_leave(q, id);
    if (state != REEVE_STATE_LEASED && state != REEVE_STATE_COMPUTED) q->tasks[id].holder = 0;
    queue_enter(q, id, state);
}

/* Freed slots are used again in the order of freeing, so that an old id stays unused for as long as possible. */
void queue_free_slot(reeve_queue *q, uint32_t id)
{
    q->tasks[id].state = REEVE_STATE_FREE;
    q->tasks[id].held_next = NONE;
    if (q->free_tail == NONE) q->free_head = id;
    else q->tasks[q->free_tail].held_next = id;
    q->free_tail = id;
}

reeve_status reeve_queue_create(const struct reeve_queue_limits *limits, reeve_queue **out, struct reeve_error *err)
{
    REEVE_ASSERT(limits->tasks_max >= 1 && limits->tasks_max < NONE && limits->workers_max >= 1);
    reeve_queue *q = calloc(1, sizeof(*q));
    if (q == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "queue: out of memory");
    q->limits = *limits;
    size_t n = limits->tasks_max;
    size_t groups = (size_t)limits->workers_max + 1 + limits->nodes_max + 1;
    size_t workers = (size_t)limits->workers_max + 1;
    q->tasks = calloc(n, sizeof(*q->tasks));
    q->ready_links = calloc(n, sizeof(*q->ready_links));
    q->group_links = calloc(n, sizeof(*q->group_links));
    q->timer_links = calloc(n, sizeof(*q->timer_links));
    q->edges_pending = calloc(n, sizeof(*q->edges_pending));
    q->group_ready = calloc(groups, sizeof(*q->group_ready));
    q->held_head = calloc(workers, sizeof(*q->held_head));
    q->held_count = calloc(workers, sizeof(*q->held_count));
    q->edges = calloc((size_t)limits->edges_max + 1, sizeof(*q->edges));
    if (!q->tasks || !q->ready_links || !q->group_links || !q->timer_links || !q->edges_pending || !q->group_ready ||
        !q->held_head || !q->held_count || !q->edges) {
        reeve_queue_destroy(q);
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "queue of %zu tasks: out of memory", n);
    }
    q->ready.root = q->timers.root = NONE;
    for (size_t g = 0; g < groups; g++)
        q->group_ready[g].root = NONE;
    for (size_t w = 0; w < workers; w++)
        q->held_head[w] = NONE;
    q->free_head = q->free_tail = q->free_edge = NONE;
    for (uint32_t i = 0; i < limits->tasks_max; i++)
        queue_free_slot(q, i);
    for (uint32_t e = limits->edges_max; e-- > 0;) {
        q->edges[e].next = q->free_edge;
        q->free_edge = e;
    }
    *out = q;
    return REEVE_OK;
}

void reeve_queue_destroy(reeve_queue *q)
{
    if (q == NULL) return;
    free(q->edges);
    free(q->held_count);
    free(q->held_head);
    free(q->group_ready);
    free(q->edges_pending);
    free(q->timer_links);
    free(q->group_links);
    free(q->ready_links);
    free(q->tasks);
    free(q);
}

/* Number of items in a heap, or UINT32_MAX when its order or links are broken. Walks without recursion. */
static uint32_t heap_size(const reeve_queue *q, const struct reeve_heap *h, const struct reeve_heap_link *l,
                          reeve_heap_before *before)
{
    if (h->root == NONE) return 0;
    uint32_t n = 1;
    uint32_t at = h->root;
    while (n <= q->limits.tasks_max) {
        uint32_t parent = at;
        if (l[at].child != NONE) {
            at = l[at].child;
            if (l[at].prev != parent || before(q->tasks, at, parent)) return UINT32_MAX;
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

const char *reeve_queue_check(const reeve_queue *q)
{
    uint32_t counts[REEVE_TASK_KINDS][REEVE_STATE_STATES] = {{0}};
    uint32_t soft_or_none = 0, grouped = 0, timed = 0, held = 0;
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
        timed += t->state == REEVE_STATE_DELAYED || t->state == REEVE_STATE_LEASED;
        held += holding;
    }
    if (memcmp(counts, q->counts, sizeof(counts)) != 0) return "counts differ from the tasks";
    if (heap_size(q, &q->ready, q->ready_links, queue_ready_before) != soft_or_none) return "ready heap";
    if (heap_size(q, &q->timers, q->timer_links, queue_timer_before) != timed) return "timer heap";
    uint32_t in_groups = 0, in_lists = 0;
    for (uint32_t g = 0; g < q->limits.workers_max + 1 + q->limits.nodes_max + 1; g++)
        in_groups += heap_size(q, &q->group_ready[g], q->group_links, queue_ready_before);
    if (in_groups != grouped) return "affinity heaps";
    for (uint32_t w = 0; w <= q->limits.workers_max; w++)
        for (uint32_t at = q->held_head[w], n = 0; at != NONE && n <= held; at = q->tasks[at].held_next, n++) {
            if (q->tasks[at].holder != w) return "in the list of another holder";
            in_lists++;
        }
    return in_lists == held ? NULL : "lists of holders";
}
