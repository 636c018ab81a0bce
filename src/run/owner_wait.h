/* Waiting for whoever has a run and cannot be seen from here. */
#ifndef REEVE_RUN_OWNER_WAIT_H
#define REEVE_RUN_OWNER_WAIT_H

#include "base/clock.h"
#include "store/owner.h"

/* Enough for an owner that died on another machine just now to count as gone. */
#define REEVE_OWNER_PATIENCE_NS (65 * REEVE_SECOND_NS)

/* Wait while somebody on another machine has the run in this role, until end_ns at most. Says once for whom and how long.
 * Takes nothing: whether the run is free is for the caller to find out. Only in a Slurm job: there nobody sits who could
 * try again, and "in use" would end the job for good. Anywhere else it returns at once. *watch: what was seen meanwhile,
 * for reeve_owner_succeed(). */
void reeve_owner_wait(const char *run_dir, enum reeve_owner_role role, reeve_time_ns end_ns,
                      struct reeve_owner_watch *watch);

#endif
