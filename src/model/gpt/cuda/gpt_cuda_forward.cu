/* Forward on a GPU: tokens to ln_f, and the loss. A residual is added in the same pass that normalises it; all that
 * backward reads stays in g->layers. */
#include "model/gpt/cuda/gpt_cuda_state.h"
#include "model/gpt/cuda/kernels.cuh"
#include "model/gpt/cuda/launch.cuh"

using namespace reeve_cuda;

namespace
{

/* out (rows, n) = x (rows, k) W (n, k)^T + bias */
reeve_status linear(reeve_gpt_cuda *g, void *out, const void *x, uint32_t weight_index, size_t rows, size_t n, size_t k,
                    struct reeve_error *err)
{
    struct gpt_cuda_product_call call = {};
    call.kind = GPT_CUDA_NT;
    call.M = rows, call.N = n, call.K = k;
    call.out = out, call.x = x;
    call.y = working(g, weight_index);
    call.bias = working(g, weight_index + 1);
    reeve_status st = gpt_cuda_product(g, &call, err);
    gpt_cuda_mark(g, GPT_CUDA_PART_MATMUL);
    return st;
}

/* sum = x + dsmall; y = norm of it */
template <typename T>
cudaError_t add_and_norm(reeve_gpt_cuda *g, void *sum, void *y, float *mean, float *rstd, const void *x,
                         uint32_t weight_index, size_t rows)
{
    cudaError_t e = residual_layernorm_forward<T>(
        static_cast<T *>(sum), static_cast<T *>(y), mean, rstd, static_cast<const T *>(x),
        static_cast<const T *>(g->dsmall), static_cast<const T *>(working(g, weight_index)),
        static_cast<const T *>(working(g, weight_index + 1)), rows, (uint32_t)g->C, g->stream);
    gpt_cuda_mark(g, GPT_CUDA_PART_NORM);
    return e;
}

/* From ln_1 of layer l to the norm behind it: ln_1 of the next layer, or ln_f. */
template <typename T>
reeve_status forward_layer(reeve_gpt_cuda *g, uint32_t l, uint32_t B, uint32_t sequence, struct reeve_error *err)
{
    const struct gpt_cuda_layer *layer = &g->layers[l], *next = &g->layers[l + 1];
    const size_t C = g->C, rows = (size_t)B * sequence;
    const uint32_t H = g->config.shape.heads;
    const bool last = l + 1 == g->config.shape.layers;
    TRY(linear(g, layer->qkv, layer->ln_1, gpt_layer_index(l, ATTN_WEIGHT), rows, 3 * C, C, err));
    LAUNCH(attention_forward<T>(static_cast<T *>(layer->att), layer->lse, static_cast<const T *>(layer->qkv), B,
                                sequence, H, (uint32_t)C / H, g->stream),
           "attention");
    gpt_cuda_mark(g, GPT_CUDA_PART_ATTENTION);
    TRY(linear(g, g->dsmall, layer->att, gpt_layer_index(l, ATTN_PROJ_WEIGHT), rows, C, C, err));
    LAUNCH(add_and_norm<T>(g, layer->mid, layer->ln_2, layer->mean_2, layer->rstd_2, layer->in,
                           gpt_layer_index(l, LN_2_WEIGHT), rows),
           "layer norm");
    TRY(linear(g, layer->fc, layer->ln_2, gpt_layer_index(l, FC_WEIGHT), rows, 4 * C, C, err));
    LAUNCH(gelu_forward<T>(static_cast<T *>(layer->gelu), static_cast<const T *>(layer->fc), rows * 4 * C, g->stream),
           "gelu");
    gpt_cuda_mark(g, GPT_CUDA_PART_GELU);
    TRY(linear(g, g->dsmall, layer->gelu, gpt_layer_index(l, PROJ_WEIGHT), rows, C, 4 * C, err));
    LAUNCH(add_and_norm<T>(g, next->in, last ? g->ln_f : next->ln_1, last ? g->mean_f : next->mean_1,
                           last ? g->rstd_f : next->rstd_1, layer->mid,
                           last ? g->tensor_count - 2 : gpt_layer_index(l + 1, LN_1_WEIGHT), rows),
           "layer norm");
    return REEVE_OK;
}

template <typename T> reeve_status forward(reeve_gpt_cuda *g, const struct gpt_cuda_slot *slot, struct reeve_error *err)
{
    const struct gpt_cuda_layer *first = &g->layers[0];
    const uint32_t C = (uint32_t)g->C, ln_1 = gpt_layer_index(0, LN_1_WEIGHT);
    gpt_cuda_mark(g, GPT_CUDA_PART_START);
    LAUNCH(embed_forward<T>(static_cast<T *>(first->in), slot->tokens_device, static_cast<const T *>(working(g, WTE)),
                            static_cast<const T *>(working(g, WPE)), slot->B, slot->T, C, g->stream),
           "embedding");
    gpt_cuda_mark(g, GPT_CUDA_PART_EMBED);
    LAUNCH(layernorm_forward<T>(static_cast<T *>(first->ln_1), first->mean_1, first->rstd_1,
                                static_cast<const T *>(first->in), static_cast<const T *>(working(g, ln_1)),
                                static_cast<const T *>(working(g, ln_1 + 1)), (size_t)slot->B * slot->T, C, g->stream),
           "layer norm");
    gpt_cuda_mark(g, GPT_CUDA_PART_NORM);
    for (uint32_t l = 0; l < g->config.shape.layers; l++)
        TRY(forward_layer<T>(g, l, slot->B, slot->T, err));
    return REEVE_OK;
}

/* Rows [begin, begin + rows) of ln_f -> losses; with gradient also dsmall and wte's gradient. */
template <typename T>
reeve_status head_rows(reeve_gpt_cuda *g, const struct gpt_cuda_slot *slot, size_t begin, size_t rows, bool gradient,
                       struct reeve_error *err)
{
    const size_t C = g->C, V = g->V_padded;
    const T *ln_f = static_cast<const T *>(g->ln_f) + begin * C;
    const float scale = 1.0f / (float)((size_t)slot->B * slot->T);
    struct gpt_cuda_product_call call = {};
    call.kind = GPT_CUDA_NT; /* logits = ln_f wte^T; the columns behind the vocabulary are 0 */
    call.M = rows, call.N = V, call.K = C;
    call.out = g->logits, call.x = ln_f, call.y = working(g, WTE);
    TRY(gpt_cuda_product(g, &call, err));
    gpt_cuda_mark(g, GPT_CUDA_PART_HEAD);
    LAUNCH(cross_entropy<T>(static_cast<T *>(g->logits), g->losses + begin, slot->tokens_device, rows, begin, slot->T,
                            g->config.shape.vocab, V, scale, gradient, g->stream),
           "loss");
    gpt_cuda_mark(g, GPT_CUDA_PART_LOSS);
    if (!gradient) return REEVE_OK;
    call.kind = GPT_CUDA_NN; /* dln_f = dlogits wte */
    call.M = rows, call.N = C, call.K = V;
    call.out = static_cast<T *>(g->dsmall) + begin * C, call.x = g->logits;
    TRY(gpt_cuda_product(g, &call, err));
    call.kind = GPT_CUDA_TN; /* dwte = dlogits^T ln_f, and what earlier rows gave */
    call.M = V, call.N = C, call.K = rows;
    call.out = gradient_of(g, WTE), call.y = ln_f, call.out_is_f32 = true, call.add = begin > 0;
    TRY(gpt_cuda_product(g, &call, err));
    gpt_cuda_mark(g, GPT_CUDA_PART_HEAD_BACKWARD);
    return REEVE_OK;
}

template <typename T>
reeve_status head(reeve_gpt_cuda *g, const struct gpt_cuda_slot *slot, bool gradient, struct reeve_error *err)
{
    const size_t all = (size_t)slot->B * slot->T, block = g->logit_rows;
    for (size_t begin = 0; begin < all; begin += block)
        TRY(head_rows<T>(g, slot, begin, all - begin < block ? all - begin : block, gradient, err));
    LAUNCH(sum_losses(&g->result_device->loss_sum, g->losses, reinterpret_cast<double *>(g->scratch), all, g->stream),
           "sum of losses");
    gpt_cuda_mark(g, GPT_CUDA_PART_LOSS);
    return REEVE_OK;
}

} // namespace

reeve_status gpt_cuda_forward(reeve_gpt_cuda *g, const struct gpt_cuda_slot *slot, struct reeve_error *err)
{
    return g->is_bf16 ? forward<bf16>(g, slot, err) : forward<float>(g, slot, err);
}

reeve_status gpt_cuda_head(reeve_gpt_cuda *g, const struct gpt_cuda_slot *slot, bool gradient, struct reeve_error *err)
{
    return g->is_bf16 ? head<bf16>(g, slot, gradient, err) : head<float>(g, slot, gradient, err);
}
