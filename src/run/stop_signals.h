/* Signals that ask a run to stop: the handler sets a flag, nothing else; the master's loop acts at a step boundary.
 * INT, TERM, USR1 and USR2 once: checkpoint at the next step boundary and exit 75. INT or TERM again: leave at once. */
#ifndef REEVE_RUN_STOP_SIGNALS_H
#define REEVE_RUN_STOP_SIGNALS_H

/* Install the handlers. leave_on_second: exit 130 at once at the second INT or TERM (async-signal-safe). */
void reeve_stop_signals_install(int leave_on_second);
/* How many have come so far. */
int reeve_stop_signals_count(void);
/* Number of the last one; 0: none. */
int reeve_stop_signals_last(void);

#endif
