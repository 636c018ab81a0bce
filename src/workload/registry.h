/* The workloads that are built in, by the name that stands after `workload:` in a job. */
#ifndef REEVE_WORKLOAD_REGISTRY_H
#define REEVE_WORKLOAD_REGISTRY_H

#include "reeve/workload.h"

/* NULL: there is none of that name. Static storage; any thread. */
const struct reeve_workload_ops *reeve_workload_find(const char *name);

/* The i-th built-in workload, in alphabetical order; NULL behind the last. For lists in messages and `reeve doctor`. */
const struct reeve_workload_ops *reeve_workload_at(uint32_t i);

/* There is a built-in workload of that name for GPUs too, in the programs that are built with CUDA. */
bool reeve_workload_has_cuda(const char *name);

#endif
