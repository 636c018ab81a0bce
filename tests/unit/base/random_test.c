/* Random numbers: the published vectors, and that a number depends on its key and index alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/random.h"

static void expect_block(const uint32_t counter[4], const uint32_t key[2], const uint32_t expected[4])
{
    uint32_t out[4];
    reeve_philox(counter, key, out);
    for (int i = 0; i < 4; i++) assert_int_equal(out[i], expected[i]);
}

/* Goal: the same stream as every other Philox4x32-10. Method: the known-answer vectors of Random123. */
static void random_philox_agrees_with_the_published_vectors(void **state)
{
    expect_block((uint32_t[]){0, 0, 0, 0}, (uint32_t[]){0, 0},
                 (uint32_t[]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    expect_block((uint32_t[]){~0u, ~0u, ~0u, ~0u}, (uint32_t[]){~0u, ~0u},
                 (uint32_t[]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    expect_block((uint32_t[]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, (uint32_t[]){0xa4093822, 0x299f31d0},
                 (uint32_t[]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

/* Goal: seed, stream and index all count, to their highest bit. Method: flip each bit of each, and compare. */
static void random_every_bit_of_seed_stream_and_index_counts(void **state)
{
    uint64_t here = reeve_random_u64(5, 6, 7);
    assert_true(here == reeve_random_u64(5, 6, 7));
    for (int bit = 0; bit < 64; bit++) {
        uint64_t flip = (uint64_t)1 << bit;
        assert_true(here != reeve_random_u64(5 ^ flip, 6, 7));
        assert_true(here != reeve_random_u64(5, 6 ^ flip, 7));
        assert_true(here != reeve_random_u64(5, 6, 7 ^ flip));
    }
}

/* Goal: below(bound) reaches every value and none beyond. Method: small bounds counted, large ones at their edge. */
static void random_below_fills_its_range_evenly(void **state)
{
    for (uint64_t bound = 1; bound <= 9; bound++) {
        uint64_t seen[9] = {0};
        for (uint64_t i = 0; i < 9000; i++) {
            uint64_t value = reeve_random_below(1, bound, i, bound);
            assert_true(value < bound);
            seen[value]++;
        }
        for (uint64_t v = 0; v < bound; v++) { /* five standard deviations of a binomial */
            double mean = 9000.0 / (double)bound, sd = sqrt(mean * (1.0 - 1.0 / (double)bound));
            assert_true(fabs((double)seen[v] - mean) <= 5 * sd + 1e-9);
        }
    }
    uint64_t largest = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t value = reeve_random_below(1, 2, i, UINT64_MAX);
        if (value > largest) largest = value;
    }
    assert_true(largest > UINT64_MAX / 2 && largest < UINT64_MAX);
}

static void random_uniform_stays_below_one(void **state)
{
    double sum = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        double u = reeve_random_uniform(3, 4, i);
        assert_true(u >= 0.0 && u < 1.0);
        sum += u;
    }
    assert_true(fabs(sum / 10000 - 0.5) < 5 * 0.2887 / 100);
}

/* Goal: element i depends on i alone, so that a tensor can be filled in parts. Method: a prefix equals the whole. */
static void random_normal_element_depends_on_its_index_alone(void **state)
{
    static float whole[10000], part[100];
    double sum = 0, sum_sq = 0;
    reeve_random_normal_f32(9, 1, whole, 10000, 0.02f);
    reeve_random_normal_f32(9, 1, part, 100, 0.02f);
    assert_memory_equal(whole, part, sizeof(part));
    for (int i = 0; i < 10000; i++) {
        assert_true(isfinite(whole[i]));
        sum += whole[i];
        sum_sq += (double)whole[i] * whole[i];
    }
    assert_true(fabs(sum / 10000) < 5 * 0.02 / 100);
    assert_true(fabs(sqrt(sum_sq / 10000) / 0.02 - 1) < 0.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_philox_agrees_with_the_published_vectors),
        cmocka_unit_test(random_every_bit_of_seed_stream_and_index_counts),
        cmocka_unit_test(random_below_fills_its_range_evenly),
        cmocka_unit_test(random_uniform_stays_below_one),
        cmocka_unit_test(random_normal_element_depends_on_its_index_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
