/* Softmax with cross-entropy, a block a row: the logits are read once, into shared memory where a row fits, and become
 * their own gradient. Largest value and sum are found in one go, the sum being scaled down whenever the largest grows.
 * Source: Milakov, Gimelshein 2018, arXiv:1805.02867, Algorithm 3. */
#include <cuda_pipeline.h>

#include "model/gpt/cuda/double_sum.cuh"
#include "model/gpt/cuda/kernels.cuh"
#include "model/gpt/cuda/mma.cuh"

namespace reeve_cuda
{

constexpr uint32_t LOSS_THREADS_MAX = 512; /* two rows of 50304 in bf16 fit into a multiprocessor of sm_90 */
constexpr uint32_t LOSS_VECTORS = 4;       /* a thread takes at least so many while that leaves a warp */
constexpr uint32_t LOSS_PARTS_MAX = 1024;

constexpr float LOG2_E = 1.4426950408889634f;
constexpr float LOW = -1e30f; /* below all logits; finite, since infinity less infinity is not a number */

/* e^(x - max), 1 where they are equal; for bf16 by the hardware's 2^x, good to 2^-22 */
template <typename T> static __device__ float exponential(float x, float max)
{
    if constexpr (sizeof(T) == 4) return expf(x - max);
    else return exp2_fast((x - max) * LOG2_E);
}

/* Of some elements: the largest, and the sum of e^(x - max). */
struct softmax_sum {
    float max, sum;
};

/* Products and sum are rounded one by one, so that a and b may change places. */
template <typename T> static __device__ softmax_sum merged(softmax_sum a, softmax_sum b)
{
    const float max = fmaxf(a.max, b.max);
    return {max, __fadd_rn(__fmul_rn(a.sum, exponential<T>(a.max, max)), __fmul_rn(b.sum, exponential<T>(b.max, max)))};
}

template <typename T> static __device__ softmax_sum warp_merged(softmax_sum mine)
{
#pragma unroll
    for (uint32_t distance = WARP / 2; distance > 0; distance /= 2) {
        const softmax_sum other = {__shfl_xor_sync(ALL_LANES, mine.max, distance),
                                   __shfl_xor_sync(ALL_LANES, mine.sum, distance)};
        mine = merged<T>(mine, other);
    }
    return mine;
}

template <typename T> static __device__ softmax_sum block_merged(softmax_sum mine)
{
    __shared__ softmax_sum room[WARP];
    const uint32_t lane = threadIdx.x % WARP;
    mine = warp_merged<T>(mine);
    if (lane == 0) room[threadIdx.x / WARP] = mine;
    __syncthreads();
    return warp_merged<T>(lane < blockDim.x / WARP ? room[lane] : softmax_sum{LOW, 0.0f});
}

struct loss_rows {
    const int32_t *tokens;
    size_t rows_before, stride;
    uint32_t sequence, V;
    float scale;
    bool gradient;
};

/* Each thread takes vectors threadIdx.x, + blockDim.x, ... of the row, both times. */
template <int W, bool HELD, typename T>
static __global__ void __launch_bounds__(LOSS_THREADS_MAX, 2)
    cross_entropy_rows(T *logits, float *losses, const struct loss_rows p)
{
    extern __shared__ uint4 held[]; /* the row */
    T *x = logits + blockIdx.x * p.stride;
    const size_t row = p.rows_before + blockIdx.x;
    const uint32_t target = (uint32_t)p.tokens[row / p.sequence * (p.sequence + 1) + row % p.sequence + 1];
    const uint32_t vectors = (p.V + W - 1) / W;
    if constexpr (HELD) {
        for (uint32_t v = threadIdx.x; v < vectors; v += blockDim.x)
            __pipeline_memcpy_async(&held[v], x + (size_t)v * W, sizeof(uint4));
        __pipeline_commit();
    }
    const float target_logit = to_float(x[target]); /* before it becomes its gradient */
    if constexpr (HELD) __pipeline_wait_prior(0);   /* its own vectors are all that a thread looks at */

    const auto take = [&](float(&e)[W], uint32_t v) {
        if constexpr (HELD) unpack(e, held[v], x);
        else load<W>(e, x + (size_t)v * W);
        if (v + 1 < vectors) return;
#pragma unroll
        for (int i = 0; i < W; i++)
            if (v * W + i >= p.V) e[i] = -INFINITY;
    };

    softmax_sum mine = {LOW, 0.0f};
#pragma unroll 2
    for (uint32_t v = threadIdx.x; v < vectors; v += blockDim.x) {
        float e[W], max = mine.max, sum = 0.0f;
        take(e, v);
#pragma unroll
        for (int i = 0; i < W; i++)
            max = fmaxf(max, e[i]);
#pragma unroll
        for (int i = 0; i < W; i++)
            sum += exponential<T>(e[i], max);
        mine = {max, mine.sum * exponential<T>(mine.max, max) + sum};
    }
    const softmax_sum all = block_merged<T>(mine);
    if (threadIdx.x == 0) losses[blockIdx.x] = logf(all.sum) + (all.max - target_logit);
    if (!p.gradient) return;

    const float factor = p.scale / all.sum;
#pragma unroll 2
    for (uint32_t v = threadIdx.x; v < vectors; v += blockDim.x) {
        float e[W];
        take(e, v);
#pragma unroll
        for (int i = 0; i < W; i++)
            e[i] = exponential<T>(e[i], all.max) * factor;
        if (v == target / W || v + 1 == vectors) {
#pragma unroll
            for (int i = 0; i < W; i++) {
                if (v * W + i == target) e[i] -= p.scale;
                if (v * W + i >= p.V) e[i] = 0.0f; /* also where the row has a NaN */
            }
        }
        store<W>(x + (size_t)v * W, e);
    }
    const float zeros[W] = {0.0f};
    for (size_t v = vectors + threadIdx.x; v < p.stride / W; v += blockDim.x)
        store<W>(x + v * W, zeros);
}

template <int W, bool HELD, typename T>
static cudaError_t launch_rows(T *logits, float *losses, size_t N, const struct loss_rows &p, cudaStream_t stream)
{
    const uint32_t vectors = divide_up(p.V, W);
    const uint32_t wanted = divide_up(divide_up(vectors, LOSS_VECTORS), WARP) * WARP;
    const uint32_t threads = wanted < LOSS_THREADS_MAX ? wanted : LOSS_THREADS_MAX;
    const size_t bytes = HELD ? vectors * sizeof(uint4) : 0;
    if (HELD) {
        const auto kernel = cross_entropy_rows<W, HELD, T>;
        cudaError_t set = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
        if (set == cudaSuccess)
            set = cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                                       cudaSharedmemCarveoutMaxShared);
        if (set != cudaSuccess) return set;
    }
    cross_entropy_rows<W, HELD><<<(uint32_t)N, threads, bytes, stream>>>(logits, losses, p);
    return cudaGetLastError();
}

template <typename T>
cudaError_t cross_entropy(T *logits, float *losses, const int32_t *tokens, size_t N, size_t rows_before,
                          uint32_t sequence, uint32_t V, size_t stride, float scale, bool gradient, cudaStream_t stream)
{
    constexpr int W = VECTOR<T>;
    const struct loss_rows p = {tokens, rows_before, stride, sequence, V, scale, gradient};
    if (stride % W != 0) return launch_rows<1, false>(logits, losses, N, p, stream);
    int device, room;
    cudaError_t asked = cudaGetDevice(&device);
    if (asked == cudaSuccess) asked = cudaDeviceGetAttribute(&room, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    if (asked != cudaSuccess) return asked;
    const size_t bytes = divide_up(V, W) * sizeof(uint4) + WARP * sizeof(softmax_sum);
    if (gradient && bytes <= (size_t)room) return launch_rows<W, true>(logits, losses, N, p, stream);
    return launch_rows<W, false>(logits, losses, N, p, stream);
}

struct loss_elements {
    static constexpr uint32_t WIDTH = 4;
    const float *losses;
    __device__ double one(size_t i) const { return (double)losses[i]; }
    __device__ double vector(size_t i) const
    {
        const float4 x = *reinterpret_cast<const float4 *>(losses + i);
        return ((double)x.x + (double)x.y) + ((double)x.z + (double)x.w);
    }
};

cudaError_t sum_losses(double *out, const float *losses, double *scratch, size_t N, cudaStream_t stream)
{
    return launch_double_sum(out, scratch, LOSS_PARTS_MAX, N, loss_elements{losses}, stream);
}

template cudaError_t cross_entropy(float *, float *, const int32_t *, size_t, size_t, uint32_t, uint32_t, size_t, float,
                                   bool, cudaStream_t);
template cudaError_t cross_entropy(bf16 *, float *, const int32_t *, size_t, size_t, uint32_t, uint32_t, size_t, float,
                                   bool, cudaStream_t);

} // namespace reeve_cuda
