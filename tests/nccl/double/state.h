/* What the parts of the double share. */
#ifndef REEVE_TESTS_NCCL_DOUBLE_STATE_H
#define REEVE_TESTS_NCCL_DOUBLE_STATE_H

#include <nccl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault { FAULT_NONE = 0, FAULT_FAIL, FAULT_HANG, FAULT_ASYNC, FAULT_DIE };

/* Count this call, and tell what shall happen to it. HANG and DIE happen here unless the caller `stages` them. */
enum fault fault_of(const char *call, bool stages);
_Noreturn void fault_die(void);
/* Broken discipline: say so and abort. */
_Noreturn void double_broken(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- the device (device.c) ---- */

enum op_kind { OP_COPY, OP_RECORD, OP_SUM };
struct op {
    struct op *next;
    enum op_kind kind;
    void *dst; /* COPY, SUM */
    const void *src;
    size_t bytes; /* COPY */
    cudaEvent_t event;
    uint64_t event_number;
    struct sum *sum; /* owned */
};

struct CUstream_st {
    cudaStream_t next; /* of all streams */
    struct op *first, *last;
    ncclComm_t entering; /* NCCL has taken a sum for this stream, and has not put it there yet */
};
struct CUevent_st {
    cudaStream_t stream; /* of the newest record; NULL: none */
    uint64_t recorded, passed;
};

void double_lock(void);
void double_unlock(void);
/* Under the lock: */
void stream_push(cudaStream_t stream, struct op op);
void stream_drop_sums(ncclComm_t comm); /* of all streams */
bool memory_is_device(const void *memory, size_t bytes);

struct counts {
    unsigned comms, streams, events, memories, maps;
};
extern struct counts double_counts;

/* ---- sums (sum.c) ---- */

#define RANKS_MAX 64
#define SLOT_BYTES ((size_t)64 << 10)

struct meeting; /* the shared file, mapped */
struct meeting *meeting_open(const char *name, bool create);
void meeting_close(struct meeting *m);
void meeting_unlink(const char *name);
void meeting_join(struct meeting *m, int rank);
bool meeting_is_full(const struct meeting *m, int ranks);

struct ncclComm {
    int ranks, rank;
    int thread; /* that made it */
    char name[NCCL_UNIQUE_ID_BYTES];
    bool made_name;
    struct meeting *meeting; /* NULL: it hangs in its birth */
    ncclResult_t state;
    bool born;
    unsigned polls; /* since the last call that is not through */
    uint64_t turn;  /* pieces summed so far */
    cudaStream_t stream;
    struct op pending; /* to be put into stream when the call is through */
    bool has_pending;
};

struct sum {
    ncclComm_t comm;
    ncclDataType_t type;
    size_t count, at; /* elements */
    enum { SUM_PUT, SUM_ADD, SUM_TAKE } part;
    enum fault fault;
};
size_t sum_element_bytes(ncclDataType_t type);
bool sum_move(struct op *op); /* true: it is whole */

#endif
