/* One rank of a run: composes master, worker, or both in one process, and drives their turns until the run ends. Where
 * losses are survived, a worker may become master on the way, and is both from then on (docs/adr/0005). */
#ifndef REEVE_RUN_RANK_H
#define REEVE_RUN_RANK_H

#include "port/membership.h"
#include "run/kinds.h"
#include "run/prepare.h"
#include "reeve/workload.h"
#include "store/owner.h"

/* Tell every worker to go on with this run, or to end; prepared may be NULL then. */
typedef void reeve_rank_announce(reeve_transport *transport, bool go_on, const struct reeve_prepared *prepared);

struct reeve_rank_config {
    const struct reeve_prepared *prepared; /* borrowed */
    uint64_t stop_at;                      /* 0: no */
    int64_t end_wall_ns;                   /* of --max-time, as a moment; 0: none */
    bool progress;                         /* print progress on stdout, if this process is master or becomes it */
    const char *host;                      /* borrowed */
    struct reeve_device_choice device;     /* what the workers compute on; this one's GPU */
    const struct reeve_workload_ops *ops;  /* borrowed; the workload, as the device asks for it; NULL: a task list */
    const char *card;                      /* borrowed; this rank's GPU, with its UUID; "": not known, or none */
    const struct reeve_kinds *kinds;       /* borrowed; of those who compute */
    bool cores_short;                      /* more ranks on this node than cores: sleep sooner when idle */
    reeve_membership *membership;          /* borrowed; NULL: nobody's loss is survived */
    const struct reeve_owner_process *processes; /* by member, borrowed; with membership only */
    bool joins;                                  /* this process was started in the place of a lost worker */
    const char *replace_not;                     /* borrowed; why a lost worker cannot be replaced here; NULL: it can */
    /* Called when the master is ready or cannot be, and again after each regrouping: workers wait for that word. */
    reeve_rank_announce *announce;
};

/* How a rank ended. */
struct reeve_rank_end {
    bool clean; /* everybody said goodbye; otherwise others may still wait for this rank, and the job must be aborted */
    bool master; /* this process was master at the end */
    bool told;   /* and its last word stands in status.json */
};

/* Each returns the exit code of this rank; errors were told. members: where this process belongs at the start;
 * borrowed. A worker whose collectives are NULL was told of a loss before it could begin: it regroups first. */
int reeve_rank_master(const struct reeve_rank_config *config, const struct reeve_members *members,
                      struct reeve_rank_end *end);
int reeve_rank_worker(const struct reeve_rank_config *config, const struct reeve_members *members,
                      struct reeve_rank_end *end);
/* Master and its only worker in this process; makes its own transport and sum on the host. device: the sum on its GPU,
 * borrowed; NULL: it computes on the CPU. */
int reeve_rank_alone(const struct reeve_rank_config *config, reeve_collective *device);

#endif
