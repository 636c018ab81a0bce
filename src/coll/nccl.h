/* Sums over the workers' GPUs with NCCL. MPI carries what NCCL cannot: the unique id, the agreement of all members that
 * a sum begins, and the word that one of them is gone, which NCCL itself never notices.
 *
 * in and out are memory of this rank's GPU. All NCCL and CUDA calls come from the thread that calls these operations, and
 * none of them blocks: creation, sum and abort each have a deadline. */
#ifndef REEVE_COLL_NCCL_H
#define REEVE_COLL_NCCL_H

#include <stddef.h>
#include <stdint.h>

#include "port/collective.h"
#include "port/time.h"

struct reeve_coll_nccl_config {
    uint32_t device;           /* this rank's GPU, as CUDA counts them; no two members may share one */
    reeve_time_ns create_ns;   /* to become a communicator; 0: 60 s */
    reeve_time_ns sum_ns;      /* without any chunk of a sum getting done; 0: 60 s */
    reeve_time_ns abort_ns;    /* for an abort; then the process ends with exit_code, and counts as dead; 0: 10 s */
    size_t chunk_bytes;        /* of one all-reduce; 0: 64 MiB */
    int exit_code;
};

/* Collective over `workers` (a Fortran handle of MPI, as reeve_coll_mpi_create() takes it). A world of one uses no NCCL.
 * WORKER_LOST (somebody died meanwhile) | JOB_DEVICE (no such GPU; two members on one; NCCL's own words) | JOB_DEADLINE |
 * JOB_NO_MEMORY. destroy() aborts whatever is under way. */
reeve_status reeve_coll_nccl_create(int workers, const struct reeve_coll_nccl_config *config, reeve_collective **out,
                                    struct reeve_error *err);

/* The sum over one worker, without MPI or NCCL: a copy on the device. JOB_DEVICE | JOB_NO_MEMORY. */
reeve_status reeve_coll_nccl_create_alone(uint32_t device, reeve_collective **out, struct reeve_error *err);

#endif
