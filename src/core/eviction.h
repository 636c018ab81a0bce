/* Who of a job hangs, and is to be put out of it so that the others can go on (docs/adr/0005). Told by whoever hears
 * what members say of themselves; how a member is put out is run/evict.h. Deadlines are multiples of the median of what
 * was measured, with a floor; what was never measured has none. Pure: time is an argument.
 *
 * Invariant: nobody is late for what it has not begun, nor for what takes as long as it takes (a disk, a command of a
 * task list). */
#ifndef REEVE_CORE_EVICTION_H
#define REEVE_CORE_EVICTION_H

#include <stdbool.h>

#include "core/frame.h"
#include "core/recent.h"

/* What is timed, each against figures of its own kind. */
enum reeve_pace {
    REEVE_PACE_NONE = 0, /* nothing is done */
    REEVE_PACE_OTHER,    /* what takes as long as it takes: never late */
    REEVE_PACE_WORD,     /* from one word of a member to its next, if it has nothing else to say than that it lives */
    REEVE_PACE_GRADIENT, /* of the compute thread: */
    REEVE_PACE_EVAL,
    REEVE_PACE_APPLY,
    REEVE_PACE_LOAD, /* open the workload, and initialise or restore */
    REEVE_PACE_SUM,   /* from the word to begin it until the last worker has ended it */
    REEVE_PACE_STATE, /* from one sign that the state for a new worker is moved to the next; told by figures of SUM */
    REEVE_PACES
};
const char *reeve_pace_name(enum reeve_pace pace); /* "the gradient of a micro-batch"; static storage */
/* Of a command to the compute thread. */
enum reeve_pace reeve_pace_of(const struct reeve_frame *command);

struct reeve_eviction {
    reeve_time_ns floor_ns;
    struct reeve_recent took[REEVE_PACES];
};

/* floor_ns 0: nobody is ever late. */
void reeve_eviction_init(struct reeve_eviction *e, reeve_time_ns floor_ns);
void reeve_eviction_measure(struct reeve_eviction *e, enum reeve_pace pace, reeve_time_ns took_ns);
/* A word came after so long. Those that follow the one before at once are answers, and tell nothing of how late a word
 * may come from a member that only says that it lives. */
void reeve_eviction_heard(struct reeve_eviction *e, reeve_time_ns after_ns);
/* How long it may last; INT64_MAX: for ever. first: of its kind in this process, which has to fetch code and memory. */
reeve_time_ns reeve_eviction_deadline(const struct reeve_eviction *e, enum reeve_pace pace, bool first);

/* What is known of a worker. */
struct reeve_eviction_worker {
    bool awaited; /* words of it are */
    bool heard;   /* one has come since the ranks last came together; before, it may wait for others as well */
    reeve_time_ns silence_ns;
    enum reeve_pace pace; /* what its compute thread did at its last word; NONE: nothing, or it said something else */
    bool first;
    reeve_time_ns lasts_ns;
};
/* A worker's heartbeat says what its compute thread does; any other word of it says that this has ended. */
void reeve_eviction_tell(struct reeve_frame *heartbeat, enum reeve_pace pace, bool first, reeve_time_ns lasts_ns);
void reeve_eviction_hear(struct reeve_eviction_worker *worker, const struct reeve_frame *word);

enum reeve_verdict {
    REEVE_VERDICT_GOES_ON = 0,
    REEVE_VERDICT_SILENT,
    REEVE_VERDICT_SILENT_IF_STOPPED, /* if its process is seen to be stopped; else it may only wait for somebody */
    REEVE_VERDICT_STUCK,
};
enum reeve_verdict reeve_eviction_judge(const struct reeve_eviction *e, const struct reeve_eviction_worker *worker);

/* A sum (SUM or STATE) has lasted for sum_ns, and among `count` workers none is silent or busy: nobody can be blamed, and
 * all begin it anew on new communicators. */
bool reeve_eviction_sum_is_stuck(const struct reeve_eviction *e, enum reeve_pace sum,
                                 const struct reeve_eviction_worker *workers, uint32_t count, reeve_time_ns sum_ns);

#endif
