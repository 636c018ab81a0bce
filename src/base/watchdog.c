/* See reeve_watchdog.h. */
#include "base/watchdog.h"

#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

_Noreturn void reeve_watchdog_end(int exit_code)
{
    if (exit_code == REEVE_WATCHDOG_KILL) (void)kill(getpid(), SIGKILL);
    _exit(exit_code);
}

static void *watchdog_main(void *arg)
{
    struct reeve_watchdog *w = arg;
    struct timespec until = {.tv_sec = w->deadline_ns / REEVE_SECOND_NS, .tv_nsec = w->deadline_ns % REEVE_SECOND_NS};
    int rc = 0;
    (void)pthread_mutex_lock(&w->lock);
    while (!w->over && rc == 0)
        rc = pthread_cond_timedwait(&w->wake, &w->lock, &until);
    bool over = w->over;
    (void)pthread_mutex_unlock(&w->lock);
    if (over) return NULL;
    reeve_log(REEVE_LOG_WARN, "%s; leaving without it", w->why);
    reeve_watchdog_end(w->exit_code);
}

bool reeve_watchdog_start(struct reeve_watchdog *w, reeve_time_ns deadline_ns, int exit_code, const char *why)
{
    *w = (struct reeve_watchdog){.deadline_ns = deadline_ns, .exit_code = exit_code, .why = why};
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0) return false;
    bool ok = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 && pthread_mutex_init(&w->lock, NULL) == 0 &&
              pthread_cond_init(&w->wake, &monotonic) == 0;
    (void)pthread_condattr_destroy(&monotonic);
    return ok && pthread_create(&w->thread, NULL, watchdog_main, w) == 0;
}

void reeve_watchdog_stop(struct reeve_watchdog *w)
{
    (void)pthread_mutex_lock(&w->lock);
    w->over = true;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_join(w->thread, NULL);
}
