/* What the tests of sums over GPUs share beside rig.h: memory of the GPU, and a sum that is waited for. */
#ifndef REEVE_TESTS_NCCL_GPU_RIG_H
#define REEVE_TESTS_NCCL_GPU_RIG_H

#include <stddef.h>
#include <stdint.h>

#include "coll/nccl.h"

void *gpu_allocate(size_t bytes);
void *gpu_from_host(const void *host, size_t bytes); /* allocates */
void gpu_to_host(void *host, const void *memory, size_t bytes);
void gpu_free(void *memory);

/* Until the sum in progress is whole or has failed. */
reeve_status gpu_try_sum(reeve_collective *c, struct reeve_error *err);

/* What member brings to sum `stream` at place i: any 64 bits, so that sums wrap around. */
int64_t gpu_part(uint64_t stream, uint32_t member, size_t i);

#endif
