/* Backward on a GPU: from dsmall, the gradient of ln_f, to all other gradients, the layers in reverse. dres is the
 * gradient of the residual stream; each norm adds its own to it. Gradients of parameters are fp32 in g->grad. */
#include "model/gpt/cuda/gpt_cuda_state.h"
#include "model/gpt/cuda/kernels.cuh"
#include "model/gpt/cuda/launch.cuh"

using namespace reeve_cuda;

namespace
{

/* dweight (n, k), dx (rows, k) and, where it is not made elsewhere, dbias (n,); from dy (rows, n) and x (rows, k) */
template <typename T>
reeve_status linear_backward(reeve_gpt_cuda *g, void *dx, const void *dy, const void *x, uint32_t weight_index,
                             bool with_bias, size_t rows, size_t n, size_t k, struct reeve_error *err)
{
    float *dbias = gradient_of(g, weight_index + 1);
    if (with_bias && !g->bias_in_product) {
        LAUNCH(column_sum<T>(dbias, static_cast<const T *>(dy), g->scratch, rows, (uint32_t)n, g->stream), "bias");
        gpt_cuda_mark(g, GPT_CUDA_PART_BIAS);
    }
    struct gpt_cuda_product_call call = {};
    call.kind = GPT_CUDA_TN;
    call.M = n, call.N = k, call.K = rows;
    call.out = gradient_of(g, weight_index), call.x = dy, call.y = x, call.out_is_f32 = true;
    call.bias = with_bias && g->bias_in_product ? dbias : nullptr;
    TRY(gpt_cuda_product(g, &call, err));
    gpt_cuda_mark(g, GPT_CUDA_PART_DW);
    call = {};
    call.kind = GPT_CUDA_NN;
    call.M = rows, call.N = k, call.K = n;
    call.out = dx, call.x = dy, call.y = working(g, weight_index);
    TRY(gpt_cuda_product(g, &call, err));
    gpt_cuda_mark(g, GPT_CUDA_PART_DX);
    return REEVE_OK;
}

/* dres += gradient through the norm, of dsmall; dweight and dbias of it */
template <typename T>
reeve_status norm_backward(reeve_gpt_cuda *g, const void *x, const float *mean, const float *rstd,
                           uint32_t weight_index, size_t rows, struct reeve_error *err)
{
    LAUNCH(layernorm_backward<T>(
               static_cast<T *>(g->dres), gradient_of(g, weight_index), gradient_of(g, weight_index + 1),
               static_cast<const T *>(g->dsmall), static_cast<const T *>(x), mean, rstd,
               static_cast<const T *>(working(g, weight_index)), g->scratch, rows, (uint32_t)g->C, g->stream),
           "gradient of the layer norm");
    gpt_cuda_mark(g, GPT_CUDA_PART_NORM_BACKWARD);
    return REEVE_OK;
}

template <typename T>
reeve_status backward_layer(reeve_gpt_cuda *g, uint32_t l, uint32_t B, uint32_t sequence, struct reeve_error *err)
{
    const struct gpt_cuda_layer *layer = &g->layers[l];
    const size_t C = g->C, rows = (size_t)B * sequence;
    const uint32_t H = g->config.shape.heads;
    TRY(linear_backward<T>(g, g->dbig, g->dres, layer->gelu, gpt_layer_index(l, PROJ_WEIGHT), true, rows, C, 4 * C,
                           err));
    LAUNCH(gelu_backward<T>(static_cast<T *>(g->dbig), static_cast<const T *>(layer->fc),
                            gradient_of(g, gpt_layer_index(l, FC_BIAS)), g->scratch, rows, (uint32_t)(4 * C),
                            g->stream),
           "gradient of gelu");
    gpt_cuda_mark(g, GPT_CUDA_PART_GELU_BACKWARD);
    TRY(linear_backward<T>(g, g->dsmall, g->dbig, layer->ln_2, gpt_layer_index(l, FC_WEIGHT), false, rows, 4 * C, C,
                           err));
    TRY(norm_backward<T>(g, layer->mid, layer->mean_2, layer->rstd_2, gpt_layer_index(l, LN_2_WEIGHT), rows, err));
    TRY(linear_backward<T>(g, g->dsmall, g->dres, layer->att, gpt_layer_index(l, ATTN_PROJ_WEIGHT), true, rows, C, C,
                           err));
    LAUNCH(attention_backward<T>(static_cast<T *>(g->dbig), static_cast<const T *>(g->dsmall),
                                 static_cast<const T *>(layer->att), static_cast<const T *>(layer->qkv), layer->lse,
                                 g->scratch, B, sequence, H, (uint32_t)C / H, g->stream),
           "gradient of attention");
    gpt_cuda_mark(g, GPT_CUDA_PART_ATTENTION_BACKWARD);
    TRY(linear_backward<T>(g, g->dsmall, g->dbig, layer->ln_1, gpt_layer_index(l, ATTN_WEIGHT), true, rows, 3 * C, C,
                           err));
    return norm_backward<T>(g, layer->in, layer->mean_1, layer->rstd_1, gpt_layer_index(l, LN_1_WEIGHT), rows, err);
}

template <typename T>
reeve_status backward(reeve_gpt_cuda *g, const struct gpt_cuda_slot *slot, struct reeve_error *err)
{
    const struct reeve_gpt_shape *s = &g->config.shape;
    const size_t C = g->C, rows = (size_t)slot->B * slot->T;
    LAUNCH(cudaMemsetAsync(g->dres, 0, rows * C * sizeof(T), g->stream), "clear a gradient");
    TRY(norm_backward<T>(g, g->layers[s->layers].in, g->mean_f, g->rstd_f, g->tensor_count - 2, rows, err));
    for (uint32_t l = s->layers; l-- > 0;)
        TRY(backward_layer<T>(g, l, slot->B, slot->T, err));
    LAUNCH(embed_backward<T>(gradient_of(g, WTE), gradient_of(g, WPE), static_cast<const T *>(g->dres), slot->where,
                             g->scratch, slot->B, slot->T, (uint32_t)C, g->stream),
           "gradient of the embedding");
    gpt_cuda_mark(g, GPT_CUDA_PART_EMBED_BACKWARD);
    if (slot->T == s->sequence) return REEVE_OK;
    /* positions that a short batch leaves out */
    return gpt_cuda_check(
        g,
        cudaMemsetAsync(gradient_of(g, WPE) + slot->T * C, 0, (s->sequence - slot->T) * C * sizeof(float), g->stream),
        "clear a gradient", err);
}

size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

} // namespace

reeve_status gpt_cuda_backward(reeve_gpt_cuda *g, const struct gpt_cuda_slot *slot, struct reeve_error *err)
{
    return g->is_bf16 ? backward<bf16>(g, slot, err) : backward<float>(g, slot, err);
}

/* Kernels that sum over rows cut them into pieces, and fewer rows may make more of these: the most come with the largest
 * power of two among the rows, or with all of them. */
size_t gpt_cuda_scratch_floats(const struct reeve_gpt_shape *s)
{
    const size_t N = (size_t)s->batch * s->sequence;
    size_t most = 4096 * sizeof(double) / sizeof(float); /* of grad_square_sum() */
    for (size_t n = 1; n <= N; n = n < N && 2 * n > N ? N : 2 * n) {
        most = larger(most, column_sum_scratch(n, 4 * s->width));
        most = larger(most, column_sum_scratch(n, 3 * s->width));
        most = larger(most, column_sum_scratch(n, s->width));
        most = larger(most, layernorm_backward_scratch(n, s->width));
        most = larger(most, embed_backward_scratch(n, s->width));
    }
    return larger(most, attention_backward_scratch(s->batch, s->sequence, s->heads, s->width / s->heads));
}
