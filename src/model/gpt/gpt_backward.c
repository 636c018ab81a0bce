/* Backward: the layers in reverse. dres is the gradient of the residual stream; each part adds its own to it.
 * Sums over rows (biases, norms, embedding) are shared among threads by columns, so each is made in row order by one
 * thread, and its bits do not depend on how many there are. */
#include <omp.h>
#include <string.h>

#include "model/gpt/gpt_state.h"
#include "model/gpt/kernels.h"
#include "model/gpt/matmul.h"

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* dweight (n, k), dbias (n,) and, where dx is not NULL, dx (rows, k) from dy (rows, n) and x (rows, k) */
static void linear_backward(const reeve_gpt *g, float *grad, float *dx, const float *dy, const float *x,
                            uint32_t weight_index, size_t rows, size_t n, size_t k)
{
    float *dbias = grad + g->grad_offset[weight_index + 1];
#pragma omp parallel for schedule(static) num_threads(g->threads)
    for (size_t c = 0; c < n; c += GPT_COLUMNS_CHUNK)
        gpt_columns_sum(dbias, dy, rows, n, c, min_of(c + GPT_COLUMNS_CHUNK, n));
    matmul_tn(grad + g->grad_offset[weight_index], dy, x, n, k, rows, 0.0f);
    matmul_nn(dx, dy, gpt_param(g, weight_index), rows, k, n, 0.0f);
}

/* dres += gradient through the norm; dweight and dbias of it */
static void norm_backward(const reeve_gpt *g, float *grad, const float *dy, const float *x, const float *mean,
                          const float *rstd, uint32_t weight_index, size_t rows)
{
    size_t C = g->shape.width;
    const float *weight = gpt_param(g, weight_index);
    float *dweight = grad + g->grad_offset[weight_index], *dbias = grad + g->grad_offset[weight_index + 1];
#pragma omp parallel num_threads(g->threads)
    {
#pragma omp for schedule(static) nowait
        for (size_t c = 0; c < C; c += GPT_COLUMNS_CHUNK)
            gpt_layernorm_backward_params(dweight, dbias, dy, x, mean, rstd, rows, C, c,
                                          min_of(c + GPT_COLUMNS_CHUNK, C));
#pragma omp for schedule(static)
        for (size_t r = 0; r < rows; r += GPT_ROWS_CHUNK)
            gpt_layernorm_backward_input(g->dres + r * C, dy + r * C, x + r * C, mean + r, rstd + r, weight,
                                         min_of(GPT_ROWS_CHUNK, rows - r), C);
    }
}

static void gelu_backward(const reeve_gpt *g, const struct gpt_layer *layer, size_t rows)
{
    size_t n = 4 * (size_t)g->shape.width;
#pragma omp parallel for schedule(static) num_threads(g->threads)
    for (size_t r = 0; r < rows; r += GPT_ROWS_CHUNK)
        gpt_gelu_backward(g->dbig + r * n, layer->fc + r * n, min_of(GPT_ROWS_CHUNK, rows - r) * n);
}

/* dbig (rows, 3C) = gradient of qkv, from dsmall = gradient of att */
static void attend_backward(const reeve_gpt *g, const struct gpt_layer *layer, size_t B, size_t T)
{
    size_t C = g->shape.width, H = g->shape.heads, D = C / H;
#pragma omp parallel for schedule(static) num_threads(g->threads)
    for (size_t i = 0; i < B * H; i++) {
        size_t b = i / H, h = i % H;
        gpt_attention_backward(g->dbig + b * T * 3 * C + h * D, g->dsmall + b * T * C + h * D,
                               layer->qkv + b * T * 3 * C + h * D, T, C, D,
                               g->scratch + (size_t)omp_get_thread_num() * g->scratch_floats);
    }
}

static void backward_layer(const reeve_gpt *g, uint32_t l, size_t B, size_t T, float *grad)
{
    const struct gpt_layer *layer = &g->layers[l];
    size_t C = g->shape.width, rows = B * T;
    linear_backward(g, grad, g->dbig, g->dres, layer->gelu, gpt_layer_index(l, PROJ_WEIGHT), rows, C, 4 * C);
    gelu_backward(g, layer, rows);
    linear_backward(g, grad, g->dsmall, g->dbig, layer->ln_2, gpt_layer_index(l, FC_WEIGHT), rows, 4 * C, C);
    norm_backward(g, grad, g->dsmall, layer->mid, layer->mean_2, layer->rstd_2, gpt_layer_index(l, LN_2_WEIGHT), rows);
    linear_backward(g, grad, g->dsmall, g->dres, layer->att, gpt_layer_index(l, ATTN_PROJ_WEIGHT), rows, C, C);
    attend_backward(g, layer, B, T);
    linear_backward(g, grad, g->dsmall, g->dbig, layer->ln_1, gpt_layer_index(l, ATTN_WEIGHT), rows, 3 * C, C);
    norm_backward(g, grad, g->dsmall, layer->in, layer->mean_1, layer->rstd_1, gpt_layer_index(l, LN_1_WEIGHT), rows);
}

static void embed_backward(const reeve_gpt *g, const int32_t *tokens, size_t B, size_t T, float *grad)
{
    size_t C = g->shape.width;
    float *dwte = grad + g->grad_offset[WTE], *dwpe = grad + g->grad_offset[WPE];
#pragma omp parallel for schedule(static) num_threads(g->threads)
    for (size_t c = 0; c < C; c += GPT_COLUMNS_CHUNK)
        gpt_embed_backward(dwte, dwpe, g->dres, tokens, T + 1, B, T, C, c, min_of(c + GPT_COLUMNS_CHUNK, C));
    memset(dwpe + T * C, 0, (g->shape.sequence - T) * C * sizeof(float)); /* positions that a short batch leaves out */
}

bool gpt_backward(reeve_gpt *g, const int32_t *tokens, size_t B, size_t T, float *grad, const struct gpt_cancel *cancel)
{
    uint32_t L = g->shape.layers;
    memset(g->dres, 0, B * T * g->shape.width * sizeof(float));
    norm_backward(g, grad, g->dsmall, g->layers[L].in, g->mean_f, g->rstd_f, FIRST_LAYER + L * LAYER_TENSORS, B * T);
    for (uint32_t l = L; l-- > 0;) {
        if (gpt_is_cancelled(cancel)) return false;
        backward_layer(g, l, B, T, grad);
    }
    embed_backward(g, tokens, B, T, grad);
    return true;
}
