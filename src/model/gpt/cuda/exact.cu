/* The exact sum on the device, bit for bit that of core/exact_sum.c, and what tells whether two devices hold the same.
 *
 * For |g| < 2^8 the product g * 2^unit_bits is exact in f64 (24 bits, scaled by a power of two, far from f64's limits),
 * so the one rounding is that to an integer: half to even, as IEEE 754 fixes it. */
#include "model/gpt/cuda/kernels.cuh"
#include "model/gpt/cuda/vectors.cuh"

namespace reeve_cuda
{

constexpr uint32_t EXACT_THREADS = 256;

constexpr uint32_t INFINITY_BITS = 0x7f800000u;
constexpr uint32_t LIMIT_BITS = (127u + 8u) << 23; /* of 2^8, as in core/exact_sum.h; kernels_test compares */

struct exact_flags {
    uint32_t nonfinite, overflow;
};

/* g, or 0 where it is counted instead. */
static __device__ float unflagged(float g, struct exact_flags *flags)
{
    const uint32_t magnitude = __float_as_uint(g) & 0x7fffffffu;
    if (magnitude < LIMIT_BITS) return g;
    if (magnitude >= INFINITY_BITS) flags->nonfinite++;
    else flags->overflow++;
    return 0.0f;
}

/* By all threads of the block. */
static __device__ void count_flags(const struct exact_flags &mine, unsigned long long *flags)
{
    if (!__any_sync(ALL_LANES, mine.nonfinite + mine.overflow)) return;
    const uint32_t nonfinite = warp_sum(mine.nonfinite), overflow = warp_sum(mine.overflow);
    if (threadIdx.x % WARP != 0) return;
    if (nonfinite != 0) atomicAdd(&flags[0], nonfinite);
    if (overflow != 0) atomicAdd(&flags[1], overflow);
}

static __device__ long long quantised(float g, double per_unit, struct exact_flags *flags)
{
    return __double2ll_rn((double)unflagged(g, flags) * per_unit);
}

/* As unsigned numbers, whose sum may wrap. */
static __device__ long long added(long long a, long long b)
{
    return (long long)((unsigned long long)a + (unsigned long long)b);
}

/* A thread four elements. */
static __global__ void __launch_bounds__(EXACT_THREADS)
    quantise_add_elements(long long *__restrict__ acc, const float *__restrict__ grad, unsigned long long *flags,
                          size_t n, double per_unit)
{
    const size_t i = ((size_t)blockIdx.x * EXACT_THREADS + threadIdx.x) * 4;
    struct exact_flags mine = {0, 0};
    if (i + 4 <= n) {
        const float4 g = *reinterpret_cast<const float4 *>(grad + i);
        longlong2 *pairs = reinterpret_cast<longlong2 *>(acc + i);
        longlong2 a = pairs[0], b = pairs[1];
        a.x = added(a.x, quantised(g.x, per_unit, &mine));
        a.y = added(a.y, quantised(g.y, per_unit, &mine));
        b.x = added(b.x, quantised(g.z, per_unit, &mine));
        b.y = added(b.y, quantised(g.w, per_unit, &mine));
        pairs[0] = a;
        pairs[1] = b;
    } else {
        for (size_t k = i; k < n; k++)
            acc[k] = added(acc[k], quantised(grad[k], per_unit, &mine));
    }
    count_flags(mine, flags);
}

cudaError_t quantise_add(int64_t *acc, const float *grad, unsigned long long *flags, size_t n, int unit_bits,
                         cudaStream_t stream)
{
    static_assert(sizeof(long long) == sizeof(int64_t), "the same bits");
    quantise_add_elements<<<divide_up(n, EXACT_THREADS * 4), EXACT_THREADS, 0, stream>>>(
        reinterpret_cast<long long *>(acc), grad, flags, n, ldexp(1.0, unit_bits));
    return cudaGetLastError();
}

static __global__ void __launch_bounds__(EXACT_THREADS)
    add_elements(float *__restrict__ acc, const float *__restrict__ grad, unsigned long long *flags, size_t n)
{
    const size_t i = ((size_t)blockIdx.x * EXACT_THREADS + threadIdx.x) * 4;
    struct exact_flags mine = {0, 0};
    if (i + 4 <= n) {
        float a[4], g[4];
        load<4>(a, acc + i);
        load<4>(g, grad + i);
#pragma unroll
        for (int k = 0; k < 4; k++)
            a[k] += unflagged(g[k], &mine);
        store<4>(acc + i, a);
    } else {
        for (size_t k = i; k < n; k++)
            acc[k] += unflagged(grad[k], &mine);
    }
    count_flags(mine, flags);
}

cudaError_t add_f32(float *acc, const float *grad, unsigned long long *flags, size_t n, cudaStream_t stream)
{
    add_elements<<<divide_up(n, EXACT_THREADS * 4), EXACT_THREADS, 0, stream>>>(acc, grad, flags, n);
    return cudaGetLastError();
}

/* ---- digest ----
 *
 * The sum mod 2^64, which has no order, over elements of mix(value + (index + 1) * odd constant). The mix is one to one
 * and each bit of its result depends on all of its argument, so:
 *   one changed element is always found;
 *   any other difference, also two elements that changed places, is missed with probability 2^-64, unless somebody made
 *   it to be missed.
 * Source of the mix and the constant: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */

constexpr uint32_t DIGEST_BLOCKS_MAX = 2048;
constexpr uint32_t DIGEST_AT_ONCE = 4;

static __device__ unsigned long long digest_mix(unsigned long long value, size_t index)
{
    unsigned long long z = value + (index + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* Two values of 64 bits, or four of 32, in a vector. */
static __device__ unsigned long long digest_vector(const uint4 &x, size_t index, uint64_t)
{
    return digest_mix((unsigned long long)x.y << 32 | x.x, index) +
           digest_mix((unsigned long long)x.w << 32 | x.z, index + 1);
}

static __device__ unsigned long long digest_vector(const uint4 &x, size_t index, uint32_t)
{
    return (digest_mix(x.x, index) + digest_mix(x.y, index + 1)) +
           (digest_mix(x.z, index + 2) + digest_mix(x.w, index + 3));
}

template <typename U>
static __global__ void __launch_bounds__(EXACT_THREADS)
    digest_elements(unsigned long long *out, const U *__restrict__ data, size_t n)
{
    __shared__ unsigned long long room[WARP];
    constexpr uint32_t W = sizeof(uint4) / sizeof(U);
    const size_t vectors = n / W, rest = n % W;
    unsigned long long sum = 0;
#pragma unroll DIGEST_AT_ONCE
    for (size_t v = (size_t)blockIdx.x * EXACT_THREADS + threadIdx.x; v < vectors;
         v += (size_t)gridDim.x * EXACT_THREADS)
        sum += digest_vector(reinterpret_cast<const uint4 *>(data)[v], v * W, U(0));
    if (blockIdx.x == 0 && threadIdx.x < rest)
        sum += digest_mix(data[vectors * W + threadIdx.x], vectors * W + threadIdx.x);
    sum = block_sum(sum, room);
    if (threadIdx.x == 0) atomicAdd(out, sum);
}

template <typename U> static cudaError_t launch_digest(uint64_t *out, const void *data, size_t n, cudaStream_t stream)
{
    const cudaError_t zeroed = cudaMemsetAsync(out, 0, sizeof(*out), stream);
    if (zeroed != cudaSuccess) return zeroed;
    const size_t wanted =
        (n * sizeof(U) / sizeof(uint4) + EXACT_THREADS * DIGEST_AT_ONCE) / (EXACT_THREADS * DIGEST_AT_ONCE);
    const uint32_t blocks = wanted < DIGEST_BLOCKS_MAX ? (uint32_t)wanted : DIGEST_BLOCKS_MAX;
    digest_elements<<<blocks, EXACT_THREADS, 0, stream>>>(reinterpret_cast<unsigned long long *>(out),
                                                          static_cast<const U *>(data), n);
    return cudaGetLastError();
}

cudaError_t digest(uint64_t *out, const void *data, size_t n, size_t bytes, cudaStream_t stream)
{
    if (bytes == sizeof(uint32_t)) return launch_digest<uint32_t>(out, data, n, stream);
    if (bytes == sizeof(uint64_t)) return launch_digest<uint64_t>(out, data, n, stream);
    return cudaErrorInvalidValue;
}

} // namespace reeve_cuda
