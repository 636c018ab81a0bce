/* Running a job from outside MPI: its ranks are launched, watched, and launched again when some of them are lost. Which
 * end of a launch leads to which of these is decided by core/relaunch and core/stall; what the command line looks like is
 * in launch_mpirun.c; the loop is in supervise.c. */
#ifndef REEVE_CLI_LAUNCH_H
#define REEVE_CLI_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "run/prepare.h"

/* Where a launch puts its ranks. */
struct reeve_placement {
    uint32_t workers;  /* 1: master and worker in one process, without mpirun */
    const char *hosts; /* as mpirun's --host takes it, "node1:8,node2:8"; NULL: mpirun finds out (this machine, or the
                          allocation that it was started in) */
};

struct reeve_launch {
    const struct reeve_prepared *prepared; /* borrowed */
    struct reeve_placement placement;      /* of the first launch */
    /* May be NULL. Called about twice a second while a launch runs; host: one whose workers have all fallen silent, ""
     * where there is none. True once it is known to be lost: the launch is ended then. Does not wait. */
    bool (*is_lost)(void *arg, const char *host, reeve_time_ns now_ns);
    /* May be NULL. Called when a launch has not begun to work after a while, and now and then later: true, and its name in
     * lost, if a host of the launch is known to be lost. May wait for some seconds. */
    bool (*find_lost)(void *arg, char lost[256]);
    /* May be NULL. Called before each launch but the first, `restart` counting from 1: put into *placement what is left
     * of the allocation, where that changes (any number of workers gives the same bits). false: too little is
     * left to run on, as it has said; the supervisor then ends with 75, and another allocation goes on. */
    bool (*replace)(void *arg, uint32_t restart, struct reeve_placement *placement);
    void *arg;
    uint64_t stop_at;  /* 0: no */
    uint64_t end_at_s; /* of --max-time, in seconds since 1970; 0: none */
    bool quiet;        /* no progress */
};

struct reeve_launch_result {
    uint32_t restarts;
};

/* Run to the end. Returns the exit code; what went wrong was told on stderr. result may be NULL. */
int reeve_launch_run(const struct reeve_launch *launch, struct reeve_launch_result *result);

/* True inside an MPI launch (mpirun, srun --mpi=pmix): then this process is a rank already. */
bool reeve_launch_inside_mpi(void);
/* The ranks of this job should be able to use GPUs: it asks for them, or leaves it open and this machine has some. */
bool reeve_launch_wants_cuda(const struct reeve_job *job);
/* Replace this process by reeve-rank, or by reeve-rank-cuda where that is there, with the given arguments (argv[0] is
 * set). Returns only on failure: an exit code. */
int reeve_launch_exec_rank(bool cuda, const char **argv);

#endif
