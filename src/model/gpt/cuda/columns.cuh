/* Sums over the rows of a matrix, in two stages and a fixed order: blocks sum pieces of rows, then the pieces are summed.
 * The pieces depend on the number of rows alone. */
#ifndef REEVE_MODEL_GPT_CUDA_COLUMNS_CUH
#define REEVE_MODEL_GPT_CUDA_COLUMNS_CUH

#include "model/gpt/cuda/vectors.cuh"

namespace reeve_cuda
{

constexpr uint32_t COLUMNS_PIECES_MAX = 256;
constexpr uint32_t COLUMNS_ROW_GROUPS = 8;   /* warps of a block: each takes every eighth row of the piece */
constexpr uint32_t COLUMNS_ROWS_AT_ONCE = 4; /* of one thread: read before the first of them is used */
constexpr uint32_t PIECES_GROUPS = 16;
constexpr uint32_t COLUMNS_THREADS = WARP * COLUMNS_ROW_GROUPS, PIECES_THREADS = WARP * PIECES_GROUPS;

inline size_t columns_piece_rows(size_t N)
{
    const size_t rows = (N + COLUMNS_PIECES_MAX - 1) / COLUMNS_PIECES_MAX;
    return rows < 64 ? 64 : rows;
}

inline uint32_t columns_pieces(size_t N)
{
    return divide_up(N, columns_piece_rows(N));
}

/* partial (gridDim.y, n): sums over the rows of a piece of what `of` gives for W elements:
 *     of.read(values, element, row, column)   loads what is needed; element = row * n + column
 *     of.give(x, values, element)             x (W,) from it; may store
 * Block (32, COLUMNS_ROW_GROUPS); x of the grid: strips of 32 * W columns. */
template <int W, typename Of>
__global__ void __launch_bounds__(COLUMNS_THREADS, 4)
    columns_sum_pieces(float *partial, size_t N, uint32_t n, size_t piece_rows, Of of)
{
    constexpr uint32_t STRIDE = COLUMNS_ROW_GROUPS, AT_ONCE = COLUMNS_ROWS_AT_ONCE;
    const uint32_t column = (blockIdx.x * WARP + threadIdx.x) * W;
    const size_t begin = blockIdx.y * piece_rows, end = begin + piece_rows < N ? begin + piece_rows : N;
    float sum[W] = {0.0f};
    for (size_t row = begin + threadIdx.y; column < n && row < end; row += STRIDE * AT_ONCE) {
        typename Of::values values[AT_ONCE];
#pragma unroll
        for (uint32_t k = 0; k < AT_ONCE; k++) {
            const size_t r = row + k * STRIDE;
            if (r < end) of.read(values[k], r * n + column, r, column);
        }
#pragma unroll
        for (uint32_t k = 0; k < AT_ONCE; k++) {
            const size_t r = row + k * STRIDE;
            if (r >= end) break;
            float x[W];
            of.give(x, values[k], r * n + column);
#pragma unroll
            for (int i = 0; i < W; i++)
                sum[i] += x[i];
        }
    }

    __shared__ float sums[COLUMNS_ROW_GROUPS][W][WARP];
#pragma unroll
    for (int i = 0; i < W; i++)
        sums[threadIdx.y][i][threadIdx.x] = sum[i];
    __syncthreads();
    if (threadIdx.y != 0 || column >= n) return;
#pragma unroll
    for (int i = 0; i < W; i++) {
        for (uint32_t group = 1; group < COLUMNS_ROW_GROUPS; group++)
            sum[i] += sums[group][i][threadIdx.x];
        partial[(size_t)blockIdx.y * n + column + i] = sum[i];
    }
}

/* The sum over `pieces` rows of partial (pieces, n): its first `first` columns to out, the others to rest.
 * Block (32, PIECES_GROUPS); x of the grid: strips of 32 columns. */
static __global__ void __launch_bounds__(PIECES_THREADS)
    columns_sum_partials(float *out, float *rest, uint32_t first, const float *partial, uint32_t pieces, uint32_t n)
{
    const uint32_t column = blockIdx.x * WARP + threadIdx.x;
    float sum = 0.0f;
    if (column < n) {
#pragma unroll 16
        for (uint32_t piece = threadIdx.y; piece < pieces; piece += PIECES_GROUPS)
            sum += partial[(size_t)piece * n + column];
    }

    __shared__ float sums[PIECES_GROUPS][WARP];
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y != 0 || column >= n) return;
    for (uint32_t group = 1; group < PIECES_GROUPS; group++)
        sum += sums[group][threadIdx.x];
    if (column < first) out[column] = sum;
    else rest[column - first] = sum;
}

inline cudaError_t launch_sum_partials(float *out, float *rest, uint32_t first, const float *partial, uint32_t pieces,
                                       uint32_t n, cudaStream_t stream)
{
    columns_sum_partials<<<divide_up(n, WARP), dim3(WARP, PIECES_GROUPS), 0, stream>>>(out, rest, first, partial,
                                                                                       pieces, n);
    return cudaGetLastError();
}

/* out (n,) = the sum over N rows of what `of` gives. partial (columns_pieces(N), n) */
template <int W, typename Of>
cudaError_t launch_columns_sum(float *out, float *partial, size_t N, uint32_t n, const Of &of, cudaStream_t stream)
{
    const dim3 grid(divide_up(n, WARP * W), columns_pieces(N));
    columns_sum_pieces<W>
        <<<grid, dim3(WARP, COLUMNS_ROW_GROUPS), 0, stream>>>(partial, N, n, columns_piece_rows(N), of);
    const cudaError_t launched = cudaGetLastError();
    if (launched != cudaSuccess) return launched;
    return launch_sum_partials(out, out, n, partial, columns_pieces(N), n, stream);
}

} // namespace reeve_cuda

#endif
