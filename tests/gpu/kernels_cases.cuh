/* The parts of kernels_test: for each file of kernels its cases. */
#ifndef REEVE_TESTS_GPU_KERNELS_CASES_CUH
#define REEVE_TESTS_GPU_KERNELS_CASES_CUH

#include "device_test.cuh"
#include "model/gpt/cuda/kernels.cuh"

constexpr uint32_t CASE_C[] = {1, 3, 16, 48, 128, 384, 768, 1600};
constexpr uint32_t CASE_N[] = {1, 2, 33, 257, 4096};

/* Limits of a relative error by norm: what fp32 arithmetic leaves, and what one rounding to bf16 does (2^-8 at most). */
constexpr double FP32_LIMIT = 2e-6, FP32_SUMS_LIMIT = 1e-5, BF16_LIMIT = 4e-3;

template <typename T> double limit_of()
{
    return sizeof(T) == 4 ? FP32_LIMIT : BF16_LIMIT;
}

void rows_cases();
void norm_cases();
void gelu_cases();
void loss_cases();
void exact_cases();
void adamw_cases();
void kernels_bench();

#endif
