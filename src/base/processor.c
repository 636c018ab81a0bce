/* See processor.h. */
#include "base/processor.h"

#include <stdbool.h>
#include <stddef.h>
#include <strings.h>

#if defined(__x86_64__)
/* The cores of OpenBLAS's list, by the vectors that they use: a processor can run the kernels of its own row and of those
 * above. OLD, nothing beyond SSE: also what a processor of an unknown model is taken for. */
enum row { OLD, AVX, AVX2, AVX512, ROWS, UNKNOWN = ROWS };

static enum row row_of(const char *core)
{
    static const char *const rows[ROWS][18] = {
        [OLD] = {"Generic", "Katmai", "Coppermine", "Northwood", "Prescott", "Banias", "Core2", "Penryn", "Dunnington",
                 "Nehalem", "Atom", "Nano", "Athlon", "Opteron", "Opteron(SSE3)", "Barcelona", "Bobcat"},
        [AVX] = {"Sandybridge", "Bulldozer", "Piledriver", "Steamroller"},
        [AVX2] = {"Haswell", "Excavator", "Zen"},
        [AVX512] = {"SkylakeX", "Cooperlake", "SapphireRapids"},
    };
    for (enum row r = OLD; r < ROWS; r++)
        for (size_t i = 0; rows[r][i] != NULL; i++)
            if (strcasecmp(core, rows[r][i]) == 0) return r;
    return UNKNOWN;
}

const char *reeve_processor_common_blas_core(const char *one, const char *other)
{
    static const char *const first[ROWS] = {
        [OLD] = "Prescott", [AVX] = "Sandybridge", [AVX2] = "Haswell", [AVX512] = "SkylakeX"};
    if (one == NULL || other == NULL) return NULL;
    enum row a = row_of(one), b = row_of(other);
    return a == UNKNOWN || b == UNKNOWN ? NULL : first[a < b ? a : b];
}

/* These builtins ask the system too: a feature whose registers it does not save is not there. */
const char *reeve_processor_better_blas_core(const char *chosen)
{
    if (chosen == NULL || row_of(chosen) != OLD) return NULL;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return "SKYLAKEX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "HASWELL";
    return __builtin_cpu_supports("avx") ? "SANDYBRIDGE" : NULL;
}
#else
const char *reeve_processor_common_blas_core(const char *one, const char *other)
{
    (void)one, (void)other;
    return NULL;
}

const char *reeve_processor_better_blas_core(const char *chosen)
{
    (void)chosen;
    return NULL;
}
#endif
