/* The batch job of Slurm that this process runs in, as its environment has it. */
#ifndef REEVE_BASE_BATCH_JOB_H
#define REEVE_BASE_BATCH_JOB_H

#include <stdint.h>

/* Its number, and how often Slurm has started it again (SLURM_JOB_ID, SLURM_RESTART_COUNT); 0 and 0: there is none. */
uint64_t reeve_batch_job(uint32_t *restart_count);

#endif
