/* Causal attention for any head width up to 256 and any type: in fp32, for models on fp32 and for small ones.
 *
 * A warp does ROWS rows (queries; keys in backward_kv) against tiles of 32 of the other kind, which its block
 * loads to shared memory. Scores: a lane has one row of the tile. Sums: a lane has columns lane + 32 i, i < COLUMNS.
 * Online softmax: Milakov & Gimelshein 2018, arXiv:1805.02867. */
#ifndef REEVE_MODEL_GPT_CUDA_ATTENTION_PLAIN_CUH
#define REEVE_MODEL_GPT_CUDA_ATTENTION_PLAIN_CUH

#include "model/gpt/cuda/kernels.cuh"

namespace reeve_cuda
{

namespace plain
{

constexpr uint32_t D_MAX = 256, TILE = 32, WARPS = 4, ROWS = 4, BLOCK_ROWS = WARPS * ROWS, THREADS = WARPS * TILE;
constexpr uint32_t EVERYONE = 0xffffffffu;

/* A row of a tile in shared memory: odd, so that a column of it lies in all banks. */
__host__ __device__ constexpr uint32_t tile_stride(uint32_t D)
{
    return D | 1;
}
constexpr size_t shared_bytes(uint32_t D, uint32_t operands)
{
    return 2 * TILE * tile_stride(D) * sizeof(float) + operands * BLOCK_ROWS * D * sizeof(float);
}

__device__ __forceinline__ float wide(float x)
{
    return x;
}
__device__ __forceinline__ float wide(bf16 x)
{
    return __bfloat162float(x);
}
__device__ __forceinline__ void narrow(float *to, float x)
{
    *to = x;
}
__device__ __forceinline__ void narrow(bf16 *to, float x)
{
    *to = __float2bfloat16(x);
}

__device__ __forceinline__ float warp_sum(float x)
{
    for (int d = 16; d > 0; d /= 2)
        x += __shfl_xor_sync(EVERYONE, x, d);
    return x;
}
__device__ __forceinline__ float warp_max(float x)
{
    for (int d = 16; d > 0; d /= 2)
        x = fmaxf(x, __shfl_xor_sync(EVERYONE, x, d));
    return x;
}

/* `count` rows from row `first` on, those from `end` on as zeros. */
template <typename T>
__device__ void rows_load(float *to, uint32_t to_stride, const T *from, size_t stride, uint32_t first, uint32_t count,
                          uint32_t end, uint32_t D)
{
    for (uint32_t i = threadIdx.x; i < count * D; i += THREADS) {
        const uint32_t r = i / D, d = i % D;
        to[r * to_stride + d] = first + r < end ? wide(from[(first + r) * stride + d]) : 0.0f;
    }
}

/* s[r] += rows[r] . tile[lane] */
__device__ __forceinline__ void scores(float (&s)[ROWS], const float *rows, const float *tile, uint32_t D)
{
    const float *mine = tile + threadIdx.x % TILE * tile_stride(D);
    for (uint32_t d = 0; d < D; d++) {
        const float x = mine[d];
#pragma unroll
        for (uint32_t r = 0; r < ROWS; r++)
            s[r] = fmaf(rows[r * D + d], x, s[r]);
    }
}

/* sum[r] += sum over j of weight[r] of lane j times tile[j] */
template <int COLUMNS>
__device__ __forceinline__ void accumulate(float (&sum)[ROWS][COLUMNS], const float (&weight)[ROWS], const float *tile,
                                           uint32_t D)
{
    const uint32_t lane = threadIdx.x % TILE;
    for (uint32_t j = 0; j < TILE; j++) {
        float w[ROWS];
#pragma unroll
        for (uint32_t r = 0; r < ROWS; r++)
            w[r] = __shfl_sync(EVERYONE, weight[r], j);
#pragma unroll
        for (int i = 0; i < COLUMNS; i++) {
            const float x = lane + TILE * i < D ? tile[j * tile_stride(D) + lane + TILE * i] : 0.0f;
#pragma unroll
            for (uint32_t r = 0; r < ROWS; r++)
                sum[r][i] = fmaf(w[r], x, sum[r][i]);
        }
    }
}

template <typename T, int COLUMNS>
__device__ __forceinline__ void rows_store(T *to, size_t stride, uint32_t first, uint32_t end, uint32_t D,
                                           const float (&sum)[ROWS][COLUMNS], const float (&factor)[ROWS])
{
#pragma unroll
    for (uint32_t r = 0; r < ROWS; r++)
#pragma unroll
        for (int i = 0; i < COLUMNS; i++) {
            const uint32_t d = threadIdx.x % TILE + TILE * i;
            if (first + r < end && d < D) narrow(to + (first + r) * stride + d, sum[r][i] * factor[r]);
        }
}

/* A block of threads is BLOCK_ROWS rows of one head; so in the other two kernels. */
template <typename T, int COLUMNS>
__global__ void __launch_bounds__(THREADS)
    forward(T *out, float *lse, const T *qkv, uint32_t sequence, uint32_t H, uint32_t D, float scale)
{
    extern __shared__ float tile[];
    const uint32_t blocks = (sequence + BLOCK_ROWS - 1) / BLOCK_ROWS, head = blockIdx.x / blocks;
    const uint32_t row0 = blockIdx.x % blocks * BLOCK_ROWS, lane = threadIdx.x % TILE, warp = threadIdx.x / TILE;
    const size_t C = static_cast<size_t>(H) * D, stride = 3 * C, b = head / H, h = head % H;
    const T *q = qkv + b * sequence * stride + h * D;
    float *k_tile = tile, *v_tile = k_tile + TILE * tile_stride(D), *q_rows = v_tile + TILE * tile_stride(D);
    const uint32_t first = row0 + warp * ROWS;
    rows_load(q_rows, D, q, stride, row0, BLOCK_ROWS, sequence, D);

    float sum[ROWS][COLUMNS] = {}, most[ROWS], total[ROWS] = {};
    for (uint32_t r = 0; r < ROWS; r++)
        most[r] = -INFINITY;
    const uint32_t key_end = min(sequence, row0 + BLOCK_ROWS);
    for (uint32_t key0 = 0; key0 < key_end; key0 += TILE) {
        __syncthreads(); /* nobody reads the tiles any more */
        rows_load(k_tile, tile_stride(D), q + C, stride, key0, TILE, sequence, D);
        rows_load(v_tile, tile_stride(D), q + 2 * C, stride, key0, TILE, sequence, D);
        __syncthreads();
        float s[ROWS] = {};
        scores(s, q_rows + warp * ROWS * D, k_tile, D);
#pragma unroll
        for (uint32_t r = 0; r < ROWS; r++) {
            const float x = key0 + lane <= first + r ? s[r] * scale : -INFINITY;
            const float now = fmaxf(most[r], warp_max(x)); /* finite: key 0 is in every query's first tile */
            const float keep = expf(most[r] - now);
            s[r] = expf(x - now);
            total[r] = total[r] * keep + warp_sum(s[r]);
            most[r] = now;
#pragma unroll
            for (int i = 0; i < COLUMNS; i++)
                sum[r][i] *= keep;
        }
        accumulate(sum, s, v_tile, D);
    }
    float factor[ROWS];
#pragma unroll
    for (uint32_t r = 0; r < ROWS; r++) {
        factor[r] = 1.0f / total[r];
        if (lane == 0 && first + r < sequence)
            lse[static_cast<size_t>(head) * sequence + first + r] = most[r] + logf(total[r]);
    }
    rows_store(out + b * sequence * C + h * D, C, first, sequence, D, sum, factor);
}

/* dq; and delta (B, H, sequence) = the sum over columns of dout * out. */
template <typename T, int COLUMNS>
__global__ void __launch_bounds__(THREADS)
    backward_q(T *dqkv, float *delta, const T *dout, const T *out, const T *qkv, const float *lse, uint32_t sequence,
               uint32_t H, uint32_t D, float scale)
{
    extern __shared__ float tile[];
    const uint32_t blocks = (sequence + BLOCK_ROWS - 1) / BLOCK_ROWS, head = blockIdx.x / blocks;
    const uint32_t row0 = blockIdx.x % blocks * BLOCK_ROWS, lane = threadIdx.x % TILE, warp = threadIdx.x / TILE;
    const size_t C = static_cast<size_t>(H) * D, stride = 3 * C, b = head / H, h = head % H;
    const T *q = qkv + b * sequence * stride + h * D;
    const size_t out0 = b * sequence * C + h * D, stat0 = static_cast<size_t>(head) * sequence;
    float *k_tile = tile, *v_tile = k_tile + TILE * tile_stride(D), *q_rows = v_tile + TILE * tile_stride(D);
    float *dout_rows = q_rows + BLOCK_ROWS * D;
    const uint32_t first = row0 + warp * ROWS;
    rows_load(q_rows, D, q, stride, row0, BLOCK_ROWS, sequence, D);
    rows_load(dout_rows, D, dout + out0, C, row0, BLOCK_ROWS, sequence, D);

    float row_lse[ROWS] = {}, row_delta[ROWS] = {};
#pragma unroll
    for (uint32_t r = 0; r < ROWS; r++) {
        if (first + r >= sequence) break;
        float part = 0.0f;
        for (uint32_t d = lane; d < D; d += TILE) {
            const size_t at = out0 + (first + r) * C + d;
            part = fmaf(wide(dout[at]), wide(out[at]), part);
        }
        row_delta[r] = warp_sum(part);
        row_lse[r] = lse[stat0 + first + r];
        if (lane == 0) delta[stat0 + first + r] = row_delta[r];
    }

    float sum[ROWS][COLUMNS] = {};
    const uint32_t key_end = min(sequence, row0 + BLOCK_ROWS);
    for (uint32_t key0 = 0; key0 < key_end; key0 += TILE) {
        __syncthreads();
        rows_load(k_tile, tile_stride(D), q + C, stride, key0, TILE, sequence, D);
        rows_load(v_tile, tile_stride(D), q + 2 * C, stride, key0, TILE, sequence, D);
        __syncthreads();
        float s[ROWS] = {}, dp[ROWS] = {};
        scores(s, q_rows + warp * ROWS * D, k_tile, D);
        scores(dp, dout_rows + warp * ROWS * D, v_tile, D);
#pragma unroll
        for (uint32_t r = 0; r < ROWS; r++) {
            const bool seen = key0 + lane <= first + r && first + r < sequence;
            s[r] = seen ? expf(s[r] * scale - row_lse[r]) * (dp[r] - row_delta[r]) : 0.0f;
        }
        accumulate(sum, s, k_tile, D);
    }
    const float factor[ROWS] = {scale, scale, scale, scale};
    rows_store(dqkv + b * sequence * stride + h * D, stride, first, sequence, D, sum, factor);
}

/* dk and dv; delta from backward_q. */
template <typename T, int COLUMNS>
__global__ void __launch_bounds__(THREADS)
    backward_kv(T *dqkv, const T *dout, const T *qkv, const float *lse, const float *delta, uint32_t sequence,
                uint32_t H, uint32_t D, float scale)
{
    extern __shared__ float tile[];
    const uint32_t blocks = (sequence + BLOCK_ROWS - 1) / BLOCK_ROWS, head = blockIdx.x / blocks;
    const uint32_t row0 = blockIdx.x % blocks * BLOCK_ROWS, lane = threadIdx.x % TILE, warp = threadIdx.x / TILE;
    const size_t C = static_cast<size_t>(H) * D, stride = 3 * C, b = head / H, h = head % H;
    const T *q = qkv + b * sequence * stride + h * D;
    const size_t out0 = b * sequence * C + h * D, stat0 = static_cast<size_t>(head) * sequence;
    float *q_tile = tile, *dout_tile = q_tile + TILE * tile_stride(D), *k_rows = dout_tile + TILE * tile_stride(D);
    float *v_rows = k_rows + BLOCK_ROWS * D;
    const uint32_t first = row0 + warp * ROWS;
    rows_load(k_rows, D, q + C, stride, row0, BLOCK_ROWS, sequence, D);
    rows_load(v_rows, D, q + 2 * C, stride, row0, BLOCK_ROWS, sequence, D);

    float dk[ROWS][COLUMNS] = {}, dv[ROWS][COLUMNS] = {};
    for (uint32_t query0 = row0 / TILE * TILE; query0 < sequence; query0 += TILE) {
        __syncthreads();
        rows_load(q_tile, tile_stride(D), q, stride, query0, TILE, sequence, D);
        rows_load(dout_tile, tile_stride(D), dout + out0, C, query0, TILE, sequence, D);
        __syncthreads();
        const uint32_t query = query0 + lane;
        const float my_lse = query < sequence ? lse[stat0 + query] : 0.0f;
        const float my_delta = query < sequence ? delta[stat0 + query] : 0.0f;
        float p[ROWS] = {}, ds[ROWS] = {};
        scores(p, k_rows + warp * ROWS * D, q_tile, D);
        scores(ds, v_rows + warp * ROWS * D, dout_tile, D);
#pragma unroll
        for (uint32_t r = 0; r < ROWS; r++) {
            const bool seen = first + r <= query && query < sequence;
            p[r] = seen ? expf(p[r] * scale - my_lse) : 0.0f;
            ds[r] = seen ? p[r] * (ds[r] - my_delta) : 0.0f;
        }
        accumulate(dv, p, dout_tile, D);
        accumulate(dk, ds, q_tile, D);
    }
    const float one[ROWS] = {1.0f, 1.0f, 1.0f, 1.0f}, scales[ROWS] = {scale, scale, scale, scale};
    T *to = dqkv + b * sequence * stride + h * D;
    rows_store(to + C, stride, first, sequence, D, dk, scales);
    rows_store(to + 2 * C, stride, first, sequence, D, dv, one);
}

} // namespace plain

} // namespace reeve_cuda

#endif
