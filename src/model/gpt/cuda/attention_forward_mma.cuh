/* Causal attention on tensor cores, forward: FlashAttention-2 (Dao 2023, arXiv:2307.08691), whose online softmax is
 * Milakov & Gimelshein's (2018, arXiv:1805.02867).
 *
 * A block of threads does WARPS * 16 M queries of one head, each warp 16 M of them with all keys: no warp asks another.
 * Keys come in tiles of KEYS, the next tile while one is in use, in ascending order: key 0 is every query's first, so
 * that its maximum is finite from then on. Rows from T on are zeros, compute what nobody sees, and are not stored. */
#ifndef REEVE_MODEL_GPT_CUDA_ATTENTION_FORWARD_MMA_CUH
#define REEVE_MODEL_GPT_CUDA_ATTENTION_FORWARD_MMA_CUH

#include "model/gpt/cuda/attention_tile.cuh"

namespace reeve_cuda
{

constexpr float LOG2_E = 1.4426950408889634f, LN_2 = 0.6931471805599453f;

__device__ __forceinline__ float quad_max(float x)
{
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}
__device__ __forceinline__ float quad_sum(float x)
{
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

/* The softmax of the queries that a lane has part of: rows 16m + g and 16m + g + 8 of its warp's. */
template <int M> struct online_softmax {
    float max[M][2], sum[M][2]; /* of raw scores, the same in a quad; of this lane's columns only */
};

/* s: scores (16 M, N) against keys key0.. -> exp(score - maximum); what was summed up before is scaled to a new
 * maximum, with out. log2_scale: scale * log2(e). first_row: the warp's first query. */
template <int D, int M, int N8>
__device__ __forceinline__ void softmax_step(online_softmax<M> &state, float (&out)[M][D / 8][4], float (&s)[M][N8][4],
                                             float log2_scale, uint32_t first_row, uint32_t key0, uint32_t lane)
{
    if (key0 + N8 * 8 - 1 > first_row) /* few tiles: the others are spared a comparison a score */
#pragma unroll
        for (int m = 0; m < M; m++)
#pragma unroll
            for (int n = 0; n < N8; n++)
#pragma unroll
                for (int i = 0; i < 4; i++)
                    if (key0 + 8 * n + lane % 4 * 2 + i % 2 > first_row + 16 * m + i / 2 * 8 + lane / 4)
                        s[m][n][i] = -INFINITY;
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float most = state.max[m][half];
#pragma unroll
            for (int n = 0; n < N8; n++)
                most = fmaxf(most, fmaxf(s[m][n][2 * half], s[m][n][2 * half + 1]));
            most = quad_max(most);
            const float shift = most * log2_scale;
            const float keep = exp2_fast(state.max[m][half] * log2_scale - shift);
            float sum = state.sum[m][half] * keep;
#pragma unroll
            for (int n = 0; n < N8; n++)
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    float &x = s[m][n][2 * half + i];
                    x = exp2_fast(fmaf(x, log2_scale, -shift));
                    sum += x;
                }
#pragma unroll
            for (int n = 0; n < D / 8; n++) {
                out[m][n][2 * half] *= keep;
                out[m][n][2 * half + 1] *= keep;
            }
            state.max[m][half] = most;
            state.sum[m][half] = sum;
        }
}

template <int D, int M, int WARPS, int KEYS> constexpr size_t forward_shared()
{
    return tile_bytes<D>(WARPS * 16 * M) + 2 * 2 * tile_bytes<D>(KEYS); /* Q; two stages of K and V */
}

template <int D, int M, int WARPS, int KEYS, int BLOCKS>
__global__ void __launch_bounds__(WARPS *WARP, BLOCKS)
    forward_mma(bf16 *out, float *lse, const bf16 *qkv, uint32_t T, uint32_t H, uint32_t heads, float scale)
{
    extern __shared__ __align__(1024) unsigned char shared[];
    constexpr uint32_t ROWS = WARPS * 16 * M, THREADS = WARPS * WARP;
    const uint32_t lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const uint32_t blocks = (T + ROWS - 1) / ROWS;
    const attention_place place = attention_place_of(blockIdx.x, heads, blocks);
    const uint32_t row0 = (blocks - 1 - place.rank) * ROWS, warp_row0 = row0 + warp * 16 * M;
    const size_t C = static_cast<size_t>(H) * D, stride = 3 * C, b = place.head / H, h = place.head % H;
    const bf16 *q = qkv + b * T * stride + h * D, *k = q + C, *v = k + C;

    const uint32_t q_tile = shared_address(shared), stage0 = q_tile + tile_bytes<D>(ROWS);
    constexpr uint32_t V_BEHIND = tile_bytes<D>(KEYS), STAGE = 2 * V_BEHIND;
    tile_load<D, ROWS, THREADS>(q_tile, q, stride, row0, T);
    tile_load<D, KEYS, THREADS>(stage0, k, stride, 0, T);
    tile_load<D, KEYS, THREADS>(stage0 + V_BEHIND, v, stride, 0, T);
    copy_async_wait();
    __syncthreads();
    uint32_t query[D / 16][M][4];
    operand_load<D, M>(query, q_tile + tile_bytes<D>(warp * 16 * M) + operand_a<D>(lane));

    float sum[M][D / 8][4] = {};
    online_softmax<M> softmax;
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int half = 0; half < 2; half++)
            softmax.max[m][half] = -INFINITY, softmax.sum[m][half] = 0.0f;

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
        if (j * KEYS > warp_row0 + 16 * M - 1) continue; /* all behind this warp's queries */
        float s[M][KEYS / 8][4] = {};
#pragma unroll
        for (int i = 0; i < D / 16; i++)
            multiply_transposed<D>(s, query[i], k_tile + operand_b<D>(lane), i);
        softmax_step<D>(softmax, sum, s, log2_scale, warp_row0, j * KEYS, lane);
#pragma unroll
        for (int i = 0; i < KEYS / 16; i++) {
            uint32_t p[M][4];
#pragma unroll
            for (int m = 0; m < M; m++)
                operand_pack(p[m], s[m][2 * i], s[m][2 * i + 1]);
            multiply<D>(sum, p, k_tile + V_BEHIND + tile_bytes<D>(16 * i) + operand_a<D>(lane));
        }
    }

    float factor[M][2];
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const uint32_t row = warp_row0 + 16 * m + 8 * half + lane / 4;
            const float total = quad_sum(softmax.sum[m][half]);
            factor[m][half] = 1.0f / total;
            if (lane % 4 == 0 && row < T)
                lse[static_cast<size_t>(place.head) * T + row] = softmax.max[m][half] * scale + log2f(total) * LN_2;
        }
    if (warp_row0 < T)
        rows_store<D>(out + (b * T + warp_row0) * C + h * D, C, T - warp_row0, sum, factor,
                      shared + tile_bytes<D>(warp * 16 * M), lane);
}

} // namespace reeve_cuda

#endif
