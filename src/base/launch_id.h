/* The identity of a launch of a run: made by the supervisor, in the environment of everything that it starts, and in
 * the names of what these leave in shared memory. So whatever belongs to a launch can be found and removed, and nothing
 * else: on this host by the supervisor, on others by the ranks of the next launch. */
#ifndef REEVE_BASE_LAUNCH_ID_H
#define REEVE_BASE_LAUNCH_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/path.h"

#define REEVE_LAUNCH_VARIABLE "REEVE_LAUNCH"
#define REEVE_LAUNCH_ID_BYTES 34   /* "<16 hex digits of the run>-<16 of the launch>" and a NUL */
#define REEVE_LAUNCH_RUN_CHARS 17u /* of it are the same in all launches of a run: the first half and its dash */

/* run_dir: absolute. nonce: another one for each launch. */
void reeve_launch_id_make(const char *run_dir, uint64_t nonce, char id[REEVE_LAUNCH_ID_BYTES]);

/* A rank, before MPI starts: sweep what dead launches of this run left on this host, and have Open MPI put its shared
 * memory into a folder of this launch. Without REEVE_LAUNCH in the environment nothing happens; without /dev/shm MPI
 * does as it always does. */
void reeve_launch_shared_begin(void);
/* A rank, after MPI has ended: the last one of this host removes the folder. */
void reeve_launch_shared_end(void);
/* Remove what a launch left in /dev/shm. Only after all its processes have ended. */
void reeve_launch_shared_sweep(const char *id);
/* How many names there are now in /dev/shm of any launch of this run (the first REEVE_LAUNCH_RUN_CHARS of an id). */
size_t reeve_launch_shared_count(const char *id);
/* Files in the folders of a run's launches, and their bytes: what its ranks share now. */
size_t reeve_launch_shared_files(const char *id, uint64_t *bytes);
/* Remove the folder of sockets and tables that Open MPI's launcher, which was this process, keeps among the temporary
 * files of this host. Only after it has ended: then it was killed, or the folder is gone. */
void reeve_launch_session_sweep(pid_t launcher);
/* Is there one? *path: its name. Of a launcher of that process number that was killed, then, or that runs in another
 * container with the same temporary files: Open MPI 5 does not start beside it (exit code 213). */
bool reeve_launch_session_find(pid_t launcher, char path[REEVE_PATH_BYTES_MAX]);

#endif
