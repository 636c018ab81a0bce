/* Private to the audit: the leases that are out, by task. The journal is not trusted: any task number may come, so this
 * is a hash table over what is held, never an array over task numbers. */
#ifndef REEVE_CORE_AUDIT_LEASES_H
#define REEVE_CORE_AUDIT_LEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct audit_lease {
    uint32_t task, worker, attempt;
    uint32_t key;   /* micro-batch or evaluation batch */
    uint32_t kind;  /* enum reeve_task_kind */
    bool computed;  /* the result is in the worker's accumulator */
};

struct audit_leases {
    struct audit_lease *held; /* (count,) owned; in no order: remove() moves the last one into the gap */
    uint32_t *slots;          /* (slot_count,) owned; index + 1 into held, 0: empty; linear probing */
    uint32_t count, slot_count;
};

void audit_leases_free(struct audit_leases *t);
void audit_leases_clear(struct audit_leases *t);
struct audit_lease *audit_leases_find(const struct audit_leases *t, uint32_t task); /* NULL: not held */
/* The task must not be held. NULL: out of memory. Pointers into the table end with the next put or remove. */
struct audit_lease *audit_leases_put(struct audit_leases *t, uint32_t task);
void audit_leases_remove(struct audit_leases *t, struct audit_lease *lease);

#endif
