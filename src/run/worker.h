/* A worker's side of the conversation: takes frames from the master, posts them to the compute thread, sends its
 * answers, and moves the sum along. It never waits for the compute thread, so it answers at any time. */
#ifndef REEVE_RUN_WORKER_H
#define REEVE_RUN_WORKER_H

#include <stdbool.h>

#include "core/requeue.h"
#include "port/collective.h"
#include "port/transport.h"
#include "run/compute.h"
#include "run/executor.h"
#include "run/tally.h"

typedef struct reeve_worker reeve_worker;

struct reeve_worker_config {
    uint32_t id;               /* 1..; also the peer number of the transport */
    uint32_t credits;          /* tasks held ahead */
    reeve_time_ns silence_ns;  /* without a word of the master for so long, give up */
    reeve_time_ns evict_ns;    /* the floor of the deadline for its words (core/eviction.h); 0: it is never late */
    bool stays;                /* a lost master is replaced: leave only when the master says that the run is over */
    bool joins;                /* a lost worker's place is taken: the state comes from the others */
    const char *host;          /* borrowed for the call */
    struct reeve_tally *tally; /* borrowed until destroy; what it has done is added there; NULL: nowhere */
};

/* transport, collectives, compute and executor are borrowed until destroy. Says HELLO at its first turn. A worker either
 * trains (collectives and compute) or works a task list off (executor); the others are NULL. */
reeve_status reeve_worker_create(const struct reeve_worker_config *config, reeve_transport *transport,
                                 struct reeve_collectives collectives, reeve_compute *compute, reeve_executor *executor,
                                 reeve_worker **out, struct reeve_error *err);
void reeve_worker_destroy(reeve_worker *w);

/* Do what can be done without waiting. *progress: something was done; *ended: the master said goodbye and everything
 * is written. OK | WORKER_LOST (the master is gone; or the sum found somebody gone, and a regrouping mends that) |
 * JOB_DEADLINE (the master was silent too long) | JOB_INTERNAL. */
reeve_status reeve_worker_turn(reeve_worker *w, reeve_time_ns now_ns, bool *progress, bool *ended,
                               struct reeve_error *err);

/* After a regrouping: go on with another transport and collectives, borrowed until destroy (NULL: none yet, and no
 * turns). Messages and the sum in progress are lost; what is in the accumulators stays, and the master will hear of it
 * as soon as it has given its word. */
void reeve_worker_regroup(reeve_worker *w, reeve_transport *transport, struct reeve_collectives collectives);
/* What concerns a successor of the master: why the run was asked to stop, as far as it has told; NONE: it was not. */
enum reeve_cause reeve_worker_stop_cause(const reeve_worker *w);

/* How the master looks from here. */
struct reeve_worker_ear {
    reeve_time_ns silence_ns, deadline_ns; /* nothing was heard of it for so long; the most that this may be */
    bool heard;                            /* something was, since the ranks last came together */
};
void reeve_worker_listen(const reeve_worker *w, reeve_time_ns now_ns, struct reeve_worker_ear *ear);

/* A sum is in progress: others wait for this rank, so it should not sleep long. */
bool reeve_worker_is_reducing(const reeve_worker *w);

#endif
