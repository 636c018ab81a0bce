/* Ends the process if MPI does not come back in time. A thread, since a call that hangs does not return; it calls no
 * MPI. */
#ifndef REEVE_NET_MPI_WATCHDOG_H
#define REEVE_NET_MPI_WATCHDOG_H

#include <pthread.h>
#include <stdbool.h>

#include "reeve/ids.h"

struct mpi_watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    reeve_time_ns deadline_ns;
    const char *why; /* borrowed until stop */
    int exit_code;
    bool over;
};

/* Stays at its address until stop. False: no thread is to be had, and nothing was started. */
bool mpi_watchdog_start(struct mpi_watchdog *w, reeve_time_ns deadline_ns, int exit_code, const char *why);
void mpi_watchdog_stop(struct mpi_watchdog *w);

#endif
