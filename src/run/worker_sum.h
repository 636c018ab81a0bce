/* A worker's way through one sum over all workers, stage by stage: it waits until its own part is whole, then adds up the
 * gradient in fp32 where that is asked for, the words (with the exact gradient before them), and on a GPU the gradient there.
 * It owns nothing and never waits. What a sum that fails means to the worker is decided by the worker (run/worker.c), the only
 * caller. */
#ifndef REEVE_RUN_WORKER_SUM_H
#define REEVE_RUN_WORKER_SUM_H

#include "core/frame.h"
#include "port/collective.h"
#include "run/compute.h"

/* On a GPU the words go first: what they agree on is that all workers are there. */
enum reeve_sum_stage {
    REEVE_SUM_STAGE_NONE = 0,
    REEVE_SUM_STAGE_UNSETTLED,
    REEVE_SUM_STAGE_FAST,
    REEVE_SUM_STAGE_WORDS,
    REEVE_SUM_STAGE_DEVICE
};

struct reeve_worker_sum {
    struct reeve_collectives collectives; /* borrowed */
    reeve_compute *compute;               /* borrowed; NULL: no training, and no sums */
    enum reeve_sum_stage stage;           /* NONE: no sum is in progress */
    bool of_eval;
    uint64_t step;
    struct reeve_compute_sum vectors; /* what is added up, from FAST or WORDS on; borrowed of compute */
};

/* The master asked for the sum of a step, or of the evaluation after it. */
void reeve_worker_sum_begin(struct reeve_worker_sum *s, uint64_t step, bool of_eval);
/* Move it along. *whole: it has ended; *reduced is what the master is told of it, but for the worker and the epoch.
 * Else as the collective and the digest say: WORKER_LOST | JOB_INTERNAL | JOB_DEVICE; then `stage` is the one that failed. */
reeve_status reeve_worker_sum_turn(struct reeve_worker_sum *s, bool *progress, bool *whole, struct reeve_frame *reduced,
                                   struct reeve_error *err);
/* Give it up; also what else is being added up over these collectives (run/state_share.h). */
void reeve_worker_sum_abandon(struct reeve_worker_sum *s);

#endif
