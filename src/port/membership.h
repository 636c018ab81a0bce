/* Seam 5: who is there, and how the survivors of a loss come together again. Implementations: cli/rank_members (MPI
 * with ULFM), and the simulator's. A member is a process of the job by its number at the start: 0 is the first master,
 * any other is the worker of that id, for the life of the job. */
#ifndef REEVE_PORT_MEMBERSHIP_H
#define REEVE_PORT_MEMBERSHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "port/collective.h"
#include "port/transport.h"

struct reeve_members {
    uint32_t self, master;      /* the master is the lowest of those that have been here longest */
    uint32_t count;             /* members at the start */
    uint32_t round;             /* grows each time that they come together; the same for all; 0: since the start */
    const bool *here;           /* (count,) borrowed until the next regroup() */
    const bool *came;           /* (count,) borrowed like here; another process than before; NULL: nobody */
    uint32_t starters_lost;     /* masters in a row, each while it had a process started; the same for all */
    reeve_transport *transport; /* borrowed until the next regroup(); peer 0 is the master, worker w is peer w */
    struct reeve_collectives collectives; /* the same; NULL where no worker is: member 0 */
};

typedef struct reeve_membership reeve_membership;

struct reeve_membership_ops {
    /* Somebody was lost (a transport or collective said WORKER_LOST). Make all others notice, and go on with those who
     * live; the transport and the collective from before are gone, and so is every message on its way. Collective over
     * all who live; blocks until they are here, but never for ever: then the process ends. OK | JOB_NO_MEMORY |
     * JOB_INTERNAL. */
    reeve_status (*regroup)(reeve_membership *m, struct reeve_members *out, struct reeve_error *err);
    /* Said by the master just before its regroup(), which nobody's loss needs to have caused then: where workers are
     * missing, other processes are to be started in their places. Whether they came, `here` and `came` say. */
    void (*replace)(reeve_membership *m);
};

struct reeve_membership {
    const struct reeve_membership_ops *ops;
};

#endif
