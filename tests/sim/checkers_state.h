/* Private to the checkers: what they remember of a history. */
#ifndef TESTS_SIM_CHECKERS_STATE_H
#define TESTS_SIM_CHECKERS_STATE_H

#include "checkers.h"

#define LEASES_MAX 256u /* slots of the queue; a shape needs fewer */

struct lease_seen {
    uint32_t worker, attempt;
    bool held, computed, summed;
};

/* What a live master was after a record. */
struct live_digest {
    uint64_t lsn, digest;
    uint32_t epoch;
};

struct sim_checkers {
    uint32_t term;            /* of the newest master's journal */
    uint32_t launch;          /* that opened the run last, or is about to */
    uint64_t promised_lsn;    /* words of the newest master have left on records up to here */
    uint64_t durable_lsn;     /* and up to here a power cut cannot take them */
    struct live_digest *live; /* in the order in which it happened; owned */
    size_t live_count, live_room;
    uint64_t *kept_sum; /* (kept_count,) owned: the chain as the last recovery read it */
    size_t kept_count, kept_room;
    uint32_t damaged;                    /* checkpoints that the disk lost */
    bool resumed;                        /* the newest launch has said from where it goes on */
    uint32_t unsynced;                   /* launch during which records were lost that words had left on */
    uint64_t committed;                  /* last step that this launch committed; 0: none yet */
    bool aborted;                        /* a step was thrown away since */
    struct lease_seen lease[LEASES_MAX]; /* of that launch */
};

/* Fold a record into the table of leases; live: it was decided now, and what cannot be is told. */
void sim_leases_fold(struct sim *s, const struct reeve_event *ev);

#endif
