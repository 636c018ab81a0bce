/* The start of a sum: all members have begun it, and know it by one number.
 *
 * Members give sums up at different moments, so nobody can count them alone. Each member tells member 0 that it is
 * ready; when all are, member 0 starts the sum by naming its number. Being ready means to have left every earlier sum.
 * Hence when a sum has started nobody works on an earlier one, and whatever carries an earlier number is a leftover:
 * this is what makes abandon() safe without a barrier.
 *
 * A member may give up after it said that it is ready; the sum then starts without it, and cannot end. It shows as soon
 * as that member is ready again without having completed the sum: member 0 declares the sum void, those who are in it go
 * back to being ready, and all start anew. Cost: two short messages a member and a sum. */
#ifndef REEVE_COLL_AGREE_H
#define REEVE_COLL_AGREE_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#include "coll/add.h"
#include "reeve/ids.h"
#include "reeve/status.h"

struct agree_ready {    /* member -> member 0 */
    uint64_t count;     /* elements */
    uint32_t type;      /* enum sum_type */
    uint32_t attempt;   /* 1..; grows with each time this member is ready */
    uint32_t completed; /* the last sum that this member saw to its end; 0: none */
    uint32_t afresh;    /* 1: this member has lost what it sums with, and all must make it anew */
};
struct agree_start {  /* member 0 -> member */
    uint32_t sum;     /* 1..; 0: the members brought different sums */
    uint32_t attempt; /* of the member's readiness that this answers; 0: the sum is void */
    uint32_t afresh;  /* 1: some member asked for it */
    uint32_t reserved_zero;
};

enum agree_state { AGREE_IDLE = 0, AGREE_PENDING, AGREE_ACTIVE };
enum agree_event { AGREE_NOTHING = 0, AGREE_STARTED, AGREE_VOID };

struct agree {
    MPI_Comm comm; /* borrowed */
    int first_tag;
    uint32_t rank, size;
    enum agree_state state;
    uint32_t sum; /* while ACTIVE */
    bool afresh;  /* while ACTIVE; set mine.afresh before agree_begin() to ask for it */
    struct agree_ready mine;

    /* member */
    bool ready_unsent;
    struct agree_ready ready_out; /* what MPI reads */
    MPI_Request ready_send;
    struct agree_start start_in;
    MPI_Request start_receive; /* persistent */

    /* member 0 */
    uint32_t sum_last, sum_void; /* the newest that was started; the newest that was declared void */
    bool void_unsent;
    reeve_time_ns differ_since_ns; /* all are ready, but with different sums; 0: not so */
    uint32_t ready_count;
    struct agree_ready *ready; /* (size,) owned; attempt 0: not ready */
    struct agree_ready ready_in;
    MPI_Request ready_receive;     /* persistent, from anyone */
    struct agree_start *start_out; /* (size,) owned */
    MPI_Request *start_sends;      /* (size,) owned */
};

reeve_status agree_init(struct agree *a, MPI_Comm comm, int first_tag, struct reeve_error *err);
void agree_fini(struct agree *a);

void agree_begin(struct agree *a, enum sum_type type, uint64_t count); /* IDLE -> PENDING */
void agree_abandon(struct agree *a);                                   /* any -> IDLE */
void agree_complete(struct agree *a);                                  /* ACTIVE -> IDLE */

/* What has happened: STARTED (a->sum is its number), or VOID (forget that sum; PENDING again). To be called all the
 * while. Never waits. WORKER_LOST | JOB_INTERNAL (also: members brought different sums; IDLE then). */
reeve_status agree_test(struct agree *a, enum agree_event *event, struct reeve_error *err);

#endif
