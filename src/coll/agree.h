/* The start of a sum: all members have begun it, and know it by one number.
 *
 * Each member tells member 0 that it is ready; when all are, member 0 answers with the number of the sum. A member that
 * gives up before it starts says so by being ready again with a higher attempt; the answer to an old attempt is
 * dropped. Hence when a sum has started, nobody works on an earlier one any more, and whatever carries an earlier
 * number is a leftover. This is what makes abandon() safe without a barrier. Cost: two short messages a member. */
#ifndef REEVE_COLL_AGREE_H
#define REEVE_COLL_AGREE_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#include "coll/add.h"
#include "reeve/status.h"

struct agree_ready { /* member -> member 0 */
    uint64_t count;  /* elements */
    uint32_t type;   /* enum sum_type */
    uint32_t attempt;
};
struct agree_start { /* member 0 -> member */
    uint32_t sum;    /* 1..; 0: members brought different sums */
    uint32_t attempt;
};

struct agree {
    MPI_Comm comm; /* borrowed */
    uint32_t rank, size;
    bool pending;  /* begun, not started */
    struct agree_ready mine;

    /* member */
    bool ready_unsent;
    struct agree_ready ready_out; /* what MPI reads */
    MPI_Request ready_send;
    struct agree_start start_in;
    MPI_Request start_receive; /* persistent */

    /* member 0 */
    uint32_t sum_last, ready_count;
    struct agree_ready *ready;      /* (size,) owned; attempt 0: not ready */
    struct agree_ready ready_in;
    MPI_Request ready_receive;      /* persistent, from anyone */
    struct agree_start *start_out;  /* (size,) owned */
    MPI_Request *start_sends;       /* (size,) owned */
};

reeve_status agree_init(struct agree *a, MPI_Comm comm, struct reeve_error *err);
void agree_fini(struct agree *a);
void agree_begin(struct agree *a, enum sum_type type, uint64_t count);
void agree_abandon(struct agree *a);
/* *sum = the number of the sum once it has started, else 0. WORKER_LOST | JOB_INTERNAL (also: members differ). */
reeve_status agree_test(struct agree *a, uint32_t *sum, struct reeve_error *err);

#endif
