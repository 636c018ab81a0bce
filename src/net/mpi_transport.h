/* Control messages over MPI point-to-point, on the communicator of all ranks. Peer 0 is rank 0, the master; any other
 * peer is the member of that number, at whatever rank it is now (struct reeve_mpi_session). A member that is not here
 * is lost. Main thread only. Who is lost is told only by an MPI with ULFM; another one ends the whole job. */
#ifndef REEVE_NET_MPI_TRANSPORT_H
#define REEVE_NET_MPI_TRANSPORT_H

#include "net/mpi_session.h"
#include "port/transport.h"

/* Not collective. Messages that were sent before the receiver's transport exists wait for it.
 *   in  session  borrowed until destroy
 * send() copies. A peer that takes no messages is sent up to 1024 ahead (16 MiB at most); then send() moves messages
 * along for up to 10 s before it gives the peer up as WORKER_LOST. poll() tells each lost peer once; WORKER_LOST with
 * *peer UINT32_MAX: the communicator was revoked, and nothing more comes through this transport.
 * JOB_NO_MEMORY | JOB_INTERNAL. */
reeve_status reeve_mpi_transport_create(const struct reeve_mpi_session *session, reeve_transport **out,
                                        struct reeve_error *err);

#endif
