/* What the kernels share: rows in vectors of 16 bytes, as fp32 in registers, and sums over threads in a fixed order. */
#ifndef REEVE_MODEL_GPT_CUDA_VECTORS_CUH
#define REEVE_MODEL_GPT_CUDA_VECTORS_CUH

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <cuda_bf16.h>
#include <cuda_runtime.h>

namespace reeve_cuda
{

constexpr uint32_t WARP = 32;
constexpr uint32_t ALL_LANES = 0xffffffffu;

template <typename T> constexpr uint32_t VECTOR = 16 / sizeof(T); /* elements in 16 bytes */

inline uint32_t divide_up(size_t n, size_t by)
{
    return (uint32_t)((n + by - 1) / by);
}

/* ---- elements ---- */

__device__ inline float to_float(float x)
{
    return x;
}

__device__ inline float to_float(__nv_bfloat16 x)
{
    return __bfloat162float(x);
}

template <typename T> __device__ inline T from_float(float x)
{
    if constexpr (sizeof(T) == 4) return x;
    else return __float2bfloat16_rn(x);
}

/* x as it reads back once it was stored as a T */
template <typename T> __device__ inline float rounded(float x)
{
    return to_float(from_float<T>(x));
}

/* ---- W elements: 1 at any place, or whole vectors at a multiple of 16 bytes ---- */

/* W elements as they lie in memory, W being 1 or VECTOR<T> */
template <int W, typename T> using raw = std::conditional_t<W == 1, T, uint4>;

template <int W, typename T> __device__ inline raw<W, T> load_raw(const T *at)
{
    return *reinterpret_cast<const raw<W, T> *>(at);
}

template <typename T> __device__ inline void unpack(float (&x)[1], const T &raw, const T *)
{
    x[0] = to_float(raw);
}

__device__ inline void unpack(float (&x)[4], const uint4 &raw, const float *)
{
    x[0] = __uint_as_float(raw.x), x[1] = __uint_as_float(raw.y);
    x[2] = __uint_as_float(raw.z), x[3] = __uint_as_float(raw.w);
}

__device__ inline void unpack(float (&x)[8], const uint4 &raw, const __nv_bfloat16 *)
{
    const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        x[2 * i] = __uint_as_float(words[i] << 16);
        x[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
}

__device__ inline uint4 pack(const float (&x)[4], const float *)
{
    return make_uint4(__float_as_uint(x[0]), __float_as_uint(x[1]), __float_as_uint(x[2]), __float_as_uint(x[3]));
}

__device__ inline uint4 pack(const float (&x)[8], const __nv_bfloat16 *)
{
    uint32_t words[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const __nv_bfloat162 pair = __floats2bfloat162_rn(x[2 * i], x[2 * i + 1]);
        words[i] = (uint32_t)__bfloat16_as_ushort(pair.y) << 16 | __bfloat16_as_ushort(pair.x);
    }
    return make_uint4(words[0], words[1], words[2], words[3]);
}

template <int W, typename T> __device__ inline void load(float (&x)[W], const T *at)
{
    if constexpr (W == 1) {
        x[0] = to_float(*at);
    } else {
        constexpr int V = VECTOR<T>;
        static_assert(W % V == 0, "whole vectors");
#pragma unroll
        for (int i = 0; i < W / V; i++) {
            float part[V];
            unpack(part, reinterpret_cast<const uint4 *>(at)[i], at);
#pragma unroll
            for (int j = 0; j < V; j++)
                x[i * V + j] = part[j];
        }
    }
}

template <int W, typename T> __device__ inline void store(T *at, const float (&x)[W])
{
    if constexpr (W == 1) {
        *at = from_float<T>(x[0]);
    } else {
        constexpr int V = VECTOR<T>;
        static_assert(W % V == 0, "whole vectors");
#pragma unroll
        for (int i = 0; i < W / V; i++) {
            float part[V];
#pragma unroll
            for (int j = 0; j < V; j++)
                part[j] = x[i * V + j];
            reinterpret_cast<uint4 *>(at)[i] = pack(part, at);
        }
    }
}

/* ---- sums over threads: butterflies, whose order is that of the lanes ---- */

template <typename N> __device__ inline N warp_sum(N x)
{
#pragma unroll
    for (uint32_t distance = WARP / 2; distance > 0; distance /= 2)
        x += __shfl_xor_sync(ALL_LANES, x, distance);
    return x;
}

/* Of a block of whole warps, 1024 threads at most; the result is everybody's. `room` (32,) shared; callers that use one
 * room twice need a barrier in between. */
template <typename N> __device__ inline N block_sum(N x, N *room)
{
    const uint32_t lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
    x = warp_sum(x);
    if (lane == 0) room[threadIdx.x / WARP] = x;
    __syncthreads();
    return warp_sum(lane < warps ? room[lane] : N(0));
}

} // namespace reeve_cuda

#endif
