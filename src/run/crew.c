/* Threads take the next number under a lock. Because numbers are handed out in order, every number below a failed one
 * has been begun, and is finished before the crew goes home: so the lowest failure is always found. */
#include "run/crew.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"

#define PROGRESS_NS 200000000 /* between two calls of progress */

struct crew {
    const struct reeve_crew_job *job;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t news;  /* a thread went home */
    uint32_t next, done, failed, at_work;
    uint64_t bytes;
    struct reeve_crew_failure *failures; /* room for REEVE_CREW_FAILURES_MAX */
    uint32_t failure_count;
};

static int by_piece(const void *a, const void *b)
{
    uint32_t x = ((const struct reeve_crew_failure *)a)->piece, y = ((const struct reeve_crew_failure *)b)->piece;
    return (x > y) - (x < y);
}

/* Keep a failure if there is room, or in place of the last one if it comes before that. Lock is held. */
static void keep_failure(struct crew *c, uint32_t piece, const struct reeve_error *error)
{
    c->failed++;
    if (c->failure_count < REEVE_CREW_FAILURES_MAX) {
        c->failures[c->failure_count++] = (struct reeve_crew_failure){piece, *error};
        return;
    }
    uint32_t last = 0;
    for (uint32_t i = 1; i < c->failure_count; i++)
        if (c->failures[i].piece > c->failures[last].piece) last = i;
    if (c->failures[last].piece > piece) c->failures[last] = (struct reeve_crew_failure){piece, *error};
}

static void work_until_done(struct crew *c)
{
    (void)pthread_mutex_lock(&c->lock);
    while (c->next < c->job->piece_count && !(c->job->stop_at_failure && c->failed > 0)) {
        uint32_t piece = c->next++;
        (void)pthread_mutex_unlock(&c->lock);
        struct reeve_error error = {.status = REEVE_OK};
        uint64_t bytes = 0;
        reeve_status st = c->job->work(c->job->work_arg, piece, &bytes, &error);
        (void)pthread_mutex_lock(&c->lock);
        c->done++;
        c->bytes += bytes;
        if (st != REEVE_OK) keep_failure(c, piece, &error);
    }
    (void)pthread_mutex_unlock(&c->lock);
}

static void *thread_main(void *arg)
{
    struct crew *c = arg;
    work_until_done(c);
    (void)pthread_mutex_lock(&c->lock);
    c->at_work--;
    (void)pthread_cond_signal(&c->news);
    (void)pthread_mutex_unlock(&c->lock);
    return NULL;
}

static struct timespec soon(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += PROGRESS_NS;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return t;
}

/* The caller's thread tells how far it is while the others work. */
static void watch(struct crew *c)
{
    struct timespec until = soon();
    (void)pthread_mutex_lock(&c->lock);
    while (c->at_work > 0) {
        if (pthread_cond_timedwait(&c->news, &c->lock, &until) != ETIMEDOUT) continue;
        until = soon();
        uint32_t done = c->done;
        uint64_t bytes = c->bytes;
        (void)pthread_mutex_unlock(&c->lock); /* progress may write to a slow terminal */
        if (c->job->progress != NULL) c->job->progress(c->job->progress_arg, done, c->job->piece_count, bytes);
        (void)pthread_mutex_lock(&c->lock);
    }
    (void)pthread_mutex_unlock(&c->lock);
}

static uint32_t thread_count(const struct reeve_crew_job *job)
{
    uint32_t n = job->threads;
    cpu_set_t cores;
    if (n == 0) n = sched_getaffinity(0, sizeof cores, &cores) == 0 ? (uint32_t)CPU_COUNT(&cores) : 1;
    if (n > REEVE_CREW_THREADS_MAX) n = REEVE_CREW_THREADS_MAX;
    return n < job->piece_count ? n : job->piece_count;
}

static void run_threads(struct crew *c)
{
    pthread_t thread[REEVE_CREW_THREADS_MAX];
    uint32_t wanted = thread_count(c->job), started = 0;
    (void)pthread_mutex_lock(&c->lock); /* nobody goes home before everybody is counted */
    while (started < wanted && pthread_create(&thread[started], NULL, thread_main, c) == 0)
        started++;
    c->at_work = started;
    (void)pthread_mutex_unlock(&c->lock);
    if (started == 0) work_until_done(c); /* no thread to be had: the work is done all the same */
    watch(c);
    for (uint32_t i = 0; i < started; i++)
        (void)pthread_join(thread[i], NULL);
}

reeve_status reeve_crew_run(const struct reeve_crew_job *job, struct reeve_crew_failure **failures,
                            uint32_t *failure_count, uint32_t *failed, struct reeve_error *err)
{
    struct crew c = {.job = job, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_condattr_t monotonic;
    c.failures = calloc(REEVE_CREW_FAILURES_MAX, sizeof *c.failures);
    if (c.failures == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "out of memory for the list of failures");
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&c.news, &monotonic);
    run_threads(&c);
    (void)pthread_cond_destroy(&c.news);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_destroy(&c.lock);
    if (c.failure_count == 0) {
        free(c.failures);
        c.failures = NULL;
    } else {
        qsort(c.failures, c.failure_count, sizeof *c.failures, by_piece);
    }
    *failures = c.failures;
    *failure_count = c.failure_count;
    *failed = c.failed;
    return REEVE_OK;
}
