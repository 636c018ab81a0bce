/* Ends the process if a call into another library (MPI, NCCL) does not come back in time. A thread, since a call that
 * hangs does not return; it calls nothing of that library. */
#ifndef REEVE_BASE_WATCHDOG_H
#define REEVE_BASE_WATCHDOG_H

#include <pthread.h>
#include <stdbool.h>

#include "reeve/ids.h"

#define REEVE_WATCHDOG_KILL (-9) /* as exit code: end by SIGKILL, for who is watched by others that look for that */

struct reeve_watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    reeve_time_ns deadline_ns;
    const char *why; /* borrowed until stop */
    int exit_code;
    bool over;
};

/* Stays at its address until stop. False: no thread is to be had, and nothing was started. */
bool reeve_watchdog_start(struct reeve_watchdog *w, reeve_time_ns deadline_ns, int exit_code, const char *why);
void reeve_watchdog_stop(struct reeve_watchdog *w);

/* What it does when the time is up. */
_Noreturn void reeve_watchdog_end(int exit_code);

#endif
