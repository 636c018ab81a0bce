/* The border between MPI's error codes and ours; for this folder only. */
#ifndef REEVE_NET_MPI_ERROR_H
#define REEVE_NET_MPI_ERROR_H

#include <mpi.h>
#include <stdbool.h>

#include "reeve/status.h"

/* A process is gone, or the communicator was revoked because one is: WORKER_LOST; anything else: JOB_INTERNAL. */
reeve_status reeve_mpi_fail(struct reeve_error *err, int mpi_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Has the process at the other end failed? */
bool reeve_mpi_is_loss(int mpi_code);
/* Was the communicator revoked, here or by another rank? */
bool reeve_mpi_is_revoked(int mpi_code);
/* A receive from any source cannot be completed before the loss is acknowledged; the request lives on. */
bool reeve_mpi_is_loss_pending(int mpi_code);

#endif
