/* The queue: every task that is not yet retired, and the order in which workers get them. Pure: time is an argument,
 * nothing is allocated after create(), and no operation is proportional to the number of tasks that wait.
 *
 * Order: strict priority; within one, what this worker has affinity to; then redelivered tasks; then first come first
 * served. Delivery is at least once; a completion counts only under the current lease (worker and attempt), so effects
 * are exactly once. Invariant: a task is in exactly the indices that its state says (reeve_queue_check proves it). */
#ifndef REEVE_CORE_QUEUE_H
#define REEVE_CORE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/task.h"
#include "reeve/status.h"

typedef struct reeve_queue reeve_queue;

struct reeve_queue_limits {
    uint32_t tasks_max;
    uint32_t edges_max;   /* dependencies at any one time */
    uint32_t workers_max; /* affinity groups 1..workers_max are workers, workers_max + 1 + n is node n */
    uint32_t nodes_max;
};

struct reeve_task_spec {
    uint8_t kind;
    uint8_t affinity; /* enum reeve_affinity */
    int32_t priority;
    uint32_t group; /* 0 with REEVE_AFFINITY_NONE */
    uint64_t key, step;
    reeve_time_ns not_before_ns; /* 0: at once */
};

reeve_status reeve_queue_create(const struct reeve_queue_limits *limits, reeve_queue **out, struct reeve_error *err);
void reeve_queue_destroy(reeve_queue *q);

/* Add a task; it is BLOCKED until start(), so that its dependencies can be named first. The slot is the lowest free
 * one in the order of freeing: deterministic, as replay needs it. JOB_NO_MEMORY: tasks_max reached. */
reeve_status reeve_queue_add(reeve_queue *q, const struct reeve_task_spec *spec, reeve_task_id *out);
/* `task` waits until `before` has ended: with success, or (any) however. Both added, `task` not started.
 * INPUT_INVALID: a cycle is impossible this way, but before == task is refused. JOB_NO_MEMORY: edges_max reached.
 * Said twice, with nobody else between who waits for `before`, it counts once.
 * If `before` is dead already and !any, `task` will be dead when it is started. */
reeve_status reeve_queue_after(reeve_queue *q, reeve_task_id task, reeve_task_id before, bool any);
/* All dependencies are named: READY, DELAYED (not_before), BLOCKED, or DEAD (a dependency is). */
void reeve_queue_start(reeve_queue *q, reeve_task_id task);

/* The task that `worker` on `node` should get next, without taking it. TASK_NONE_READY. Cost: O(1). */
reeve_status reeve_queue_pick(const reeve_queue *q, reeve_worker_id worker, uint32_t node, bool alone,
                              reeve_task_id *out);

/* Transitions. Each returns TASK_STALE and changes nothing if the task is not in the state, or not under the lease
 * (worker, attempt), that it needs. Cost: O(log tasks) amortised. */
reeve_status reeve_queue_lease(reeve_queue *q, reeve_task_id task, reeve_worker_id worker, uint32_t attempt,
                               reeve_time_ns expires_at_ns);
reeve_status reeve_queue_compute(reeve_queue *q, reeve_task_id task, reeve_worker_id worker, uint32_t attempt);
reeve_status reeve_queue_done(reeve_queue *q, reeve_task_id task, reeve_worker_id worker, uint32_t attempt);
/* The attempt failed: DELAYED until retry_at_ns, and elsewhere if possible. */
reeve_status reeve_queue_fail(reeve_queue *q, reeve_task_id task, reeve_worker_id worker, uint32_t attempt,
                              reeve_time_ns retry_at_ns);
/* The lease ended without a verdict (revoked, lapsed): READY, first in its priority. */
reeve_status reeve_queue_release(reeve_queue *q, reeve_task_id task, reeve_worker_id worker, uint32_t attempt);
/* A renewal or a new deadline of a current lease. */
reeve_status reeve_queue_renew(reeve_queue *q, reeve_task_id task, reeve_time_ns expires_at_ns);
/* A DELAYED task's time has come. */
reeve_status reeve_queue_wake(reeve_queue *q, reeve_task_id task);
/* Out of the game: from any state but FREE. Tasks that waited for its success become DEAD too (TASK_DEAD only). */
reeve_status reeve_queue_kill(reeve_queue *q, reeve_task_id task);
reeve_status reeve_queue_cancel(reeve_queue *q, reeve_task_id task);
/* All that a worker held (leased or computed) is READY again, redelivered first. running: it was lost, which counts as a
 * crash against what it was running: of its leases the oldest so many, since it takes them in order. Returns the oldest
 * of those, UINT32_MAX: none. Cost: O(tasks it held). */
uint32_t reeve_queue_lose_worker(reeve_queue *q, reeve_worker_id worker, uint32_t running);
/* Its holder named it in this membership epoch. */
void reeve_queue_confirm(reeve_queue *q, reeve_task_id task, uint32_t epoch);
/* A task that this worker holds and did not name in `epoch`; false: there is none. Cost: O(tasks it holds). */
bool reeve_queue_unconfirmed(const reeve_queue *q, reeve_worker_id worker, uint32_t epoch, reeve_task_id *out);
/* After tasks that waited for others were retired: nothing holds a place for them any more. Cost: O(tasks). */
void reeve_queue_sweep_edges(reeve_queue *q);
/* Free the slot: DONE, COMPUTED, DEAD or CANCELLED tasks only (asserted). */
void reeve_queue_retire(reeve_queue *q, reeve_task_id task);

/* The task whose due time is earliest and <= now_ns: DELAYED to wake, or LEASED to look at. False: none. Cost: O(1). */
bool reeve_queue_due(const reeve_queue *q, reeve_time_ns now_ns, reeve_task_id *out);
/* When the next task is due; INT64_MAX: none. */
reeve_time_ns reeve_queue_next_due(const reeve_queue *q);

const struct reeve_task *reeve_queue_task(const reeve_queue *q, reeve_task_id task); /* NULL: no such task; borrowed */
uint32_t reeve_queue_count(const reeve_queue *q, enum reeve_task_state state);       /* O(1) */
uint32_t reeve_queue_count_kind(const reeve_queue *q, enum reeve_task_kind kind,
                                enum reeve_task_state state);            /* O(1) */
uint32_t reeve_queue_held(const reeve_queue *q, reeve_worker_id worker); /* leased or computed there; O(1) */
uint32_t reeve_queue_capacity(const reeve_queue *q);
uint32_t reeve_queue_next_free(const reeve_queue *q); /* the slot that the next add() will use; UINT32_MAX: full */

/* Digest over all that replay must reproduce (not due times of leases, which the live clock set). O(tasks). */
uint64_t reeve_queue_digest(const reeve_queue *q);
/* Proves the invariants by looking at everything; for tests and the simulator. NULL: sound; otherwise what is wrong. */
const char *reeve_queue_check(const reeve_queue *q);

#endif
