/* Seam 1: control messages between the master and its workers. Implementations: net/ (MPI), net/loopback (one
 * process), and the simulator's. Peer 0 is the master; workers are 1..size-1 (peer number = worker id at start). */
#ifndef REEVE_PORT_TRANSPORT_H
#define REEVE_PORT_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

#include "reeve/ids.h"
#include "reeve/status.h"

#define REEVE_MESSAGE_BYTES_MAX 16384

typedef struct reeve_transport reeve_transport;

struct reeve_transport_ops {
    /* Hand a message over for delivery; bytes are copied before it returns. Order is kept per pair of peers.
     * Never blocks. OK | WORKER_LOST (peer is gone) | JOB_INTERNAL. */
    reeve_status (*send)(reeve_transport *t, uint32_t peer, const void *bytes, size_t n, struct reeve_error *err);
    /* Take one message if there is one; *n = 0 if not. Never blocks; also moves sends along.
     *   out  bytes  room for REEVE_MESSAGE_BYTES_MAX
     * OK | WORKER_LOST (*peer says who) | JOB_INTERNAL. */
    reeve_status (*poll)(reeve_transport *t, uint32_t *peer, void *bytes, size_t *n, struct reeve_error *err);
    /* Wait until all sends are on their way, at most until deadline_ns. OK | JOB_DEADLINE | WORKER_LOST. */
    reeve_status (*flush)(reeve_transport *t, reeve_time_ns deadline_ns, struct reeve_error *err);
    void (*destroy)(reeve_transport *t);
};

struct reeve_transport {
    const struct reeve_transport_ops *ops;
    uint32_t self; /* 0: master */
    uint32_t size; /* peers in all, the master included */
};

#endif
