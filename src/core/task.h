/* A task: its kinds, its states, and the record that the queue keeps of it. Pure. */
#ifndef REEVE_CORE_TASK_H
#define REEVE_CORE_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "reeve/ids.h"

enum reeve_task_kind {
    REEVE_TASK_GRADIENT = 1, /* key: micro-batch of `step`; its result stays in the worker's accumulator */
    REEVE_TASK_STAGE = 2,    /* key: shard; checks (and caches) it before a gradient task reads it */
    REEVE_TASK_EVAL = 3,     /* key: evaluation batch; accumulates like a gradient task */
    REEVE_TASK_GENERATE = 4, /* text sampled from the model by one worker */
    REEVE_TASK_EXEC = 5,     /* key: index in the task list; a command */
    REEVE_TASK_NULL = 6,     /* key: index in the task list; nothing at all: what the dispatch alone costs */
    REEVE_TASK_KINDS
};

/*  BLOCKED -> READY -> LEASED -> DONE              single-rank kinds
 *                      LEASED -> COMPUTED -> (committed with its step, and retired)   gradient and eval
 *  LEASED -> DELAYED -> READY after a failure; DEAD and CANCELLED end a task without success. */
enum reeve_task_state {
    REEVE_STATE_FREE = 0, /* slot not in use */
    REEVE_STATE_BLOCKED,
    REEVE_STATE_READY,
    REEVE_STATE_DELAYED,
    REEVE_STATE_LEASED,
    REEVE_STATE_COMPUTED,
    REEVE_STATE_DONE,
    REEVE_STATE_DEAD,
    REEVE_STATE_CANCELLED,
    REEVE_STATE_STATES
};

enum reeve_affinity { REEVE_AFFINITY_NONE = 0, REEVE_AFFINITY_SOFT = 1, REEVE_AFFINITY_HARD = 2 };

/* 80 bytes; with its places in heaps and lists the queue spends under 150 a task. */
struct reeve_task {
    uint64_t key;
    uint64_t step;
    uint64_t sequence;             /* order of arrival */
    reeve_time_ns due_ns;          /* DELAYED: ready again; LEASED: when the lease lapses unless renewed */
    int32_t priority;              /* higher first, strictly */
    uint32_t attempt;              /* of the last lease; 0: never leased */
    uint32_t holder;               /* worker of the current lease, or that holds the computed result; 0: nobody */
    uint32_t group;                /* affinity group: a worker or a node (queue.h); 0: none */
    uint32_t avoid;                /* worker where the last attempt failed; 0: none */
    uint32_t waits_for;            /* predecessors that have not ended */
    uint32_t first_edge;           /* tasks that wait for this one */
    uint32_t next, prev;           /* the list that it is in: ready in their order, held by one worker, or free */
    uint16_t failures;
    uint16_t crashes; /* workers lost in a row while they ran it */
    uint8_t state, kind, affinity, redelivered;
    uint32_t confirmed_epoch; /* the membership epoch in which its holder last named it; volatile, not in the digest */
};

/* Comes from a task list (core/task_list.h), and stays in the queue when it has ended. */
static inline bool reeve_task_is_listed(uint8_t kind)
{
    return kind == REEVE_TASK_EXEC || kind == REEVE_TASK_NULL;
}

const char *reeve_task_kind_name(uint8_t kind);   /* "gradient" */
const char *reeve_task_state_name(uint8_t state); /* "leased" */

#endif
