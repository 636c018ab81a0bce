/* One launch: the command line of mpirun (or of a single reeve-rank), and its start as a child. */
#ifndef REEVE_CLI_LAUNCH_MPIRUN_H
#define REEVE_CLI_LAUNCH_MPIRUN_H

#include <stdbool.h>
#include <sys/types.h>

#include "cli/launch.h"

/* Open MPI starts nothing for root unless told twice, each time with "1"; that is the user's word to give, not ours.
 * Returns the first of the two variables that is not 1; NULL: nothing is missing. */
const char *reeve_launch_refuses_root(void);

/* Can this placement be launched from here? 0, or an exit code after a message. */
int reeve_launch_check(const struct reeve_placement *placement);

/* Start it in a session of its own, with `id` in its environment (see base/launch_id.h). Should this process die, the
 * child gets SIGTERM, and the run ends. *words_fd: what the launcher says on stderr, to be read;
 * -1 where there is none. *child: its process number. 0, or an exit code after a message. */
int reeve_launch_start(const struct reeve_launch *launch, const struct reeve_placement *placement, const char *id,
                       pid_t *child, int *words_fd);

#endif
