/* The master's loop: its turn is always decide -> append -> apply -> sync (once) -> send. It composes the pure master
 * with transport, journal, checkpoints, signals, the STOP and SAVE files, and the report. */
#ifndef REEVE_RUN_MASTER_LOOP_H
#define REEVE_RUN_MASTER_LOOP_H

#include <stdio.h>

#include "core/job.h"
#include "core/requeue.h"
#include "port/membership.h"
#include "port/transport.h"
#include "run/evict.h"
#include "run/recover.h"
#include "run/report.h"
#include "run/stop_signals.h"

typedef struct reeve_master_loop reeve_master_loop;

struct reeve_master_loop_config {
    const char *run_dir;                   /* borrowed until destroy */
    const struct reeve_job *job;           /* borrowed until destroy */
    struct reeve_digest digest;            /* of the locked manifest, or of the task list */
    const struct reeve_task_list *tasks;   /* borrowed until destroy; NULL: it trains */
    const char *build;                     /* for checkpoints (run/build_text.h); borrowed until destroy */
    uint32_t workers;                      /* expected: peers 1..workers */
    FILE *progress;                        /* borrowed; NULL: none */
    int64_t end_wall_ns;                   /* of --max-time; INT64_MAX: none */
    reeve_owner *owner;                    /* borrowed until destroy; of the run */
    struct reeve_evictor *evictor;         /* borrowed until destroy; NULL: a worker that hangs ends the run */
    bool replaces;                         /* faults.replace, and this launch can */
    bool regroups;                         /* losses are survived: workers wait for the word that the run is over */
    enum reeve_cause stop_cause;           /* why the master before this one was asked to stop; NONE: it was not */
};

/* recovered is borrowed until destroy; the caller owns the run (store/owner.h). Opens the journal with a new membership
 * epoch and records RUN_OPENED. STORE_CREATE | STORE_WRITE | JOB_NO_MEMORY. */
/* members NULL: open the run. Otherwise go on with it in place of a master that was lost: REGROUPED is recorded then,
 * and the workers are asked what they hold. */
reeve_status reeve_master_loop_create(const struct reeve_master_loop_config *config, struct reeve_recovered *recovered,
                                      reeve_transport *transport, const struct reeve_members *members,
                                      reeve_master_loop **out, struct reeve_error *err);
void reeve_master_loop_destroy(reeve_master_loop *l);

/* Others were lost, and this master goes on: over another transport, borrowed until destroy or the next of these. */
reeve_status reeve_master_loop_regroup(reeve_master_loop *l, reeve_transport *transport,
                                       const struct reeve_members *members, struct reeve_error *err);

/* True: now is a moment to start a process in the place of a lost worker; the caller regroups at once, with it. */
bool reeve_master_loop_replaces(reeve_master_loop *l, reeve_time_ns now_ns);

/* One turn; never waits but for the journal. *ended: nothing is left to do; reeve_master_loop_end() says how it went.
 * An error means that the run cannot go on in this process (journal, lost worker, silence); WORKER_LOST where losses are
 * survived: all regroup. */
reeve_status reeve_master_loop_turn(reeve_master_loop *l, reeve_time_ns now_ns, bool *progress, bool *ended,
                                    struct reeve_error *err);

/* After *ended, where `regroups`: let the workers go. */
void reeve_master_loop_release(reeve_master_loop *l);

/* After *ended, or after an error (then err is that error): close the journal, write the last report and the last word
 * to people. Returns the exit code. */
int reeve_master_loop_end(reeve_master_loop *l, const struct reeve_error *err);

#endif
