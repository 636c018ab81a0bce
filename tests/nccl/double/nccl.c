/* NCCL's part: the life of a communicator, always non-blocking. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "double.h"
#include "state.h"

#ifndef NCCL_VERSION_CODE
#define NCCL_VERSION_CODE 22809
#endif

static char id_made[NCCL_UNIQUE_ID_BYTES]; /* by this process, and its file is still there */

static int thread_id(void)
{
    return (int)syscall(SYS_gettid);
}

static void check_thread(ncclComm_t comm, const char *call)
{
    if (comm->thread != thread_id()) double_broken("%s in another thread than the communicator's", call);
}

ncclResult_t ncclGetVersion(int *version)
{
    const char *set = getenv("REEVE_DOUBLE_NCCL_VERSION");
    *version = set != NULL ? (int)strtol(set, NULL, 10) : NCCL_VERSION_CODE;
    return ncclSuccess;
}

static void forget_id(void)
{
    if (id_made[0] != '\0') meeting_unlink(id_made);
    id_made[0] = '\0';
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
    static unsigned made;
    struct timespec now;
    if (fault_of(__func__, false) != FAULT_NONE) return ncclSystemError;
    forget_id();
    (void)clock_gettime(CLOCK_REALTIME, &now);
    memset(id, 0, sizeof(*id));
    (void)snprintf(id->internal, sizeof(id->internal), "reeve-nccl-double-%d-%u-%lld", (int)getpid(), made++,
                   (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    memcpy(id_made, id->internal, sizeof(id_made));
    meeting_close(meeting_open(id_made, true));
    return ncclSuccess;
}

static ncclComm_t create(int ranks, int rank, const ncclUniqueId *id)
{
    ncclComm_t c = calloc(1, sizeof(*c));
    if (c == NULL) double_broken("out of memory");
    c->ranks = ranks;
    c->rank = rank;
    c->thread = thread_id();
    c->state = ncclInProgress;
    memcpy(c->name, id->internal, sizeof(c->name) - 1);
    c->made_name = strcmp(c->name, id_made) == 0;
    double_counts.comms++;
    return c;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t *config)
{
    enum fault f = fault_of(__func__, true);
    if (f == FAULT_DIE) fault_die();
    if (config->blocking != 0) double_broken("a communicator that blocks");
    if (getenv("NCCL_NVLS_ENABLE") == NULL) double_broken("NVLS, whose sums may not be abortable, is not switched off");
    if (ranks < 2 || ranks > RANKS_MAX || rank < 0 || rank >= ranks) return ncclInvalidArgument;
    if (double_counts.comms > 0) double_broken("a communicator is made before the one before is aborted");
    ncclComm_t c = create(ranks, rank, &id);
    *comm = c;
    c->meeting = f == FAULT_NONE ? meeting_open(c->name, false) : NULL;
    if (f == FAULT_FAIL || (f == FAULT_NONE && c->meeting == NULL)) c->state = ncclSystemError;
    if (c->meeting != NULL) meeting_join(c->meeting, rank);
    return ncclInProgress;
}

static void be_born(ncclComm_t c)
{
    if (c->meeting == NULL || !meeting_is_full(c->meeting, c->ranks)) return;
    meeting_unlink(c->name);
    if (c->made_name) id_made[0] = '\0';
    c->born = true;
    c->state = ncclSuccess;
}

/* A call takes two looks to get through. */
static void get_through(ncclComm_t c)
{
    if (!c->has_pending || ++c->polls < 2) return;
    double_lock();
    c->stream->entering = NULL;
    stream_push(c->stream, c->pending);
    double_unlock();
    c->has_pending = false;
    c->state = c->pending.sum->fault == FAULT_ASYNC ? ncclRemoteError : ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *state)
{
    if (fault_of(__func__, false) != FAULT_NONE) return ncclInternalError;
    check_thread(comm, __func__);
    if (!comm->born && comm->state == ncclInProgress) be_born(comm);
    get_through(comm);
    *state = comm->state;
    return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void *in, void *out, size_t count, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream)
{
    enum fault f = fault_of(__func__, true);
    check_thread(comm, __func__);
    if (f == FAULT_FAIL) return ncclInternalError;
    if (comm->state != ncclSuccess) double_broken("%s before the call before was through", __func__);
    if (op != ncclSum) double_broken("%s with operation %d", __func__, (int)op);
    size_t bytes = count * sum_element_bytes(type);
    double_lock();
    if (!memory_is_device(in, bytes) || !memory_is_device(out, bytes)) double_broken("%s of other memory", __func__);
    if (stream->entering != NULL) double_broken("%s into a stream that is not ready", __func__);
    stream->entering = comm;
    double_unlock();
    struct sum *s = calloc(1, sizeof(*s));
    if (s == NULL) double_broken("out of memory");
    *s = (struct sum){.comm = comm, .type = type, .count = count, .fault = f};
    comm->pending = (struct op){.kind = OP_SUM, .src = in, .dst = out, .sum = s};
    comm->has_pending = true;
    comm->polls = 0;
    comm->stream = stream;
    comm->state = ncclInProgress;
    return ncclInProgress;
}

ncclResult_t ncclCommAbort(ncclComm_t comm)
{
    if (fault_of(__func__, false) != FAULT_NONE) return ncclInternalError;
    check_thread(comm, __func__);
    double_lock();
    if (comm->has_pending) free(comm->pending.sum);
    stream_drop_sums(comm);
    double_unlock();
    if (comm->made_name) forget_id();
    meeting_close(comm->meeting);
    free(comm);
    double_counts.comms--;
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t result)
{
    switch (result) {
    case ncclSuccess: return "no error";
    case ncclSystemError: return "unhandled system error";
    case ncclInternalError: return "internal error";
    case ncclRemoteError: return "remote process exited or there was a network error";
    default: return "another error";
    }
}

const char *ncclGetLastError(ncclComm_t comm)
{
    (void)comm;
    return "the double was told to fail";
}
