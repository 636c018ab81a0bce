/* The list of built-in workloads. */
#include "workload/registry.h"

#include <string.h>

#include "workload/gpt_workload.h"

static const struct reeve_workload_ops *const built_in[] = {&reeve_gpt_workload};

const struct reeve_workload_ops *reeve_workload_at(uint32_t i)
{
    return i < sizeof(built_in) / sizeof(built_in[0]) ? built_in[i] : NULL;
}

bool reeve_workload_has_cuda(const char *name)
{
    return strcmp(name, reeve_gpt_workload.name) == 0;
}

const struct reeve_workload_ops *reeve_workload_find(const char *name)
{
    for (uint32_t i = 0; reeve_workload_at(i) != NULL; i++)
        if (strcmp(reeve_workload_at(i)->name, name) == 0) return reeve_workload_at(i);
    return NULL;
}
