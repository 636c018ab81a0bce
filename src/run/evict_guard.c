/* The thread that guards a regrouping; see evict.h. It calls nothing of MPI. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "run/evict.h"

struct reeve_evictor_guard {
    struct reeve_evictor_eye eye;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool over; /* under lock */
};

static void *guard_main(void *arg)
{
    struct reeve_evictor_guard *g = arg;
    (void)pthread_mutex_lock(&g->lock);
    while (!g->over) {
        reeve_time_ns until_ns = reeve_clock_now() + REEVE_SECOND_NS;
        struct timespec until = {.tv_sec = until_ns / REEVE_SECOND_NS, .tv_nsec = until_ns % REEVE_SECOND_NS};
        bool woken = pthread_cond_timedwait(&g->wake, &g->lock, &until) == 0;
        if (!woken && !g->over) reeve_evictor_eye_look(&g->eye, reeve_clock_now());
    }
    (void)pthread_mutex_unlock(&g->lock);
    return NULL;
}

static bool start_thread(struct reeve_evictor_guard *g)
{
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0) return false;
    bool ok = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 && pthread_mutex_init(&g->lock, NULL) == 0 &&
              pthread_cond_init(&g->wake, &monotonic) == 0;
    (void)pthread_condattr_destroy(&monotonic);
    return ok && pthread_create(&g->thread, NULL, guard_main, g) == 0;
}

reeve_evictor_guard *reeve_evictor_guard_start(const struct reeve_evictor *e, const struct reeve_members *members,
                                               reeve_time_ns patience_ns)
{
    struct reeve_error ignored;
    if (patience_ns == 0 || e->processes == NULL) return NULL;
    struct reeve_evictor_guard *g = calloc(1, sizeof(*g));
    if (g == NULL) return NULL;
    if (reeve_evictor_eye_init(&g->eye, e, members, patience_ns, &ignored) == REEVE_OK && start_thread(g)) return g;
    reeve_evictor_eye_fini(&g->eye);
    free(g);
    return NULL;
}

void reeve_evictor_guard_stop(reeve_evictor_guard *g)
{
    if (g == NULL) return;
    (void)pthread_mutex_lock(&g->lock);
    g->over = true;
    (void)pthread_cond_signal(&g->wake);
    (void)pthread_mutex_unlock(&g->lock);
    (void)pthread_join(g->thread, NULL);
    (void)pthread_cond_destroy(&g->wake);
    (void)pthread_mutex_destroy(&g->lock);
    reeve_evictor_eye_fini(&g->eye);
    free(g);
}
