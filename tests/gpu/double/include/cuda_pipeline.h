/* Copies from global to shared memory behind a thread's back, for the double. */
#ifndef REEVE_TESTS_CUDA_PIPELINE_H
#define REEVE_TESTS_CUDA_PIPELINE_H

#include <cuda_runtime.h>

static inline void __pipeline_memcpy_async(void *to, const void *from, size_t bytes)
{
    double_copy_async(to, from, bytes, true);
}
static inline void __pipeline_commit()
{
    double_copy_commit();
}
static inline void __pipeline_wait_prior(int)
{
    double_copy_wait(false);
}

#endif
