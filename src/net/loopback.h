/* The transport inside one process: a master and its only worker, served in turns by one thread. Links no MPI. */
#ifndef REEVE_NET_LOOPBACK_H
#define REEVE_NET_LOOPBACK_H

#include "port/transport.h"

/* Two ends of one line: peer 0 (master) and peer 1 (worker). Each is destroyed by its own ops->destroy, in any order;
 * the end that is left then sees WORKER_LOST. A send to a full line (8 MiB not taken) is JOB_INTERNAL: in one thread
 * nobody could empty it while the sender waits.
 * JOB_NO_MEMORY. */
reeve_status reeve_loopback_create(reeve_transport **master, reeve_transport **worker, struct reeve_error *err);

#endif
