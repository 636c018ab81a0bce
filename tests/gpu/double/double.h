/* A double of a GPU, for tests on machines without one and without CUDA: the project's own sources for the GPU, kernels
 * included, are compiled as C++ and run on the CPU. It is not a model of a GPU's speed, nor of how its units round
 * within one product; it executes what the sources say, in orders that a GPU may choose:
 *   threads.cpp   a block's threads are fibers; warps, and the lanes of a warp between two operations of it, run in an order
 *                 drawn at random, so that a barrier that is missing shows
 *   device.cpp    memory, and streams that run late: an operation is done when somebody waits, at random, so that a wait
 *                 that is missing shows
 *   products.cpp  cuBLASLt, as loops
 *   mma.cpp       products and copies of the tensor cores' kind, between lanes
 * Broken rules end the program with a line that begins with "double:". REEVE_DOUBLE_SEED repeats an order; it is printed
 * when something is broken. At the end of a program nothing of memory, streams and events may be left. */
#ifndef REEVE_TESTS_GPU_DOUBLE_H
#define REEVE_TESTS_GPU_DOUBLE_H

#include <cstddef>
#include <cstdint>
#include <functional>

#include <cuda_runtime_api.h>

[[noreturn]] void double_broken(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint32_t double_random(uint32_t below);

/* Put at the end of a stream; NULL is the stream of calls that name none. `run` is tried until it returns true. */
void double_enqueue(cudaStream_t stream, std::function<bool()> run);
/* Must lie in one piece of the device's memory. */
void double_need_device(const void *memory, size_t bytes, const char *what);
/* The next cudaGetLastError() returns it. */
void double_launch_failed(cudaError_t error);
/* All threads of a grid, now. */
void double_run_grid(const char *name, uint32_t gx, uint32_t gy, uint32_t bx, uint32_t by, size_t shared_bytes,
                     const std::function<void()> &thread);
/* Of the running block's dynamic shared memory: the number of a place, and `bytes` at such a number. */
uint32_t double_shared_address(const void *place);
unsigned char *double_shared_at(uint32_t address, size_t bytes);

#endif
