/* The warden of a worker: a small process that waits for the worker's death and then kills the process groups of its
 * commands. The kernel kills a command with its parent, but not what the command has started itself. */
#ifndef REEVE_RUN_WARDEN_H
#define REEVE_RUN_WARDEN_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "reeve/status.h"

struct reeve_warden {
    atomic_int *groups; /* (count,) owned, shared with the warden; 0: no command */
    uint32_t count;
    pid_t pid;   /* 0: none */
    int life_fd; /* closed when this process ends, however it does */
};

/* Memory for `count` groups, and the warden: `program --warden` (program NULL: none, for tests of other things). It is
 * started by exec, so it holds nothing of this process. JOB_NO_MEMORY | JOB_CONFIG (or it could
 * not be executed); nothing is left open then. */
reeve_status reeve_warden_start(struct reeve_warden *w, uint32_t count, const char *program, struct reeve_error *err);
void reeve_warden_stop(struct reeve_warden *w); /* no command may be left */

/* What `program --warden` does; never returns. Descriptor 3: its life line; 4: the groups. */
_Noreturn void reeve_warden_main(void);

#endif
