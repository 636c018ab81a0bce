/* What the files that launch kernels of the model share. */
#ifndef REEVE_MODEL_GPT_CUDA_LAUNCH_CUH
#define REEVE_MODEL_GPT_CUDA_LAUNCH_CUH

#include "model/gpt/cuda/gpt_cuda_state.h"
#include "model/gpt/cuda/kernels.cuh"
#include "model/gpt/gpt_state.h"

static_assert(reeve_cuda::TENSOR_ALIGN == GPT_CUDA_TENSOR_ALIGN, "one number, in C and in CUDA");

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        const reeve_status try_status = (call);                                                                        \
        if (try_status != REEVE_OK) return try_status;                                                                 \
    } while (0)

/* A launch inside a function that has g and err. */
#define LAUNCH(call, what) TRY(gpt_cuda_check(g, (call), what, err))

/* Where tensor i begins, in the model's type, and in the gradient. */
static inline void *working(const reeve_gpt_cuda *g, uint32_t i)
{
    return static_cast<char *>(g->working) + g->offsets[i] * (g->is_bf16 ? 2 : 4);
}
static inline float *gradient_of(const reeve_gpt_cuda *g, uint32_t i)
{
    return g->grad + g->offsets[i];
}

#endif
