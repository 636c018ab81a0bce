/* The double of src/model/gpt/cuda/mma.cuh, found before it: the same functions, by what their instructions are said to do
 * (the layouts of fragments are written there). */
#ifndef REEVE_MODEL_GPT_CUDA_MMA_CUH
#define REEVE_MODEL_GPT_CUDA_MMA_CUH

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_runtime.h>

namespace reeve_cuda
{

uint32_t shared_address(const void *p);
void ldmatrix(uint32_t (&r)[4], uint32_t row);
void ldmatrix_transposed(uint32_t (&r)[4], uint32_t row);
void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
void copy_async(uint32_t to, const void *from, bool real);

inline void copy_async_wait()
{
    double_copy_wait(true);
}

inline float exp2_fast(float x)
{
    return std::exp2(x);
}

} // namespace reeve_cuda

#endif
