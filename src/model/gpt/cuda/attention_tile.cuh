/* Tiles of Q, K, V and their gradients in shared memory, and products of them on tensor cores.
 *
 * A tile is rows of D bf16. The 16-byte pieces of a row are permuted (piece c of row r lies at c ^ swizzle(r)), so that
 * eight rows of one column, which is what ldmatrix reads at once, lie in all 32 banks. Tiles begin on 1024 bytes. The
 * permutation of rows r and r + 8 is the same, and that of pieces 2k and 2k + 1 differs from that of pieces 0 and 1 by
 * an exclusive or with 2k: a lane makes one address per operand, and reaches all else with constants. */
#ifndef REEVE_MODEL_GPT_CUDA_ATTENTION_TILE_CUH
#define REEVE_MODEL_GPT_CUDA_ATTENTION_TILE_CUH

#include "model/gpt/cuda/kernels.cuh"
#include "model/gpt/cuda/mma.cuh"

namespace reeve_cuda
{

constexpr uint32_t WARP = 32;

template <int D> __host__ __device__ constexpr uint32_t tile_bytes(uint32_t rows)
{
    return rows * D * 2;
}

template <int D> __device__ __forceinline__ uint32_t tile_offset(uint32_t row, uint32_t piece)
{
    static_assert(D == 32 || D == 64 || D == 128, "rows of 64, 128 or 256 bytes");
    const uint32_t swizzle = D == 32 ? row / 2 % 4 : row % 8; /* rows of 64 bytes lie two to all banks */
    return row * (D * 2) + ((piece ^ swizzle) * 16);
}

/* Where this lane's row for ldmatrix lies in a tile's first 16 rows and 16 columns. */
template <int D> __device__ __forceinline__ uint32_t operand_a(uint32_t lane) /* also B of rows k, transposed on load */
{
    return tile_offset<D>(lane % 16, lane / 16);
}
template <int D> __device__ __forceinline__ uint32_t operand_b(uint32_t lane) /* B of rows n: its transpose is stored */
{
    return tile_offset<D>(lane % 8 + lane / 16 * 8, lane / 8 % 2);
}

/* ROWS rows from row `first` on, those from `end` on as zeros. `from` is row 0. */
template <int D, int ROWS, int THREADS>
__device__ __forceinline__ void tile_load(uint32_t tile, const bf16 *from, size_t stride, uint32_t first, uint32_t end)
{
    constexpr uint32_t PIECES = D / 8;
    static_assert(ROWS * PIECES % THREADS == 0 && THREADS % PIECES == 0, "each thread copies a column of pieces");
    const uint32_t row = threadIdx.x / PIECES, piece = threadIdx.x % PIECES;
    from += piece * 8;
#pragma unroll
    for (uint32_t i = 0; i < ROWS * PIECES / THREADS; i++) {
        const uint32_t r = row + i * (THREADS / PIECES);
        const bool real = first + r < end;
        copy_async(tile + tile_offset<D>(r, piece), from + (real ? (first + r) * stride : 0), real);
    }
}

/* ---- two bf16 in a word ---- */

__device__ __forceinline__ uint32_t pack(float low, float high)
{
    const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t *>(&both);
}

__device__ __forceinline__ float2 unpack(uint32_t both)
{
    return make_float2(__uint_as_float(both << 16), __uint_as_float(both & 0xffff0000u));
}

/* ---- operands ---- */

/* a[k][m] = columns 16k.. of rows 16m.. at `rows`: tile + operand_a(), of 16 M rows. */
template <int D, int M> __device__ __forceinline__ void operand_load(uint32_t (&a)[D / 16][M][4], uint32_t rows)
{
#pragma unroll
    for (int k = 0; k < D / 16; k++)
#pragma unroll
        for (int m = 0; m < M; m++)
            ldmatrix(a[k][m], (rows ^ (k * 32)) + tile_bytes<D>(16 * m));
}

/* c (16 M, N) += a B^T over columns 16k.. of D.   rows: tile + operand_b(), of N rows of B */
template <int D, int M, int N8>
__device__ __forceinline__ void multiply_transposed(float (&c)[M][N8][4], const uint32_t (&a)[M][4], uint32_t rows,
                                                    int k)
{
    static_assert(N8 % 2 == 0, "ldmatrix brings 16 rows");
#pragma unroll
    for (int n = 0; n < N8; n += 2) {
        uint32_t b[4];
        ldmatrix(b, (rows ^ (k * 32)) + tile_bytes<D>(8 * n));
#pragma unroll
        for (int m = 0; m < M; m++) {
            mma(c[m][n], a[m], b[0], b[1]);
            mma(c[m][n + 1], a[m], b[2], b[3]);
        }
    }
}

/* c (16 M, D) += a (16 M, 16) B (16, D).   rows: tile + operand_a(), of 16 rows of B */
template <int D, int M>
__device__ __forceinline__ void multiply(float (&c)[M][D / 8][4], const uint32_t (&a)[M][4], uint32_t rows)
{
#pragma unroll
    for (int n = 0; n < D / 8; n += 2) {
        uint32_t b[4];
        ldmatrix_transposed(b, rows ^ (n * 16));
#pragma unroll
        for (int m = 0; m < M; m++) {
            mma(c[m][n], a[m], b[0], b[1]);
            mma(c[m][n + 1], a[m], b[2], b[3]);
        }
    }
}

/* Two neighbouring results (16 x 8 each) as the left operand of the next product: the layouts agree, no lane asks
 * another. */
__device__ __forceinline__ void operand_pack(uint32_t (&a)[4], const float (&left)[4], const float (&right)[4])
{
    a[0] = pack(left[0], left[1]);
    a[1] = pack(left[2], left[3]);
    a[2] = pack(right[0], right[1]);
    a[3] = pack(right[2], right[3]);
}

/* Write c, each row times its factor (rows 16m + g, 16m + g + 8), as bf16: by way of `tile`, 16 M rows that only this
 * warp uses, for whole pieces. Rows from `count` on stay unwritten. */
template <int D, int M>
__device__ __forceinline__ void rows_store(bf16 *to, size_t stride, uint32_t count, const float (&c)[M][D / 8][4],
                                           const float (&factor)[M][2], unsigned char *tile, uint32_t lane)
{
    __syncwarp(); /* another lane may not have read yet what lay in the tile before */
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int half = 0; half < 2; half++)
#pragma unroll
            for (int n = 0; n < D / 8; n++) {
                const float f = factor[m][half];
                unsigned char *at = tile + tile_offset<D>(16 * m + 8 * half + lane / 4, n) + lane % 4 * 4;
                *reinterpret_cast<uint32_t *>(at) = pack(c[m][n][2 * half] * f, c[m][n][2 * half + 1] * f);
            }
    __syncwarp();
#pragma unroll
    for (uint32_t i = lane; i < 16 * M * (D / 8); i += WARP) {
        const uint32_t row = i / (D / 8), piece = i % (D / 8);
        if (row < count)
            *reinterpret_cast<uint4 *>(to + row * stride + piece * 8) =
                *reinterpret_cast<const uint4 *>(tile + tile_offset<D>(row, piece));
    }
    __syncwarp(); /* the tile may be written again */
}

/* Which head and which of its blocks (0: the one with most work) a block of threads does. Blocks start about in their
 * order: the long ones of a few heads first, so that what they share stays in L2, and the short ones fill the end. */
struct attention_place {
    uint32_t head, rank;
};
__device__ __forceinline__ attention_place attention_place_of(uint32_t index, uint32_t heads, uint32_t ranks)
{
    constexpr uint32_t TOGETHER = 32;
    const uint32_t first = index / (TOGETHER * ranks) * TOGETHER;
    const uint32_t rest = index - first * ranks, count = min(TOGETHER, heads - first);
    return {first + rest % count, rest / count};
}

} // namespace reeve_cuda

#endif
