/* One rank of a run: composes master, worker, or both in one process, and drives their turns until the run ends. */
#ifndef REEVE_RUN_RANK_H
#define REEVE_RUN_RANK_H

#include "port/collective.h"
#include "port/transport.h"
#include "run/prepare.h"

struct reeve_rank_config {
    const struct reeve_prepared *prepared; /* borrowed */
    uint64_t stop_at;                      /* 0: no */
    int64_t end_wall_ns;                   /* of --max-time, as a moment; 0: none */
    bool progress;                         /* print progress on stdout */
    const char *host;                      /* borrowed */
    bool cores_short;                      /* more ranks on this node than cores: sleep sooner when idle */
};

/* Tell every worker to go on with this run folder, or to end. */
typedef void reeve_rank_announce(reeve_transport *transport, bool go_on, const char *run_dir);

/* Each returns the exit code of this rank; errors were told. transport and collective are borrowed.
 * announce is called once, when the master is ready or cannot be: the workers wait for that word.
 * *told: it was the master's loop that ended, and its last word stands in status.json.
 * *clean: everybody said goodbye; otherwise others may still wait for this rank, and the job must be aborted. */
int reeve_rank_master(const struct reeve_rank_config *config, reeve_transport *transport, reeve_rank_announce *announce,
                      bool *clean, bool *told);
int reeve_rank_worker(const struct reeve_rank_config *config, reeve_transport *transport, reeve_collective *collective,
                      bool *clean);
/* Master and its only worker in this process; makes its own transport and collective. */
int reeve_rank_alone(const struct reeve_rank_config *config);

#endif
