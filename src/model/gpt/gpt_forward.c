/* Forward: tokens to ln_f, layer by layer, with all that backward reads left in g->layers.
 * Rows are shared among threads in fixed chunks; a bias is what the matrix product is added to. */
#include <omp.h>

#include "model/gpt/gpt_state.h"
#include "model/gpt/kernels.h"
#include "model/gpt/matmul.h"

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void norm(const reeve_gpt *g, float *y, float *mean, float *rstd, const float *x, uint32_t weight_index,
                 struct gpt_span span)
{
    const float *weight = gpt_param(g, weight_index), *bias = gpt_param(g, weight_index + 1);
    size_t C = g->shape.width;
#pragma omp parallel for schedule(static) num_threads(g->threads) if (span.end - span.begin > GPT_ROWS_CHUNK)
    for (size_t r = span.begin; r < span.end; r += GPT_ROWS_CHUNK)
        gpt_layernorm_forward(y + r * C, mean + r, rstd + r, x + r * C, weight, bias,
                              min_of(GPT_ROWS_CHUNK, span.end - r), C);
}

/* out (rows, n) = x (rows, k) W (n, k)^T + bias, and + residual (rows, n) where there is one */
static void linear(const reeve_gpt *g, float *out, const float *x, const float *residual, uint32_t weight_index,
                   size_t n, size_t k, struct gpt_span span)
{
    const float *weight = gpt_param(g, weight_index), *bias = gpt_param(g, weight_index + 1);
#pragma omp parallel for schedule(static) num_threads(g->threads) if (span.end - span.begin > GPT_ROWS_CHUNK)
    for (size_t r = span.begin; r < span.end; r += GPT_ROWS_CHUNK) {
        size_t rows = min_of(GPT_ROWS_CHUNK, span.end - r);
        if (residual != NULL) gpt_rows_add(out + r * n, residual + r * n, bias, rows, n);
        else gpt_rows_fill(out + r * n, bias, rows, n);
    }
    matmul_nt(out + span.begin * n, x + span.begin * k, weight, span.end - span.begin, n, k, 1.0f);
}

static void attend(const reeve_gpt *g, const struct gpt_layer *layer, struct gpt_span span)
{
    size_t C = g->shape.width, H = g->shape.heads, D = C / H, pairs = span.B * H;
    size_t t_begin = span.begin, t_end = span.B == 1 ? span.end : span.T;
#pragma omp parallel for schedule(static) num_threads(g->threads)
    for (size_t i = 0; i < pairs; i++) {
        size_t b = i / H, h = i % H;
        gpt_attention_forward(layer->att + b * span.T * C + h * D, layer->qkv + b * span.T * 3 * C + h * D, t_begin,
                              t_end, C, D, g->scratch + (size_t)omp_get_thread_num() * g->scratch_floats);
    }
}

static void activate(const reeve_gpt *g, const struct gpt_layer *layer, struct gpt_span span)
{
    size_t n = 4 * (size_t)g->shape.width;
#pragma omp parallel for schedule(static) num_threads(g->threads) if (span.end - span.begin > GPT_ROWS_CHUNK)
    for (size_t r = span.begin; r < span.end; r += GPT_ROWS_CHUNK)
        gpt_gelu_forward(layer->gelu + r * n, layer->fc + r * n, min_of(GPT_ROWS_CHUNK, span.end - r) * n);
}

static void forward_layer(const reeve_gpt *g, uint32_t l, struct gpt_span span)
{
    const struct gpt_layer *layer = &g->layers[l];
    size_t C = g->shape.width;
    norm(g, layer->ln_1, layer->mean_1, layer->rstd_1, layer->in, gpt_layer_index(l, LN_1_WEIGHT), span);
    linear(g, layer->qkv, layer->ln_1, NULL, gpt_layer_index(l, ATTN_WEIGHT), 3 * C, C, span);
    attend(g, layer, span);
    linear(g, layer->mid, layer->att, layer->in, gpt_layer_index(l, ATTN_PROJ_WEIGHT), C, C, span);
    norm(g, layer->ln_2, layer->mean_2, layer->rstd_2, layer->mid, gpt_layer_index(l, LN_2_WEIGHT), span);
    linear(g, layer->fc, layer->ln_2, NULL, gpt_layer_index(l, FC_WEIGHT), 4 * C, C, span);
    activate(g, layer, span);
    linear(g, g->layers[l + 1].in, layer->gelu, layer->mid, gpt_layer_index(l, PROJ_WEIGHT), C, 4 * C, span);
}

bool gpt_forward(reeve_gpt *g, const int32_t *tokens, size_t stride, struct gpt_span span,
                 const struct gpt_cancel *cancel)
{
    uint32_t L = g->shape.layers;
    gpt_embed_forward(g->layers[0].in, tokens, stride, span.T, gpt_param(g, WTE), gpt_param(g, WPE), g->shape.width,
                      span.begin, span.end);
    for (uint32_t l = 0; l < L; l++) {
        if (gpt_is_cancelled(cancel)) return false;
        forward_layer(g, l, span);
    }
    norm(g, g->ln_f, g->mean_f, g->rstd_f, g->layers[L].in, FIRST_LAYER + L * LAYER_TENSORS, span);
    return true;
}
