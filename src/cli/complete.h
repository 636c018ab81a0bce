/* What is said of a run in which nothing is left to do, by `reeve run` and by the first of the ranks. */
#ifndef REEVE_CLI_COMPLETE_H
#define REEVE_CLI_COMPLETE_H

#include "run/prepare.h"

/* On stdout: what was done, and what to do to go on. */
void reeve_complete_say(const struct reeve_prepared *p);
int reeve_complete_exit_code(const struct reeve_prepared *p);

#endif
