/* Signals that ask a run to stop: the handler sets a flag, nothing else; the master's loop acts at a step boundary.
 * INT, TERM, USR1, USR2 and HUP (a terminal that was closed; nohup stands) once: checkpoint at the next step boundary and
 * exit 75. After that, INT or TERM again means to leave at once; but in a batch job only INT does: Slurm sends TERM before
 * it kills, also in the middle of a checkpoint that a signal of its own had asked for, and the checkpoint is worth being
 * ended. All that come within a quarter of a second of one that counts are that same one. */
#ifndef REEVE_RUN_STOP_SIGNALS_H
#define REEVE_RUN_STOP_SIGNALS_H

#include <stdbool.h>

/* Install the handlers. leave_on_second: exit 130 at once at the second INT or TERM (async-signal-safe). */
void reeve_stop_signals_install(int leave_on_second);
/* From now on SIGTERM asks for nothing: mpirun sends it to the ranks that are left when it ends a launch. A handler and not
 * SIG_IGN, which programs started from here would inherit. */
void reeve_stop_signals_spare_term(void);
/* How many have come so far. */
int reeve_stop_signals_count(void);
/* Number of the last one; 0: none. */
int reeve_stop_signals_last(void);
/* True once a later signal meant: leave at once, without a checkpoint. */
bool reeve_stop_signals_leave(void);

#endif
