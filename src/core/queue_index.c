/* The queue's memory and indices; see queue_index.h for which state is where. */
#include "core/queue_index.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/pages.h"

#define NONE REEVE_HEAP_NONE
#define AVOIDED_LOOK_MAX 64u

bool queue_ready_before(const void *tasks, uint32_t a, uint32_t b)
{
    const struct reeve_task *x = (const struct reeve_task *)tasks + a;
    const struct reeve_task *y = (const struct reeve_task *)tasks + b;
    if (x->priority != y->priority) return x->priority > y->priority;
    if (x->redelivered != y->redelivered) return x->redelivered > y->redelivered;
    return x->sequence < y->sequence;
}

/* ---- ready tasks: for each priority a list of those that came in their order, a heap of the others ---- */

static uint32_t earlier(const reeve_queue *q, uint32_t a, uint32_t b)
{
    if (a == NONE || b == NONE) return a == NONE ? b : a;
    return queue_ready_before(q->tasks, b, a) ? b : a;
}

static uint32_t listed_first(const reeve_queue *q, uint32_t level)
{
    return level != READY_LEVEL_NONE ? q->levels.level[level].first : NONE;
}

static uint32_t heap_first(const struct reeve_rank_heap *h)
{
    struct reeve_rank rank;
    return reeve_rank_heap_first(h, &rank) ? reeve_rank_item(rank) : NONE;
}

uint32_t queue_ready_first(const reeve_queue *q)
{
    return earlier(q, listed_first(q, ready_levels_first(&q->levels)), heap_first(&q->ready));
}

/* The next two look at so many tasks and no more: a worker that failed at more of them in a row has its own trouble. */
static uint32_t listed_other(const reeve_queue *q, uint32_t worker)
{
    uint32_t looked = 0;
    for (uint32_t level = ready_levels_first(&q->levels); level != READY_LEVEL_NONE;
         level = ready_levels_below(&q->levels, level))
        for (uint32_t at = listed_first(q, level); at != NONE; at = q->tasks[at].next) {
            if (q->tasks[at].avoid != worker) return at;
            if (++looked == AVOIDED_LOOK_MAX) return NONE;
        }
    return NONE;
}

/* The top of the heap: not in order, but nothing below comes before all of it. */
static uint32_t heap_other(const reeve_queue *q, uint32_t worker)
{
    uint32_t best = NONE;
    for (uint32_t i = 0; i < q->ready.count && i < AVOIDED_LOOK_MAX; i++) {
        uint32_t id = reeve_rank_item(q->ready.ranks[i]);
        if (q->tasks[id].avoid != worker) best = earlier(q, best, id);
    }
    return best;
}

uint32_t queue_ready_other(const reeve_queue *q, uint32_t worker)
{
    return earlier(q, listed_other(q, worker), heap_other(q, worker));
}

/* What is first now will be asked for next, and among a million tasks it is in no cache: fetch it meanwhile. */
static void fetch_task(const reeve_queue *q, uint32_t id)
{
    if (id == NONE) return;
    const char *task = (const char *)&q->tasks[id];
    __builtin_prefetch(task, 1);
    __builtin_prefetch(task + sizeof(q->tasks[0]) - 1, 1);
}

/* All that wakes next, some hundred tasks at once: one after the other, each would be waited for. */
static void fetch_delayed(const reeve_queue *q)
{
    for (uint32_t i = 0; i < q->delays.near.count; i++)
        fetch_task(q, reeve_rank_item(q->delays.near.ranks[i]));
}

static void enter_ready(reeve_queue *q, uint32_t id)
{
    struct reeve_task *t = &q->tasks[id];
    uint64_t order = queue_ready_order(t);
    uint32_t number = ready_levels_of(&q->levels, t->priority);
    struct ready_level *level = number != READY_LEVEL_NONE ? &q->levels.level[number] : NULL;
    if (level == NULL || (level->last != NONE && order < level->last_order)) {
        reeve_rank_heap_insert(&q->ready, queue_ready_rank(t, id));
        return;
    }
    q->places[id] = QUEUE_LISTED;
    t->prev = level->last;
    t->next = NONE;
    if (level->last != NONE) q->tasks[level->last].next = id;
    else level->first = id;
    level->last = id;
    level->last_order = order;
    if (level->first == id) ready_levels_set(&q->levels, number, true);
}

static void leave_ready(reeve_queue *q, uint32_t id)
{
    struct reeve_task *t = &q->tasks[id];
    if (q->places[id] != QUEUE_LISTED) {
        reeve_rank_heap_remove(&q->ready, id);
        fetch_task(q, heap_first(&q->ready));
        return;
    }
    uint32_t number = ready_levels_of(&q->levels, t->priority);
    struct ready_level *level = &q->levels.level[number];
    if (t->next != NONE) q->tasks[t->next].prev = t->prev;
    else level->last = t->prev;
    if (t->prev != NONE) q->tasks[t->prev].next = t->next;
    else level->first = t->next;
    if (t->next == NONE && t->prev != NONE) level->last_order = queue_ready_order(&q->tasks[t->prev]);
    if (level->first == NONE) ready_levels_set(&q->levels, number, false);
    fetch_task(q, listed_first(q, ready_levels_first(&q->levels)));
    t->next = t->prev = NONE;
}

/* ---- tasks that a worker holds ---- */

static void hold(reeve_queue *q, uint32_t id)
{
    struct reeve_task *t = &q->tasks[id];
    t->prev = NONE;
    t->next = q->held_head[t->holder];
    if (t->next != NONE) q->tasks[t->next].prev = id;
    q->held_head[t->holder] = id;
    q->held_count[t->holder]++;
}

static void unhold(reeve_queue *q, uint32_t id)
{
    struct reeve_task *t = &q->tasks[id];
    if (t->prev != NONE) q->tasks[t->prev].next = t->next;
    else q->held_head[t->holder] = t->next;
    if (t->next != NONE) q->tasks[t->next].prev = t->prev;
    t->next = t->prev = NONE;
    q->held_count[t->holder]--;
}

void queue_enter(reeve_queue *q, uint32_t id, enum reeve_task_state state)
{
    struct reeve_task *t = &q->tasks[id];
    t->state = (uint8_t)state;
    q->counts[t->kind][state]++;
    q->totals[state]++;
    if (state == REEVE_STATE_READY) {
        if (t->affinity != REEVE_AFFINITY_HARD) enter_ready(q, id);
        if (t->affinity != REEVE_AFFINITY_NONE)
            reeve_heap_insert(&q->group_ready[t->group], q->group_links, q->tasks, queue_ready_before, id);
    }
    if (state == REEVE_STATE_DELAYED) reeve_rank_calendar_insert(&q->delays, queue_timer_rank(t, id));
    if (state == REEVE_STATE_LEASED) reeve_rank_heap_insert(&q->leases, queue_timer_rank(t, id));
    if (state == REEVE_STATE_LEASED || state == REEVE_STATE_COMPUTED) hold(q, id);
}

void queue_leave(reeve_queue *q, uint32_t id)
{
    struct reeve_task *t = &q->tasks[id];
    REEVE_ASSERT(q->counts[t->kind][t->state] > 0);
    q->counts[t->kind][t->state]--;
    q->totals[t->state]--;
    if (t->state == REEVE_STATE_READY) {
        if (t->affinity != REEVE_AFFINITY_HARD) leave_ready(q, id);
        if (t->affinity != REEVE_AFFINITY_NONE)
            reeve_heap_remove(&q->group_ready[t->group], q->group_links, q->tasks, queue_ready_before, id);
    }
    if (t->state == REEVE_STATE_DELAYED && reeve_rank_calendar_remove(&q->delays, queue_timer_rank(t, id)))
        fetch_delayed(q);
    if (t->state == REEVE_STATE_LEASED) reeve_rank_heap_remove(&q->leases, id);
    if (t->state == REEVE_STATE_LEASED || t->state == REEVE_STATE_COMPUTED) unhold(q, id);
}

void queue_move(reeve_queue *q, uint32_t id, enum reeve_task_state state)
{
    queue_leave(q, id);
    if (state != REEVE_STATE_LEASED && state != REEVE_STATE_COMPUTED) q->tasks[id].holder = 0;
    queue_enter(q, id, state);
}

void queue_renew(reeve_queue *q, uint32_t id, reeve_time_ns due_ns)
{
    struct reeve_task *t = &q->tasks[id];
    REEVE_ASSERT(t->state == REEVE_STATE_LEASED);
    reeve_rank_heap_remove(&q->leases, id);
    t->due_ns = due_ns;
    reeve_rank_heap_insert(&q->leases, queue_timer_rank(t, id));
}

bool queue_timer_first(const reeve_queue *q, uint32_t *id, reeve_time_ns *due_ns)
{
    struct reeve_rank first, lease;
    bool delayed = reeve_rank_calendar_first(&q->delays, &first), leased = reeve_rank_heap_first(&q->leases, &lease);
    if (!delayed && !leased) return false;
    if (!delayed || (leased && reeve_rank_before(lease, first))) first = lease;
    *id = reeve_rank_item(first);
    *due_ns = (reeve_time_ns)(first.high ^ QUEUE_TIME_SIGN);
    return true;
}

/* Freed slots are used again in the order of freeing, so that an old id stays unused for as long as possible. */
void queue_free_slot(reeve_queue *q, uint32_t id)
{
    q->tasks[id].state = REEVE_STATE_FREE;
    q->tasks[id].next = NONE;
    if (q->free_tail == NONE) q->free_head = id;
    else q->tasks[q->free_tail].next = id;
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
    q->tasks = reeve_pages_take(n, sizeof(*q->tasks));
    q->places = reeve_pages_take(n, sizeof(*q->places));
    q->group_links = reeve_pages_take(n, sizeof(*q->group_links));
    q->group_ready = calloc(groups, sizeof(*q->group_ready));
    q->held_head = calloc(workers, sizeof(*q->held_head));
    q->held_count = calloc(workers, sizeof(*q->held_count));
    q->edges = calloc((size_t)limits->edges_max + 1, sizeof(*q->edges));
    bool heaps = reeve_rank_heap_init(&q->ready, limits->tasks_max, q->places) &&
                 reeve_rank_heap_init(&q->leases, limits->tasks_max, q->places) &&
                 reeve_rank_calendar_init(&q->delays, limits->tasks_max, q->places);
    if (!heaps || !q->tasks || !q->places || !q->group_links || !q->group_ready || !q->held_head || !q->held_count ||
        !q->edges) {
        reeve_queue_destroy(q);
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "queue of %zu tasks: out of memory", n);
    }
    for (size_t g = 0; g < groups; g++)
        reeve_heap_init(&q->group_ready[g]);
    for (size_t w = 0; w < workers; w++)
        q->held_head[w] = NONE;
    ready_levels_init(&q->levels);
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
    size_t n = q->limits.tasks_max;
    free(q->edges);
    free(q->held_count);
    free(q->held_head);
    free(q->group_ready);
    reeve_pages_give_back(q->group_links, n, sizeof(*q->group_links));
    reeve_rank_calendar_fini(&q->delays);
    reeve_rank_heap_fini(&q->leases);
    reeve_rank_heap_fini(&q->ready);
    reeve_pages_give_back(q->places, n, sizeof(*q->places));
    reeve_pages_give_back(q->tasks, n, sizeof(*q->tasks));
    free(q);
}
