/* Private to the checkers: what they remember of a history. */
#ifndef TESTS_SIM_CHECKERS_STATE_H
#define TESTS_SIM_CHECKERS_STATE_H

#include "checkers.h"

#define LEASES_MAX 256u /* slots of the queue; a shape needs fewer */

struct lease_seen {
    uint32_t epoch, worker, attempt;
    bool held, summed;
};

/* What a live master was after a record. */
struct live_digest {
    uint64_t lsn, digest;
    uint32_t epoch;
};

struct sim_checkers {
    uint32_t epoch;           /* of the newest master */
    uint64_t promised_lsn;    /* words of the newest master have left on records up to here */
    uint64_t durable_lsn;     /* and up to here a power cut cannot take them */
    struct live_digest *live; /* in the order in which it happened; owned */
    size_t live_count, live_room;
    uint64_t *kept_sum; /* (kept_count,) owned: the chain as the last recovery read it */
    size_t kept_count, kept_room;
    uint32_t damaged; /* checkpoints that the disk lost */
    bool resumed;     /* the newest master has said from where it goes on */
    struct lease_seen lease[LEASES_MAX];
};

#endif
