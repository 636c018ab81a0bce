/* Layer normalisation. A warp takes a row and keeps it in registers, so each element is read once; a row too long for
 * that, or not of whole vectors, is taken by a block and read again for each pass.
 * Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450; mean and variance in two passes, as in layernorm.c. */
#include <utility>

#include "model/gpt/cuda/columns.cuh"
#include "model/gpt/cuda/kernels.cuh"

namespace reeve_cuda
{

constexpr float NORM_EPS = 1e-5f;
constexpr uint32_t FORWARD_WARPS = 4, FORWARD_THREADS = WARP * FORWARD_WARPS;
constexpr uint32_t BACKWARD_WARPS = 8, BACKWARD_THREADS = WARP * BACKWARD_WARPS;
constexpr uint32_t BLOCK_THREADS = 256; /* where a block takes a row */

template <typename T> constexpr uint32_t PER_256 = 8 / VECTOR<T>; /* vectors of a lane in a row of 256 columns */

/* Lane l keeps vectors l, l + 32, ... K of them at most: column of its k-th. */
template <typename T> static __device__ uint32_t lane_column(uint32_t k)
{
    return (k * WARP + threadIdx.x) * VECTOR<T>;
}

/* Launches the kernel for the smallest K that suffices for C; false: there is none. */
template <typename T, uint32_t... K, typename Launch>
static bool pick_vectors(uint32_t C, const Launch &launch, std::integer_sequence<uint32_t, K...>)
{
    if (C % VECTOR<T> != 0) return false;
    return ((C <= K * WARP * VECTOR<T> && (launch(std::integral_constant<uint32_t, K>{}), true)) || ...);
}

/* ---- forward ---- */

/* Where branch is not NULL, sum = x + branch is stored, and its norm taken. */
template <uint32_t K, typename T>
static __global__ void __launch_bounds__(FORWARD_THREADS)
    forward_rows(T *sum, T *__restrict__ y, float *mean, float *rstd, const T *x, const T *__restrict__ branch,
                 const T *__restrict__ weight, const T *__restrict__ bias, size_t N, uint32_t C)
{
    constexpr uint32_t W = VECTOR<T>;
    const size_t row = (size_t)blockIdx.x * FORWARD_WARPS + threadIdx.y, begin = row * C;
    if (row >= N) return;
    float v[K][W];
#pragma unroll
    for (uint32_t k = 0; k < K; k++) {
        const uint32_t c = lane_column<T>(k);
        if (c < C) load<W>(v[k], x + begin + c);
    }
    if (branch != nullptr) {
        float b[K][W];
#pragma unroll
        for (uint32_t k = 0; k < K; k++) {
            const uint32_t c = lane_column<T>(k);
            if (c < C) load<W>(b[k], branch + begin + c);
        }
#pragma unroll
        for (uint32_t k = 0; k < K; k++) {
            const uint32_t c = lane_column<T>(k);
            if (c >= C) continue;
#pragma unroll
            for (uint32_t i = 0; i < W; i++)
                v[k][i] = rounded<T>(v[k][i] + b[k][i]);
            store<W>(sum + begin + c, v[k]);
        }
    }

    float all = 0.0f, square = 0.0f;
#pragma unroll
    for (uint32_t k = 0; k < K; k++)
#pragma unroll
        for (uint32_t i = 0; i < W; i++)
            all += lane_column<T>(k) < C ? v[k][i] : 0.0f;
    const float m = warp_sum(all) / (float)C;
#pragma unroll
    for (uint32_t k = 0; k < K; k++)
#pragma unroll
        for (uint32_t i = 0; i < W; i++) {
            v[k][i] = lane_column<T>(k) < C ? v[k][i] - m : 0.0f;
            square += v[k][i] * v[k][i];
        }
    const float r = 1.0f / sqrtf(warp_sum(square) / (float)C + NORM_EPS);
    if (threadIdx.x == 0) {
        mean[row] = m;
        rstd[row] = r;
    }

#pragma unroll
    for (uint32_t k = 0; k < K; k++) {
        const uint32_t c = lane_column<T>(k);
        if (c >= C) continue;
        float w[W], b[W];
        load<W>(w, weight + c);
        load<W>(b, bias + c);
#pragma unroll
        for (uint32_t i = 0; i < W; i++)
            v[k][i] = v[k][i] * r * w[i] + b[i];
        store<W>(y + begin + c, v[k]);
    }
}

template <typename T>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    forward_long_rows(T *sum, T *y, float *mean, float *rstd, const T *x, const T *branch, const T *weight,
                      const T *bias, uint32_t C)
{
    __shared__ float room[2][WARP];
    const size_t row = blockIdx.x, begin = row * C;
    float all = 0.0f, square = 0.0f;
    for (uint32_t c = threadIdx.x; c < C; c += BLOCK_THREADS) {
        float v = to_float(x[begin + c]);
        if (branch != nullptr) {
            const T stored = from_float<T>(v + to_float(branch[begin + c]));
            sum[begin + c] = stored;
            v = to_float(stored);
        }
        all += v;
    }
    const T *in = branch != nullptr ? sum : x; /* each thread reads what it wrote itself */
    const float m = block_sum(all, room[0]) / (float)C;
    for (uint32_t c = threadIdx.x; c < C; c += BLOCK_THREADS) {
        const float off = to_float(in[begin + c]) - m;
        square += off * off;
    }
    const float r = 1.0f / sqrtf(block_sum(square, room[1]) / (float)C + NORM_EPS);
    if (threadIdx.x == 0) {
        mean[row] = m;
        rstd[row] = r;
    }
    for (uint32_t c = threadIdx.x; c < C; c += BLOCK_THREADS)
        y[begin + c] = from_float<T>((to_float(in[begin + c]) - m) * r * to_float(weight[c]) + to_float(bias[c]));
}

template <typename T>
cudaError_t residual_layernorm_forward(T *sum, T *y, float *mean, float *rstd, const T *x, const T *branch,
                                       const T *weight, const T *bias, size_t N, uint32_t C, cudaStream_t stream)
{
    const auto launch = [&](auto k) {
        forward_rows<k.value><<<divide_up(N, FORWARD_WARPS), dim3(WARP, FORWARD_WARPS), 0, stream>>>(
            sum, y, mean, rstd, x, branch, weight, bias, N, C);
    };
    constexpr uint32_t P = PER_256<T>;
    if (!pick_vectors<T>(C, launch, std::integer_sequence<uint32_t, P, 2 * P, 3 * P, 4 * P, 6 * P, 8 * P>{}))
        forward_long_rows<<<(uint32_t)N, BLOCK_THREADS, 0, stream>>>(sum, y, mean, rstd, x, branch, weight, bias, C);
    return cudaGetLastError();
}

template <typename T>
cudaError_t layernorm_forward(T *y, float *mean, float *rstd, const T *x, const T *weight, const T *bias, size_t N,
                              uint32_t C, cudaStream_t stream)
{
    return residual_layernorm_forward<T>(nullptr, y, mean, rstd, x, nullptr, weight, bias, N, C, stream);
}

/* ---- backward ---- */

constexpr uint32_t BACKWARD_PIECES_MAX = 1024;

/* Rows of a block: a function of N alone, for the order of the sums over rows. */
static size_t backward_piece_rows(size_t N)
{
    const size_t rows = (N + BACKWARD_PIECES_MAX - 1) / BACKWARD_PIECES_MAX;
    return (rows + BACKWARD_WARPS - 1) / BACKWARD_WARPS * BACKWARD_WARPS;
}

/* Registers of a lane for K vectors: two sums of an element, three vectors that were read. Two blocks of 128 registers a
 * thread share a multiprocessor where that is small enough not to be spilled. */
template <typename T> constexpr uint32_t lane_words(uint32_t K)
{
    return K * (2 * VECTOR<T> + 3 * 4);
}

template <int W> static __device__ void add_from(float (&x)[W], const float *at)
{
    float more[W];
    load<W>(more, at);
#pragma unroll
    for (int i = 0; i < W; i++)
        x[i] += more[i];
}

/* A block takes piece_rows rows, each warp every eighth. partial (gridDim.x, 2, C): dweight, dbias of the piece. */
template <uint32_t K, typename T>
static __global__ void __launch_bounds__(BACKWARD_THREADS, lane_words<T>(K) <= 84 ? 2 : 1)
    backward_rows(T *dres, float *partial, const T *__restrict__ dy, const T *__restrict__ x,
                  const float *__restrict__ mean, const float *__restrict__ rstd, const T *__restrict__ weight,
                  size_t N, uint32_t C, size_t piece_rows)
{
    constexpr uint32_t W = VECTOR<T>;
    extern __shared__ uint4 room[];
    float *sums = reinterpret_cast<float *>(room); /* (2, C) */
    const size_t first = blockIdx.x * piece_rows, end = first + piece_rows < N ? first + piece_rows : N;
    float dweight[K][W] = {}, dbias[K][W] = {};

    for (size_t row = first + threadIdx.y; row < end; row += BACKWARD_WARPS) {
        const size_t begin = row * C;
        uint4 raw_dy[K], raw_x[K], raw_dres[K];
#pragma unroll
        for (uint32_t k = 0; k < K; k++) {
            const uint32_t c = lane_column<T>(k);
            raw_dy[k] = raw_x[k] = raw_dres[k] = make_uint4(0, 0, 0, 0);
            if (c >= C) continue;
            raw_dy[k] = *reinterpret_cast<const uint4 *>(dy + begin + c);
            raw_x[k] = *reinterpret_cast<const uint4 *>(x + begin + c);
            raw_dres[k] = *reinterpret_cast<const uint4 *>(dres + begin + c);
        }
        const float m = mean[row], r = rstd[row];
        float plain = 0.0f, along = 0.0f;
#pragma unroll
        for (uint32_t k = 0; k < K; k++) {
            const uint32_t c = lane_column<T>(k);
            if (c >= C) continue;
            float g[W], v[W], w[W];
            unpack(g, raw_dy[k], dy);
            unpack(v, raw_x[k], x);
            load<W>(w, weight + c);
#pragma unroll
            for (uint32_t i = 0; i < W; i++) {
                const float xhat = (v[i] - m) * r, along_weight = g[i] * w[i];
                dweight[k][i] += g[i] * xhat;
                dbias[k][i] += g[i];
                plain += along_weight;
                along += along_weight * xhat;
            }
        }
        plain = warp_sum(plain) / (float)C;
        along = warp_sum(along) / (float)C;
#pragma unroll
        for (uint32_t k = 0; k < K; k++) {
            const uint32_t c = lane_column<T>(k);
            if (c >= C) continue;
            float g[W], v[W], w[W], d[W];
            unpack(g, raw_dy[k], dy);
            unpack(v, raw_x[k], x);
            unpack(d, raw_dres[k], dres);
            load<W>(w, weight + c);
#pragma unroll
            for (uint32_t i = 0; i < W; i++)
                d[i] += r * (g[i] * w[i] - plain - (v[i] - m) * r * along);
            store<W>(dres + begin + c, d);
        }
    }

    /* Warp after warp adds its rows' sums to those of the warps before it. */
    for (uint32_t warp = 0; warp < BACKWARD_WARPS; warp++) {
        __syncthreads();
        if (threadIdx.y != warp) continue;
#pragma unroll
        for (uint32_t k = 0; k < K; k++) {
            const uint32_t c = lane_column<T>(k);
            if (c >= C) continue;
            if (warp > 0) {
                add_from(dweight[k], sums + c);
                add_from(dbias[k], sums + C + c);
            }
            store<W>(sums + c, dweight[k]);
            store<W>(sums + C + c, dbias[k]);
        }
    }
    __syncthreads();
    for (uint32_t c = threadIdx.y * WARP + threadIdx.x; c < 2 * C; c += WARP * BACKWARD_WARPS)
        partial[(size_t)blockIdx.x * 2 * C + c] = sums[c];
}

template <typename T>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    backward_long_rows(T *dres, const T *dy, const T *x, const float *mean, const float *rstd, const T *weight,
                       uint32_t C)
{
    __shared__ float room[2][WARP];
    const size_t row = blockIdx.x, begin = row * C;
    const float m = mean[row], r = rstd[row];
    float plain = 0.0f, along = 0.0f;
    for (uint32_t c = threadIdx.x; c < C; c += BLOCK_THREADS) {
        const float g = to_float(dy[begin + c]) * to_float(weight[c]);
        plain += g;
        along += g * ((to_float(x[begin + c]) - m) * r);
    }
    plain = block_sum(plain, room[0]) / (float)C;
    along = block_sum(along, room[1]) / (float)C;
    for (uint32_t c = threadIdx.x; c < C; c += BLOCK_THREADS) {
        const float g = to_float(dy[begin + c]) * to_float(weight[c]), xhat = (to_float(x[begin + c]) - m) * r;
        dres[begin + c] = from_float<T>(to_float(dres[begin + c]) + r * (g - plain - xhat * along));
    }
}

/* Where rows are long the sums over rows are kernels of their own: dy * xhat, or dy alone where x is NULL. */
template <typename T> struct long_rows_columns {
    struct values {
        float dy, xhat;
    };
    const T *dy, *x;
    const float *mean, *rstd;
    __device__ void read(values &v, size_t at, size_t row, uint32_t) const
    {
        v.dy = to_float(dy[at]);
        v.xhat = x == nullptr ? 1.0f : (to_float(x[at]) - mean[row]) * rstd[row];
    }
    __device__ void give(float (&out)[1], const values &v, size_t) const { out[0] = v.dy * v.xhat; }
};

size_t layernorm_backward_scratch(size_t N, uint32_t C)
{
    const size_t pieces = divide_up(N, backward_piece_rows(N)), long_pieces = columns_pieces(N);
    return (2 * pieces > long_pieces ? 2 * pieces : long_pieces) * C;
}

template <typename T>
cudaError_t layernorm_backward(T *dres, float *dweight, float *dbias, const T *dy, const T *x, const float *mean,
                               const float *rstd, const T *weight, float *scratch, size_t N, uint32_t C,
                               cudaStream_t stream)
{
    const size_t piece_rows = backward_piece_rows(N);
    const uint32_t pieces = divide_up(N, piece_rows);
    const auto launch = [&](auto k) {
        backward_rows<k.value><<<pieces, dim3(WARP, BACKWARD_WARPS), 2 * C * sizeof(float), stream>>>(
            dres, scratch, dy, x, mean, rstd, weight, N, C, piece_rows);
    };
    constexpr uint32_t P = PER_256<T>;
    const bool held =
        pick_vectors<T>(C, launch, std::integer_sequence<uint32_t, P, 2 * P, 3 * P, 4 * P, 6 * P, 8 * P>{});
    cudaError_t launched = cudaGetLastError();
    if (held) {
        if (launched != cudaSuccess) return launched;
        return launch_sum_partials(dweight, dbias, C, scratch, pieces, 2 * C, stream);
    }
    launched = launch_columns_sum<1>(dweight, scratch, N, C, long_rows_columns<T>{dy, x, mean, rstd}, stream);
    if (launched != cudaSuccess) return launched;
    launched = launch_columns_sum<1>(dbias, scratch, N, C, long_rows_columns<T>{dy, nullptr, mean, rstd}, stream);
    if (launched != cudaSuccess) return launched;
    backward_long_rows<<<(uint32_t)N, BLOCK_THREADS, 0, stream>>>(dres, dy, x, mean, rstd, weight, C);
    return cudaGetLastError();
}

#define FOR_TYPE(T)                                                                                                    \
    template cudaError_t layernorm_forward(T *, float *, float *, const T *, const T *, const T *, size_t, uint32_t,   \
                                           cudaStream_t);                                                              \
    template cudaError_t residual_layernorm_forward(T *, T *, float *, float *, const T *, const T *, const T *,       \
                                                    const T *, size_t, uint32_t, cudaStream_t);                        \
    template cudaError_t layernorm_backward(T *, float *, float *, const T *, const T *, const float *, const float *, \
                                            const T *, float *, size_t, uint32_t, cudaStream_t);
FOR_TYPE(float)
FOR_TYPE(bf16)

} // namespace reeve_cuda
