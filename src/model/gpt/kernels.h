/* The kernels of the model: what is not a matrix product. All are serial over the range that they are given, allocate
 * nothing, and write each element that they name; the callers share ranges among threads. No kernel's result depends on
 * how its range was cut out of the whole.
 *
 * Letters: B batch, T sequence, C width, V vocabulary, H heads, D = C / H; row = one of B*T positions, b * T + t. */
#ifndef REEVE_MODEL_MODEL_KERNELS_H
#define REEVE_MODEL_MODEL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define GPT_LAYERNORM_EPS 1e-5f

/* --- layernorm.c: y = (x - mean) * rstd * weight + bias over a row of C --- */
/* x (rows, C), weight, bias (C,) -> y (rows, C), mean, rstd (rows,) */
void gpt_layernorm_forward(float *y, float *mean, float *rstd, const float *x, const float *weight, const float *bias,
                           size_t rows, size_t C);
/* dx (rows, C) += gradient of x, from dy (rows, C). */
void gpt_layernorm_backward_input(float *dx, const float *dy, const float *x, const float *mean, const float *rstd,
                                  const float *weight, size_t rows, size_t C);
/* dweight, dbias [c_begin, c_end) = sums over all rows, in row order. */
void gpt_layernorm_backward_params(float *dweight, float *dbias, const float *dy, const float *x, const float *mean,
                                   const float *rstd, size_t rows, size_t C, size_t c_begin, size_t c_end);

/* --- gelu.c: the tanh form, 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) --- */
void gpt_gelu_forward(float *y, const float *x, size_t n);
void gpt_gelu_backward(float *dy_to_dx, const float *x, size_t n); /* in place: dy becomes dx */

/* --- rows.c: bias and embedding --- */
void gpt_rows_fill(float *out, const float *bias, size_t rows, size_t n);                /* out[r] = bias */
void gpt_rows_add(float *out, const float *x, const float *bias, size_t rows, size_t n); /* out[r] = x[r] + bias */
/* out [c_begin, c_end) = sum over rows of x (rows, n), in blocks of rows. */
void gpt_columns_sum(float *out, const float *x, size_t rows, size_t n, size_t c_begin, size_t c_end);
/* x[r] = wte[token] + wpe[t] for rows [row_begin, row_end); row r is token tokens[b * stride + t]. */
void gpt_embed_forward(float *x, const int32_t *tokens, size_t stride, size_t T, const float *wte, const float *wpe,
                       size_t C, size_t row_begin, size_t row_end);
/* dwte[token] += dx[r]; dwpe[t] = sum over b of dx[b, t]; both for columns [c_begin, c_end), in row order. */
void gpt_embed_backward(float *dwte, float *dwpe, const float *dx, const int32_t *tokens, size_t stride, size_t B,
                        size_t T, size_t C, size_t c_begin, size_t c_end);

/* --- softmax.c: a row of logits (V,) or of scores --- */
/* Returns the cross-entropy -log softmax(logits)[target] in nats; overwrites logits. */
double gpt_loss_row(float *logits, size_t V, size_t target);
/* The same, and logits become scale * (softmax(logits) - onehot(target)). */
double gpt_loss_row_gradient(float *logits, size_t V, size_t target, float scale);
/* One row of scores becomes softmax of its first n >= 1, then zeros up to `width`. */
void gpt_softmax_row(float *scores, size_t n, size_t width);
/* One row: dp becomes scale * p * (dp - sum(p * dp)) over the first n, then zeros up to `width`. */
void gpt_softmax_row_backward(float *dp, const float *p, size_t n, size_t width, float scale);

/* --- attention.c: causal self-attention of one head of one sequence --- */
/* Query rows handled at once: what lies above the diagonal within them is wasted work. */
#define GPT_ATTENTION_ROWS 64
/* Floats of scratch that one call needs. */
size_t gpt_attention_scratch(size_t T);
/* Rows [t_begin, t_end) of out (T, D) within (T, C); q, k, v (T, D) within qkv (T, 3C), whose rows below t_end are set.
 * Both point to this head's columns of the sequence's first row: out = base + h * D; q = base + h * D, k = q + C, v = k
 * + C. */
void gpt_attention_forward(float *out, const float *q, size_t t_begin, size_t t_end, size_t C, size_t D,
                           float *scratch);
/* dq (T, D) within (T, 3C), and dk, dv behind it as above: overwritten. The probabilities are computed again. */
void gpt_attention_backward(float *dq, const float *dout, const float *q, size_t T, size_t C, size_t D, float *scratch);

#endif
