/* Does the job as a whole hang? Told from the outside, by whoever sees how far it says that it is: nothing has moved for
 * longer than steps take. Not from a constant alone: the patience is a multiple of the median step that was measured,
 * with a floor, and several times that while work of unknown length is under way. Pure: time is an argument. */
#ifndef REEVE_CORE_STALL_H
#define REEVE_CORE_STALL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/recent.h"
#include "reeve/ids.h"

/* What the job is seen to be doing. All but STEPPING takes as long as it takes: the patience is longer then. */
enum reeve_stall_work {
    REEVE_STALL_STARTING,
    REEVE_STALL_STEPPING,
    REEVE_STALL_READING, /* a shard, whole: the steps wait for it */
    REEVE_STALL_EVALUATING,
    REEVE_STALL_SAVING
};

/* How far the job is. Whatever but the work differs from the mark before is progress: a task that was completed counts, so
 * that a step that takes an hour on the one worker left is not taken for a hang. */
struct reeve_stall_mark {
    enum reeve_stall_work work;
    uint64_t step;       /* committed */
    uint64_t tasks_done; /* of the step, or evaluation, under way */
    uint64_t tasks_left;
    uint64_t checkpoint; /* newest on record */
    uint64_t evaluated;  /* step after which the last evaluation was made */
    uint32_t workers;
    int64_t told_ns; /* when the job last told of itself, where that is enough; 0: only progress counts */
};

struct reeve_stall {
    reeve_time_ns floor_ns;
    reeve_time_ns looked_ns;
    reeve_time_ns moved_ns, progressed_ns; /* moved: also when other work began, unless progress is long past */
    reeve_time_ns stepped_ns;              /* when the step was last seen to change; 0: not in this launch */
    struct reeve_recent steps;             /* what each took; kept from launch to launch */
    struct reeve_stall_mark mark;
};

void reeve_stall_init(struct reeve_stall *s, reeve_time_ns floor_ns);
/* A launch begins: nothing is known of it yet. */
void reeve_stall_begin(struct reeve_stall *s, reeve_time_ns now_ns);
/* What is seen now. Call it every second or so also when nothing changed: after a longer gap the observer itself was
 * suspended, and nobody is blamed for that time. */
void reeve_stall_look(struct reeve_stall *s, const struct reeve_stall_mark *mark, reeve_time_ns now_ns);
/* How long nothing may move, doing what is done now. */
reeve_time_ns reeve_stall_patience(const struct reeve_stall *s);
/* How long nothing has moved, as of the last look. */
reeve_time_ns reeve_stall_idle(const struct reeve_stall *s);
bool reeve_stall_is_hung(const struct reeve_stall *s);

#endif
