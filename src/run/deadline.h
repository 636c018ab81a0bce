/* When this start of the run has to stop by itself, and why it was asked to: joins the batch job's end, --max-time, the
 * measured times of steps and checkpoints, and the signals. The master's loop asks once a turn, and acts at the next step
 * boundary. */
#ifndef REEVE_RUN_DEADLINE_H
#define REEVE_RUN_DEADLINE_H

#include "core/event.h"
#include "core/time_limit.h"
#include "export/starts_file.h"
#include "run/allocation.h"

struct reeve_deadline {
    struct reeve_allocation allocation;
    struct reeve_time_limit limit;
    int64_t own_wall_ns;     /* --max-time as a moment; INT64_MAX: none */
    reeve_time_ns saving_ns; /* since when a checkpoint is being written */
    bool evaluated;          /* since the last step */
    reeve_time_ns turned_ns;
    reeve_time_ns absent_ns; /* when turns came again after a gap, until the job's end was asked for since; 0: no gap */
    reeve_time_ns doubt_until_ns; /* so long the answer is waited for; 0: not yet */
    enum reeve_cause cause;       /* why it was asked to stop; the first reason counts */
};

/* end_wall_ns: of --max-time; INT64_MAX: none. */
void reeve_deadline_init(struct reeve_deadline *d, int64_t end_wall_ns, reeve_time_ns now_ns);
void reeve_deadline_fini(struct reeve_deadline *d);
/* Called with each event after it was applied: steps and checkpoints are measured. */
void reeve_deadline_event(struct reeve_deadline *d, const struct reeve_event *ev, reeve_time_ns now_ns);
/* True from the moment on from which no further step may be begun. Asks Slurm now and then, and never waits. */
bool reeve_deadline_turn(struct reeve_deadline *d, reeve_time_ns now_ns);

/* Why a stop was asked for: by this signal (0: none, a file STOP of a person). Outside batch jobs only people send them. */
void reeve_deadline_asked(struct reeve_deadline *d, int signal_number, reeve_time_ns now_ns);

#endif
