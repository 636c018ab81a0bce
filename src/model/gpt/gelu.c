/* GELU in its tanh form ("gelu_new" of GPT-2). Source: Hendrycks, Gimpel 2016, arXiv:1606.08415, section 2.
 * Since (1 + tanh u) / 2 = 1 / (1 + e^-2u), it is x * s(2u) with the logistic function s: one exponential, and no
 * digits lost where tanh is near -1. */
#include "model/gpt/kernels.h"
#include "model/vector.h"

/* 2 sqrt(2 / pi) and 0.044715 times that */
#define GELU_LINEAR 1.5957691216057308f
#define GELU_CUBIC 0.07135481627159879f
/* Beyond it s is 0 or 1 to the last bit, and x^3 could overflow. A NaN passes. */
#define GELU_LIMIT 10.0f

static inline float logistic(float two_u)
{
    return 1.0f / (1.0f + model_expf(-two_u));
}

MODEL_KERNEL
void gpt_gelu_forward(float *y, const float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        float low = x[i] < -GELU_LIMIT ? -GELU_LIMIT : x[i];
        float v = low > GELU_LIMIT ? GELU_LIMIT : low;
        y[i] = low * logistic(v * (GELU_LINEAR + GELU_CUBIC * (v * v)));
    }
}

MODEL_KERNEL
void gpt_gelu_backward(float *dy_to_dx, const float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        float v = x[i] < -GELU_LIMIT ? -GELU_LIMIT : x[i];
        v = v > GELU_LIMIT ? GELU_LIMIT : v;
        float s = logistic(v * (GELU_LINEAR + GELU_CUBIC * (v * v)));
        float slope = s + v * s * (1.0f - s) * (GELU_LINEAR + 3.0f * GELU_CUBIC * (v * v));
        dy_to_dx[i] *= slope;
    }
}
