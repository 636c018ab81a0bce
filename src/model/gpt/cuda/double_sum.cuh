/* A sum over an array in f64, in two stages and an order that depends on the number of elements alone. */
#ifndef REEVE_MODEL_GPT_CUDA_DOUBLE_SUM_CUH
#define REEVE_MODEL_GPT_CUDA_DOUBLE_SUM_CUH

#include "model/gpt/cuda/vectors.cuh"

namespace reeve_cuda
{

constexpr uint32_t SUM_THREADS = 256;
constexpr uint32_t SUM_AT_ONCE = 4;

/* parts (gridDim.x,). `of` gives what to add: of.vector(i) for Of::WIDTH elements from i on, of.one(i) for one. */
template <typename Of>
static __global__ void __launch_bounds__(SUM_THREADS) double_sum_parts(double *parts, size_t n, Of of)
{
    __shared__ double room[WARP];
    const size_t vectors = n / Of::WIDTH, rest = n % Of::WIDTH;
    double sum = 0.0;
#pragma unroll SUM_AT_ONCE
    for (size_t i = (size_t)blockIdx.x * SUM_THREADS + threadIdx.x; i < vectors; i += (size_t)gridDim.x * SUM_THREADS)
        sum += of.vector(i * Of::WIDTH);
    if (blockIdx.x == 0 && threadIdx.x < rest) sum += of.one(vectors * Of::WIDTH + threadIdx.x);
    sum = block_sum(sum, room);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

struct double_parts {
    static constexpr uint32_t WIDTH = 1;
    const double *parts;
    __device__ double vector(size_t i) const { return parts[i]; }
    __device__ double one(size_t i) const { return parts[i]; }
};

/* *out = the sum over n elements.   scratch (parts_max,) */
template <typename Of>
cudaError_t launch_double_sum(double *out, double *scratch, uint32_t parts_max, size_t n, const Of &of,
                              cudaStream_t stream)
{
    const size_t wanted =
        (n + (size_t)SUM_THREADS * Of::WIDTH * SUM_AT_ONCE - 1) / ((size_t)SUM_THREADS * Of::WIDTH * SUM_AT_ONCE);
    const uint32_t parts = wanted < parts_max ? (uint32_t)wanted : parts_max;
    double_sum_parts<<<parts, SUM_THREADS, 0, stream>>>(scratch, n, of);
    const cudaError_t launched = cudaGetLastError();
    if (launched != cudaSuccess) return launched;
    double_sum_parts<<<1, SUM_THREADS, 0, stream>>>(out, parts, double_parts{scratch});
    return cudaGetLastError();
}

} // namespace reeve_cuda

#endif
