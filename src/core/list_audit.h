/* What the journal says of the tasks of a list, and the proof that each was done exactly once. A fold over the durable
 * events that shares nothing with the master that wrote them but the list. Pure. */
#ifndef REEVE_CORE_LIST_AUDIT_H
#define REEVE_CORE_LIST_AUDIT_H

#include "core/event.h"
#include "core/task_list.h"

/* What happened to one task. */
struct reeve_task_record {
    uint8_t state;      /* enum reeve_task_state; BLOCKED until something is known of it */
    bool by_dependency; /* DEAD or never to run because of a task that it waits for */
    uint32_t attempt;   /* of the last lease; 0: never leased */
    uint32_t worker;    /* of the last lease */
    uint32_t failures;  /* attempts that failed */
    uint32_t released;  /* attempts that ended without a verdict: given back, worker lost, run stopped or killed */
    uint32_t reason;    /* reeve_status of the last failure */
    uint32_t done;      /* times that it was done: once, or somebody counted twice */
    uint64_t result;    /* of the last attempt that ended (core/task_list.h) */
    uint64_t ended_ns;  /* when that was, ns since 1970; 0: not yet */
};

struct reeve_list_audit_result {
    bool exactly_once; /* no violation, and no task was done twice */
    bool complete;     /* every task has ended */
    uint32_t tasks, done, dead, cancelled, ready, blocked, leased;
    uint64_t leases, failures, released, restarts;
    uint64_t violations;
    char first_violation[256];
};

typedef struct reeve_list_audit reeve_list_audit;

/* l is borrowed until destroy. JOB_NO_MEMORY. */
reeve_status reeve_list_audit_create(const struct reeve_task_list *l, reeve_list_audit **out, struct reeve_error *err);
void reeve_list_audit_destroy(reeve_list_audit *a); /* takes NULL */
/* The next durable event of the journal. What cannot be is counted, and the fold goes on. */
void reeve_list_audit_event(reeve_list_audit *a, const struct reeve_event *ev);
/* After the last one. Cost: O(tasks + dependencies). */
void reeve_list_audit_finish(reeve_list_audit *a, struct reeve_list_audit_result *out);
/* After finish(); borrowed until destroy. */
const struct reeve_task_record *reeve_list_audit_task(const reeve_list_audit *a, uint32_t task);

#endif
