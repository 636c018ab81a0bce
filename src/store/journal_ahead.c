/* The next segment of a journal, made ahead of need. One thread a segment: it lives for some milliseconds. */
#include "store/journal_ahead.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

static reeve_status make(struct reeve_ahead *a, struct reeve_error *err)
{
    const struct reeve_segment order = a->segment;
    return reeve_segment_create(a->run_dir, &order.name, order.capacity, order.run_id, 0, &a->segment, err);
}

static void *run(void *arg)
{
    struct reeve_ahead *a = arg;
    struct reeve_error err;
    a->status = make(a, &err);
    if (a->status != REEVE_OK)
        reeve_log(REEVE_LOG_WARN, "%s: the next segment of the journal is tried again when this one is full", err.text);
    atomic_store(&a->made, true);
    return NULL;
}

void reeve_ahead_begin(struct reeve_ahead *a, const char *run_dir, const struct reeve_segment_name *name,
                       uint32_t capacity, uint64_t run_id)
{
    sigset_t all, before;
    (void)snprintf(a->run_dir, sizeof(a->run_dir), "%s", run_dir);
    a->segment = (struct reeve_segment){.name = *name, .capacity = capacity, .run_id = run_id, .fd = -1};
    a->status = REEVE_TASK_NONE_READY; /* until the thread says otherwise */
    atomic_store(&a->made, false);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the thread that began us */
    a->running = pthread_create(&a->thread, NULL, run, a) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool reeve_ahead_is_late(const struct reeve_ahead *a)
{
    return a->running && !atomic_load(&a->made);
}

static void join(struct reeve_ahead *a)
{
    if (a->running) (void)pthread_join(a->thread, NULL);
    a->running = false;
}

reeve_status reeve_ahead_take(struct reeve_ahead *a, struct reeve_segment *out, struct reeve_error *err)
{
    join(a);
    if (a->status != REEVE_OK) a->status = make(a, err);
    if (a->status != REEVE_OK) return a->status;
    *out = a->segment;
    a->segment.fd = -1;
    return REEVE_OK;
}

void reeve_ahead_drop(struct reeve_ahead *a)
{
    join(a);
    if (a->status == REEVE_OK && a->segment.fd >= 0) (void)unlink(a->segment.path);
    reeve_segment_close(&a->segment);
}
