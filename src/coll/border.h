/* The border between MPI's error codes and ours, and the end of its requests; for this folder only (folders beside each
 * other share no code). */
#ifndef REEVE_COLL_BORDER_H
#define REEVE_COLL_BORDER_H

#include <mpi.h>
#include <stdbool.h>

#include "reeve/status.h"

/* A process is gone, or the communicator was revoked because one is: WORKER_LOST; anything else: JOB_INTERNAL. */
reeve_status coll_fail(struct reeve_error *err, int mpi_code, const char *doing);

/* Somebody is lost, and others may wait for us: every operation on the communicator ends, on all. No-op without ULFM. */
void coll_release_others(MPI_Comm comm);

/* Was this job started so that MPI reports a lost process? It notices one that a signal ended, not one that exits (seen
 * with Open MPI 5.0.7). */
bool coll_reports_losses(void);

void coll_drop_receive(MPI_Request *receive); /* persistent */
/* Of a message so short that it has left already, unless its receiver is lost: then MPI keeps what it still needs. */
void coll_drop_send(MPI_Request *send);

#endif
