/* The border between MPI's error codes and ours; for this folder only (folders beside each other share no code). */
#ifndef REEVE_COLL_BORDER_H
#define REEVE_COLL_BORDER_H

#include <mpi.h>

#include "reeve/status.h"

/* A process is gone, or the communicator was revoked because one is: WORKER_LOST; anything else: JOB_INTERNAL. */
reeve_status coll_fail(struct reeve_error *err, int mpi_code, const char *doing);

#endif
