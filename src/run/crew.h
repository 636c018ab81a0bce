/* Many small independent pieces of blocking work, done by a few threads, with an outcome that does not depend on how
 * many: pieces are begun in order, and the failures kept are those of the lowest numbers. */
#ifndef REEVE_RUN_CREW_H
#define REEVE_RUN_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include "reeve/status.h"

#define REEVE_CREW_THREADS_MAX 256
#define REEVE_CREW_FAILURES_MAX 1000

struct reeve_crew_failure {
    uint32_t piece;
    struct reeve_error error;
};

struct reeve_crew_job {
    uint32_t piece_count;
    uint32_t threads;     /* 0: as many as cores may be used by this process */
    bool stop_at_failure; /* begin nothing after a failure; the failure of the lowest number is found all the same */
    /* Do one piece; any thread, several at once. *bytes: what it read, for progress. */
    reeve_status (*work)(void *arg, uint32_t piece, uint64_t *bytes, struct reeve_error *err);
    /* Called now and then by the caller's thread; may be NULL. */
    void (*progress)(void *arg, uint32_t done, uint32_t count, uint64_t bytes);
    void *work_arg, *progress_arg;
};

/* Do them all. *failures: the first REEVE_CREW_FAILURES_MAX in order of pieces, free(), NULL if there are none;
 * *failure_count: how many of those; *failed: how many pieces failed in all. JOB_NO_MEMORY only. */
reeve_status reeve_crew_run(const struct reeve_crew_job *job, struct reeve_crew_failure **failures,
                            uint32_t *failure_count, uint32_t *failed, struct reeve_error *err);

#endif
