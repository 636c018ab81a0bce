/* The naive twin: one loop for each sum in the definition. */
#include "naive_gpt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Take the next n parameters. */
static const double *next(const double **at, size_t n)
{
    const double *p = *at;
    *at += n;
    return p;
}

static double *array(size_t n)
{
    double *x = calloc(n, sizeof(double));
    if (x == NULL) abort();
    return x;
}

static void norm(double *y, const double *x, const double *w, const double *b, size_t T, size_t C)
{
    for (size_t t = 0; t < T; t++) {
        double mean = 0.0, variance = 0.0;
        for (size_t c = 0; c < C; c++)
            mean += x[t * C + c] / (double)C;
        for (size_t c = 0; c < C; c++)
            variance += pow(x[t * C + c] - mean, 2) / (double)C;
        for (size_t c = 0; c < C; c++)
            y[t * C + c] = (x[t * C + c] - mean) / sqrt(variance + 1e-5) * w[c] + b[c];
    }
}

/* y (T, out) += x (T, in) W (out, in)^T + b */
static void linear_add(double *y, const double *x, const double *w, const double *b, size_t T, size_t out, size_t in)
{
    for (size_t t = 0; t < T; t++)
        for (size_t o = 0; o < out; o++) {
            double sum = b[o];
            for (size_t i = 0; i < in; i++)
                sum += x[t * in + i] * w[o * in + i];
            y[t * out + o] += sum;
        }
}

static void attend(double *out, const double *qkv, size_t T, size_t C, size_t H)
{
    size_t D = C / H;
    double *p = array(T);
    for (size_t h = 0; h < H; h++)
        for (size_t t = 0; t < T; t++) {
            double sum = 0.0;
            for (size_t u = 0; u <= t; u++) {
                double score = 0.0;
                for (size_t d = 0; d < D; d++)
                    score += qkv[t * 3 * C + h * D + d] * qkv[u * 3 * C + C + h * D + d];
                sum += p[u] = exp(score / sqrt((double)D));
            }
            for (size_t u = 0; u <= t; u++)
                for (size_t d = 0; d < D; d++)
                    out[t * C + h * D + d] += p[u] / sum * qkv[u * 3 * C + 2 * C + h * D + d];
        }
    free(p);
}

static void layer(double *x, const double **at, size_t T, size_t C, size_t H)
{
    double *y = array(T * C), *wide = array(T * 4 * C), *att = array(T * C);
    const double *w = next(at, C), *b = next(at, C);
    norm(y, x, w, b, T, C);
    w = next(at, 3 * C * C), b = next(at, 3 * C);
    linear_add(wide, y, w, b, T, 3 * C, C);
    attend(att, wide, T, C, H);
    w = next(at, C * C), b = next(at, C);
    linear_add(x, att, w, b, T, C, C);
    w = next(at, C), b = next(at, C);
    norm(y, x, w, b, T, C);
    memset(wide, 0, T * 4 * C * sizeof(double));
    w = next(at, 4 * C * C), b = next(at, 4 * C);
    linear_add(wide, y, w, b, T, 4 * C, C);
    for (size_t i = 0; i < T * 4 * C; i++)
        wide[i] = 0.5 * wide[i] * (1.0 + tanh(sqrt(2.0 / M_PI) * (wide[i] + 0.044715 * pow(wide[i], 3))));
    w = next(at, 4 * C * C), b = next(at, C);
    linear_add(x, wide, w, b, T, C, 4 * C);
    free(y), free(wide), free(att);
}

void naive_gpt_logits(const struct reeve_gpt_shape *s, const double *params, const int32_t *tokens, uint32_t T,
                      double *logits)
{
    size_t C = s->width, V = s->vocab;
    const double *at = params, *wte = next(&at, V * C), *wpe = next(&at, (size_t)s->sequence * C);
    double *x = array(T * C), *y = array(T * C), *zero = array(V);
    for (size_t i = 0; i < T * C; i++)
        x[i] = wte[(size_t)tokens[i / C] * C + i % C] + wpe[i];
    for (uint32_t l = 0; l < s->layers; l++)
        layer(x, &at, T, C, s->heads);
    const double *w = next(&at, C), *b = next(&at, C);
    norm(y, x, w, b, T, C);
    memset(logits, 0, T * V * sizeof(double));
    linear_add(logits, y, wte, zero, T, V, C);
    free(x), free(y), free(zero);
}

double naive_gpt_loss(const struct reeve_gpt_shape *s, const double *params, const int32_t *tokens, uint32_t B,
                      uint32_t T)
{
    double *logits = array((size_t)T * s->vocab), loss = 0.0;
    for (uint32_t b = 0; b < B; b++) {
        const int32_t *row = tokens + (size_t)b * (T + 1);
        naive_gpt_logits(s, params, row, T, logits);
        for (uint32_t t = 0; t < T; t++) {
            double sum = 0.0;
            for (uint32_t v = 0; v < s->vocab; v++)
                sum += exp(logits[(size_t)t * s->vocab + v]);
            loss += log(sum) - logits[(size_t)t * s->vocab + (uint32_t)row[t + 1]];
        }
    }
    free(logits);
    return loss / ((double)B * T);
}
