/* NCCL's communicator, from its birth to its abort. All calls of NCCL are in this file, and none of them waits but the
 * abort, over which a watchdog stands. */
#ifndef REEVE_COLL_NCCL_COMM_H
#define REEVE_COLL_NCCL_COMM_H

#include <nccl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coll/add.h"
#include "coll/nccl_gpu.h"
#include "reeve/ids.h"
#include "reeve/status.h"

#define COMM_ID_BYTES 128
#define COMM_FAILURES_MAX 3u

struct comm {
    ncclComm_t handle; /* owned; NULL: none */
};

/* Once in a process, before anything else: what NCCL must be told, and a warning about versions with known defects. */
void comm_prepare(void);

/* What a new communicator may mend is WORKER_LOST, as if somebody were gone: the survivors come together anew. When it has
 * mended nothing for the third time in a row, JOB_DEVICE: the job ends, with NCCL's words. */
reeve_status comm_failure_status(void);
void comm_worked(void); /* a sum is whole */

/* A new id; the process that makes it also answers the others while they come together. JOB_DEVICE. */
reeve_status comm_make_id(unsigned char id[COMM_ID_BYTES], struct reeve_error *err);
/* All members call it with the same id; poll until ready. */
reeve_status comm_begin(struct comm *c, uint32_t members, uint32_t rank, const unsigned char id[COMM_ID_BYTES],
                        struct reeve_error *err);
/* out[i] = sum of all in[i], in the stream of g; poll until ready before anything else of this communicator or stream. */
reeve_status comm_sum(struct comm *c, struct gpu *g, enum sum_type type, const void *in, void *out, size_t count,
                      struct reeve_error *err);
/* *ready: the call before is through, and nothing has failed. comm_failure_status() | JOB_DEVICE (CUDA failed, or NCCL
 * refuses). */
reeve_status comm_poll(struct comm *c, bool *ready, struct reeve_error *err);

/* End what is under way, free the communicator, and wait until nothing of it runs on g. After abort_ns the process ends
 * with exit_code (base/watchdog): NCCL's abort may hang, and so may the GPU. */
void comm_abort(struct comm *c, struct gpu *g, reeve_time_ns abort_ns, int exit_code);

#endif
