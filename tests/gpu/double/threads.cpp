/* The threads of a block as fibers of one thread: each has a stack, and the scheduler and the running fiber jump to each
 * other. setjmp and longjmp, since swapcontext() enters the kernel to save signal masks. */
#include <csetjmp>
#include <csignal>
#include <vector>

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cuda_runtime.h>

#include "double.h"

namespace
{

constexpr uint32_t WARP = 32, THREADS_MAX = 1024;
constexpr size_t STACK_BYTES = 64 << 10, PAGE = 4096, SHARED_MAX = 227 << 10, SHARED_ROOM = 228 << 10;
constexpr uint32_t SHARED_FIRST = 1024; /* address of the first byte of dynamic shared memory */

struct copy {
    void *to;
    const void *from; /* NULL: zeros */
    size_t bytes;
    bool committed;
};

enum state { READY, AT_WARP, AT_BARRIER, DONE };
struct fiber {
    jmp_buf at;
    enum state state;
    const char *what; /* AT_WARP: operation */
    uint32_t exchanges;
    std::vector<copy> copies;
};

fiber fibers[THREADS_MAX];
/* Two, since a lane may bring the next before another has looked at this. */
unsigned char slots[THREADS_MAX / WARP][2][WARP][WARP_SLOT];
uint32_t fiber_count; /* that have a stack */
jmp_buf scheduler;
uint32_t running;
const std::function<void()> *thread_body;
const char *kernel_name = "no kernel";

unsigned char *shared_end; /* a page that nobody may touch */
size_t shared_bytes;

[[noreturn]] void kernel_broken(const char *what)
{
    double_broken("%s, block (%u, %u), thread (%u, %u): %s", kernel_name, blockIdx.x, blockIdx.y, threadIdx.x,
                  threadIdx.y, what);
}

void wait_as(enum state state)
{
    fiber *me = &fibers[running];
    me->state = state;
    if (_setjmp(me->at) == 0) _longjmp(scheduler, 1);
}

void fiber_main()
{
    for (;;) {
        wait_as(DONE);
        (*thread_body)();
        if (!fibers[running].copies.empty()) kernel_broken("ends with copies under way");
    }
}

void make_fibers(uint32_t count)
{
    for (; fiber_count < count; fiber_count++) {
        void *stack = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (stack == MAP_FAILED || mprotect(stack, PAGE, PROT_NONE) != 0) double_broken("no memory for threads");
        static ucontext_t start;
        (void)getcontext(&start);
        start.uc_stack.ss_sp = stack;
        start.uc_stack.ss_size = STACK_BYTES - fiber_count % 61 * 320; /* else all lie in the same lines of the cache */
        makecontext(&start, fiber_main, 0);
        running = fiber_count;
        if (_setjmp(scheduler) == 0) (void)setcontext(&start);
    }
}

void resume(uint32_t thread)
{
    running = thread;
    threadIdx = {thread % blockDim.x, thread / blockDim.x, 0};
    if (_setjmp(scheduler) == 0) _longjmp(fibers[thread].at, 1);
}

/* Lanes one by one until each waits; where all wait for each other they go on, mostly at once, now and then after other
 * warps. False: nothing is left to do for it but a barrier. */
bool run_warp(fiber *warp)
{
    bool moved = false;
    do {
        const uint32_t first = double_random(WARP);
        uint32_t together = 0;
        for (uint32_t i = 0; i < WARP; i++) {
            fiber *lane = &warp[(first + i) % WARP];
            if (lane->state != READY) continue;
            resume((uint32_t)(lane - fibers));
            moved = true;
        }
        for (uint32_t i = 0; i < WARP; i++)
            together += warp[i].state == AT_WARP;
        if (together == 0) return moved;
        for (uint32_t i = 0; i < WARP; i++)
            if (together != WARP || warp[i].what != warp[0].what)
                kernel_broken("lanes of a warp are not at the same operation");
        for (uint32_t i = 0; i < WARP; i++)
            warp[i].state = READY;
        moved = true;
    } while (double_random(16) != 0);
    return moved;
}

void run_block(uint32_t threads)
{
    const uint32_t warps = threads / WARP;
    for (uint32_t i = 0; i < threads; i++)
        fibers[i].state = READY;
    if (shared_bytes > 0) memset(double_shared(), 0xff, shared_bytes);
    for (;;) {
        bool moved = false;
        const uint32_t first = double_random(warps);
        for (uint32_t i = 0; i < warps; i++)
            moved |= run_warp(&fibers[(first + i) % warps * WARP]);
        if (moved) continue;
        bool any = false; /* all that are not through are at the barrier */
        for (uint32_t i = 0; i < threads; i++)
            if (fibers[i].state != DONE) any = true, fibers[i].state = READY;
        if (!any) return;
    }
}

} // namespace

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

uint32_t double_lane()
{
    return running % WARP;
}

void *double_shared()
{
    return shared_end - (shared_bytes + 15) / 16 * 16;
}

unsigned char *double_shared_at(uint32_t address, size_t bytes)
{
    if (address < SHARED_FIRST || address - SHARED_FIRST + bytes > shared_bytes) kernel_broken("beyond shared memory");
    if (address % 16 != 0) kernel_broken("an address in shared memory that 16 does not divide");
    return (unsigned char *)double_shared() + (address - SHARED_FIRST);
}

uint32_t double_shared_address(const void *p)
{
    return SHARED_FIRST + (uint32_t)((const unsigned char *)p - (const unsigned char *)double_shared());
}

void __syncthreads()
{
    wait_as(AT_BARRIER);
}

const unsigned char *double_exchange(const char *what, const void *mine, size_t bytes)
{
    fiber *me = &fibers[running];
    const uint32_t warp = running / WARP, which = me->exchanges++ % 2;
    if (bytes > 0) memcpy(slots[warp][which][running % WARP], mine, bytes);
    me->what = what;
    wait_as(AT_WARP);
    return slots[warp][which][0];
}

/* ---- copies: at once, or when they are waited for ---- */

static void do_copy(const copy &c)
{
    if (c.from == nullptr) memset(c.to, 0, c.bytes);
    else memcpy(c.to, c.from, c.bytes);
}

void double_copy_async(void *to, const void *from, size_t bytes, bool real)
{
    if ((uintptr_t)to % bytes != 0 || (uintptr_t)from % bytes != 0) kernel_broken("a copy that is not aligned");
    const copy c = {to, real ? from : nullptr, bytes, false};
    if (double_random(2) == 0) do_copy(c);
    else fibers[running].copies.push_back(c);
}

void double_copy_commit()
{
    for (copy &c : fibers[running].copies)
        c.committed = true;
}

void double_copy_wait(bool all)
{
    std::vector<copy> left;
    for (const copy &c : fibers[running].copies)
        if (all || c.committed) do_copy(c);
        else left.push_back(c);
    fibers[running].copies.swap(left);
}

/* ---- grids ---- */

void double_run_grid(const char *name, uint32_t gx, uint32_t gy, uint32_t bx, uint32_t by, size_t bytes,
                     const std::function<void()> &thread)
{
    if (shared_end == nullptr) {
        void *room = mmap(nullptr, SHARED_ROOM + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        shared_end = (unsigned char *)room + SHARED_ROOM;
        if (room == MAP_FAILED || mprotect(shared_end, PAGE, PROT_NONE) != 0) double_broken("no memory");
    }
    make_fibers(bx * by);
    kernel_name = name;
    thread_body = &thread;
    shared_bytes = bytes;
    gridDim = dim3(gx, gy);
    blockDim = dim3(bx, by);
    for (uint32_t y = 0; y < gy; y++)
        for (uint32_t x = 0; x < gx; x++) {
            blockIdx = {x, y, 0};
            run_block(bx * by);
        }
}

void double_kernel_launch(const char *name, dim3 grid, dim3 block, size_t bytes, cudaStream_t stream,
                          std::function<void()> thread)
{
    const uint32_t threads = block.x * block.y;
    if (grid.x == 0 || grid.x > INT32_MAX || grid.y == 0 || grid.y > 65535 || threads == 0 || threads > THREADS_MAX ||
        grid.z != 1 || block.z != 1) {
        double_launch_failed(cudaErrorInvalidConfiguration);
        return;
    }
    if (bytes > SHARED_MAX) {
        double_launch_failed(cudaErrorInvalidValue);
        return;
    }
    if (threads % WARP != 0) double_broken("%s: %u threads are not whole warps", name, threads);
    double_enqueue(stream, [=] {
        double_run_grid(name, grid.x, grid.y, block.x, block.y, bytes, thread);
        return true;
    });
}

/* Where a kernel touches what is not there. */
__attribute__((constructor)) static void name_the_kernel_at_a_fault()
{
    static unsigned char stack[16384];
    stack_t own = {};
    own.ss_sp = stack;
    own.ss_size = sizeof(stack);
    (void)sigaltstack(&own, nullptr);
    struct sigaction action = {};
    action.sa_flags = SA_ONSTACK | SA_RESETHAND;
    action.sa_handler = [](int) { kernel_broken("touches memory that is not there (or what ran after it did)"); };
    (void)sigaction(SIGSEGV, &action, nullptr);
}
