/* See processor.h. */
#include "base/processor.h"

#include <stdbool.h>
#include <stddef.h>
#include <strings.h>

#if defined(__x86_64__)
/* The cores of OpenBLAS's list that use nothing beyond SSE: what a processor of an unknown model is taken for. */
static bool is_before_avx(const char *core)
{
    static const char *const old[] = {"Generic", "Katmai",  "Coppermine",    "Northwood", "Prescott", "Banias",
                                      "Core2",   "Penryn",  "Dunnington",    "Nehalem",   "Atom",     "Nano",
                                      "Athlon",  "Opteron", "Opteron(SSE3)", "Barcelona", "Bobcat"};
    for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
        if (strcasecmp(core, old[i]) == 0) return true;
    return false;
}

/* These builtins ask the system too: a feature whose registers it does not save is not there. */
const char *reeve_processor_better_blas_core(const char *chosen)
{
    if (chosen == NULL || !is_before_avx(chosen)) return NULL;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return "SKYLAKEX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "HASWELL";
    return __builtin_cpu_supports("avx") ? "SANDYBRIDGE" : NULL;
}
#else
const char *reeve_processor_better_blas_core(const char *chosen)
{
    (void)chosen;
    return NULL;
}
#endif
