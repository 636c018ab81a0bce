/* Softmax of a row, with its slope (for attention), and with cross-entropy in one go (for the loss): the probabilities
 * of the logits are never kept, they become the gradient in their place. The largest value is taken off first, so
 * nothing overflows. */
#include "model/gpt/kernels.h"
#include "model/vector.h"

MODEL_KERNEL
static float row_max(const float *x, size_t n)
{
    float lanes[MODEL_LANES];
    for (int j = 0; j < MODEL_LANES; j++)
        lanes[j] = x[0];
    size_t i = 0;
    for (; i + MODEL_LANES <= n; i += MODEL_LANES)
        for (int j = 0; j < MODEL_LANES; j++)
            lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
    for (size_t j = 0; i + j < n; j++)
        lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
    return lanes_max(lanes_of(lanes));
}

/* x becomes e^(x - max); returns the sum */
MODEL_KERNEL
static float row_exp(float *x, float max, size_t n)
{
    model_lanes sum = {0};
    size_t i = 0;
    for (; i + MODEL_LANES <= n; i += MODEL_LANES) {
        for (int j = 0; j < MODEL_LANES; j++)
            x[i + j] = model_expf(x[i + j] - max);
        sum += *lanes_of(x + i);
    }
    for (size_t j = 0; i + j < n; j++) {
        x[i + j] = model_expf(x[i + j] - max);
        sum[j] += x[i + j];
    }
    return lanes_sum(&sum);
}

MODEL_KERNEL
static void row_times(float *x, float factor, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] *= factor;
}

double gpt_loss_row(float *logits, size_t V, size_t target)
{
    float max = row_max(logits, V);
    double aim = (double)logits[target] - (double)max;
    return log((double)row_exp(logits, max, V)) - aim;
}

double gpt_loss_row_gradient(float *logits, size_t V, size_t target, float scale)
{
    float max = row_max(logits, V);
    double aim = (double)logits[target] - (double)max;
    float sum = row_exp(logits, max, V);
    row_times(logits, scale / sum, V);
    logits[target] -= scale;
    return log((double)sum) - aim;
}

void gpt_softmax_row(float *scores, size_t n, size_t width)
{
    float sum = row_exp(scores, row_max(scores, n), n);
    row_times(scores, 1.0f / sum, n);
    memset(scores + n, 0, (width - n) * sizeof(float));
}

MODEL_KERNEL
static float row_dot(const float *a, const float *b, size_t n)
{
    model_lanes sum = {0};
    size_t i = 0;
    for (; i + MODEL_LANES <= n; i += MODEL_LANES)
        sum += *lanes_of(a + i) * *lanes_of(b + i);
    for (size_t j = 0; i + j < n; j++)
        sum[j] += a[i + j] * b[i + j];
    return lanes_sum(&sum);
}

MODEL_KERNEL
static void row_softmax_slope(float *dp, const float *p, float dot, float scale, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        dp[i] = scale * (p[i] * (dp[i] - dot));
}

void gpt_softmax_row_backward(float *dp, const float *p, size_t n, size_t width, float scale)
{
    row_softmax_slope(dp, p, row_dot(p, dp, n), scale, n);
    memset(dp + n, 0, (width - n) * sizeof(float));
}
