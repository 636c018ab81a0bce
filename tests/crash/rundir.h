/* A small training run for the programs of this folder: its data, what it was told to be durable, and how a run folder
 * is judged and gone on with. */
#ifndef REEVE_TEST_CRASH_RUNDIR_H
#define REEVE_TEST_CRASH_RUNDIR_H

#include "crash.h"

#define RUNDIR_STEPS 8u
#define RUNDIR_STOP_AT 5u

/* Write shards, shards.yaml and job.yaml beside root, if they are not there. */
void rundir_make_data(const char *root);
/* One launch of RUN = root/run in this process, to the end or to stop_at (0: the end). Returns the exit code. What its
 * journal is told is marked in the record. Messages go to a file beside root. */
int rundir_launch(const char *root, uint64_t stop_at);
/* The last words of the launch that ended with that code, as an error with a status of the same code. */
reeve_status rundir_words(const char *root, int code, struct reeve_error *err);
/* Remember the undisturbed run, for the two below. */
void rundir_learn(const char *root);
/* Is all that was promised in folder/run, and could a launch go on from it? Opens the run as a launch would. */
bool rundir_check(const char *folder, const struct crash_promise *p, char *why, size_t why_bytes);
/* Launch it in a child, and compare the weights in the end with those of the undisturbed run. */
bool rundir_finish(const char *folder, char *why, size_t why_bytes);
/* `reeve verify` from outside. */
bool rundir_verify(const char *folder, char *why, size_t why_bytes);

#endif
