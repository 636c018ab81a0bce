/* Processes of this host that belong to a launch of a run: those that carry its identity in their environment (see
 * base/launch_id.h). Found by that and by nothing else, never by name; and signalled through a handle, so that a number
 * that the kernel has given to somebody else meanwhile is never hit. */
#ifndef REEVE_CLI_PROCESSES_H
#define REEVE_CLI_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "reeve/ids.h"

enum reeve_process_role {
    REEVE_PROCESS_OTHER,    /* started by a rank: a user's program, say */
    REEVE_PROCESS_LAUNCHER, /* mpirun */
    REEVE_PROCESS_RANK,     /* reeve-rank, reeve-rank-cuda */
};

struct reeve_process {
    pid_t pid;
    enum reeve_process_role role;
    int rank;                /* of a RANK, 0 being the master at first; -1: not known, or spawned by another one */
    int64_t started_wall_ns; /* to a tick of the kernel (10 ms); 0: not known */
};

/* Those whose identity begins with `id` (a whole id, or its first REEVE_LAUNCH_RUN_CHARS: any launch of the run), this
 * process left out. Returns how many were written to list. Cost: reads the environment of each process of the user. */
size_t reeve_processes_find(const char *id, struct reeve_process *list, size_t room);
/* Signal one, if it still carries that identity. */
bool reeve_process_signal(const struct reeve_process *p, const char *id, int number);
/* Signal all; returns how many there were. */
size_t reeve_processes_signal(const char *id, int number);
/* SIGKILL all, again and again until there are none: false if some are left after patience_ns. */
bool reeve_processes_end(const char *id, reeve_time_ns patience_ns);

#endif
