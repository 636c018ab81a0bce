/* Which kernels of OpenBLAS fit this processor: a choice from before AVX is bettered where there is AVX, by one that this
 * processor can run, and any other choice stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/processor.h"

/* What the system says of the processor, independently of the compiler's builtins. */
static bool system_lists(const char *flag)
{
    char line[16384], word[64];
    bool found = false;
    FILE *f = fopen("/proc/cpuinfo", "re");
    assert_non_null(f);
    (void)snprintf(word, sizeof(word), " %s ", flag);
    while (!found && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, "flags", 5) != 0) continue;
        line[strcspn(line, "\n")] = ' ';
        found = strstr(line, word) != NULL;
    }
    (void)fclose(f);
    return found;
}

static void processor_betters_what_is_from_before_avx(void **state)
{
    const char *better = reeve_processor_better_blas_core("Prescott");
    if (!system_lists("avx")) {
        assert_null(better);
        return;
    }
    assert_non_null(better);
    if (strcmp(better, "SKYLAKEX") == 0) assert_true(system_lists("avx512bw") && system_lists("avx512vl"));
    if (strcmp(better, "HASWELL") == 0) assert_true(system_lists("avx2") && system_lists("fma"));
    assert_string_equal(reeve_processor_better_blas_core("prescott"), better);
    assert_string_equal(reeve_processor_better_blas_core("Nehalem"), better);
}

static void processor_leaves_every_other_choice(void **state)
{
    static const char *const sound[] = {
        "Haswell", "Zen", "SkylakeX", "Cooperlake", "SapphireRapids", "Sandybridge", "armv8", "a core of the future",
        ""};
    for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++)
        assert_null(reeve_processor_better_blas_core(sound[i]));
    assert_null(reeve_processor_better_blas_core(NULL));
    const char *better = reeve_processor_better_blas_core("Prescott");
    if (better != NULL) assert_null(reeve_processor_better_blas_core(better)); /* or the choice would go round */
}

static void processor_shares_the_older_kernels_of_two(void **state)
{
    static const struct {
        const char *one, *other, *common;
    } pairs[] = {
        {"SkylakeX", "Haswell", "Haswell"},
        {"Zen", "SapphireRapids", "Haswell"},
        {"Zen", "Haswell", "Haswell"},
        {"Cooperlake", "SkylakeX", "SkylakeX"},
        {"haswell", "SANDYBRIDGE", "Sandybridge"},
        {"SkylakeX", "Prescott", "Prescott"},
        {"Nehalem", "Core2", "Prescott"},
        {"Zen", "Zen", "Haswell"},
        {"a core of the future", "Zen", NULL},
        {"Zen", "", NULL},
        {"armv8", "neoversen1", NULL},
        {NULL, "Zen", NULL},
        {"Zen", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        const char *a = reeve_processor_common_blas_core(pairs[i].one, pairs[i].other);
        const char *b = reeve_processor_common_blas_core(pairs[i].other, pairs[i].one);
#if defined(__x86_64__)
        if (pairs[i].common != NULL) {
            assert_string_equal(a, pairs[i].common);
            assert_string_equal(b, pairs[i].common);
            assert_string_equal(reeve_processor_common_blas_core(a, pairs[i].one), a);
            continue;
        }
#endif
        assert_null(a);
        assert_null(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processor_betters_what_is_from_before_avx),
        cmocka_unit_test(processor_leaves_every_other_choice),
        cmocka_unit_test(processor_shares_the_older_kernels_of_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
