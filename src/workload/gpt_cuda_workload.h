/* workload: gpt on a GPU; the same jobs and checkpoints as on CPUs, other bits. */
#ifndef REEVE_WORKLOAD_GPT_CUDA_WORKLOAD_H
#define REEVE_WORKLOAD_GPT_CUDA_WORKLOAD_H

#include "reeve/workload.h"

extern const struct reeve_workload_ops reeve_gpt_cuda_workload; /* with the slots device_* */

/* What the bits of an opened one depend on beside the build: "NVIDIA H100 80GB HBM3, cuBLAS 13.1.0, bf16" */
void reeve_gpt_cuda_workload_describe(const void *self, char *text, size_t text_bytes_max);

#endif
