/* workload: gpt on a GPU; the same jobs and checkpoints as on CPUs, other bits. */
#ifndef REEVE_WORKLOAD_GPT_CUDA_WORKLOAD_H
#define REEVE_WORKLOAD_GPT_CUDA_WORKLOAD_H

#include "reeve/workload.h"

extern const struct reeve_workload_ops reeve_gpt_cuda_workload; /* with the slots device_* */

#endif
