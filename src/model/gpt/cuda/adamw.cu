/* AdamW and the norm of the gradient, from the sum of gradients as it is: the mean is never stored.
 *
 * The mean is computed as by reeve_exact_mean(), the update in the order of adamw.c, each operation rounded for itself
 * (no fused multiply-add): the same sum and the same scalars give the same bits here and on the CPU.
 * Source: Loshchilov, Hutter 2019, arXiv:1711.05101, Algorithm 2. */
#include "model/gpt/cuda/double_sum.cuh"
#include "model/gpt/cuda/kernels.cuh"

namespace reeve_cuda
{

constexpr uint32_t ADAMW_THREADS = 256;
constexpr uint32_t NORM_PARTS_MAX = 4096;

template <typename S> static __device__ float mean_of(S sum, double unit, double scale)
{
    return (float)__dmul_rn(__dmul_rn((double)sum, unit), scale);
}

/* ---- norm ---- */

template <typename S> struct square_elements {
    static constexpr uint32_t WIDTH = VECTOR<S>;
    const S *sum;
    double unit, scale;
    __device__ double square(S s) const
    {
        const double g = (double)mean_of(s, unit, scale);
        return g * g;
    }
    __device__ double one(size_t i) const { return square(sum[i]); }
    __device__ double vector(size_t i) const
    {
        const uint4 raw = *reinterpret_cast<const uint4 *>(sum + i);
        if constexpr (sizeof(S) == 8) {
            const int64_t a = (int64_t)((uint64_t)raw.y << 32 | raw.x), b = (int64_t)((uint64_t)raw.w << 32 | raw.z);
            return square(a) + square(b);
        } else {
            float x[4];
            unpack(x, raw, sum);
            return (square(x[0]) + square(x[1])) + (square(x[2]) + square(x[3]));
        }
    }
};

template <typename S>
cudaError_t grad_square_sum(double *out, const S *sum, double *scratch, double unit, double scale, size_t n,
                            cudaStream_t stream)
{
    return launch_double_sum(out, scratch, NORM_PARTS_MAX, n, square_elements<S>{sum, unit, scale}, stream);
}

/* ---- update ---- */

static __device__ void load_sums(int64_t (&s)[4], const int64_t *at)
{
    const longlong2 a = reinterpret_cast<const longlong2 *>(at)[0], b = reinterpret_cast<const longlong2 *>(at)[1];
    s[0] = a.x, s[1] = a.y, s[2] = b.x, s[3] = b.y;
}

static __device__ void load_sums(float (&s)[4], const float *at)
{
    load<4>(s, at);
}

static __device__ void store_working(float *at, const float (&x)[4])
{
    store<4>(at, x);
}

static __device__ void store_working(bf16 *at, const float (&x)[4])
{
    __nv_bfloat162 pairs[2] = {__floats2bfloat162_rn(x[0], x[1]), __floats2bfloat162_rn(x[2], x[3])};
    *reinterpret_cast<uint2 *>(at) = *reinterpret_cast<const uint2 *>(pairs);
}

/* A thread four elements, all of one block of TENSOR_ALIGN. */
template <typename T, typename S>
static __global__ void __launch_bounds__(ADAMW_THREADS)
    adamw_elements(float *__restrict__ weights, float *__restrict__ m, float *__restrict__ v, T *__restrict__ working,
                   const S *__restrict__ sum, const uint8_t *__restrict__ decays, const struct adamw_update u,
                   double unit, double scale, size_t n)
{
    static_assert(TENSOR_ALIGN % 4 == 0, "n is a multiple of 4");
    const size_t i = ((size_t)blockIdx.x * ADAMW_THREADS + threadIdx.x) * 4;
    if (i >= n) return;
    S s[4];
    float p[4], first[4], second[4];
    load_sums(s, sum + i);
    load<4>(p, weights + i);
    load<4>(first, m + i);
    load<4>(second, v + i);
    const float keep = decays[i / TENSOR_ALIGN] != 0 ? u.keep : 1.0f;
#pragma unroll
    for (int k = 0; k < 4; k++) {
        const float g = __fmul_rn(mean_of(s[k], unit, scale), u.grad_scale);
        first[k] = __fadd_rn(__fmul_rn(u.beta1, first[k]), __fmul_rn(u.one_less_beta1, g));
        second[k] = __fadd_rn(__fmul_rn(u.beta2, second[k]), __fmul_rn(u.one_less_beta2, __fmul_rn(g, g)));
        const float size = __fadd_rn(__fmul_rn(__fsqrt_rn(second[k]), u.root), u.eps);
        p[k] = __fsub_rn(__fmul_rn(p[k], keep), __fdiv_rn(__fmul_rn(u.rate, first[k]), size));
    }
    store<4>(weights + i, p);
    store<4>(m + i, first);
    store<4>(v + i, second);
    if (working != nullptr) store_working(working + i, p);
}

template <typename T, typename S>
cudaError_t adamw_step(float *weights, float *m, float *v, T *working, const S *sum, const uint8_t *decays,
                       const struct adamw_update &update, double unit, double scale, size_t n, cudaStream_t stream)
{
    adamw_elements<<<divide_up(n, ADAMW_THREADS * 4), ADAMW_THREADS, 0, stream>>>(weights, m, v, working, sum, decays,
                                                                                  update, unit, scale, n);
    return cudaGetLastError();
}

/* A thread eight elements. */
static __global__ void __launch_bounds__(ADAMW_THREADS)
    round_elements(bf16 *__restrict__ working, const float *__restrict__ weights, size_t n)
{
    constexpr uint32_t W = VECTOR<bf16>;
    const size_t i = ((size_t)blockIdx.x * ADAMW_THREADS + threadIdx.x) * W;
    if (i + W <= n) {
        float x[W];
        load<W>(x, weights + i);
        store<W>(working + i, x);
    } else {
        for (size_t k = i; k < n; k++)
            working[k] = from_float<bf16>(weights[k]);
    }
}

cudaError_t round_to_bf16(bf16 *working, const float *weights, size_t n, cudaStream_t stream)
{
    round_elements<<<divide_up(n, ADAMW_THREADS * VECTOR<bf16>), ADAMW_THREADS, 0, stream>>>(working, weights, n);
    return cudaGetLastError();
}

#define FOR_SUM(S)                                                                                                     \
    template cudaError_t grad_square_sum(double *, const S *, double *, double, double, size_t, cudaStream_t);         \
    template cudaError_t adamw_step(float *, float *, float *, float *, const S *, const uint8_t *,                    \
                                    const struct adamw_update &, double, double, size_t, cudaStream_t);                \
    template cudaError_t adamw_step(float *, float *, float *, bf16 *, const S *, const uint8_t *,                     \
                                    const struct adamw_update &, double, double, size_t, cudaStream_t);
FOR_SUM(int64_t)
FOR_SUM(float)

} // namespace reeve_cuda
