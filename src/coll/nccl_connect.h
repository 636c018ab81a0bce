/* From members without a communicator to one that has summed a word on all of them:
 *   CARDS     each says where its GPU is; member 0 refuses two on one GPU, and offers an id
 *   BIRTH     NCCL brings them together
 *   TRIAL     a sum of one number: NCCL connects at the first one, and a sum that is wrong must not be a gradient
 *   OUTCOMES  nobody goes on before all have come this far
 * A failure anywhere ends it everywhere. Nothing waits; the deadline is of all of it. */
#ifndef REEVE_COLL_NCCL_CONNECT_H
#define REEVE_COLL_NCCL_CONNECT_H

#include <stdbool.h>

#include "coll/nccl_comm.h"
#include "coll/nccl_gpu.h"
#include "coll/nccl_meet.h"
#include "reeve/ids.h"
#include "reeve/status.h"

enum connect_stage { CONNECT_NONE = 0, CONNECT_CARDS, CONNECT_BIRTH, CONNECT_TRIAL, CONNECT_OUTCOMES };

struct connect {
    struct meet meet;
    struct comm *comm; /* borrowed */
    struct gpu *gpu;   /* borrowed */
    enum connect_stage stage;
    reeve_time_ns limit_ns, deadline_ns, looked_ns; /* when it was last asked how it is */
    bool summing, copying; /* in TRIAL: NCCL has taken the sum; its result is on its way to trial */
    int64_t trial;
};

/* comm has no communicator. why: this member cannot take part, which all are told; NULL: it can. */
reeve_status connect_begin(struct connect *c, uint32_t round, const struct reeve_error *why, struct reeve_error *err);
/* *done: all members are connected. After an error or when it is given up: comm_abort(). WORKER_LOST | JOB_DEVICE |
 * JOB_DEADLINE | JOB_NO_MEMORY | JOB_INTERNAL. */
reeve_status connect_test(struct connect *c, bool *done, struct reeve_error *err);

#endif
