/* Causal self-attention of one head, a block of query rows at a time: the block sees only the keys up to its last row,
 * so about half of the products are never made, and memory is (rows of a block, T), not (T, T).
 * Backward computes the probabilities again rather than keep (L, B, H, T, T) of them.
 * Source: Vaswani et al. 2017, arXiv:1706.03762, 3.2.1; recomputation as in Dao et al. 2022, arXiv:2205.14135. */
#include <cblas.h>
#include <math.h>

#include "model/gpt/kernels.h"

size_t gpt_attention_scratch(size_t T)
{
    return 2 * (size_t)GPT_ATTENTION_ROWS * T;
}

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* p (rows, keys) = causal softmax of scale * q k^T for query rows [begin, begin + rows), keys = begin + rows */
static void probabilities(float *p, const float *q, size_t begin, size_t rows, size_t C, size_t D, float scale)
{
    size_t keys = begin + rows;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)keys, (int)D, scale, q + begin * 3 * C,
                (int)(3 * C), q + C, (int)(3 * C), 0.0f, p, (int)keys);
    for (size_t i = 0; i < rows; i++)
        gpt_softmax_row(p + i * keys, begin + i + 1, keys);
}

void gpt_attention_forward(float *out, const float *q, size_t t_begin, size_t t_end, size_t C, size_t D, float *scratch)
{
    const float *v = q + 2 * C;
    float scale = 1.0f / sqrtf((float)D);
    for (size_t begin = t_begin; begin < t_end; begin += GPT_ATTENTION_ROWS) {
        size_t rows = min_of(GPT_ATTENTION_ROWS, t_end - begin), keys = begin + rows;
        probabilities(scratch, q, begin, rows, C, D, scale);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)D, (int)keys, 1.0f, scratch, (int)keys,
                    v, (int)(3 * C), 0.0f, out + begin * C, (int)C);
    }
}

/* One block; beta 0 for the first that is handled, which reaches all keys, then 1. */
static void backward_block(float *dq, const float *dout, const float *q, size_t begin, size_t rows, size_t C, size_t D,
                           float beta, float *scratch)
{
    const float *k = q + C, *v = q + 2 * C;
    float *dk = dq + C, *dv = dq + 2 * C;
    int ld = (int)(3 * C), m = (int)rows, n = (int)(begin + rows), d = (int)D;
    float scale = 1.0f / sqrtf((float)D);
    float *p = scratch, *dp = scratch + rows * (size_t)n;
    probabilities(p, q, begin, rows, C, D, scale);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, d, 1.0f, dout + begin * C, (int)C, v, ld, 0.0f, dp, n);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, d, m, 1.0f, p, n, dout + begin * C, (int)C, beta, dv, ld);
    for (size_t i = 0; i < rows; i++)
        gpt_softmax_row_backward(dp + i * (size_t)n, p + i * (size_t)n, begin + i + 1, (size_t)n, scale);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, d, n, 1.0f, dp, n, k, ld, 0.0f, dq + begin * 3 * C, ld);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, d, m, 1.0f, dp, n, q + begin * 3 * C, ld, beta, dk, ld);
}

void gpt_attention_backward(float *dq, const float *dout, const float *q, size_t T, size_t C, size_t D, float *scratch)
{
    size_t begin = (T - 1) / GPT_ATTENTION_ROWS * GPT_ATTENTION_ROWS;
    float beta = 0.0f;
    for (;;) {
        backward_block(dq, dout, q, begin, min_of(GPT_ATTENTION_ROWS, T - begin), C, D, beta, scratch);
        if (begin == 0) break;
        begin -= GPT_ATTENTION_ROWS;
        beta = 1.0f;
    }
}
