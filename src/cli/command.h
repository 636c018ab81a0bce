/* Asking another program, with a deadline: one that hangs is an answer too, and no reason to hang. */
#ifndef REEVE_CLI_COMMAND_H
#define REEVE_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#define REEVE_COMMAND_TIMED_OUT 124

/* Run a program found on PATH with no input, and keep what it says (stdout and stderr together, NUL-terminated, cut).
 * Killed, with all that it started, when deadline_ms have passed. Returns its exit code; 127 if it could not be
 * started, REEVE_COMMAND_TIMED_OUT if it was killed, 128 + N if signal N ended it. */
int reeve_command_run(const char *const argv[], int deadline_ms, char *says, size_t says_bytes);
/* The same with `input`, a descriptor that stays the caller's, as its standard input. */
int reeve_command_run_with(const char *const argv[], int input, int deadline_ms, char *says, size_t says_bytes);

/* Where PATH finds a program. False, and out is "", if nowhere. */
bool reeve_command_which(const char *program, char *out, size_t out_bytes);

#endif
