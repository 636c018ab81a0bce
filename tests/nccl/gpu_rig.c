/* See gpu_rig.h. */
#include "gpu_rig.h"

#include <cuda_runtime_api.h>

#include "rig.h"

void *gpu_allocate(size_t bytes)
{
    void *memory = NULL;
    RIG_CHECK(cudaMalloc(&memory, bytes > 0 ? bytes : 1) == cudaSuccess);
    return memory;
}

void *gpu_from_host(const void *host, size_t bytes)
{
    void *memory = gpu_allocate(bytes);
    RIG_CHECK(cudaMemcpy(memory, host, bytes, cudaMemcpyHostToDevice) == cudaSuccess);
    return memory;
}

void gpu_to_host(void *host, const void *memory, size_t bytes)
{
    RIG_CHECK(cudaMemcpy(host, memory, bytes, cudaMemcpyDeviceToHost) == cudaSuccess);
}

void gpu_free(void *memory)
{
    RIG_CHECK(cudaFree(memory) == cudaSuccess);
}

reeve_status gpu_try_sum(reeve_collective *c, struct reeve_error *err)
{
    struct rig_wait wait;
    bool done = false;
    rig_wait_begin(&wait);
    for (;;) {
        reeve_status st = c->ops->test(c, &done, err);
        if (st != REEVE_OK || done) return st;
        rig_wait_turn(&wait, "a sum over GPUs");
    }
}

int64_t gpu_part(uint64_t stream, uint32_t member, size_t i)
{
    return (int64_t)reeve_random_u64(rig_seed ^ member, stream, i);
}
