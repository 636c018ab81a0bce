/* The sum over the workers of an MPI job: through shared memory within a host, and around a ring of hosts by messages.
 *
 * begin_sum_i64: the same bits for any number and placement of workers (addition modulo 2^64).
 * begin_sum_f32: the same bits for the same number and placement of workers: within a host in the order of ranks,
 * between hosts in an order that depends on the position of the number in the array.
 * Nothing blocks. abandon() may come at any time on any member; the next sum starts when all members have begun it. */
#ifndef REEVE_COLL_MPI_H
#define REEVE_COLL_MPI_H

#include "port/collective.h"

struct reeve_coll_mpi_config {
    /* 0: workers that share a host, as MPI sees it, share memory. 1: messages only. n: as if hosts had n workers each, for
     * tests, and where MPI cannot see it; they must then share a host indeed. */
    uint32_t host_size;
};

/* Collective over all workers; blocks until all are there (at the start of a job; not for use after a loss). If shared
 * memory cannot be had on any host (/dev/shm too small), all use messages, and a warning says so.
 *   in  workers  handle of the workers' communicator (struct reeve_mpi_session); nobody else sends on it; kept until
 *                destroy
 *   in  config   NULL: as all zero
 * Main thread only, as all of MPI. Memory: 1 MiB of /dev/shm and, on one worker per host, 1.5 MiB.
 * test() returns WORKER_LOST where MPI has ULFM: destroy the collective then. Without, and within a host, a lost worker
 * shows as a sum that does not end: the master finds out, and the caller abandons.
 * destroy: not collective; waits up to 1 s for leftovers of abandoned sums.
 * JOB_NO_MEMORY | JOB_INTERNAL | WORKER_LOST. */
reeve_status reeve_coll_mpi_create(int workers, const struct reeve_coll_mpi_config *config, reeve_collective **out,
                                   struct reeve_error *err);

#endif
