/* GELU in its tanh form, as gelu.c has it: x * s(2u) with the logistic function s.
 * Source: Hendrycks, Gimpel 2016, arXiv:1606.08415, section 2. */
#include "model/gpt/cuda/columns.cuh"
#include "model/gpt/cuda/kernels.cuh"

namespace reeve_cuda
{

/* 2 sqrt(2 / pi) and 0.044715 times that; beyond the limit s is 0 or 1 to the last bit */
constexpr float GELU_LINEAR = 1.5957691216057308f;
constexpr float GELU_CUBIC = 0.07135481627159879f;
constexpr float GELU_LIMIT = 10.0f;

/* In fp32 to the last bits; for bf16 with the hardware's exponential and reciprocal, good to 2^-21. A NaN passes. */
template <typename T> static __device__ float logistic(float x)
{
    if constexpr (sizeof(T) == 4) return 1.0f / (1.0f + expf(-x));
    else return __fdividef(1.0f, 1.0f + __expf(-x));
}

template <typename T> static __device__ float gelu(float x)
{
    const float low = x < -GELU_LIMIT ? -GELU_LIMIT : x;
    const float v = low > GELU_LIMIT ? GELU_LIMIT : low;
    return low * logistic<T>(v * (GELU_LINEAR + GELU_CUBIC * (v * v)));
}

template <typename T> static __device__ float gelu_slope(float x)
{
    float v = x < -GELU_LIMIT ? -GELU_LIMIT : x;
    v = v > GELU_LIMIT ? GELU_LIMIT : v;
    const float s = logistic<T>(v * (GELU_LINEAR + GELU_CUBIC * (v * v)));
    return s + v * s * (1.0f - s) * (GELU_LINEAR + 3.0f * GELU_CUBIC * (v * v));
}

/* dy[at..] becomes dx, and is given, as it was stored, to the sum over columns. */
template <int W, typename T> struct gelu_columns {
    struct values {
        raw<W, T> dy, x;
    };
    T *dy_to_dx;
    const T *x;
    __device__ void read(values &v, size_t at, size_t, uint32_t) const
    {
        v.dy = load_raw<W>(dy_to_dx + at);
        v.x = load_raw<W>(x + at);
    }
    __device__ void give(float (&dx)[W], const values &v, size_t at) const
    {
        float in[W];
        unpack(dx, v.dy, dy_to_dx);
        unpack(in, v.x, x);
#pragma unroll
        for (int i = 0; i < W; i++)
            dx[i] = rounded<T>(dx[i] * gelu_slope<T>(in[i]));
        store<W>(dy_to_dx + at, dx);
    }
};

/* ---- elementwise: a thread two vectors, a block of threads apart; the rest, less than a vector, one by one ---- */

constexpr uint32_t GELU_THREADS = 256;
constexpr uint32_t GELU_AT_ONCE = 2;

template <typename T> static __device__ void gelu_at(T *y, const T *x, size_t i, bool backward)
{
    const float v = to_float(x[i]);
    y[i] = from_float<T>(backward ? to_float(y[i]) * gelu_slope<T>(v) : gelu<T>(v));
}

template <bool BACKWARD, typename T>
static __global__ void __launch_bounds__(GELU_THREADS) gelu_elements(T *y, const T *__restrict__ x, size_t n)
{
    constexpr uint32_t W = VECTOR<T>;
    const size_t begin = ((size_t)blockIdx.x * GELU_AT_ONCE * GELU_THREADS + threadIdx.x) * W;
    float in[GELU_AT_ONCE][W], out[GELU_AT_ONCE][W];
#pragma unroll
    for (uint32_t k = 0; k < GELU_AT_ONCE; k++) {
        const size_t at = begin + k * GELU_THREADS * W;
        if (at + W > n) continue;
        load<W>(in[k], x + at);
        if constexpr (BACKWARD) load<W>(out[k], y + at);
    }
#pragma unroll
    for (uint32_t k = 0; k < GELU_AT_ONCE; k++) {
        const size_t at = begin + k * GELU_THREADS * W;
        if (at + W > n) {
            for (size_t i = at; i < n; i++)
                gelu_at(y, x, i, BACKWARD);
            continue;
        }
#pragma unroll
        for (uint32_t i = 0; i < W; i++)
            out[k][i] = BACKWARD ? out[k][i] * gelu_slope<T>(in[k][i]) : gelu<T>(in[k][i]);
        store<W>(y + at, out[k]);
    }
}

template <bool BACKWARD, typename T>
static cudaError_t launch_gelu_elements(T *y, const T *x, size_t n, cudaStream_t stream)
{
    const uint32_t blocks = divide_up(n, (size_t)GELU_THREADS * GELU_AT_ONCE * VECTOR<T>);
    gelu_elements<BACKWARD><<<blocks, GELU_THREADS, 0, stream>>>(y, x, n);
    return cudaGetLastError();
}

template <typename T> cudaError_t gelu_forward(T *y, const T *x, size_t n, cudaStream_t stream)
{
    return launch_gelu_elements<false>(y, x, n, stream);
}

template <typename T>
cudaError_t gelu_backward(T *dy_to_dx, const T *x, float *dbias, float *scratch, size_t N, uint32_t C4,
                          cudaStream_t stream)
{
    constexpr int V = VECTOR<T>;
    if (dbias == nullptr) return launch_gelu_elements<true>(dy_to_dx, x, N * C4, stream);
    if (C4 % V == 0) return launch_columns_sum<V>(dbias, scratch, N, C4, gelu_columns<V, T>{dy_to_dx, x}, stream);
    return launch_columns_sum<1>(dbias, scratch, N, C4, gelu_columns<1, T>{dy_to_dx, x}, stream);
}

#define FOR_TYPE(T)                                                                                                    \
    template cudaError_t gelu_forward(T *, const T *, size_t, cudaStream_t);                                           \
    template cudaError_t gelu_backward(T *, const T *, float *, float *, size_t, uint32_t, cudaStream_t);
FOR_TYPE(float)
FOR_TYPE(bf16)

} // namespace reeve_cuda
