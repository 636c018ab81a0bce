/* The runtime's part: memory, and streams that run late. One thread may use it. */
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <map>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "double.h"

struct CUstream_st {
    std::deque<std::function<bool()>> waiting;
};
struct CUevent_st {
    uint64_t recorded, passed; /* numbers of records */
};

namespace
{

constexpr size_t PAGE = 4096, DEVICE_BYTES = (size_t)1 << 30, POISON_BYTES_MAX = (size_t)64 << 20, GPUS = 1;
constexpr int LEFT_OVER = 86;

std::map<uintptr_t, size_t> device_memory, pinned_memory; /* begin, bytes */
size_t device_bytes;
CUstream_st no_stream; /* of calls that name none */
std::vector<cudaStream_t> streams = {&no_stream};
size_t event_count;
cudaError_t launch_error = cudaSuccess;
uint64_t random_state, random_seed;

/* Does [memory, memory + bytes) lie in one of them? */
bool lies_in(const std::map<uintptr_t, size_t> &memory, const void *at, size_t bytes)
{
    auto piece = memory.upper_bound((uintptr_t)at);
    if (piece == memory.begin()) return false;
    --piece;
    return (uintptr_t)at + bytes <= piece->first + piece->second;
}

/* One operation of some stream that can. */
bool move()
{
    const uint32_t first = double_random((uint32_t)streams.size());
    for (size_t i = 0; i < streams.size(); i++) {
        cudaStream_t s = streams[(first + i) % streams.size()];
        if (s->waiting.empty() || !s->waiting.front()()) continue;
        s->waiting.pop_front();
        return true;
    }
    return false;
}

void finish(cudaStream_t s)
{
    while (!s->waiting.empty())
        if (!move()) double_broken("a stream waits for what will not happen");
}

void finish_all()
{
    for (cudaStream_t s : streams)
        finish(s);
}

void *map_bytes(size_t bytes)
{
    void *memory =
        mmap(nullptr, (bytes + PAGE - 1) / PAGE * PAGE + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    unsigned char *begin = (unsigned char *)memory + PAGE;
    if (mprotect(begin, bytes, PROT_READ | PROT_WRITE) != 0) return nullptr;
    if (bytes <= POISON_BYTES_MAX) memset(begin, 0xff, bytes);
    return begin;
}

/* Pages on both sides, and after this those between, belong to nobody: a use ends the program. */
cudaError_t unmap(std::map<uintptr_t, size_t> &list, void *memory, const char *call)
{
    const auto piece = list.find((uintptr_t)memory);
    if (piece == list.end()) double_broken("%s: not such memory, or freed before", call);
    (void)munmap((unsigned char *)memory - PAGE, (piece->second + PAGE - 1) / PAGE * PAGE + 2 * PAGE);
    list.erase(piece);
    return cudaSuccess;
}

void set_bytes(void *memory, int value, size_t bytes)
{
    const size_t whole = bytes / PAGE * PAGE; /* fresh pages are zeros, and cost nothing until they are used */
    if (value == 0 && (uintptr_t)memory % PAGE == 0 && madvise(memory, whole, MADV_DONTNEED) == 0)
        memset((unsigned char *)memory + whole, 0, bytes - whole);
    else memset(memory, value, bytes);
}

__attribute__((destructor)) void complain_of_leaks()
{
    if (device_memory.empty() && pinned_memory.empty() && streams.size() == 1 && event_count == 0) return;
    (void)fflush(nullptr);
    (void)fprintf(stderr, "double: left at exit: %zu pieces of memory, %zu pinned, %zu streams, %zu events\n",
                  device_memory.size(), pinned_memory.size(), streams.size() - 1, event_count);
    _exit(LEFT_OVER);
}

} // namespace

/* ---- for the other parts ---- */

void double_broken(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "double: ");
    (void)vfprintf(stderr, format, args);
    (void)fprintf(stderr, " (REEVE_DOUBLE_SEED=%llu)\n", (unsigned long long)random_seed);
    va_end(args);
    (void)signal(SIGABRT, SIG_DFL);
    abort();
}

uint32_t double_random(uint32_t below) /* xorshift64 (Marsaglia 2003) */
{
    if (random_seed == 0) {
        const char *given = getenv("REEVE_DOUBLE_SEED");
        struct timespec now;
        (void)timespec_get(&now, TIME_UTC);
        random_seed = given != nullptr ? strtoull(given, nullptr, 10) : (uint64_t)now.tv_nsec + 1;
        random_state = random_seed * 0x9e3779b97f4a7c15ull;
    }
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 32) * below >> 32);
}

void double_enqueue(cudaStream_t s, std::function<bool()> run)
{
    (s == nullptr ? &no_stream : s)->waiting.push_back(std::move(run));
    if (double_random(4) == 0) (void)move();
}

void double_need_device(const void *memory, size_t bytes, const char *what)
{
    if (!lies_in(device_memory, memory, bytes)) double_broken("%s: %zu bytes that are not the device's", what, bytes);
}

void double_launch_failed(cudaError_t error)
{
    launch_error = error;
}

/* ---- the device ---- */

cudaError_t cudaGetLastError(void)
{
    const cudaError_t error = launch_error;
    launch_error = cudaSuccess;
    return error;
}

const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaSuccess ? "no error" : "an error of the double";
}

const char *cudaGetErrorName(cudaError_t error)
{
    return error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "cudaErrorOfTheDouble";
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = GPUS;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    return device >= 0 && device < (int)GPUS ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaGetDevice(int *device)
{
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device)
{
    if (device < 0 || device >= (int)GPUS) return cudaErrorInvalidDevice;
    *properties = {"double of a GPU", DEVICE_BYTES, 9, 0};
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr, int)
{
    *value = 227 << 10;
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    finish_all();
    return cudaSuccess;
}

/* ---- streams and events ---- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned int flags)
{
    if (flags != cudaStreamNonBlocking) double_broken("a stream that waits for calls without one: not in the double");
    streams.push_back(*stream = new CUstream_st);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    finish(stream);
    for (size_t i = 0; i < streams.size(); i++)
        if (streams[i] == stream) streams.erase(streams.begin() + (long)i);
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    finish(stream == nullptr ? &no_stream : stream);
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int)
{
    const uint64_t number = event->recorded;
    double_enqueue(stream, [=] { return event->passed >= number; });
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    *event = new CUevent_st();
    event_count++;
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int)
{
    return cudaEventCreate(event);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    finish_all();
    delete event;
    event_count--;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    const uint64_t number = ++event->recorded;
    double_enqueue(stream, [=] { return event->passed = number, true; });
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    for (uint32_t moves = 1 + double_random(8); moves > 0 && event->passed < event->recorded; moves--)
        if (!move()) double_broken("an event is waited for that will not happen");
    return event->passed < event->recorded ? cudaErrorNotReady : cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    while (cudaEventQuery(event) == cudaErrorNotReady)
        ;
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t, cudaEvent_t)
{
    *milliseconds = 1.0f;
    return cudaSuccess;
}

/* ---- memory ---- */

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *all_bytes)
{
    *free_bytes = DEVICE_BYTES - device_bytes;
    *all_bytes = DEVICE_BYTES;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    if (bytes > DEVICE_BYTES - device_bytes) return launch_error = cudaErrorMemoryAllocation;
    *memory = map_bytes(bytes);
    if (*memory == nullptr) return cudaErrorMemoryAllocation;
    device_memory[(uintptr_t)*memory] = bytes;
    device_bytes += bytes;
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
    finish_all();
    if (memory == nullptr) return cudaSuccess;
    const auto piece = device_memory.find((uintptr_t)memory);
    if (piece != device_memory.end()) device_bytes -= piece->second;
    return unmap(device_memory, memory, "cudaFree");
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned int)
{
    *memory = map_bytes(bytes);
    if (*memory == nullptr) return cudaErrorMemoryAllocation;
    pinned_memory[(uintptr_t)*memory] = bytes;
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *memory)
{
    finish_all();
    return unmap(pinned_memory, memory, "cudaFreeHost");
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
    double_need_device(memory, bytes, "cudaMemset");
    double_enqueue(stream, [=] { return set_bytes(memory, value, bytes), true; });
    return cudaSuccess;
}

cudaError_t cudaMemset(void *memory, int value, size_t bytes)
{
    return cudaMemsetAsync(memory, value, bytes, nullptr);
}

static void check_copy(const void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind)
{
    const bool to = lies_in(device_memory, dst, bytes), from = lies_in(device_memory, src, bytes);
    if (kind == cudaMemcpyDefault) return;
    if (to != (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice) ||
        from != (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice))
        double_broken("a copy of kind %d of %zu bytes, %s the device's to %s the device's", (int)kind, bytes,
                      from ? "from" : "not from", to ? "to" : "not to");
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    check_copy(dst, src, bytes, kind);
    bool waits = false; /* memory that is not pinned: as CUDA documents it, done when the call returns */
    for (const void *end : {(const void *)dst, src})
        waits = waits || (!lies_in(device_memory, end, bytes) && !lies_in(pinned_memory, end, bytes));
    double_enqueue(stream, [=] { return memcpy(dst, src, bytes), true; });
    return waits ? cudaStreamSynchronize(stream) : cudaSuccess;
}

cudaError_t cudaMemcpy(void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind)
{
    check_copy(dst, src, bytes, kind);
    double_enqueue(nullptr, [=] { return memcpy(dst, src, bytes), true; });
    if (!lies_in(device_memory, dst, bytes) || !lies_in(device_memory, src, bytes)) finish(&no_stream);
    return cudaSuccess; /* within the device it waits for nobody */
}
