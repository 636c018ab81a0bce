/* Open addressing with backward-shift deletion (Knuth, vol. 3, section 6.4, algorithm R): no tombstones to pile up over
 * the millions of leases of a journal. */
#include "core/audit_leases.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 64u

void audit_leases_free(struct audit_leases *t)
{
    free(t->slots);
    free(t->held);
    memset(t, 0, sizeof(*t));
}

void audit_leases_clear(struct audit_leases *t)
{
    if (t->count > 0) memset(t->slots, 0, sizeof(*t->slots) * t->slot_count);
    t->count = 0;
}

static uint32_t home_slot(const struct audit_leases *t, uint32_t task)
{
    return (uint32_t)(((uint64_t)task * 0x9e3779b97f4a7c15u) >> 32) & (t->slot_count - 1);
}

/* The slot of the task, or the empty one where it would go. */
static uint32_t find_slot(const struct audit_leases *t, uint32_t task)
{
    uint32_t s = home_slot(t, task);
    while (t->slots[s] != 0 && t->held[t->slots[s] - 1].task != task)
        s = (s + 1) & (t->slot_count - 1);
    return s;
}

struct audit_lease *audit_leases_find(const struct audit_leases *t, uint32_t task)
{
    if (t->count == 0) return NULL;
    uint32_t s = find_slot(t, task);
    return t->slots[s] != 0 ? &t->held[t->slots[s] - 1] : NULL;
}

/* At most half of the slots are taken, so there is always an empty one and probes are short. */
static bool grow(struct audit_leases *t)
{
    uint32_t slot_count = t->slot_count > 0 ? t->slot_count * 2 : SLOTS_MIN;
    if (slot_count < t->slot_count) return false;
    struct audit_lease *held = realloc(t->held, sizeof(*held) * (slot_count / 2));
    if (held == NULL) return false;
    t->held = held;
    uint32_t *slots = calloc(slot_count, sizeof(*slots));
    if (slots == NULL) return false;
    free(t->slots);
    t->slots = slots;
    t->slot_count = slot_count;
    for (uint32_t i = 0; i < t->count; i++)
        t->slots[find_slot(t, t->held[i].task)] = i + 1;
    return true;
}

struct audit_lease *audit_leases_put(struct audit_leases *t, uint32_t task)
{
    if (t->count >= t->slot_count / 2 && !grow(t)) return NULL;
    struct audit_lease *lease = &t->held[t->count++];
    *lease = (struct audit_lease){.task = task};
    t->slots[find_slot(t, task)] = t->count; /* find_slot looks at taken slots only: the new one is not among them */
    return lease;
}

static void empty_slot(struct audit_leases *t, uint32_t hole)
{
    uint32_t mask = t->slot_count - 1;
    for (uint32_t s = (hole + 1) & mask; t->slots[s] != 0; s = (s + 1) & mask) {
        uint32_t home = home_slot(t, t->held[t->slots[s] - 1].task);
        /* It may move into the hole unless its home lies behind the hole, on its way to s. */
        if (((s - home) & mask) < ((s - hole) & mask)) continue;
        t->slots[hole] = t->slots[s];
        hole = s;
    }
    t->slots[hole] = 0;
}

void audit_leases_remove(struct audit_leases *t, struct audit_lease *lease)
{
    uint32_t gap = (uint32_t)(lease - t->held);
    empty_slot(t, find_slot(t, lease->task));
    uint32_t last = --t->count;
    if (gap == last) return;
    t->slots[find_slot(t, t->held[last].task)] = gap + 1;
    t->held[gap] = t->held[last];
}
