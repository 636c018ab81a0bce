/* When must a run stop so that it is saved before its time is up? From the end of its time, and from how long steps and
 * checkpoints were measured to take, follows a moment from which no further step may be begun:
 *
 *   due = end - reserve - 2 x longest checkpoint - 1.5 x longest step        (of those that count, see below)
 *
 * A step that began before `due` and takes as long as the longest one is over in time for a checkpoint that takes twice as
 * long as the longest one, and then `reserve` is left for goodbyes. Pure: no clock; all times are of the caller's clock.
 * Where running commands are waited for instead, `drain` stands in the place of steps and checkpoint.
 * Invariant: a run whose steps and checkpoints stay within these factors is saved before `end`, and `due` is no earlier
 * than it needs to be by more than these margins. */
#ifndef REEVE_CORE_TIME_LIMIT_H
#define REEVE_CORE_TIME_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "reeve/ids.h"

#define REEVE_TIME_NEVER INT64_MAX
#define REEVE_TIME_LIMIT_STEPS 64u /* the longest of so many last steps counts */

struct reeve_time_limit {
    reeve_time_ns begin_ns, end_ns; /* end NEVER: no limit is known */
    reeve_time_ns committed_ns;     /* when the last step was; 0: none yet */
    reeve_time_ns step_ns[REEVE_TIME_LIMIT_STEPS];
    uint64_t steps;              /* measured */
    reeve_time_ns evaluation_ns; /* the longest step with an evaluation before it: rare, so it counts for good */
    reeve_time_ns checkpoint_ns; /* the longest */
    bool checkpoint_measured;
    reeve_time_ns drain_ns; /* what running commands are left with once a stop is asked; 0: none, it trains */
};

/* begin_ns: when the run began to use its time; the end is unknown still. */
void reeve_time_limit_init(struct reeve_time_limit *t, reeve_time_ns begin_ns);
/* The end became known, or was changed; NEVER: there is none. */
void reeve_time_limit_set_end(struct reeve_time_limit *t, reeve_time_ns end_ns);
/* Instead of steps there are commands, which have so long to end; half of the time at most. */
void reeve_time_limit_set_drain(struct reeve_time_limit *t, reeve_time_ns drain_ns);
/* A step was committed; evaluated: the held-out loss was taken since the step before. */
void reeve_time_limit_step(struct reeve_time_limit *t, reeve_time_ns now_ns, bool evaluated);
/* So long nothing was done (the job was suspended): it is no part of the step under way. */
void reeve_time_limit_pass_over(struct reeve_time_limit *t, reeve_time_ns away_ns);
/* A checkpoint was begun and committed within took_ns. */
void reeve_time_limit_checkpoint(struct reeve_time_limit *t, reeve_time_ns took_ns);

/* From this moment no further step may be begun; NEVER where no end is known. */
reeve_time_ns reeve_time_limit_due(const struct reeve_time_limit *t);

/* Slurm says "stop" with one signal for two reasons. Close to the end (the last fifth of the time, 10 minutes at most, and
 * a minute more because Slurm may be early) it is the time limit; otherwise somebody else needs the nodes. */
bool reeve_time_limit_is_near(const struct reeve_time_limit *t, reeve_time_ns now_ns);

#endif
