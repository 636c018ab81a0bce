/* Rows that are looked up and added, and the sums over rows that are their gradients. */
#include "model/gpt/cuda/columns.cuh"
#include "model/gpt/cuda/kernels.cuh"

namespace reeve_cuda
{

/* ---- embedding, forward: a warp a row ---- */

constexpr uint32_t EMBED_WARPS = 8, EMBED_THREADS = WARP * EMBED_WARPS;

template <int W, typename T>
static __global__ void __launch_bounds__(EMBED_THREADS)
    embed_rows(T *x, const int32_t *__restrict__ tokens, const T *__restrict__ wte, const T *__restrict__ wpe, size_t N,
               uint32_t sequence, uint32_t C)
{
    const size_t row = (size_t)blockIdx.x * EMBED_WARPS + threadIdx.y;
    if (row >= N) return;
    const size_t b = row / sequence, t = row % sequence;
    const T *token_row = wte + (size_t)tokens[b * (sequence + 1) + t] * C, *place_row = wpe + t * C;
#pragma unroll 4
    for (uint32_t c = threadIdx.x * W; c < C; c += WARP * W) {
        float a[W], p[W];
        load<W>(a, token_row + c);
        load<W>(p, place_row + c);
#pragma unroll
        for (int i = 0; i < W; i++)
            a[i] += p[i];
        store<W>(x + row * C + c, a);
    }
}

template <int W, typename T>
static cudaError_t launch_embed_rows(T *x, const int32_t *tokens, const T *wte, const T *wpe, size_t N,
                                     uint32_t sequence, uint32_t C, cudaStream_t stream)
{
    embed_rows<W>
        <<<divide_up(N, EMBED_WARPS), dim3(WARP, EMBED_WARPS), 0, stream>>>(x, tokens, wte, wpe, N, sequence, C);
    return cudaGetLastError();
}

template <typename T>
cudaError_t embed_forward(T *x, const int32_t *tokens, const T *wte, const T *wpe, uint32_t B, uint32_t sequence,
                          uint32_t C, cudaStream_t stream)
{
    const size_t N = (size_t)B * sequence;
    if (C % VECTOR<T> == 0) return launch_embed_rows<VECTOR<T>>(x, tokens, wte, wpe, N, sequence, C, stream);
    return launch_embed_rows<1>(x, tokens, wte, wpe, N, sequence, C, stream);
}

/* ---- embedding, backward ---- */

constexpr uint32_t ROW_THREADS = 128; /* side by side on one row */
constexpr int PIECE_ROWS_AT_ONCE = 4;

/* out[c] += what is in sum */
template <int W> __device__ void add_to(float *out, const float (&sum)[W])
{
    float before[W];
    load<W>(before, out);
#pragma unroll
    for (int i = 0; i < W; i++)
        before[i] += sum[i];
    store<W>(out, before);
}

/* A block a piece: pieces of split tokens to scratch, each other one is all that its token has, and goes to dwte. */
template <int W, typename T>
static __global__ void __launch_bounds__(ROW_THREADS)
    embed_pieces(float *dwte, float *scratch, const T *__restrict__ dx, const struct gpt_occurrences where, uint32_t C)
{
    const uint32_t piece = blockIdx.x;
    const uint32_t begin = where.piece_begin[piece], end = where.piece_begin[piece + 1];
    const size_t token = where.piece_token[piece];
    for (uint32_t c = threadIdx.x * W; c < C; c += blockDim.x * W) {
        float sum[W] = {0.0f};
#pragma unroll PIECE_ROWS_AT_ONCE
        for (uint32_t i = begin; i < end; i++) {
            float x[W];
            load<W>(x, dx + (size_t)where.rows[i] * C + c);
#pragma unroll
            for (int j = 0; j < W; j++)
                sum[j] += x[j];
        }
        if (piece < where.split_piece_count) store<W>(scratch + (size_t)piece * C + c, sum);
        else add_to<W>(dwte + token * C + c, sum);
    }
}

/* A block a split token: its pieces, in order. */
template <int W>
static __global__ void __launch_bounds__(ROW_THREADS)
    embed_split_tokens(float *dwte, const float *__restrict__ scratch, const struct gpt_occurrences where, uint32_t C)
{
    const uint32_t begin = where.split_begin[blockIdx.x], end = where.split_begin[blockIdx.x + 1];
    const size_t token = where.piece_token[begin];
    for (uint32_t c = threadIdx.x * W; c < C; c += blockDim.x * W) {
        float sum[W] = {0.0f};
#pragma unroll PIECE_ROWS_AT_ONCE
        for (uint32_t piece = begin; piece < end; piece++) {
            float x[W];
            load<W>(x, scratch + (size_t)piece * C + c);
#pragma unroll
            for (int j = 0; j < W; j++)
                sum[j] += x[j];
        }
        add_to<W>(dwte + token * C + c, sum);
    }
}

/* dwpe[t]: a thread a vector, over the batch in order. */
template <int W, typename T>
static __global__ void __launch_bounds__(ROW_THREADS)
    embed_places(float *dwpe, const T *__restrict__ dx, uint32_t B, uint32_t sequence, uint32_t C)
{
    const size_t t = blockIdx.x, pitch = (size_t)sequence * C;
    for (uint32_t c = threadIdx.x * W; c < C; c += blockDim.x * W) {
        float sum[W] = {0.0f};
#pragma unroll 8
        for (uint32_t b = 0; b < B; b++) {
            float x[W];
            load<W>(x, dx + b * pitch + t * C + c);
#pragma unroll
            for (int i = 0; i < W; i++)
                sum[i] += x[i];
        }
        store<W>(dwpe + t * C + c, sum);
    }
}

size_t embed_backward_scratch(size_t N, uint32_t C)
{
    return gpt_occurrences_split_pieces(N) * C;
}

template <int W, typename T>
static cudaError_t launch_embed_backward(float *dwte, float *dwpe, const T *dx, const struct gpt_occurrences &where,
                                         float *scratch, uint32_t B, uint32_t sequence, uint32_t C, cudaStream_t stream)
{
    const uint32_t wanted = divide_up(divide_up(C, W), WARP) * WARP;
    const uint32_t threads = wanted < ROW_THREADS ? wanted : ROW_THREADS;
    embed_places<W><<<sequence, threads, 0, stream>>>(dwpe, dx, B, sequence, C);
    embed_pieces<W><<<where.piece_count, threads, 0, stream>>>(dwte, scratch, dx, where, C);
    if (where.split_count > 0)
        embed_split_tokens<W><<<where.split_count, threads, 0, stream>>>(dwte, scratch, where, C);
    return cudaGetLastError();
}

template <typename T>
cudaError_t embed_backward(float *dwte, float *dwpe, const T *dx, const struct gpt_occurrences &where, float *scratch,
                           uint32_t B, uint32_t sequence, uint32_t C, cudaStream_t stream)
{
    if (C % VECTOR<T> == 0)
        return launch_embed_backward<VECTOR<T>>(dwte, dwpe, dx, where, scratch, B, sequence, C, stream);
    return launch_embed_backward<1>(dwte, dwpe, dx, where, scratch, B, sequence, C, stream);
}

/* ---- column sums ---- */

template <int W, typename T> struct plain_columns {
    struct values {
        raw<W, T> x;
    };
    const T *x;
    __device__ void read(values &v, size_t at, size_t, uint32_t) const { v.x = load_raw<W>(x + at); }
    __device__ void give(float (&out)[W], const values &v, size_t) const { unpack(out, v.x, x); }
};

size_t column_sum_scratch(size_t N, uint32_t n)
{
    return (size_t)columns_pieces(N) * n;
}

template <typename T>
cudaError_t column_sum(float *out, const T *x, float *scratch, size_t N, uint32_t n, cudaStream_t stream)
{
    constexpr int V = VECTOR<T>;
    if (n % V == 0) return launch_columns_sum<V>(out, scratch, N, n, plain_columns<V, T>{x}, stream);
    return launch_columns_sum<1>(out, scratch, N, n, plain_columns<1, T>{x}, stream);
}

#define FOR_TYPE(T)                                                                                                    \
    template cudaError_t embed_forward(T *, const int32_t *, const T *, const T *, uint32_t, uint32_t, uint32_t,       \
                                       cudaStream_t);                                                                  \
    template cudaError_t embed_backward(float *, float *, const T *, const struct gpt_occurrences &, float *,          \
                                        uint32_t, uint32_t, uint32_t, cudaStream_t);                                   \
    template cudaError_t column_sum(float *, const T *, float *, size_t, uint32_t, cudaStream_t);
FOR_TYPE(float)
FOR_TYPE(bf16)

} // namespace reeve_cuda
