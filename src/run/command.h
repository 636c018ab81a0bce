/* One command as a child process: started with its output going to files, ended as a whole process group. Knows neither
 * tasks nor MPI. What a child of an MPI process must be kept from is done here: it gets no descriptor, no signal mask and
 * no MPI variable of its parent, and dies with it. */
#ifndef REEVE_RUN_COMMAND_H
#define REEVE_RUN_COMMAND_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "reeve/status.h"

/* What all commands of a worker have in common. */
struct reeve_command_ground {
    const char *shell;  /* borrowed: /bin/sh */
    const char *folder; /* borrowed: where commands start */
    char **environment; /* owned; without MPI's variables; the last four are ours, three of them for each command */
    size_t variables;   /* in it, before those three */
    int null_fd;        /* owned; /dev/null */
    sigset_t handled;   /* signals that this process handles or ignores: back to their defaults in the child */
    char program[4096]; /* the program that was looked up last, and where it was */
    char program_path[4096];
};

/* variable: "NAME=VALUE" that every command gets; borrowed like the others. */
reeve_status reeve_command_ground_init(struct reeve_command_ground *g, const char *shell, const char *folder,
                                       const char *variable, struct reeve_error *err);
void reeve_command_ground_fini(struct reeve_command_ground *g);

struct reeve_command {
    const char *text;         /* as it was written */
    int out_fd, err_fd;       /* borrowed; its standard output and error */
    const char *variables[3]; /* "NAME=VALUE", borrowed for the call */
    atomic_int *group;        /* set to its process group before it begins: what must be killed if this process dies */
};

/* Start it. A command of a program and plain words is started directly; what means anything to a shell, and what is no
 * program on PATH, goes to `shell -c`. The calling thread must live as long as the child does: the kernel kills the
 * child when its parent thread ends.
 *   out  pid, pidfd  pidfd is the caller's to close; -1 where the kernel has none
 * TASK_FAILED: not started, and why. */
reeve_status reeve_command_start(struct reeve_command_ground *g, const struct reeve_command *c, pid_t *pid, int *pidfd,
                                 struct reeve_error *err);

/* Has it ended? Then whatever else lives in its group is killed, it is reaped, and *wait_status is waitpid's. */
bool reeve_command_ended(pid_t pid, atomic_int *group, int *wait_status);

#endif
