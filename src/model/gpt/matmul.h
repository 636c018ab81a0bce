/* Matrix products through CBLAS, row-major, in the three forms that a linear layer needs. Weights are (out, in).
 * Letters in the names: n as it lies, t transposed. beta 0 overwrites, whatever `out` held; beta 1 adds. */
#ifndef REEVE_MODEL_GPT_MATMUL_H
#define REEVE_MODEL_GPT_MATMUL_H

#include <cblas.h>
#include <stddef.h>

/* out (m, n) = a (m, k) b (n, k)^T + beta out: forward, x W^T */
static inline void matmul_nt(float *out, const float *a, const float *b, size_t m, size_t n, size_t k, float beta)
{
    if (m == 1) /* one row, when text is generated: read the weights once, do not repack them */
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)n, (int)k, 1.0f, b, (int)k, a, 1, beta, out, 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, 1.0f, a, (int)k, b, (int)k, beta,
                    out, (int)n);
}

/* out (m, n) = a (m, k) b (k, n) + beta out: gradient of the input, dy W */
static inline void matmul_nn(float *out, const float *a, const float *b, size_t m, size_t n, size_t k, float beta)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1.0f, a, (int)k, b, (int)n, beta,
                out, (int)n);
}

/* out (m, n) = a (k, m)^T b (k, n) + beta out: gradient of the weight, dy^T x */
static inline void matmul_tn(float *out, const float *a, const float *b, size_t m, size_t n, size_t k, float beta)
{
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1.0f, a, (int)m, b, (int)n, beta, out,
                (int)n);
}

#endif
