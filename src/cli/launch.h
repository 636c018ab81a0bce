/* Launching the ranks of a run from outside MPI, and watching them: mpirun with the right flags, Ctrl-C turned into a
 * stop at the next step boundary, and an exit code taken from the run's own last word rather than from mpirun's. */
#ifndef REEVE_CLI_LAUNCH_H
#define REEVE_CLI_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "run/prepare.h"

struct reeve_launch {
    const struct reeve_prepared *prepared; /* borrowed */
    uint32_t workers;                      /* 1: master and worker in one process, without mpirun */
    uint64_t stop_at;                      /* 0: no */
    bool quiet;                            /* no progress */
};

/* Run to the end. Returns the exit code; what went wrong was told on stderr. */
int reeve_launch_run(const struct reeve_launch *launch);

/* True inside an MPI launch (mpirun, srun --mpi=pmix): then this process is a rank already. */
bool reeve_launch_inside_mpi(void);
/* Replace this process by reeve-rank with the given arguments (argv[0] is set). Returns only on failure: an exit code. */
int reeve_launch_exec_rank(const char **argv);

#endif
