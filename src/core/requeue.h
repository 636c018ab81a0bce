/* Why a start of a run ended, and whether its batch job should be queued again. Pure. Invariant: a job that makes no
 * progress is not queued again for ever, whatever ends it. */
#ifndef REEVE_CORE_REQUEUE_H
#define REEVE_CORE_REQUEUE_H

#include <stdbool.h>
#include <stdint.h>

/* Numbers are of this program alone; files hold the words. */
#define REEVE_CAUSE_MAP(X)                                                                                             \
    X(NONE, "")                     /* it goes on, or nobody knows yet */                                              \
    X(COMPLETE, "complete")         /* all steps are done */                                                           \
    X(TIME_LIMIT, "time limit")     /* saved before the job's time was up */                                           \
    X(PREEMPTED, "pre-empted")      /* saved because a signal asked for it, long before the end of its time */         \
    X(ASKED, "asked")               /* by a person: file STOP, --stop-at, Ctrl-C */                                    \
    X(FAILED, "failed")             /* with an error that the next start would meet again */                           \
    X(CRASH, "crash")               /* no last word, or a lost process */                                              \
    X(NODE_FAILURE, "node failure") /* Slurm queued the job again by itself, and nobody had asked for it */

enum reeve_cause {
#define REEVE_CAUSE_ENUM(name, word) REEVE_CAUSE_##name,
    REEVE_CAUSE_MAP(REEVE_CAUSE_ENUM)
#undef REEVE_CAUSE_ENUM
        REEVE_CAUSE_COUNT
};
const char *reeve_cause_name(enum reeve_cause cause); /* "time limit"; static storage */

/* The cause of an end with this exit code of a run. asked: why the run had been asked to stop; NONE: it was not. */
enum reeve_cause reeve_cause_of_exit(enum reeve_cause asked, int exit_code);

/* A job may be queued again so many times in a row without having made a checkpoint in between. */
#define REEVE_BARREN_MAX 2u

struct reeve_requeue_facts {
    enum reeve_cause cause; /* of the end just now */
    uint64_t checkpoint;    /* newest step that is saved */
    uint64_t before;        /* the same, when the job was last queued again; 0: never was */
    uint32_t barren;        /* the last so many times that it was, `checkpoint` had not grown */
};

/* Should the job be queued again? *why: in a few words, for people; static storage. */
bool reeve_requeue_decide(const struct reeve_requeue_facts *facts, const char **why);

#endif
