/* The audit: a fold over the events of a run that proves, with the plan alone beside it, that every sample of every
 * epoch entered the model exactly once on the timeline that survived, or names what is wrong. Pure. */
#ifndef REEVE_CORE_AUDIT_H
#define REEVE_CORE_AUDIT_H

#include <stdbool.h>

#include "core/event.h"
#include "core/plan.h"

struct reeve_audit_result {
    bool exactly_once;          /* all of the below that should be zero is zero, and committed == expected */
    uint64_t steps;             /* last committed step of the surviving timeline */
    uint64_t samples_expected;  /* steps x global batch */
    uint64_t samples_committed; /* distinct sample visits marked on the surviving timeline */
    uint64_t duplicates;        /* visits marked more than once */
    uint64_t missing;           /* visits that should have been marked and were not */
    uint64_t samples_refused;   /* of the committed: in steps refused for NaN, infinity or overflow */
    uint64_t epochs_complete;
    uint64_t rolled_back_steps; /* committed once, then undone by a restart from an older checkpoint, and done again */
    uint64_t recomputed;        /* results of micro-batches thrown away before their step committed (aborted steps, lost
                                 * workers, runs that ended within a step), and so computed again */
    uint64_t restarts;          /* RUN_OPENED records after the first */
    uint64_t leases, stale;     /* leases granted; completions that matched no current lease (recorded, not counted) */
    uint64_t violations;        /* rules broken; the first is worded in `first_violation` */
    char first_violation[256];
};

typedef struct reeve_audit reeve_audit;

/* plan is borrowed until destroy. Memory: a byte per step of the timeline, and the leases that are out; in finish() a
 * bit per sample visit of an epoch besides. Nothing is marked before finish(): a roll-back has nothing to unmark. */
reeve_status reeve_audit_create(reeve_plan *plan, reeve_audit **out, struct reeve_error *err);
void reeve_audit_destroy(reeve_audit *a);
/* Feed the durable events in the order of the journal, from its first record on; volatile kinds are passed over.
 * Rules checked while folding: records are numbered 1, 2, 3 ... without a gap; epochs (membership) never decrease, and
 * a RUN_OPENED raises them; all RUN_OPENED are of one run and manifest. Steps open and commit in order without a gap,
 * as the plan cuts them; a step commits only when each of its M micro-batches is COMPUTED, once, under the lease (task,
 * worker, attempt) last granted for it and not lost since; its coverage word equals the plan's; its sample count equals
 * B. A RUN_RESUMED follows each restart and names a step that a CKPT_COMMIT covers (or 0). No lease is granted for a
 * task that is held. A broken rule is counted and the first is worded; it is no error. JOB_NO_MEMORY only. */
reeve_status reeve_audit_event(reeve_audit *a, const struct reeve_event *ev, struct reeve_error *err);
/* What the events so far prove. Cost: O(samples of the timeline), each a look into the plan. JOB_NO_MEMORY only. */
reeve_status reeve_audit_finish(reeve_audit *a, struct reeve_audit_result *out, struct reeve_error *err);

#endif
