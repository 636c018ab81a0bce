/* The gradient into the sum, and the sum into the weights. */
#include "model/gpt/cuda/gpt_cuda_state.h"
#include "model/gpt/cuda/kernels.cuh"
#include "model/gpt/cuda/launch.cuh"

using namespace reeve_cuda;

reeve_status gpt_cuda_add_to_sum(reeve_gpt_cuda *g, struct reeve_error *err)
{
    unsigned long long *flags = g->result_device->flags;
    cudaError_t e = g->config.exact
                        ? quantise_add(static_cast<int64_t *>(g->sum_in), g->grad, flags, g->elements, g->unit_bits,
                                       g->stream)
                        : add_f32(static_cast<float *>(g->sum_in), g->grad, flags, g->elements, g->stream);
    LAUNCH(e, "add to the sum");
    gpt_cuda_mark(g, GPT_CUDA_PART_SUM);
    return REEVE_OK;
}

reeve_status gpt_cuda_square_sum(reeve_gpt_cuda *g, double unit, double scale, struct reeve_error *err)
{
    double *out = &g->result_device->square_sum, *scratch = reinterpret_cast<double *>(g->scratch);
    gpt_cuda_mark(g, GPT_CUDA_PART_START);
    cudaError_t e = g->config.exact ? grad_square_sum(out, static_cast<const int64_t *>(g->sum_out), scratch, unit,
                                                      scale, g->elements, g->stream)
                                    : grad_square_sum(out, static_cast<const float *>(g->sum_out), scratch, unit, scale,
                                                      g->elements, g->stream);
    LAUNCH(e, "norm of the gradient");
    gpt_cuda_mark(g, GPT_CUDA_PART_UPDATE);
    return REEVE_OK;
}

template <typename T, typename S>
static cudaError_t step(reeve_gpt_cuda *g, const struct adamw_update &u, double unit, double scale)
{
    T *working_or_none = g->is_bf16 ? static_cast<T *>(g->working) : nullptr;
    return adamw_step<T, S>(g->weights, g->m, g->v, working_or_none, static_cast<const S *>(g->sum_out), g->decays, u,
                            unit, scale, g->elements, g->stream);
}

reeve_status gpt_cuda_update(reeve_gpt_cuda *g, double unit, double scale, const struct reeve_adamw_scalars *s,
                             struct reeve_error *err)
{
    const struct adamw_update u = {s->beta1, s->one_less_beta1, s->beta2,     s->one_less_beta2, s->rate, s->root,
                                   s->eps,   s->keep,           s->grad_scale};
    gpt_cuda_mark(g, GPT_CUDA_PART_START);
    cudaError_t e =
        g->is_bf16
            ? (g->config.exact ? step<bf16, int64_t>(g, u, unit, scale) : step<bf16, float>(g, u, unit, scale))
            : (g->config.exact ? step<float, int64_t>(g, u, unit, scale) : step<float, float>(g, u, unit, scale));
    LAUNCH(e, "update of the weights");
    gpt_cuda_mark(g, GPT_CUDA_PART_UPDATE);
    return REEVE_OK;
}

cudaError_t gpt_cuda_digest_sum(reeve_gpt_cuda *g)
{
    return digest(&g->result_device->digest, g->sum_out, g->elements, g->config.exact ? 8 : 4, g->stream);
}

cudaError_t gpt_cuda_round(reeve_gpt_cuda *g)
{
    if (!g->is_bf16) return cudaSuccess;
    return round_to_bf16(static_cast<bf16 *>(g->working), g->weights, g->elements, g->stream);
}
