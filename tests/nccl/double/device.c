/* The CUDA runtime's part: streams are queues of operations, which move when somebody asks how far they are. One lock, since
 * several threads may use the device. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "double.h"
#include "state.h"

#define GPUS 8
#define LEAKED 86

struct memory {
    struct memory *next;
    unsigned char *bytes; /* owned */
    size_t count;
};

struct counts double_counts;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct memory *memories;
static cudaStream_t streams;

void double_lock(void)
{
    (void)pthread_mutex_lock(&lock);
}

void double_unlock(void)
{
    (void)pthread_mutex_unlock(&lock);
}

/* ---- what is left ---- */

bool nccl_double_is_empty(char *text, size_t bytes)
{
    const struct counts *c = &double_counts;
    (void)snprintf(text, bytes, "%u communicators, %u streams, %u events, %u pieces of memory, %u shared files",
                   c->comms, c->streams, c->events, c->memories, c->maps);
    return c->comms + c->streams + c->events + c->memories + c->maps == 0;
}

__attribute__((destructor)) static void complain_of_leaks(void)
{
    char text[160];
    if (nccl_double_is_empty(text, sizeof(text))) return;
    (void)fprintf(stderr, "NCCL double, process %d: left at exit: %s\n", (int)getpid(), text);
    _exit(LEAKED);
}

/* ---- streams ---- */

static bool op_move(struct op *op)
{
    if (op->kind == OP_SUM) return sum_move(op);
    if (op->kind == OP_COPY) memmove(op->dst, op->src, op->bytes);
    if (op->kind == OP_RECORD) op->event->passed = op->event_number;
    return true;
}

static void op_free(struct op *op)
{
    free(op->sum);
    free(op);
}

static void stream_move(cudaStream_t s)
{
    while (s->first != NULL && op_move(s->first)) {
        struct op *op = s->first;
        s->first = op->next;
        if (s->first == NULL) s->last = NULL;
        op_free(op);
    }
}

void stream_push(cudaStream_t s, struct op op)
{
    struct op *own = malloc(sizeof(*own));
    if (own == NULL) double_broken("out of memory");
    *own = op;
    own->next = NULL;
    if (s->last != NULL) s->last->next = own;
    else s->first = own;
    s->last = own;
}

void stream_drop_sums(ncclComm_t comm)
{
    for (cudaStream_t s = streams; s != NULL; s = s->next) {
        if (s->entering == comm) s->entering = NULL;
        struct op **at = &s->first;
        s->last = NULL;
        while (*at != NULL) {
            struct op *op = *at;
            if (op->kind == OP_SUM && op->sum->comm == comm) {
                /* what an aborted sum leaves is garbage */
                memset(op->dst, 0xee, op->sum->count * sum_element_bytes(op->sum->type));
                *at = op->next;
                op_free(op);
                continue;
            }
            s->last = op;
            at = &op->next;
        }
    }
}

static bool has_sums(void)
{
    for (cudaStream_t s = streams; s != NULL; s = s->next) {
        stream_move(s);
        if (s->entering != NULL) return true;
        for (const struct op *op = s->first; op != NULL; op = op->next)
            if (op->kind == OP_SUM) return true;
    }
    return false;
}

/* A call that waits for the device, or may do so inside. */
static enum fault waiting_call(const char *name)
{
    enum fault f = fault_of(name, false);
    double_lock();
    bool stuck = has_sums();
    double_unlock();
    if (stuck) double_broken("%s while a sum is unfinished: on a GPU it may never return", name);
    return f;
}

static void put(cudaStream_t s, struct op op, const char *name)
{
    if (s->entering != NULL) double_broken("%s into a stream that NCCL is still putting a sum into", name);
    stream_push(s, op);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned int flags)
{
    if (fault_of(__func__, false) != FAULT_NONE) return cudaErrorLaunchFailure;
    if (flags != cudaStreamNonBlocking) double_broken("a stream that waits for the default stream");
    double_lock();
    cudaStream_t s = calloc(1, sizeof(*s));
    if (s == NULL) double_broken("out of memory");
    s->next = streams;
    streams = s;
    double_counts.streams++;
    double_unlock();
    *stream = s;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    if (fault_of(__func__, false) != FAULT_NONE) return cudaErrorLaunchFailure;
    double_lock();
    if (stream->first != NULL || stream->entering != NULL) double_broken("a stream is destroyed before it is drained");
    cudaStream_t *at = &streams;
    while (*at != NULL && *at != stream)
        at = &(*at)->next;
    if (*at == NULL) double_broken("a stream is destroyed twice");
    *at = stream->next;
    free(stream);
    double_counts.streams--;
    double_unlock();
    return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    if (fault_of(__func__, false) != FAULT_NONE) return cudaErrorLaunchFailure;
    double_lock();
    stream_move(stream);
    bool empty = stream->first == NULL && stream->entering == NULL;
    double_unlock();
    return empty ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    (void)stream; /* all of them are drained now */
    return waiting_call(__func__) == FAULT_NONE ? cudaSuccess : cudaErrorLaunchFailure;
}

cudaError_t cudaDeviceSynchronize(void)
{
    return waiting_call(__func__) == FAULT_NONE ? cudaSuccess : cudaErrorLaunchFailure;
}

/* ---- events ---- */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags)
{
    if (fault_of(__func__, false) != FAULT_NONE) return cudaErrorLaunchFailure;
    if (flags != cudaEventDisableTiming) double_broken("an event that takes the time");
    *event = calloc(1, sizeof(**event));
    if (*event == NULL) double_broken("out of memory");
    double_counts.events++;
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    if (fault_of(__func__, false) != FAULT_NONE) return cudaErrorLaunchFailure;
    if (event->passed != event->recorded) double_broken("an event is destroyed before it has passed");
    free(event);
    double_counts.events--;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    if (fault_of(__func__, false) != FAULT_NONE) return cudaErrorLaunchFailure;
    double_lock();
    event->stream = stream;
    event->recorded++;
    put(stream, (struct op){.kind = OP_RECORD, .event = event, .event_number = event->recorded}, __func__);
    double_unlock();
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    if (fault_of(__func__, false) != FAULT_NONE) return cudaErrorLaunchFailure;
    double_lock();
    if (event->stream != NULL) stream_move(event->stream);
    bool passed = event->passed == event->recorded;
    double_unlock();
    return passed ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    (void)event;
    return waiting_call(__func__) == FAULT_NONE ? cudaSuccess : cudaErrorLaunchFailure;
}

/* ---- memory ---- */

bool memory_is_device(const void *memory, size_t bytes)
{
    const unsigned char *at = memory;
    for (const struct memory *m = memories; m != NULL; m = m->next)
        if (at >= m->bytes && bytes <= m->count && at - m->bytes <= (ptrdiff_t)(m->count - bytes)) return true;
    return false;
}

cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    if (waiting_call(__func__) != FAULT_NONE) return cudaErrorMemoryAllocation;
    struct memory *m = malloc(sizeof(*m));
    if (m == NULL) double_broken("out of memory");
    *m = (struct memory){.bytes = malloc(bytes > 0 ? bytes : 1), .count = bytes};
    if (m->bytes == NULL) {
        free(m);
        return cudaErrorMemoryAllocation;
    }
    memset(m->bytes, 0xdd, bytes); /* nobody may count on zeros */
    double_lock();
    m->next = memories;
    memories = m;
    double_counts.memories++;
    double_unlock();
    *memory = m->bytes;
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
    if (waiting_call(__func__) != FAULT_NONE) return cudaErrorLaunchFailure;
    if (memory == NULL) return cudaSuccess;
    double_lock();
    struct memory **at = &memories;
    while (*at != NULL && (*at)->bytes != memory)
        at = &(*at)->next;
    if (*at == NULL) double_broken("memory is freed that the device does not have");
    struct memory *m = *at;
    *at = m->next;
    double_counts.memories--;
    double_unlock();
    free(m->bytes);
    free(m);
    return cudaSuccess;
}

static void check_copy(const void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind)
{
    bool to = memory_is_device(dst, bytes), from = memory_is_device(src, bytes);
    bool right = kind == cudaMemcpyDefault || (kind == cudaMemcpyHostToDevice && to && !from) ||
                 (kind == cudaMemcpyDeviceToHost && !to && from) || (kind == cudaMemcpyDeviceToDevice && to && from);
    if (!right && bytes > 0) double_broken("a copy of kind %d between other memories", (int)kind);
}

cudaError_t cudaMemcpy(void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind)
{
    if (waiting_call(__func__) != FAULT_NONE) return cudaErrorLaunchFailure;
    double_lock();
    check_copy(dst, src, bytes, kind);
    double_unlock();
    memmove(dst, src, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    if (fault_of(__func__, false) != FAULT_NONE) return cudaErrorLaunchFailure;
    double_lock();
    check_copy(dst, src, bytes, kind);
    stream_move(stream);
    bool waits =
        !memory_is_device(dst, bytes) || !memory_is_device(src, bytes); /* for what is before it in the stream */
    if (waits && stream->first != NULL)
        double_broken("%s of ordinary memory behind unfinished work: on a GPU it may never return", __func__);
    put(stream, (struct op){.kind = OP_COPY, .dst = dst, .src = src, .bytes = bytes}, __func__);
    double_unlock();
    return cudaSuccess;
}

/* ---- the device itself ---- */

static int gpus(void)
{
    const char *set = getenv("REEVE_DOUBLE_GPUS"), *visible = getenv("CUDA_VISIBLE_DEVICES");
    int count = set != NULL ? (int)strtol(set, NULL, 10) : GPUS, shown = 0;
    for (const char *at = visible; at != NULL && *at != '\0'; at += strspn(at, ",")) {
        at += strcspn(at, ",");
        shown++;
    }
    return visible != NULL && shown < count ? shown : count;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    if (fault_of(__func__, false) != FAULT_NONE) return cudaErrorLaunchFailure;
    *count = gpus();
    return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaSetDevice(int device)
{
    if (fault_of(__func__, false) != FAULT_NONE) return cudaErrorLaunchFailure;
    return device >= 0 && device < gpus() ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaDeviceGetPCIBusId(char *id, int length, int device)
{
    if (fault_of(__func__, false) != FAULT_NONE) return cudaErrorLaunchFailure;
    (void)snprintf(id, (size_t)length, "0000:%02x:00.0", (unsigned)device + 1);
    return cudaSuccess;
}

const char *cudaGetErrorString(cudaError_t error)
{
    switch ((int)error) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorNotReady: return "device not ready";
    case cudaErrorLaunchFailure: return "unspecified launch failure";
    default: return "another error";
    }
}
