/* Causal attention on tensor cores, backward (Dao 2023, arXiv:2307.08691, algorithm 2), in two kernels without sums in
 * arrival order: one over queries for dQ, one over keys for dK and dV. Both compute the scores anew: 7 products in all
 * where one kernel would do with 5, but that one adds dQ with atomics or keeps a dQ per block of keys in global memory
 * (for 1024 tokens, about as much time again as the two products). P and dS go from one product to the next in
 * registers: backward_kv_mma computes their transposes, whose layout as a result is that of a left operand. */
#ifndef REEVE_MODEL_GPT_CUDA_ATTENTION_BACKWARD_MMA_CUH
#define REEVE_MODEL_GPT_CUDA_ATTENTION_BACKWARD_MMA_CUH

#include "model/gpt/cuda/attention_forward_mma.cuh"

namespace reeve_cuda
{

/* The sum over columns of dout * out, of the queries that a lane has part of; dout as operand_load() left it. Rows from
 * `count` on give 0. `out` is the warp's first row. */
template <int D, int M>
__device__ __forceinline__ void delta_rows(float (&delta)[M][2], const uint32_t (&dout)[D / 16][M][4], const bf16 *out,
                                           size_t stride, uint32_t count, uint32_t lane)
{
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const uint32_t row = 16 * m + 8 * half + lane / 4;
            float part = 0.0f;
            if (row < count) {
                const uint32_t *o = reinterpret_cast<const uint32_t *>(out + row * stride) + lane % 4;
#pragma unroll
                for (int i = 0; i < D / 8; i++) {
                    const float2 x = unpack(o[4 * i]), y = unpack(dout[i / 2][m][half + i % 2 * 2]);
                    part = fmaf(x.x, y.x, fmaf(x.y, y.y, part));
                }
            }
            delta[m][half] = quad_sum(part);
        }
}

template <int D, int M, int WARPS, int KEYS> constexpr size_t backward_q_shared()
{
    return 2 * tile_bytes<D>(WARPS * 16 * M) + 2 * 2 * tile_bytes<D>(KEYS); /* Q, dout; two stages of K and V */
}

/* dq, and delta (B, H, T) for backward_kv_mma. A warp does 16 M queries, with keys in tiles of KEYS, PART at once. */
template <int D, int M, int WARPS, int KEYS, int PART, int BLOCKS>
__global__ void __launch_bounds__(WARPS *WARP, BLOCKS)
    backward_q_mma(bf16 *dqkv, float *delta, const bf16 *dout, const bf16 *out, const bf16 *qkv, const float *lse,
                   uint32_t T, uint32_t H, uint32_t heads, float scale)
{
    extern __shared__ __align__(1024) unsigned char shared[];
    constexpr uint32_t ROWS = WARPS * 16 * M, THREADS = WARPS * WARP;
    const uint32_t lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const uint32_t blocks = (T + ROWS - 1) / ROWS;
    const attention_place place = attention_place_of(blockIdx.x, heads, blocks);
    const uint32_t row0 = (blocks - 1 - place.rank) * ROWS, warp_row0 = row0 + warp * 16 * M;
    const uint32_t warp_rows = warp_row0 < T ? T - warp_row0 : 0;
    const size_t C = static_cast<size_t>(H) * D, stride = 3 * C, b = place.head / H, h = place.head % H;
    const bf16 *q = qkv + b * T * stride + h * D, *k = q + C, *v = k + C;
    const size_t out0 = b * T * C + h * D, stat0 = static_cast<size_t>(place.head) * T;

    const uint32_t q_tile = shared_address(shared), dout_tile = q_tile + tile_bytes<D>(ROWS);
    const uint32_t stage0 = dout_tile + tile_bytes<D>(ROWS);
    constexpr uint32_t V_BEHIND = tile_bytes<D>(KEYS), STAGE = 2 * V_BEHIND;
    tile_load<D, ROWS, THREADS>(q_tile, q, stride, row0, T);
    tile_load<D, ROWS, THREADS>(dout_tile, dout + out0, C, row0, T);
    tile_load<D, KEYS, THREADS>(stage0, k, stride, 0, T);
    tile_load<D, KEYS, THREADS>(stage0 + V_BEHIND, v, stride, 0, T);
    copy_async_wait();
    __syncthreads();
    uint32_t query[D / 16][M][4], gradient[D / 16][M][4];
    operand_load<D, M>(query, q_tile + tile_bytes<D>(warp * 16 * M) + operand_a<D>(lane));
    operand_load<D, M>(gradient, dout_tile + tile_bytes<D>(warp * 16 * M) + operand_a<D>(lane));

    float row_delta[M][2], row_lse[M][2]; /* the latter to base 2; infinite where there is no row: its P is 0 */
    delta_rows<D, M>(row_delta, gradient, out + out0 + warp_row0 * C, C, warp_rows, lane);
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const uint32_t row = 16 * m + 8 * half + lane / 4;
            const bool real = row < warp_rows;
            row_lse[m][half] = real ? lse[stat0 + warp_row0 + row] * LOG2_E : INFINITY;
            if (real && lane % 4 == 0) delta[stat0 + warp_row0 + row] = row_delta[m][half];
        }

    float sum[M][D / 8][4] = {};
    const uint32_t tiles = (min(T, row0 + ROWS) + KEYS - 1) / KEYS;
    const float log2_scale = scale * LOG2_E;
#pragma unroll 1
    for (uint32_t j = 0; j < tiles; j++) {
        copy_async_wait();
        __syncthreads(); /* tile j is there, and nobody reads tile j - 1 any more */
        const uint32_t k_tile = stage0 + j % 2 * STAGE, next = stage0 + (j + 1) % 2 * STAGE;
        if (j + 1 < tiles) {
            tile_load<D, KEYS, THREADS>(next, k, stride, (j + 1) * KEYS, T);
            tile_load<D, KEYS, THREADS>(next + V_BEHIND, v, stride, (j + 1) * KEYS, T);
        }
#pragma unroll 1
        for (uint32_t part = 0; part < KEYS; part += PART) {
            const uint32_t key0 = j * KEYS + part;
            if (key0 > warp_row0 + 16 * M - 1) break; /* all behind this warp's queries */
            const uint32_t k_part = k_tile + tile_bytes<D>(part);
            float ds[M][PART / 8][4] = {}, dp[M][PART / 8][4] = {};
#pragma unroll
            for (int i = 0; i < D / 16; i++) {
                multiply_transposed<D>(ds, query[i], k_part + operand_b<D>(lane), i);
                multiply_transposed<D>(dp, gradient[i], k_part + V_BEHIND + operand_b<D>(lane), i);
            }
#pragma unroll
            for (int m = 0; m < M; m++)
#pragma unroll
                for (int n = 0; n < PART / 8; n++)
#pragma unroll
                    for (int i = 0; i < 4; i++)
                        ds[m][n][i] = exp2_fast(fmaf(ds[m][n][i], log2_scale, -row_lse[m][i / 2]));
            if (key0 + PART - 1 > warp_row0)
#pragma unroll
                for (int m = 0; m < M; m++)
#pragma unroll
                    for (int n = 0; n < PART / 8; n++)
#pragma unroll
                        for (int i = 0; i < 4; i++)
                            if (key0 + 8 * n + lane % 4 * 2 + i % 2 > warp_row0 + 16 * m + i / 2 * 8 + lane / 4)
                                ds[m][n][i] = 0.0f;
#pragma unroll
            for (int m = 0; m < M; m++)
#pragma unroll
                for (int n = 0; n < PART / 8; n++)
#pragma unroll
                    for (int i = 0; i < 4; i++)
                        ds[m][n][i] *= dp[m][n][i] - row_delta[m][i / 2];
#pragma unroll
            for (int i = 0; i < PART / 16; i++) {
                uint32_t a[M][4];
#pragma unroll
                for (int m = 0; m < M; m++)
                    operand_pack(a[m], ds[m][2 * i], ds[m][2 * i + 1]);
                multiply<D>(sum, a, k_part + tile_bytes<D>(16 * i) + operand_a<D>(lane));
            }
        }
    }

    float factor[M][2];
#pragma unroll
    for (int m = 0; m < M; m++)
        factor[m][0] = factor[m][1] = scale;
    rows_store<D>(dqkv + (b * T + warp_row0) * stride + h * D, stride, warp_rows, sum, factor,
                  shared + tile_bytes<D>(warp * 16 * M), lane);
}

template <int D, int M, int WARPS, int QUERIES> constexpr size_t backward_kv_shared()
{
    return 2 * tile_bytes<D>(WARPS * 16 * M)  /* K, V */
           + 2 * 2 * tile_bytes<D>(QUERIES)   /* two stages of Q and dout */
           + 2 * 2 * QUERIES * sizeof(float); /* and of lse, to base 2, and delta */
}

/* dk and dv. A warp does 16 M keys, with queries in tiles of QUERIES, PART at once. KEPT: it keeps its rows of K and V
 * in registers, else reads them anew for each part. */
template <int D, int M, int WARPS, int QUERIES, int PART, bool KEPT, int BLOCKS>
__global__ void __launch_bounds__(WARPS *WARP, BLOCKS)
    backward_kv_mma(bf16 *dqkv, const bf16 *dout, const bf16 *qkv, const float *lse, const float *delta, uint32_t T,
                    uint32_t H, uint32_t heads, float scale)
{
    extern __shared__ __align__(1024) unsigned char shared[];
    constexpr uint32_t ROWS = WARPS * 16 * M, THREADS = WARPS * WARP;
    static_assert(THREADS >= 2 * QUERIES, "each thread brings one lse or delta");
    const uint32_t lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const attention_place place = attention_place_of(blockIdx.x, heads, (T + ROWS - 1) / ROWS);
    const uint32_t row0 = place.rank * ROWS, warp_row0 = row0 + warp * 16 * M; /* of keys */
    const size_t C = static_cast<size_t>(H) * D, stride = 3 * C, b = place.head / H, h = place.head % H;
    const bf16 *q = qkv + b * T * stride + h * D, *k = q + C, *v = k + C;
    const size_t out0 = b * T * C + h * D, stat0 = static_cast<size_t>(place.head) * T;

    const uint32_t k_tile = shared_address(shared), v_tile = k_tile + tile_bytes<D>(ROWS);
    const uint32_t stage0 = v_tile + tile_bytes<D>(ROWS);
    constexpr uint32_t DOUT_BEHIND = tile_bytes<D>(QUERIES), STAGE = 2 * DOUT_BEHIND;
    float *stats = reinterpret_cast<float *>(shared + 2 * tile_bytes<D>(ROWS) + 2 * STAGE);
    const uint32_t tile0 = row0 / QUERIES, tiles = (T + QUERIES - 1) / QUERIES;
    /* Thread x < QUERIES brings the lse of a tile's query x, the next QUERIES threads delta. A query that is not there
     * has an infinite lse: its P is 0. */
    const auto stat = [&](uint32_t j) {
        const uint32_t row = j * QUERIES + threadIdx.x % QUERIES;
        if (threadIdx.x < QUERIES) return row < T ? lse[stat0 + row] : INFINITY;
        return row < T ? delta[stat0 + row] : 0.0f;
    };
    const float stat_factor =
        threadIdx.x < QUERIES ? LOG2_E : 1.0f; /* applied late: nobody waits for what stat() reads */

    tile_load<D, ROWS, THREADS>(k_tile, k, stride, row0, T);
    tile_load<D, ROWS, THREADS>(v_tile, v, stride, row0, T);
    tile_load<D, QUERIES, THREADS>(stage0, q, stride, tile0 * QUERIES, T);
    tile_load<D, QUERIES, THREADS>(stage0 + DOUT_BEHIND, dout + out0, C, tile0 * QUERIES, T);
    if (threadIdx.x < 2 * QUERIES) stats[threadIdx.x] = stat(tile0) * stat_factor;
    copy_async_wait();
    __syncthreads();
    const uint32_t k_rows = k_tile + tile_bytes<D>(warp * 16 * M) + operand_a<D>(lane);
    const uint32_t v_rows = v_tile + tile_bytes<D>(warp * 16 * M) + operand_a<D>(lane);
    uint32_t key[D / 16][M][4], value[D / 16][M][4];
    if (KEPT) {
        operand_load<D, M>(key, k_rows);
        operand_load<D, M>(value, v_rows);
    }

    float dk[M][D / 8][4] = {}, dv[M][D / 8][4] = {};
    const float log2_scale = scale * LOG2_E;
#pragma unroll 1
    for (uint32_t j = tile0, stage = 0; j < tiles; j++, stage ^= 1) {
        copy_async_wait();
        __syncthreads(); /* tile j is there, and nobody reads tile j - 1 any more */
        const uint32_t q_tile = stage0 + stage * STAGE, next = stage0 + (stage ^ 1) * STAGE;
        float next_stat = 0.0f;
        if (j + 1 < tiles) {
            tile_load<D, QUERIES, THREADS>(next, q, stride, (j + 1) * QUERIES, T);
            tile_load<D, QUERIES, THREADS>(next + DOUT_BEHIND, dout + out0, C, (j + 1) * QUERIES, T);
            if (threadIdx.x < 2 * QUERIES) next_stat = stat(j + 1);
        }
#pragma unroll 1
        for (uint32_t part = 0; part < QUERIES; part += PART) {
            const uint32_t query0 = j * QUERIES + part;
            if (query0 + PART - 1 < warp_row0) continue; /* all before this warp's keys */
            const uint32_t q_part = q_tile + tile_bytes<D>(part);
            float p[M][PART / 8][4] = {}, ds[M][PART / 8][4] = {};
#pragma unroll
            for (int i = 0; i < D / 16; i++) {
                if (!KEPT)
#pragma unroll
                    for (int m = 0; m < M; m++) {
                        ldmatrix(key[i][m], (k_rows ^ (i * 32)) + tile_bytes<D>(16 * m));
                        ldmatrix(value[i][m], (v_rows ^ (i * 32)) + tile_bytes<D>(16 * m));
                    }
                multiply_transposed<D>(p, key[i], q_part + operand_b<D>(lane), i);
                multiply_transposed<D>(ds, value[i], q_part + DOUT_BEHIND + operand_b<D>(lane), i);
            }
            const float *lse_part = stats + stage * 2 * QUERIES + part + lane % 4 * 2, *delta_part = lse_part + QUERIES;
#pragma unroll
            for (int n = 0; n < PART / 8; n++) {
                const float2 two = *reinterpret_cast<const float2 *>(lse_part + 8 * n);
#pragma unroll
                for (int m = 0; m < M; m++)
#pragma unroll
                    for (int i = 0; i < 4; i++)
                        p[m][n][i] = exp2_fast(fmaf(p[m][n][i], log2_scale, -(i % 2 == 0 ? two.x : two.y)));
            }
            if (query0 < warp_row0 + 16 * M - 1)
#pragma unroll
                for (int m = 0; m < M; m++)
#pragma unroll
                    for (int n = 0; n < PART / 8; n++)
#pragma unroll
                        for (int i = 0; i < 4; i++)
                            if (warp_row0 + 16 * m + i / 2 * 8 + lane / 4 > query0 + 8 * n + lane % 4 * 2 + i % 2)
                                p[m][n][i] = 0.0f;
#pragma unroll
            for (int n = 0; n < PART / 8; n++) {
                const float2 two = *reinterpret_cast<const float2 *>(delta_part + 8 * n);
#pragma unroll
                for (int m = 0; m < M; m++)
#pragma unroll
                    for (int i = 0; i < 4; i++)
                        ds[m][n][i] = p[m][n][i] * (ds[m][n][i] - (i % 2 == 0 ? two.x : two.y));
            }
#pragma unroll
            for (int i = 0; i < PART / 16; i++) {
                uint32_t a[M][4];
                const uint32_t rows = q_part + tile_bytes<D>(16 * i) + operand_a<D>(lane);
#pragma unroll
                for (int m = 0; m < M; m++)
                    operand_pack(a[m], p[m][2 * i], p[m][2 * i + 1]);
                multiply<D>(dv, a, rows + DOUT_BEHIND);
#pragma unroll
                for (int m = 0; m < M; m++)
                    operand_pack(a[m], ds[m][2 * i], ds[m][2 * i + 1]);
                multiply<D>(dk, a, rows);
            }
        }
        if (j + 1 < tiles && threadIdx.x < 2 * QUERIES)
            stats[(stage ^ 1) * 2 * QUERIES + threadIdx.x] = next_stat * stat_factor;
    }

    float factor[M][2], one[M][2];
#pragma unroll
    for (int m = 0; m < M; m++)
        factor[m][0] = factor[m][1] = scale, one[m][0] = one[m][1] = 1.0f;
    const uint32_t warp_rows = warp_row0 < T ? T - warp_row0 : 0;
    bf16 *to = dqkv + (b * T + warp_row0) * stride + h * D;
    rows_store<D>(to + C, stride, warp_rows, dk, factor, shared + tile_bytes<D>(warp * 16 * M), lane);
    rows_store<D>(to + 2 * C, stride, warp_rows, dv, one, shared + tile_bytes<D>(ROWS + warp * 16 * M), lane);
}

} // namespace reeve_cuda

#endif
