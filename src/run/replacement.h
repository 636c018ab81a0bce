/* When a lost worker's place is filled again: once a step, or some seconds without another loss, have shown that the job goes
 * on without it; later and later while that fails, and after a few times never more in this launch. Pure: time is an
 * argument. */
#ifndef REEVE_RUN_REPLACEMENT_H
#define REEVE_RUN_REPLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "reeve/ids.h"

enum {
    REEVE_REPLACEMENT_TRIES_MAX = 5, /* in a row */
    /* Masters in a row that were lost while they had a process started: by chance, or because that does not end here (a new
     * process that dies while MPI begins, Open MPI 5.0.7 tells nobody of). A third would be lost for nothing. */
    REEVE_REPLACEMENT_STARTERS_MAX = 2,
};

struct reeve_replacement {
    bool asked;             /* the regrouping that comes is to bring somebody */
    bool unproven;          /* somebody came, and no progress since */
    uint32_t failures;      /* in a row */
    uint64_t progress;      /* when the last regrouping was over */
    reeve_time_ns after_ns; /* not before */
};

/* progress: a number that grows with the job's: committed steps, tasks that ended. */
bool reeve_replacement_due(struct reeve_replacement *r, uint32_t lost, uint64_t progress, reeve_time_ns now_ns);
/* A good moment has not come for some steps (one that writes a checkpoint after each step has none): take what there is. */
bool reeve_replacement_presses(const struct reeve_replacement *r, uint64_t progress);
/* It is done at the next regrouping. */
void reeve_replacement_ask(struct reeve_replacement *r);
/* A regrouping is over, and so many came. starters_lost: port/membership.h. True: a try has failed just now (none came, or
 * who came was lost at once, or the master before was lost in it and no other try will be made). */
bool reeve_replacement_regrouped(struct reeve_replacement *r, uint32_t came, uint32_t starters_lost, uint64_t progress,
                                 reeve_time_ns now_ns);
bool reeve_replacement_given_up(const struct reeve_replacement *r);

#endif
