/* Causal self-attention: which kernel, how many blocks of threads, how much shared memory. */
#include "model/gpt/cuda/attention_backward_mma.cuh"
#include "model/gpt/cuda/attention_forward_mma.cuh"
#include "model/gpt/cuda/attention_plain.cuh"
#include "model/gpt/cuda/kernels.cuh"

#include <cmath>
#include <type_traits>

namespace reeve_cuda
{

namespace
{

constexpr size_t SHARED_DEFAULT = 48 * 1024; /* bytes a kernel may have without asking */

template <typename... P, typename... A>
cudaError_t launch(void (*kernel)(P...), uint64_t blocks, uint32_t threads, size_t shared_bytes, cudaStream_t stream,
                   A... arguments)
{
    if (blocks > INT32_MAX) return cudaErrorInvalidValue;
    if (shared_bytes > SHARED_DEFAULT) {
        const cudaError_t error =
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
        if (error != cudaSuccess) return error;
    }
    kernel<<<static_cast<uint32_t>(blocks), threads, shared_bytes, stream>>>(arguments...);
    return cudaGetLastError();
}

/* How the work of a head is cut, by its width D. A warp does 16 M rows, TILE of the other kind are in shared memory and
 * PART in registers at once (backward). 32 rows a warp halve what it reads from shared memory, which at 16 would be
 * busier than the tensor cores; at D = 128 they do not fit its registers. */
template <int D> struct shape_mma {
    static constexpr int M = D == 128 ? 1 : 2, WARPS = D == 128 ? 8 : 4, ROWS = WARPS * 16 * M, TILE = 64, PART = 32;
    static constexpr bool KEPT = D == 32;
    static constexpr int BLOCKS = D == 128 ? 1 : 2; /* on a multiprocessor at once: bounds the registers of a thread */
};

uint64_t block_count(uint32_t B, uint32_t H, uint32_t sequence, uint32_t rows)
{
    return static_cast<uint64_t>(B) * H * ((sequence + rows - 1) / rows);
}

float scale_of(uint32_t D)
{
    return static_cast<float>(1.0 / std::sqrt(static_cast<double>(D)));
}

template <int D>
cudaError_t forward_on_tensor_cores(bf16 *out, float *lse, const bf16 *qkv, uint32_t B, uint32_t sequence, uint32_t H,
                                    cudaStream_t stream)
{
    using S = shape_mma<D>;
    return launch(forward_mma<D, S::M, S::WARPS, S::TILE, S::BLOCKS>, block_count(B, H, sequence, S::ROWS),
                  S::WARPS * WARP, forward_shared<D, S::M, S::WARPS, S::TILE>(), stream, out, lse, qkv, sequence, H,
                  B * H, scale_of(D));
}

template <int D>
cudaError_t backward_on_tensor_cores(bf16 *dqkv, const bf16 *dout, const bf16 *out, const bf16 *qkv, const float *lse,
                                     float *delta, uint32_t B, uint32_t sequence, uint32_t H, cudaStream_t stream)
{
    using S = shape_mma<D>;
    const cudaError_t error =
        launch(backward_q_mma<D, S::M, S::WARPS, S::TILE, S::PART, S::BLOCKS>, block_count(B, H, sequence, S::ROWS),
               S::WARPS * WARP, backward_q_shared<D, S::M, S::WARPS, S::TILE>(), stream, dqkv, delta, dout, out, qkv,
               lse, sequence, H, B * H, scale_of(D));
    if (error != cudaSuccess) return error;
    return launch(backward_kv_mma<D, S::M, S::WARPS, S::TILE, S::PART, S::KEPT, S::BLOCKS>,
                  block_count(B, H, sequence, S::ROWS), S::WARPS * WARP,
                  backward_kv_shared<D, S::M, S::WARPS, S::TILE>(), stream, dqkv, dout, qkv, lse, delta, sequence, H,
                  B * H, scale_of(D));
}

template <typename T, int COLUMNS>
cudaError_t forward_plain(T *out, float *lse, const T *qkv, uint32_t B, uint32_t sequence, uint32_t H, uint32_t D,
                          cudaStream_t stream)
{
    return launch(plain::forward<T, COLUMNS>, block_count(B, H, sequence, plain::BLOCK_ROWS), plain::THREADS,
                  plain::shared_bytes(D, 1), stream, out, lse, qkv, sequence, H, D, scale_of(D));
}

template <typename T, int COLUMNS>
cudaError_t backward_plain(T *dqkv, const T *dout, const T *out, const T *qkv, const float *lse, float *delta,
                           uint32_t B, uint32_t sequence, uint32_t H, uint32_t D, cudaStream_t stream)
{
    const uint64_t blocks = block_count(B, H, sequence, plain::BLOCK_ROWS);
    const cudaError_t error = launch(plain::backward_q<T, COLUMNS>, blocks, plain::THREADS, plain::shared_bytes(D, 2),
                                     stream, dqkv, delta, dout, out, qkv, lse, sequence, H, D, scale_of(D));
    if (error != cudaSuccess) return error;
    return launch(plain::backward_kv<T, COLUMNS>, blocks, plain::THREADS, plain::shared_bytes(D, 2), stream, dqkv, dout,
                  qkv, lse, static_cast<const float *>(delta), sequence, H, D, scale_of(D));
}

} // namespace

template <typename T>
cudaError_t attention_forward(T *out, float *lse, const T *qkv, uint32_t B, uint32_t sequence, uint32_t H, uint32_t D,
                              cudaStream_t stream)
{
    if (B == 0 || sequence == 0 || H == 0 || D == 0 || D > plain::D_MAX) return cudaErrorInvalidValue;
    if constexpr (std::is_same_v<T, bf16>) {
        if (D == 32) return forward_on_tensor_cores<32>(out, lse, qkv, B, sequence, H, stream);
        if (D == 64) return forward_on_tensor_cores<64>(out, lse, qkv, B, sequence, H, stream);
        if (D == 128) return forward_on_tensor_cores<128>(out, lse, qkv, B, sequence, H, stream);
    }
    if (D <= 32) return forward_plain<T, 1>(out, lse, qkv, B, sequence, H, D, stream);
    if (D <= 64) return forward_plain<T, 2>(out, lse, qkv, B, sequence, H, D, stream);
    if (D <= 128) return forward_plain<T, 4>(out, lse, qkv, B, sequence, H, D, stream);
    return forward_plain<T, 8>(out, lse, qkv, B, sequence, H, D, stream);
}

size_t attention_backward_scratch(uint32_t B, uint32_t sequence, uint32_t H, uint32_t)
{
    return static_cast<size_t>(B) * H * sequence; /* delta */
}

template <typename T>
cudaError_t attention_backward(T *dqkv, const T *dout, const T *out, const T *qkv, const float *lse, float *scratch,
                               uint32_t B, uint32_t sequence, uint32_t H, uint32_t D, cudaStream_t stream)
{
    if (B == 0 || sequence == 0 || H == 0 || D == 0 || D > plain::D_MAX) return cudaErrorInvalidValue;
    if constexpr (std::is_same_v<T, bf16>) {
        if (D == 32) return backward_on_tensor_cores<32>(dqkv, dout, out, qkv, lse, scratch, B, sequence, H, stream);
        if (D == 64) return backward_on_tensor_cores<64>(dqkv, dout, out, qkv, lse, scratch, B, sequence, H, stream);
        if (D == 128) return backward_on_tensor_cores<128>(dqkv, dout, out, qkv, lse, scratch, B, sequence, H, stream);
    }
    if (D <= 32) return backward_plain<T, 1>(dqkv, dout, out, qkv, lse, scratch, B, sequence, H, D, stream);
    if (D <= 64) return backward_plain<T, 2>(dqkv, dout, out, qkv, lse, scratch, B, sequence, H, D, stream);
    if (D <= 128) return backward_plain<T, 4>(dqkv, dout, out, qkv, lse, scratch, B, sequence, H, D, stream);
    return backward_plain<T, 8>(dqkv, dout, out, qkv, lse, scratch, B, sequence, H, D, stream);
}

template cudaError_t attention_forward(float *, float *, const float *, uint32_t, uint32_t, uint32_t, uint32_t,
                                       cudaStream_t);
template cudaError_t attention_forward(bf16 *, float *, const bf16 *, uint32_t, uint32_t, uint32_t, uint32_t,
                                       cudaStream_t);
template cudaError_t attention_backward(float *, const float *, const float *, const float *, const float *, float *,
                                        uint32_t, uint32_t, uint32_t, uint32_t, cudaStream_t);
template cudaError_t attention_backward(bf16 *, const bf16 *, const bf16 *, const bf16 *, const float *, float *,
                                        uint32_t, uint32_t, uint32_t, uint32_t, cudaStream_t);

} // namespace reeve_cuda
