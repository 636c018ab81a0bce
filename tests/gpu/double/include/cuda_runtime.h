/* CUDA's language for the double, as far as the kernels use it: the words that mark functions and memory, the names of a
 * thread and its block, arithmetic whose rounding is named, and what threads do together (threads.cpp). */
#ifndef REEVE_TESTS_CUDA_RUNTIME_H
#define REEVE_TESTS_CUDA_RUNTIME_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>

#include <cuda_runtime_api.h>

#define __device__
#define __host__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
#define __shared__ static /* the blocks of a grid run one after the other */

struct alignas(8) float2 {
    float x, y;
};
struct alignas(8) uint2 {
    uint32_t x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) uint4 {
    uint32_t x, y, z, w;
};
struct alignas(16) longlong2 {
    long long x, y;
};
struct uint3 {
    uint32_t x, y, z;
};
struct dim3 {
    uint32_t x, y, z;
    dim3(uint32_t a = 1, uint32_t b = 1, uint32_t c = 1) : x(a), y(b), z(c) {}
};
static inline float2 make_float2(float x, float y)
{
    return {x, y};
}
static inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}
static inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w)
{
    return {x, y, z, w};
}
static inline longlong2 make_longlong2(long long x, long long y)
{
    return {x, y};
}

/* ---- threads (threads.cpp) ---- */

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

void *double_shared();
/* What all 32 lanes of the warp brought: slots of WARP_SLOT bytes, in order. All must come, to the same `what`. */
constexpr size_t WARP_SLOT = 32;
const unsigned char *double_exchange(const char *what, const void *mine, size_t bytes);
uint32_t double_lane();
void double_kernel_launch(const char *name, dim3 grid, dim3 block, size_t bytes, cudaStream_t stream,
                          std::function<void()> thread);
/* Copies behind the thread's back; `all`: also those that were not committed. */
void double_copy_async(void *to, const void *from, size_t bytes, bool real);
void double_copy_commit();
void double_copy_wait(bool all);

template <typename F> struct double_launch {
    const char *name;
    F kernel;
    dim3 grid, block;
    size_t bytes;
    cudaStream_t stream;
    double_launch(const char *n, F f, dim3 g, dim3 b, size_t s, cudaStream_t st)
        : name(n), kernel(f), grid(g), block(b), bytes(s), stream(st)
    {
    }
    template <typename... A> void operator()(A... arguments) const
    {
        double_kernel_launch(name, grid, block, bytes, stream, [=, f = kernel] { f(arguments...); });
    }
};

void __syncthreads();
static inline void __syncwarp()
{
    (void)double_exchange("__syncwarp", nullptr, 0);
}
template <typename T> T double_shuffle(const char *what, T x, uint32_t from)
{
    T got;
    std::memcpy(&got, double_exchange(what, &x, sizeof(x)) + from * WARP_SLOT, sizeof(got));
    return got;
}
template <typename T> T __shfl_sync(uint32_t, T x, uint32_t from)
{
    return double_shuffle("__shfl_sync", x, from % 32);
}
template <typename T> T __shfl_xor_sync(uint32_t, T x, uint32_t distance)
{
    return double_shuffle("__shfl_xor_sync", x, double_lane() ^ distance);
}
static inline int __any_sync(uint32_t, int mine)
{
    const unsigned char *all = double_exchange("__any_sync", &mine, sizeof(mine));
    int any = 0;
    for (uint32_t lane = 0; lane < 32; lane++) {
        int one;
        std::memcpy(&one, all + lane * WARP_SLOT, sizeof(one));
        any |= one != 0;
    }
    return any;
}
template <typename T, typename U> T atomicAdd(T *at, U x) /* threads change only where they wait */
{
    const T before = *at;
    *at = before + x;
    return before;
}

/* ---- arithmetic; this is compiled with -ffp-contract=off ---- */

using std::max;
using std::min;
static inline float __uint_as_float(uint32_t x)
{
    float y;
    std::memcpy(&y, &x, sizeof(y));
    return y;
}
static inline uint32_t __float_as_uint(float x)
{
    uint32_t y;
    std::memcpy(&y, &x, sizeof(y));
    return y;
}
static inline float __fadd_rn(float a, float b)
{
    return a + b;
}
static inline float __fsub_rn(float a, float b)
{
    return a - b;
}
static inline float __fmul_rn(float a, float b)
{
    return a * b;
}
static inline float __fdiv_rn(float a, float b)
{
    return a / b;
}
static inline float __fdividef(float a, float b)
{
    return std::fabs(b) > 0x1p126f ? a * 0.0f : a / b; /* as CUDA documents it */
}
static inline float __fsqrt_rn(float a)
{
    return std::sqrt(a);
}
static inline double __dmul_rn(double a, double b)
{
    return a * b;
}
#define __expf(x) std::exp((float)(x)) /* the C library has this name for itself */
static inline long long __double2ll_rn(double x)
{
    return std::llrint(x);
}
static inline float rsqrtf(float x)
{
    return 1.0f / std::sqrt(x);
}

/* ---- calls that C has otherwise ---- */

template <typename T> cudaError_t cudaMalloc(T **memory, size_t bytes)
{
    return cudaMalloc((void **)memory, bytes);
}
static inline cudaError_t cudaEventRecord(cudaEvent_t event)
{
    return cudaEventRecord(event, nullptr);
}
enum cudaFuncAttribute {
    cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
    cudaFuncAttributePreferredSharedMemoryCarveout = 9,
};
enum { cudaSharedmemCarveoutMaxShared = 100 };
template <typename F> cudaError_t cudaFuncSetAttribute(F *, cudaFuncAttribute, int)
{
    return cudaSuccess;
}

#endif
