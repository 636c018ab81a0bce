/* The master's end of two transports in one: its own process's worker at the end of a loopback, all others far away.
 * What a worker needs who has become master (docs/adr/0005). */
#ifndef REEVE_RUN_JOINED_TRANSPORT_H
#define REEVE_RUN_JOINED_TRANSPORT_H

#include "port/transport.h"

/* far and near are borrowed until destroy. near: the master's end of a loopback; its peer 1 is peer `own` here.
 * JOB_NO_MEMORY. */
reeve_status reeve_joined_transport_create(reeve_transport *far, reeve_transport *near, uint32_t own,
                                           reeve_transport **out, struct reeve_error *err);

#endif
