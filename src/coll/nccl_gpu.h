/* The GPU that a worker sums on: a stream of its own, so that a sum that hangs blocks nobody else's work, two events, and
 * the one word of memory that a communicator is tried out with. Nothing here waits for the GPU. */
#ifndef REEVE_COLL_NCCL_GPU_H
#define REEVE_COLL_NCCL_GPU_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reeve/status.h"

#define GPU_EVENTS 2
#define GPU_NAME_BYTES 32

struct gpu {
    bool open;
    char name[GPU_NAME_BYTES]; /* its place on the PCI bus: unique on this host, however CUDA_VISIBLE_DEVICES counts */
    cudaStream_t stream;       /* owned */
    cudaEvent_t events[GPU_EVENTS]; /* owned */
    int64_t *trial_in, *trial_out;  /* (1,) device memory; one allocation, owned */
};

/* What CUDA says, as a status: JOB_NO_MEMORY or JOB_DEVICE, since what a GPU held that failed is lost. */
reeve_status gpu_fail(struct reeve_error *err, cudaError_t code, const char *doing);

/* For the calling thread, which makes all other calls. trial_in holds 1. JOB_DEVICE | JOB_NO_MEMORY. */
reeve_status gpu_open(struct gpu *g, uint32_t device, struct reeve_error *err);
void gpu_close(struct gpu *g); /* nothing is under way */

reeve_status gpu_record(struct gpu *g, unsigned event, struct reeve_error *err);
reeve_status gpu_test(struct gpu *g, unsigned event, bool *passed, struct reeve_error *err);
/* Between any two memories, in the stream. */
reeve_status gpu_copy(struct gpu *g, void *dst, const void *src, size_t bytes, struct reeve_error *err);
/* Has everything in the stream ended? True also if the GPU failed: nothing runs there any more. */
bool gpu_is_drained(struct gpu *g);

#endif
