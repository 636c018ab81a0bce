/* Waiting for the end of a run that was handed to Slurm, over all lives of its jobs. */
#ifndef REEVE_CLI_SUBMIT_WAIT_H
#define REEVE_CLI_SUBMIT_WAIT_H

#include <stdint.h>

/* Until none of the jobs waits or runs any more. What changes is told on stderr; a controller that does not answer is
 * asked again. Returns the exit code of the run: that of the last batch script, which is the run's; where Slurm ended the
 * script or has forgotten the job, what the run has on record for a start by one of these jobs; 70 with a message where
 * there is neither. job_count: at least 1. Ctrl-C ends the waiting, not the jobs. */
int reeve_submit_wait(const char *run_dir, const uint64_t *job_ids, uint32_t job_count);

#endif
