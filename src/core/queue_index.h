/* Private to the queue: which index holds a task in which state. Every change of state goes through leave and enter.
 *
 *   READY     in `ready` or its priority's list (unless its affinity is hard), and in its group's heap (if it has one)
 *   DELAYED   in `delays`
 *   LEASED    in `leases`, and in the list of its holder
 *   COMPUTED  in the list of its holder */
#ifndef REEVE_CORE_QUEUE_INDEX_H
#define REEVE_CORE_QUEUE_INDEX_H

#include "core/heap.h"
#include "core/queue.h"
#include "core/rank_calendar.h"
#include "core/rank_heap.h"
#include "core/ready_levels.h"

struct queue_edge {
    uint32_t task;     /* waits for the task whose list this is in */
    uint32_t sequence; /* of it, lower half: its slot may be another task's by now */
    uint32_t next;
    bool any; /* however the predecessor ends */
};

#define QUEUE_LISTED UINT32_MAX /* in a list beside `ready` */

struct reeve_queue {
    struct reeve_queue_limits limits;
    struct reeve_task *tasks;          /* (tasks_max,) owned */
    struct ready_levels levels;        /* lists of tasks that became ready in their order: most do, and need no heap */
    struct reeve_rank_heap ready;      /* those that did not */
    struct reeve_rank_calendar delays; /* by the time that they are due */
    struct reeve_rank_heap leases;     /* by the time that they lapse */
    uint32_t *places; /* (tasks_max,) owned; in ready, delays or leases: a task is in one; or QUEUE_LISTED */
    struct reeve_heap_link *group_links; /* (tasks_max,) owned */
    struct reeve_heap *group_ready;      /* (workers_max + 1 + nodes_max + 1,) owned */
    uint32_t *held_head, *held_count;    /* (workers_max + 1,) owned */
    struct queue_edge *edges;            /* (edges_max,) owned */
    uint32_t free_head, free_tail, free_edge;
    uint64_t next_sequence;
    uint32_t counts[REEVE_TASK_KINDS][REEVE_STATE_STATES];
    uint32_t totals[REEVE_STATE_STATES]; /* of all kinds */
};

/* Does somebody still wait there? One that was killed or cancelled meanwhile does not. */
static inline bool queue_edge_lives(const struct reeve_queue *q, const struct queue_edge *e)
{
    const struct reeve_task *t = &q->tasks[e->task];
    return t->state == REEVE_STATE_BLOCKED && (uint32_t)t->sequence == e->sequence;
}

bool queue_ready_before(const void *tasks, uint32_t a, uint32_t b);
uint32_t queue_ready_first(const reeve_queue *q); /* REEVE_HEAP_NONE: none is ready (with hard affinity apart) */
/* The first that did not fail at this worker, of those that are looked at: O(1). */
uint32_t queue_ready_other(const reeve_queue *q, uint32_t worker);
void queue_leave(reeve_queue *q, uint32_t id); /* out of all indices; state FREE in counts */
void queue_enter(reeve_queue *q, uint32_t id, enum reeve_task_state state); /* into those of `state` */
void queue_move(reeve_queue *q, uint32_t id,
                enum reeve_task_state state); /* leave and enter; holder is kept by LEASED, COMPUTED */
/* A lease lapses at another time; in its holder's list it stays where it is, for a replay, which knows of no renewals, has
 * it there. */
void queue_renew(reeve_queue *q, uint32_t id, reeve_time_ns due_ns);
bool queue_timer_first(const reeve_queue *q, uint32_t *id, reeve_time_ns *due_ns); /* false: there is none */
void queue_free_slot(reeve_queue *q, uint32_t id);

#define QUEUE_TIME_SIGN ((uint64_t)1 << 63) /* of a time: turned round, times are in the order of unsigned numbers */

/* What queue_ready_before says among tasks of one priority, as a number; and among all. */
static inline uint64_t queue_ready_order(const struct reeve_task *t)
{
    return (t->redelivered ? 0 : (uint64_t)1 << 63) | t->sequence;
}

static inline struct reeve_rank queue_ready_rank(const struct reeve_task *t, uint32_t id)
{
    uint64_t priority = (uint64_t)((int64_t)INT32_MAX - t->priority), order = queue_ready_order(t);
    return (struct reeve_rank){.high = priority << 32 | order >> 32, .low = order << 32 | id};
}

/* Earlier first; of those due at one moment, mostly the older. */
static inline struct reeve_rank queue_timer_rank(const struct reeve_task *t, uint32_t id)
{
    return (struct reeve_rank){.high = (uint64_t)t->due_ns ^ QUEUE_TIME_SIGN, .low = t->sequence << 32 | id};
}

#endif
