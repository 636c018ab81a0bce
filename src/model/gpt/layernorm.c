/* Layer normalisation. Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450; mean and variance in two passes, since one
 * pass (mean of squares less square of mean) loses all digits where the mean is large. */
#include "model/gpt/kernels.h"
#include "model/vector.h"

MODEL_KERNEL
static float row_sum(const float *x, size_t C)
{
    model_lanes sum = {0};
    size_t i = 0;
    for (; i + MODEL_LANES <= C; i += MODEL_LANES)
        sum += *lanes_of(x + i);
    for (size_t j = 0; i + j < C; j++)
        sum[j] += x[i + j];
    return lanes_sum(&sum);
}

MODEL_KERNEL
static float row_square_deviation(const float *x, float mean, size_t C)
{
    model_lanes sum = {0};
    size_t i = 0;
    for (; i + MODEL_LANES <= C; i += MODEL_LANES) {
        model_lanes off = *lanes_of(x + i) - mean;
        sum += off * off;
    }
    for (size_t j = 0; i + j < C; j++)
        sum[j] += (x[i + j] - mean) * (x[i + j] - mean);
    return lanes_sum(&sum);
}

MODEL_KERNEL
static void row_scale(float *y, const float *x, float mean, float rstd, const float *weight, const float *bias,
                      size_t C)
{
#pragma omp simd
    for (size_t c = 0; c < C; c++)
        y[c] = (x[c] - mean) * rstd * weight[c] + bias[c];
}

void gpt_layernorm_forward(float *y, float *mean, float *rstd, const float *x, const float *weight, const float *bias,
                           size_t rows, size_t C)
{
    for (size_t r = 0; r < rows; r++) {
        mean[r] = row_sum(x + r * C, C) / (float)C;
        rstd[r] = 1.0f / sqrtf(row_square_deviation(x + r * C, mean[r], C) / (float)C + GPT_LAYERNORM_EPS);
        row_scale(y + r * C, x + r * C, mean[r], rstd[r], weight, bias, C);
    }
}

/* sums[0] = sum of g, sums[1] = sum of g * xhat, with g = dy * weight */
MODEL_KERNEL
static void row_backward_sums(float sums[2], const float *dy, const float *x, float mean, float rstd,
                              const float *weight, size_t C)
{
    model_lanes plain = {0}, along = {0};
    size_t i = 0;
    for (; i + MODEL_LANES <= C; i += MODEL_LANES) {
        model_lanes g = *lanes_of(dy + i) * *lanes_of(weight + i);
        plain += g;
        along += g * ((*lanes_of(x + i) - mean) * rstd);
    }
    for (size_t j = 0; i + j < C; j++) {
        float g = dy[i + j] * weight[i + j];
        plain[j] += g;
        along[j] += g * ((x[i + j] - mean) * rstd);
    }
    sums[0] = lanes_sum(&plain);
    sums[1] = lanes_sum(&along);
}

MODEL_KERNEL
static void row_backward(float *dx, const float *dy, const float *x, float mean, float rstd, const float *weight,
                         float mean_plain, float mean_along, size_t C)
{
#pragma omp simd
    for (size_t c = 0; c < C; c++)
        dx[c] += rstd * (dy[c] * weight[c] - mean_plain - (x[c] - mean) * rstd * mean_along);
}

void gpt_layernorm_backward_input(float *dx, const float *dy, const float *x, const float *mean, const float *rstd,
                                  const float *weight, size_t rows, size_t C)
{
    for (size_t r = 0; r < rows; r++) {
        float sums[2];
        row_backward_sums(sums, dy + r * C, x + r * C, mean[r], rstd[r], weight, C);
        row_backward(dx + r * C, dy + r * C, x + r * C, mean[r], rstd[r], weight, sums[0] / (float)C,
                     sums[1] / (float)C, C);
    }
}

/* Adds the sums over rows [row_begin, row_end) of `width` <= MODEL_LANES columns. */
MODEL_KERNEL
static void params_block(model_lanes *weight_sum, model_lanes *bias_sum, const float *dy, const float *x,
                         const float *mean, const float *rstd, size_t C, size_t row_begin, size_t row_end, size_t width)
{
    model_lanes w = {0}, b = {0};
    if (width == MODEL_LANES) {
        for (size_t r = row_begin; r < row_end; r++) {
            model_lanes g = *lanes_of(dy + r * C);
            w += g * ((*lanes_of(x + r * C) - mean[r]) * rstd[r]);
            b += g;
        }
    } else {
        for (size_t r = row_begin; r < row_end; r++)
            for (size_t j = 0; j < width; j++) {
                w[j] += dy[r * C + j] * ((x[r * C + j] - mean[r]) * rstd[r]);
                b[j] += dy[r * C + j];
            }
    }
    *weight_sum += w;
    *bias_sum += b;
}

#define ROWS_BLOCK 64 /* sums of sums: the error grows with the number of blocks, not of rows */

void gpt_layernorm_backward_params(float *dweight, float *dbias, const float *dy, const float *x, const float *mean,
                                   const float *rstd, size_t rows, size_t C, size_t c_begin, size_t c_end)
{
    for (size_t c = c_begin; c < c_end; c += MODEL_LANES) {
        size_t width = c_end - c < MODEL_LANES ? c_end - c : MODEL_LANES;
        model_lanes w = {0}, b = {0};
        for (size_t r = 0; r < rows; r += ROWS_BLOCK)
            params_block(&w, &b, dy + c, x + c, mean, rstd, C, r, r + ROWS_BLOCK < rows ? r + ROWS_BLOCK : rows, width);
        memcpy(dweight + c, &w, width * sizeof(float));
        memcpy(dbias + c, &b, width * sizeof(float));
    }
}
