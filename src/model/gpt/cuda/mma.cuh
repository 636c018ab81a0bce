/* The instructions that C++ has no words for; all are there from sm_80 on.
 * Layouts (PTX ISA, "Matrix fragments for mma.m16n8k16" and "ldmatrix"), with g = lane / 4, t = lane % 4:
 *   A (16 x 16)  a[0] row g, columns 2t 2t+1;  a[1] row g + 8;  a[2] row g, columns + 8;  a[3] row g + 8, columns + 8
 *   B (16 x 8)   b0 rows 2t 2t+1 of column g;  b1 rows + 8
 *   C (16 x 8)   c[0] c[1] row g, columns 2t 2t+1;  c[2] c[3] row g + 8 */
#ifndef REEVE_MODEL_GPT_CUDA_MMA_CUH
#define REEVE_MODEL_GPT_CUDA_MMA_CUH

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_runtime.h>

namespace reeve_cuda
{

__device__ __forceinline__ uint32_t shared_address(const void *p)
{
    return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

/* Four 8 x 8 matrices; lane 8i + r names row r (16 bytes) of matrix i, and gets columns 2t 2t+1 of row g in r[i]. */
__device__ __forceinline__ void ldmatrix(uint32_t (&r)[4], uint32_t row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(row));
}

/* As ldmatrix(), but each matrix is transposed on its way: r[i] holds rows 2t 2t+1 of column g. */
__device__ __forceinline__ void ldmatrix_transposed(uint32_t (&r)[4], uint32_t row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(row));
}

/* c += a b */
__device__ __forceinline__ void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* 16 bytes from global to shared memory behind the thread's back; zeros, and no read, unless `real`. */
__device__ __forceinline__ void copy_async(uint32_t to, const void *from, bool real)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(real ? 16 : 0) : "memory");
}

/* This thread's copies have arrived; the others' only behind a __syncthreads() as well. */
__device__ __forceinline__ void copy_async_wait()
{
    asm volatile("cp.async.wait_all;" ::: "memory");
}

/* 2^x to 2 ulp; exp2f() would spend instructions on subnormal results, which bf16's rounding drowns. */
__device__ __forceinline__ float exp2_fast(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

} // namespace reeve_cuda

#endif
