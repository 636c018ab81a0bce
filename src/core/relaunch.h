/* After a launch of the job has ended: is the job over, is it started again (and after which wait), or is it given up?
 * The judgement goes by what the run itself put on record, its last word and its journal; never by a launcher's exit
 * code alone. Progress clears the count of restarts: a job of a month may be lost a hundred times. Pure. */
#ifndef REEVE_CORE_RELAUNCH_H
#define REEVE_CORE_RELAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/event.h"
#include "reeve/ids.h"

struct reeve_relaunch_policy {
    uint32_t restarts_max; /* in a row, without progress */
    uint32_t crash_limit;  /* deaths in a row in the same step */
    reeve_time_ns wait_max_ns;
};

/* How a launch ended. */
struct reeve_relaunch_end {
    int last_word;       /* exit code that the run left on record; -1: it had no time to */
    bool host_lost;      /* one of its hosts was: no step is to blame for that */
    bool lost;           /* a process of it, or its launcher, was killed or broke down */
    bool began;          /* its master opened the run */
    bool trained;        /* and a step was opened */
    uint64_t step;       /* last committed step on record */
    uint64_t open_step;  /* the step under way at the end; 0: none */
    uint64_t checkpoint; /* newest on record */
    uint64_t tasks_done; /* tasks of their own (no part of a step) that were ever done */
};

/* Fold the journal's events, from the first on, into what it knows of the launch that began after `epoch_before`. */
void reeve_relaunch_event(struct reeve_relaunch_end *end, uint32_t epoch_before, const struct reeve_event *ev);

enum reeve_relaunch_kind {
    REEVE_RELAUNCH_OVER,      /* the last word stands */
    REEVE_RELAUNCH_AGAIN,     /* start it again after wait_ns */
    REEVE_RELAUNCH_NO_START,  /* the very first launch did not even begin: what is wrong is not a loss */
    REEVE_RELAUNCH_NEVER,     /* restarts are switched off (restarts_max: 0) */
    REEVE_RELAUNCH_POISON,    /* it died in the same step crash_limit times in a row */
    REEVE_RELAUNCH_FRUITLESS, /* restarts_max in a row brought nothing */
};

struct reeve_relaunch_verdict {
    enum reeve_relaunch_kind kind;
    reeve_time_ns wait_ns;
};

struct reeve_relaunch {
    struct reeve_relaunch_policy policy;
    uint64_t best_step, best_checkpoint, best_tasks; /* ever seen at an end */
    uint64_t died_in;                                /* step that the last launch died in; 0: in none */
    uint32_t died_there;                             /* launches in a row that died in it */
    uint32_t in_a_row;                               /* restarts since the last progress */
    uint32_t launches;                               /* that have ended */
};

/* before: what was on record before the first launch. */
void reeve_relaunch_init(struct reeve_relaunch *r, const struct reeve_relaunch_policy *policy,
                         const struct reeve_relaunch_end *before);
/* A launch has ended: take note of it, and say what follows. */
struct reeve_relaunch_verdict reeve_relaunch_judge(struct reeve_relaunch *r, const struct reeve_relaunch_end *end);

#endif
