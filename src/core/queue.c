/* The queue's transitions; see queue.h. What is in which index is queue_index.c's business. */
#include "core/queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "core/queue_index.h"

static const char *const kind_names[REEVE_TASK_KINDS] = {"?", "gradient", "stage", "eval", "generate", "exec", "null"};
static const char *const state_names[REEVE_STATE_STATES] = {"free",     "blocked", "ready", "delayed",  "leased",
                                                            "computed", "done",    "dead",  "cancelled"};

const char *reeve_task_kind_name(uint8_t kind)
{
    return kind < REEVE_TASK_KINDS ? kind_names[kind] : "?";
}

const char *reeve_task_state_name(uint8_t state)
{
    return state < REEVE_STATE_STATES ? state_names[state] : "?";
}

/* The task under the lease (worker, attempt), or NULL. */
static struct reeve_task *leased_task(reeve_queue *q, reeve_task_id id, reeve_worker_id worker, uint32_t attempt)
{
    if (id.v >= q->limits.tasks_max) return NULL;
    struct reeve_task *t = &q->tasks[id.v];
    if (t->state != REEVE_STATE_LEASED || t->holder != worker.v || t->attempt != attempt) return NULL;
    return t;
}

reeve_status reeve_queue_add(reeve_queue *q, const struct reeve_task_spec *spec, reeve_task_id *out)
{
    REEVE_ASSERT(spec->kind > 0 && spec->kind < REEVE_TASK_KINDS);
    REEVE_ASSERT(spec->group <= q->limits.workers_max + q->limits.nodes_max);
    if (q->free_head == REEVE_HEAP_NONE) return REEVE_JOB_NO_MEMORY;
    uint32_t id = q->free_head;
    q->free_head = q->tasks[id].next;
    if (q->free_head == REEVE_HEAP_NONE) q->free_tail = REEVE_HEAP_NONE;
    q->tasks[id] = (struct reeve_task){
        .key = spec->key,
        .step = spec->step,
        .sequence = q->next_sequence++,
        .due_ns = spec->not_before_ns,
        .priority = spec->priority,
        .group = spec->affinity == REEVE_AFFINITY_NONE ? 0 : spec->group,
        .first_edge = REEVE_HEAP_NONE,
        .next = REEVE_HEAP_NONE,
        .prev = REEVE_HEAP_NONE,
        .state = REEVE_STATE_FREE,
        .kind = spec->kind,
        .affinity = spec->group == 0 ? REEVE_AFFINITY_NONE : spec->affinity,
    };
    queue_enter(q, id, REEVE_STATE_BLOCKED);
    *out = (reeve_task_id){id};
    return REEVE_OK;
}

reeve_status reeve_queue_after(reeve_queue *q, reeve_task_id task, reeve_task_id before, bool any)
{
    REEVE_ASSERT(task.v < q->limits.tasks_max && before.v < q->limits.tasks_max);
    struct reeve_task *t = &q->tasks[task.v];
    struct reeve_task *b = &q->tasks[before.v];
    REEVE_ASSERT(t->state == REEVE_STATE_BLOCKED);
    if (task.v == before.v) return REEVE_INPUT_INVALID;
    if (b->state == REEVE_STATE_DONE || b->state == REEVE_STATE_FREE) return REEVE_OK;
    if (b->state == REEVE_STATE_DEAD || b->state == REEVE_STATE_CANCELLED) {
        if (!any) t->waits_for = REEVE_HEAP_NONE; /* start() will find it can never run */
        return REEVE_OK;
    }
    const struct queue_edge *last = b->first_edge != REEVE_HEAP_NONE ? &q->edges[b->first_edge] : NULL;
    if (last != NULL && last->task == task.v && last->any == any && queue_edge_lives(q, last)) return REEVE_OK;
    if (q->free_edge == REEVE_HEAP_NONE) return REEVE_JOB_NO_MEMORY;
    uint32_t e = q->free_edge;
    q->free_edge = q->edges[e].next;
    q->edges[e] =
        (struct queue_edge){.task = task.v, .sequence = (uint32_t)t->sequence, .next = b->first_edge, .any = any};
    b->first_edge = e;
    if (t->waits_for != REEVE_HEAP_NONE) t->waits_for++;
    return REEVE_OK;
}

void reeve_queue_start(reeve_queue *q, reeve_task_id task)
{
    struct reeve_task *t = &q->tasks[task.v];
    REEVE_ASSERT(t->state == REEVE_STATE_BLOCKED);
    if (t->waits_for == REEVE_HEAP_NONE) (void)reeve_queue_kill(q, task);
    else if (t->waits_for == 0) queue_move(q, task.v, t->due_ns > 0 ? REEVE_STATE_DELAYED : REEVE_STATE_READY);
}

reeve_status reeve_queue_pick(const reeve_queue *q, reeve_worker_id worker, uint32_t node, bool alone,
                              reeve_task_id *out)
{
    uint32_t best = REEVE_HEAP_NONE;
    const struct reeve_heap *groups[2] = {&q->group_ready[worker.v], &q->group_ready[q->limits.workers_max + 1 + node]};
    for (int h = 0; h < 3; h++) {
        uint32_t at = h < 2 ? reeve_heap_first(groups[h], q->tasks, queue_ready_before) : queue_ready_first(q);
        if (at != REEVE_HEAP_NONE && q->tasks[at].avoid == worker.v && !alone)
            at = h < 2 ? reeve_heap_second(groups[h], q->group_links, q->tasks, queue_ready_before, 32)
                       : queue_ready_other(q, worker.v);
        if (at == REEVE_HEAP_NONE || (q->tasks[at].avoid == worker.v && !alone)) continue;
        /* Affine tasks were looked at first, so an equal priority keeps them. */
        if (best == REEVE_HEAP_NONE || q->tasks[at].priority > q->tasks[best].priority) best = at;
    }
    if (best == REEVE_HEAP_NONE) return REEVE_TASK_NONE_READY;
    *out = (reeve_task_id){best};
    return REEVE_OK;
}

reeve_status reeve_queue_lease(reeve_queue *q, reeve_task_id task, reeve_worker_id worker, uint32_t attempt,
                               reeve_time_ns expires_at_ns)
{
    if (task.v >= q->limits.tasks_max || q->tasks[task.v].state != REEVE_STATE_READY) return REEVE_TASK_STALE;
    if (worker.v == 0 || worker.v > q->limits.workers_max) return REEVE_TASK_STALE;
    struct reeve_task *t = &q->tasks[task.v];
    if (attempt != t->attempt + 1) return REEVE_TASK_STALE;
    queue_leave(q, task.v);
    t->attempt = attempt;
    t->holder = worker.v;
    t->due_ns = expires_at_ns;
    queue_enter(q, task.v, REEVE_STATE_LEASED);
    return REEVE_OK;
}

reeve_status reeve_queue_compute(reeve_queue *q, reeve_task_id task, reeve_worker_id worker, uint32_t attempt)
{
    struct reeve_task *t = leased_task(q, task, worker, attempt);
    if (t == NULL) return REEVE_TASK_STALE;
    queue_move(q, task.v, REEVE_STATE_COMPUTED);
    t->crashes = 0;
    return REEVE_OK;
}

/* Give their turn to the tasks that waited for `id`, which ended with or without success. Those that are dead by it, whose
 * dependents have yet to be told, are put in front of `dead`, linked by `next`: a dead task is in no other list. */
static void release_dependents(reeve_queue *q, uint32_t id, bool success, uint32_t *dead)
{
    uint32_t e = q->tasks[id].first_edge;
    q->tasks[id].first_edge = REEVE_HEAP_NONE;
    while (e != REEVE_HEAP_NONE) {
        struct queue_edge edge = q->edges[e];
        q->edges[e].next = q->free_edge;
        q->free_edge = e;
        e = edge.next;
        struct reeve_task *t = &q->tasks[edge.task];
        if (!queue_edge_lives(q, &edge) || t->waits_for == REEVE_HEAP_NONE) continue;
        if (!success && !edge.any) {
            t->waits_for = REEVE_HEAP_NONE;
            queue_move(q, edge.task, REEVE_STATE_DEAD);
            t->next = *dead;
            *dead = edge.task;
            continue;
        }
        if (--t->waits_for == 0) queue_move(q, edge.task, t->due_ns > 0 ? REEVE_STATE_DELAYED : REEVE_STATE_READY);
    }
}

static void end_task(reeve_queue *q, uint32_t id, enum reeve_task_state state)
{
    uint32_t dead = REEVE_HEAP_NONE;
    queue_move(q, id, state);
    release_dependents(q, id, state == REEVE_STATE_DONE, &dead);
    while (dead != REEVE_HEAP_NONE) { /* a chain of any length: it is not recursed into */
        uint32_t next = dead;
        dead = q->tasks[next].next;
        q->tasks[next].next = REEVE_HEAP_NONE;
        release_dependents(q, next, false, &dead);
    }
}

reeve_status reeve_queue_done(reeve_queue *q, reeve_task_id task, reeve_worker_id worker, uint32_t attempt)
{
    struct reeve_task *t = leased_task(q, task, worker, attempt);
    if (t == NULL) return REEVE_TASK_STALE;
    end_task(q, task.v, REEVE_STATE_DONE);
    return REEVE_OK;
}

reeve_status reeve_queue_fail(reeve_queue *q, reeve_task_id task, reeve_worker_id worker, uint32_t attempt,
                              reeve_time_ns retry_at_ns)
{
    struct reeve_task *t = leased_task(q, task, worker, attempt);
    if (t == NULL) return REEVE_TASK_STALE;
    queue_leave(q, task.v);
    t->failures++;
    t->crashes = 0;
    t->avoid = worker.v;
    t->holder = 0;
    t->due_ns = retry_at_ns;
    t->redelivered = 1;
    queue_enter(q, task.v, REEVE_STATE_DELAYED);
    return REEVE_OK;
}

reeve_status reeve_queue_release(reeve_queue *q, reeve_task_id task, reeve_worker_id worker, uint32_t attempt)
{
    struct reeve_task *t = leased_task(q, task, worker, attempt);
    if (t == NULL) return REEVE_TASK_STALE;
    queue_leave(q, task.v);
    t->holder = 0;
    t->redelivered = 1;
    t->due_ns = 0;
    queue_enter(q, task.v, REEVE_STATE_READY);
    return REEVE_OK;
}

reeve_status reeve_queue_renew(reeve_queue *q, reeve_task_id task, reeve_time_ns expires_at_ns)
{
    if (task.v >= q->limits.tasks_max || q->tasks[task.v].state != REEVE_STATE_LEASED) return REEVE_TASK_STALE;
    queue_renew(q, task.v, expires_at_ns);
    return REEVE_OK;
}

reeve_status reeve_queue_wake(reeve_queue *q, reeve_task_id task)
{
    if (task.v >= q->limits.tasks_max || q->tasks[task.v].state != REEVE_STATE_DELAYED) return REEVE_TASK_STALE;
    queue_move(q, task.v, REEVE_STATE_READY);
    q->tasks[task.v].due_ns = 0;
    return REEVE_OK;
}

static bool ended(uint8_t state)
{
    return state == REEVE_STATE_FREE || state == REEVE_STATE_DONE || state == REEVE_STATE_DEAD ||
           state == REEVE_STATE_CANCELLED;
}

reeve_status reeve_queue_kill(reeve_queue *q, reeve_task_id task)
{
    if (task.v >= q->limits.tasks_max || ended(q->tasks[task.v].state)) return REEVE_TASK_STALE;
    end_task(q, task.v, REEVE_STATE_DEAD);
    return REEVE_OK;
}

reeve_status reeve_queue_cancel(reeve_queue *q, reeve_task_id task)
{
    if (task.v >= q->limits.tasks_max || ended(q->tasks[task.v].state)) return REEVE_TASK_STALE;
    end_task(q, task.v, REEVE_STATE_CANCELLED);
    return REEVE_OK;
}

static uint32_t lease_count(const reeve_queue *q, uint32_t worker)
{
    uint32_t n = 0;
    for (uint32_t at = q->held_head[worker]; at != REEVE_HEAP_NONE; at = q->tasks[at].next)
        n += q->tasks[at].state == REEVE_STATE_LEASED;
    return n;
}

/* Leases go to the head of the holder's list, so the last ones in it are the oldest. */
uint32_t reeve_queue_lose_worker(reeve_queue *q, reeve_worker_id worker, uint32_t running)
{
    REEVE_ASSERT(worker.v >= 1 && worker.v <= q->limits.workers_max);
    uint32_t leases = lease_count(q, worker.v), oldest = REEVE_HEAP_NONE;
    while (q->held_head[worker.v] != REEVE_HEAP_NONE) {
        uint32_t id = q->held_head[worker.v];
        struct reeve_task *t = &q->tasks[id];
        bool charged = t->state == REEVE_STATE_LEASED && leases-- <= running;
        queue_leave(q, id);
        t->holder = 0;
        t->redelivered = 1;
        t->due_ns = 0;
        if (charged) {
            t->crashes++;
            oldest = id;
        }
        queue_enter(q, id, REEVE_STATE_READY);
    }
    return oldest;
}

void reeve_queue_confirm(reeve_queue *q, reeve_task_id task, uint32_t epoch)
{
    REEVE_ASSERT(task.v < q->limits.tasks_max);
    q->tasks[task.v].confirmed_epoch = epoch;
}

bool reeve_queue_unconfirmed(const reeve_queue *q, reeve_worker_id worker, uint32_t epoch, reeve_task_id *out)
{
    for (uint32_t at = q->held_head[worker.v]; at != REEVE_HEAP_NONE; at = q->tasks[at].next) {
        if (q->tasks[at].confirmed_epoch == epoch) continue;
        *out = (reeve_task_id){at};
        return true;
    }
    return false;
}

void reeve_queue_retire(reeve_queue *q, reeve_task_id task)
{
    REEVE_ASSERT(task.v < q->limits.tasks_max);
    struct reeve_task *t = &q->tasks[task.v];
    REEVE_ASSERT(ended(t->state) || t->state == REEVE_STATE_COMPUTED);
    REEVE_ASSERT(t->state != REEVE_STATE_FREE && t->first_edge == REEVE_HEAP_NONE);
    queue_leave(q, task.v);
    memset(t, 0, sizeof(*t));
    queue_free_slot(q, task.v);
}

void reeve_queue_sweep_edges(reeve_queue *q)
{
    for (uint32_t i = 0; i < q->limits.tasks_max; i++) {
        uint32_t *at = &q->tasks[i].first_edge;
        if (q->tasks[i].state == REEVE_STATE_FREE) continue;
        while (*at != REEVE_HEAP_NONE) {
            uint32_t e = *at;
            if (queue_edge_lives(q, &q->edges[e])) {
                at = &q->edges[e].next;
                continue;
            }
            *at = q->edges[e].next;
            q->edges[e].next = q->free_edge;
            q->free_edge = e;
        }
    }
}

bool reeve_queue_due(const reeve_queue *q, reeve_time_ns now_ns, reeve_task_id *out)
{
    uint32_t first;
    reeve_time_ns due_ns;
    if (!queue_timer_first(q, &first, &due_ns) || due_ns > now_ns) return false;
    *out = (reeve_task_id){first};
    return true;
}

reeve_time_ns reeve_queue_next_due(const reeve_queue *q)
{
    uint32_t first;
    reeve_time_ns due_ns;
    return queue_timer_first(q, &first, &due_ns) ? due_ns : INT64_MAX;
}

const struct reeve_task *reeve_queue_task(const reeve_queue *q, reeve_task_id task)
{
    if (task.v >= q->limits.tasks_max || q->tasks[task.v].state == REEVE_STATE_FREE) return NULL;
    return &q->tasks[task.v];
}

uint32_t reeve_queue_count(const reeve_queue *q, enum reeve_task_state state)
{
    return q->totals[state];
}

uint32_t reeve_queue_count_kind(const reeve_queue *q, enum reeve_task_kind kind, enum reeve_task_state state)
{
    return q->counts[kind][state];
}

uint32_t reeve_queue_held(const reeve_queue *q, reeve_worker_id worker)
{
    return q->held_count[worker.v];
}

uint32_t reeve_queue_capacity(const reeve_queue *q)
{
    return q->limits.tasks_max;
}

uint32_t reeve_queue_next_free(const reeve_queue *q)
{
    return q->free_head;
}

uint64_t reeve_queue_digest(const reeve_queue *q)
{
    uint64_t sum = q->next_sequence;
    for (uint32_t i = 0; i < q->limits.tasks_max; i++) {
        const struct reeve_task *t = &q->tasks[i];
        if (t->state == REEVE_STATE_FREE) continue;
        /* When a delay ends is the live clock's business: replay need not know. */
        uint8_t state = t->state == REEVE_STATE_DELAYED ? REEVE_STATE_READY : t->state;
        uint64_t words[8] = {i,
                             t->key,
                             t->step,
                             t->sequence,
                             (uint64_t)(uint32_t)t->priority << 32 | t->attempt,
                             (uint64_t)t->holder << 32 | t->group,
                             (uint64_t)t->avoid << 32 | t->waits_for,
                             (uint64_t)t->failures << 48 | (uint64_t)t->crashes << 32 | (uint64_t)state << 24 |
                                 (uint64_t)t->kind << 16 | (uint64_t)t->affinity << 8 | t->redelivered};
        sum = reeve_digest64(words, sizeof(words), sum);
    }
    return sum;
}
