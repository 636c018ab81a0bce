/* The kernels of the model on a GPU: what is not a matrix product. Each is launched on `stream` and returns what the
 * launch returned; none allocates, waits, or leaves an element that it names unwritten. No result depends on timing: a
 * sum over threads has a fixed order, or is one of integers.
 *
 * T is the type of activations, and of the parameters' working copy: float or __nv_bfloat16. Arithmetic is fp32 within a
 * kernel. All arrays are row-major, contiguous unless a stride is given, and begin on 128 bytes; C, and the elements of
 * any tensor, may be any number but 0 (vectors of 16 bytes are used where the sizes allow).
 * Letters: B batch, T sequence, N = B * T rows, C width, H heads, D = C / H, V vocabulary. */
#ifndef REEVE_MODEL_GPT_CUDA_KERNELS_CUH
#define REEVE_MODEL_GPT_CUDA_KERNELS_CUH

#include <cstddef>
#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "model/gpt/cuda/occurrences.h"

namespace reeve_cuda {

using bf16 = __nv_bfloat16;

/* ---- rows.cu ---- */

/* x[b, t] = wte[tokens[b, t]] + wpe[t].   tokens (B, sequence + 1): inputs [b][0..sequence), targets one further */
template <typename T>
cudaError_t embed_forward(T *x, const int32_t *tokens, const T *wte, const T *wpe, uint32_t B, uint32_t sequence,
                          uint32_t C, cudaStream_t stream);

/* dwte[token] += sum of its rows of dx, for tokens that occur; dwpe[t] = sum over b of dx[b, t] (sequence rows).
 *   where    as gpt_occurrences_sort() made it, its arrays on the device
 *   scratch  embed_backward_scratch(N, C) floats */
size_t embed_backward_scratch(size_t N, uint32_t C);
template <typename T>
cudaError_t embed_backward(float *dwte, float *dwpe, const T *dx, const struct gpt_occurrences &where, float *scratch,
                           uint32_t B, uint32_t sequence, uint32_t C, cudaStream_t stream);

/* out[c] = sum over N rows of x (N, n).   scratch: column_sum_scratch(N, n) floats */
size_t column_sum_scratch(size_t N, uint32_t n);
template <typename T>
cudaError_t column_sum(float *out, const T *x, float *scratch, size_t N, uint32_t n, cudaStream_t stream);

/* ---- layernorm.cu: y = (x - mean) * rstd * weight + bias; eps 1e-5 ---- */

template <typename T>
cudaError_t layernorm_forward(T *y, float *mean, float *rstd, const T *x, const T *weight, const T *bias, size_t N,
                              uint32_t C, cudaStream_t stream);
/* sum = x + branch, rounded to T; then y, mean, rstd of what `sum` holds. sum may be x. */
template <typename T>
cudaError_t residual_layernorm_forward(T *sum, T *y, float *mean, float *rstd, const T *x, const T *branch,
                                       const T *weight, const T *bias, size_t N, uint32_t C, cudaStream_t stream);
/* dres += gradient of x;  dweight, dbias (C,) = sums over rows, overwritten.  x is what the forward norm read.
 *   scratch: layernorm_backward_scratch(N, C) floats */
size_t layernorm_backward_scratch(size_t N, uint32_t C);
template <typename T>
cudaError_t layernorm_backward(T *dres, float *dweight, float *dbias, const T *dy, const T *x, const float *mean,
                               const float *rstd, const T *weight, float *scratch, size_t N, uint32_t C,
                               cudaStream_t stream);

/* ---- gelu.cu: the tanh form ---- */

template <typename T> cudaError_t gelu_forward(T *y, const T *x, size_t n, cudaStream_t stream);
/* In place: dy becomes dx. Where dbias is not NULL also the column sums over N rows of what is left in dy:
 * dbias (C4,) f32, scratch: column_sum_scratch(N, C4) floats; n = N * C4. */
template <typename T>
cudaError_t gelu_backward(T *dy_to_dx, const T *x, float *dbias, float *scratch, size_t N, uint32_t C4,
                          cudaStream_t stream);

/* ---- loss.cu ---- */

/* Per row r: losses[r] = cross-entropy in nats of logits (N, V; rows `stride` >= V elements apart) against
 * tokens[r / sequence * (sequence + 1) + r % sequence + 1]. The gradient, where it is wanted: logits becomes
 * (softmax - onehot) * scale, and the stride - V elements behind each row become 0.
 * rows_before: row 0 of logits is row rows_before of the batch (logits may be made in parts). */
template <typename T>
cudaError_t cross_entropy(T *logits, float *losses, const int32_t *tokens, size_t N, size_t rows_before,
                          uint32_t sequence, uint32_t V, size_t stride, float scale, bool gradient,
                          cudaStream_t stream);
/* *out (device) = sum of losses (N,) in f64, in a fixed order.  scratch: 1024 doubles */
cudaError_t sum_losses(double *out, const float *losses, double *scratch, size_t N, cudaStream_t stream);

/* ---- exact.cu: the exact sum, bit for bit what core/exact_sum.c does ---- */

/* acc[i] += round-half-even(grad[i] * 2^unit_bits); elements that are not finite or |g| >= 2^8 add 0 and are counted:
 * flags[0] += nonfinite, flags[1] += overflow (device, 64 bit). */
cudaError_t quantise_add(int64_t *acc, const float *grad, unsigned long long *flags, size_t n, int unit_bits,
                         cudaStream_t stream);
/* acc[i] += grad[i], with the same elements left out and counted. */
cudaError_t add_f32(float *acc, const float *grad, unsigned long long *flags, size_t n, cudaStream_t stream);
/* *out (device) = 64 bits that depend on every element of data (n,) of `bytes` 4 or 8 each, and its index: the same on
 * every device that holds the same. */
cudaError_t digest(uint64_t *out, const void *data, size_t n, size_t bytes, cudaStream_t stream);

/* ---- adamw.cu ---- */

/* The mean gradient is g[i] = (float)((double)sum[i] * unit * scale); sum is int64_t, or float with unit 1.
 * *out (device) = sum of g[i]^2 in f64, in a fixed order.  scratch: 4096 doubles */
template <typename S>
cudaError_t grad_square_sum(double *out, const S *sum, double *scratch, double unit, double scale, size_t n,
                            cudaStream_t stream);

/* What is the same for all elements in a step; as in model/adamw.c. */
struct adamw_update {
    float beta1, one_less_beta1, beta2, one_less_beta2;
    float rate; /* lr / (1 - beta1^step) */
    float root; /* 1 / sqrt(1 - beta2^step) */
    float eps;
    float keep; /* 1 - lr * weight_decay; for blocks that do not decay 1 is used */
    float grad_scale; /* of clipping */
};
constexpr uint32_t TENSOR_ALIGN = 64; /* elements: each tensor of a flat array begins on a multiple of it */
/* weights, m, v (n,) updated; working (n,) = weights rounded to T (with T = float it may be NULL: there is none).
 *   decays  (n / TENSOR_ALIGN,) device: 1 where the block's tensor decays.  n is a multiple of TENSOR_ALIGN. */
template <typename T, typename S>
cudaError_t adamw_step(float *weights, float *m, float *v, T *working, const S *sum, const uint8_t *decays,
                       const struct adamw_update &update, double unit, double scale, size_t n, cudaStream_t stream);
/* working[i] = (T)weights[i] */
cudaError_t round_to_bf16(bf16 *working, const float *weights, size_t n, cudaStream_t stream);

/* ---- attention.cu: causal self-attention, online softmax ---- */

/* out (B, T, C), lse (B, H, T) natural logarithm of the softmax's sum; from qkv (B, T, 3, H, D). Scale 1 / sqrt(D).
 * bf16 with D = 32, 64 or 128 runs on tensor cores; all else, any D up to 256, on a plain kernel. */
template <typename T>
cudaError_t attention_forward(T *out, float *lse, const T *qkv, uint32_t B, uint32_t sequence, uint32_t H, uint32_t D,
                              cudaStream_t stream);
/* dqkv (B, T, 3, H, D) overwritten, from dout and what forward left. No atomics on floats.
 *   scratch: attention_backward_scratch() floats */
size_t attention_backward_scratch(uint32_t B, uint32_t sequence, uint32_t H, uint32_t D);
template <typename T>
cudaError_t attention_backward(T *dqkv, const T *dout, const T *out, const T *qkv, const float *lse, float *scratch,
                               uint32_t B, uint32_t sequence, uint32_t H, uint32_t D, cudaStream_t stream);

} // namespace reeve_cuda

#endif
