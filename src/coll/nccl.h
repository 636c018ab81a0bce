/* Sums over the workers' GPUs with NCCL. MPI carries what NCCL cannot: the unique id, the agreement of all members that
 * a sum begins, and the word that one of them is gone, which NCCL itself never notices.
 *
 * in and out are memory of this rank's GPU, complete before begin and after done; no stream needs to be waited for. All
 * NCCL and CUDA calls come from the thread that calls these operations, and none of them waits for the GPU: creation, sum
 * and abort each have a deadline. begin_sum_i64: the same bits for any number of workers. begin_sum_f32 and
 * begin_sum_bf16: NCCL chooses the order of additions, so the bits may change with the number and places of workers.
 *
 * What test() and create() say after a failure, and what becomes of the run (run/rank.c):
 *   WORKER_LOST   somebody is gone, or NCCL failed or stood still, which a new communicator may mend. With ULFM the workers'
 *                 communicator is revoked then, so that all members come to a regrouping, destroy this and create anew.
 *                 In the middle of a sum nothing else is lost: `in` is never written.
 *   JOB_DEVICE    this GPU failed, or NCCL did for the third time without a whole sum in between. This process should
 *                 end; to the others it is a worker that died.
 *   JOB_DEADLINE  not all came to create(), or together for the third time, within create_ns.
 *
 * abandon() of a sum that is under way aborts NCCL's communicator, which takes a moment, for NCCL has no other way to
 * give a sum up. The next sum makes a new one first, once all have begun it: a step may be discarded without a loss. */
#ifndef REEVE_COLL_NCCL_H
#define REEVE_COLL_NCCL_H

#include <stddef.h>
#include <stdint.h>

#include "port/collective.h"
#include "port/time.h"

struct reeve_coll_nccl_config {
    uint32_t device;         /* this rank's GPU, as CUDA counts them; no two members may share one */
    reeve_time_ns create_ns; /* to become a communicator; 0: 60 s */
    reeve_time_ns sum_ns;    /* without any chunk of a sum getting done; 0: 60 s */
    reeve_time_ns abort_ns;  /* for an abort, which may hang; then the process ends; 0: 10 s */
    size_t chunk_bytes;      /* of one all-reduce; 0: 64 MiB */
    int exit_code;           /* to end with then; with ULFM by SIGKILL, for MPI reports no other death */
};

/* Collective over `workers` (a Fortran handle of MPI, as reeve_coll_mpi_create() takes it); waits until all are there, at
 * most create_ns. A world of one uses no NCCL. WORKER_LOST | JOB_DEVICE (no such GPU; two members on one; NCCL's own
 * words) | JOB_DEADLINE | JOB_NO_MEMORY. The same on all members, but where one ends in the middle of it.
 * destroy: not collective; aborts whatever is under way. Main thread only, as all of MPI. */
reeve_status reeve_coll_nccl_create(int workers, const struct reeve_coll_nccl_config *config, reeve_collective **out,
                                    struct reeve_error *err);

/* The sum over one worker, without MPI or NCCL: a copy on the device. JOB_DEVICE | JOB_NO_MEMORY. */
reeve_status reeve_coll_nccl_create_alone(uint32_t device, reeve_collective **out, struct reeve_error *err);

#endif
