/* Seam 2: sums over all workers. Implementations: coll/self (one worker), coll/mpi, coll/nccl, the simulator's.
 * Out of place, so that a failed sum leaves every worker's own part as it was. One sum at a time. */
#ifndef REEVE_PORT_COLLECTIVE_H
#define REEVE_PORT_COLLECTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reeve/status.h"

typedef struct reeve_collective reeve_collective;

struct reeve_collective_ops {
    /* Start sum over workers: out[i] = sum of all in[i], i < n. in and out are borrowed until test() says done; they do
     * not overlap. All workers call it with the same n. OK | JOB_INTERNAL | WORKER_LOST. */
    reeve_status (*begin_sum_i64)(reeve_collective *c, const int64_t *in, int64_t *out, size_t n, struct reeve_error *err);
    reeve_status (*begin_sum_f32)(reeve_collective *c, const float *in, float *out, size_t n, struct reeve_error *err);
    /* Move it along; never blocks for longer than a chunk takes. *done becomes true once. OK | WORKER_LOST | JOB_INTERNAL. */
    reeve_status (*test)(reeve_collective *c, bool *done, struct reeve_error *err);
    /* Give the sum in progress up; the out buffer is garbage then. No-op if there is none. */
    void (*abandon)(reeve_collective *c);
    void (*destroy)(reeve_collective *c);
    /* As begin_sum_f32, of bfloat16 (the upper half of an f32). NULL where there is none: on CPUs. */
    reeve_status (*begin_sum_bf16)(reeve_collective *c, const uint16_t *in, uint16_t *out, size_t n,
                                   struct reeve_error *err);
};

struct reeve_collective {
    const struct reeve_collective_ops *ops;
    const char *name;   /* "self", "mpi", "nccl" */
    uint32_t members;   /* workers that take part */
};

/* What a worker adds up with. */
struct reeve_collectives {
    reeve_collective *host;   /* borrowed; memory of the host */
    reeve_collective *device; /* borrowed; memory of GPUs; NULL: this job computes on CPUs */
};

#endif
