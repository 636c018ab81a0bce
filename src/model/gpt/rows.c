/* Bias and embedding: rows that are added, and the sums over rows that are their gradients. */
#include "model/gpt/kernels.h"
#include "model/vector.h"

#define ROWS_BLOCK 64 /* sums of sums: the error grows with the number of blocks, not of rows */
#define COLUMNS_BLOCK 64

void gpt_rows_fill(float *out, const float *bias, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++)
        memcpy(out + r * n, bias, n * sizeof(float));
}

MODEL_KERNEL
void gpt_rows_add(float *out, const float *x, const float *bias, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++) {
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            out[r * n + i] = x[r * n + i] + bias[i];
    }
}

#define COLUMNS_LANES (COLUMNS_BLOCK / MODEL_LANES)

/* total (COLUMNS_BLOCK,) += sum over rows of `width` <= COLUMNS_BLOCK columns of x, n apart */
MODEL_KERNEL
static void columns_block(float total[COLUMNS_BLOCK], const float *x, size_t n, size_t rows, size_t width)
{
    model_lanes sum[COLUMNS_LANES] = {0};
    if (width == COLUMNS_BLOCK) {
        for (size_t r = 0; r < rows; r++)
            for (int j = 0; j < COLUMNS_LANES; j++)
                sum[j] += *lanes_of(x + r * n + j * MODEL_LANES);
    } else {
        for (size_t r = 0; r < rows; r++)
            for (size_t j = 0; j < width; j++)
                sum[j / MODEL_LANES][j % MODEL_LANES] += x[r * n + j];
    }
    for (int j = 0; j < COLUMNS_LANES; j++)
        *lanes_at(total + j * MODEL_LANES) += sum[j];
}

void gpt_columns_sum(float *out, const float *x, size_t rows, size_t n, size_t c_begin, size_t c_end)
{
    for (size_t c = c_begin; c < c_end; c += COLUMNS_BLOCK) {
        size_t width = c_end - c < COLUMNS_BLOCK ? c_end - c : COLUMNS_BLOCK;
        float total[COLUMNS_BLOCK] = {0};
        for (size_t r = 0; r < rows; r += ROWS_BLOCK)
            columns_block(total, x + r * n + c, n, rows - r < ROWS_BLOCK ? rows - r : ROWS_BLOCK, width);
        memcpy(out + c, total, width * sizeof(float));
    }
}

void gpt_embed_forward(float *x, const int32_t *tokens, size_t stride, size_t T, const float *wte, const float *wpe,
                       size_t C, size_t row_begin, size_t row_end)
{
    for (size_t r = row_begin; r < row_end; r++) {
        size_t b = r / T, t = r % T;
        gpt_rows_add(x + r * C, wte + (size_t)tokens[b * stride + t] * C, wpe + t * C, 1, C);
    }
}

MODEL_KERNEL
static void add_columns(float *out, const float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        out[i] += x[i];
}

void gpt_embed_backward(float *dwte, float *dwpe, const float *dx, const int32_t *tokens, size_t stride, size_t B,
                        size_t T, size_t C, size_t c_begin, size_t c_end)
{
    size_t width = c_end - c_begin;
    for (size_t t = 0; t < T; t++)
        memset(dwpe + t * C + c_begin, 0, width * sizeof(float));
    for (size_t b = 0; b < B; b++)
        for (size_t t = 0; t < T; t++) {
            const float *row = dx + (b * T + t) * C + c_begin;
            add_columns(dwte + (size_t)tokens[b * stride + t] * C + c_begin, row, width);
            add_columns(dwpe + t * C + c_begin, row, width);
        }
}
