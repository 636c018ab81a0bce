/* The next segment of a journal, made by a thread while the present one fills, so that going on to it waits for nothing
 * and a full disk is noticed while there is still room for the words about it. */
#ifndef REEVE_STORE_JOURNAL_AHEAD_H
#define REEVE_STORE_JOURNAL_AHEAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/journal_segment.h"

struct reeve_ahead {
    char run_dir[REEVE_PATH_BYTES_MAX];
    struct reeve_segment segment; /* name, capacity and run_id are the order; the rest is filled in if status is OK */
    reeve_status status;          /* the thread's, once it is joined */
    bool running;
    atomic_bool made; /* the thread is at its end */
    pthread_t thread;
};

/* Begin to make the segment. Logs a warning if it fails; take() then tries once more. a must stay where it is. */
void reeve_ahead_begin(struct reeve_ahead *a, const char *run_dir, const struct reeve_segment_name *name,
                       uint32_t capacity, uint64_t run_id);
/* Must take() wait? Then segments are filled faster than they are made. */
bool reeve_ahead_is_late(const struct reeve_ahead *a);
/* The segment that was begun. STORE_CREATE | STORE_WRITE | JOB_NO_MEMORY. */
reeve_status reeve_ahead_take(struct reeve_ahead *a, struct reeve_segment *out, struct reeve_error *err);
/* It will not be needed: remove it. */
void reeve_ahead_drop(struct reeve_ahead *a);

#endif
