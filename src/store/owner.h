/* Who owns a run: RUN/LOCK (its master) and RUN/LOCK.supervisor (the `reeve run` that starts it again), created with
 * O_EXCL, refreshed by its owner. Never flock: it may be local to a node. Taken over when the owner is dead for certain
 * (same host, no such process, or another start time) or has been silent for REEVE_OWNER_SILENT_S on another host. */
#ifndef REEVE_STORE_OWNER_H
#define REEVE_STORE_OWNER_H

#include <stdbool.h>

#include "reeve/status.h"

#define REEVE_OWNER_SILENT_S 60

typedef struct reeve_owner reeve_owner;

/* Two may own a run at once, one of each kind: between two launches only the supervisor does. */
enum reeve_owner_role { REEVE_OWNER_MASTER, REEVE_OWNER_SUPERVISOR };

/* STORE_IN_USE (host, pid, since when, what to do) | STORE_CREATE | INPUT_PERMISSION. *took_over: a dead owner was
 * replaced. */
reeve_status reeve_owner_acquire(const char *run_dir, reeve_owner **out, bool *took_over, struct reeve_error *err);
reeve_status reeve_owner_acquire_as(const char *run_dir, enum reeve_owner_role role, reeve_owner **out, bool *took_over,
                                    struct reeve_error *err);
/* Show that we live, at least every REEVE_OWNER_SILENT_S / 4. STORE_IN_USE: somebody else took the run; stop at once. */
reeve_status reeve_owner_refresh(reeve_owner *o, struct reeve_error *err);
void reeve_owner_release(reeve_owner *o); /* removes LOCK if it is still ours; takes NULL */
/* For people: who holds it now; false if nobody alive does. */
bool reeve_owner_peek(const char *run_dir, char *text, size_t text_bytes);
bool reeve_owner_peek_as(const char *run_dir, enum reeve_owner_role role, char *text, size_t text_bytes);

#endif
