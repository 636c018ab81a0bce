/* The keyed permutation: one to one for every small n, invertible for large n, another one for another key, and no
 * preference that a coarse count would see. */
#include "fixture.h"

#include "core/permutation.h"

static void permutation_visits_each_number_once_for_every_n_to_2000(void **state)
{ /* Goal: a bijection on [0, n). Method: mark every image, and come back by the inverse. */
    struct fx_random r = fx_random_fresh();
    static uint8_t seen[2000];
    for (uint64_t n = 1; n <= 2000; n++) {
        struct reeve_permutation p;
        reeve_permutation_init(&p, fx_u64(&r), n);
        memset(seen, 0, sizeof(seen));
        for (uint64_t i = 0; i < n; i++) {
            uint64_t image = reeve_permutation_image(&p, i);
            if (image >= n || seen[image]++ != 0) fail_msg("n %llu: image of %llu", (unsigned long long)n,
                                                           (unsigned long long)i);
            if (reeve_permutation_preimage(&p, image) != i) fail_msg("n %llu: no way back", (unsigned long long)n);
        }
    }
}

static void permutation_of_any_large_n_stays_below_n_and_comes_back(void **state)
{ /* Goal: no n up to 2^62 breaks it. Method: powers of two and their neighbours, and random n of every width. */
    struct fx_random r = fx_random_fresh();
    for (int bits = 1; bits <= 62; bits++) {
        for (int k = 0; k < 6; k++) {
            uint64_t n = (uint64_t)1 << bits;
            if (k == 1) n -= 1;
            if (k == 2 && bits < 62) n += 1;
            if (k > 2) n = 1 + fx_below(&r, n);
            struct reeve_permutation p;
            reeve_permutation_init(&p, fx_u64(&r), n);
            for (int i = 0; i < 20; i++) {
                uint64_t at = i == 0 ? 0 : i == 1 ? n - 1 : fx_below(&r, n);
                uint64_t image = reeve_permutation_image(&p, at);
                assert_true(image < n);
                assert_int_equal(reeve_permutation_preimage(&p, image), at);
                assert_int_equal(reeve_permutation_image(&p, reeve_permutation_preimage(&p, at)), at);
            }
        }
    }
}

static void permutation_depends_on_its_key_and_on_nothing_else(void **state)
{ /* Goal: keys that differ in one bit have unlike permutations; equal keys equal ones. */
    struct fx_random r = fx_random_fresh();
    uint64_t key = fx_u64(&r);
    struct reeve_permutation a, b;
    for (int bit = 0; bit < 64; bit++) {
        reeve_permutation_init(&a, key, 1000);
        reeve_permutation_init(&b, key ^ (uint64_t)1 << bit, 1000);
        int equal = 0;
        for (uint64_t i = 0; i < 1000; i++) equal += reeve_permutation_image(&a, i) == reeve_permutation_image(&b, i);
        assert_in_range(equal, 0, 15); /* 1 is expected; 16 or more has probability 1e-14 */
        reeve_permutation_init(&b, key, 1000);
        for (uint64_t i = 0; i < 1000; i++)
            assert_int_equal(reeve_permutation_image(&a, i), reeve_permutation_image(&b, i));
    }
}

/* Chi-square of counts against equal shares, and the value that it passes once in 10^9 (Wilson and Hilferty 1931). */
static void check_uniform(const uint32_t *counts, uint32_t n, uint64_t total, const char *what)
{
    double share = (double)total / n, chi = 0, freedom = n - 1;
    for (uint32_t i = 0; i < n; i++) chi += (counts[i] - share) * (counts[i] - share) / share;
    double root = 1 - 2 / (9 * freedom) + 6 * __builtin_sqrt(2 / (9 * freedom));
    if (chi > freedom * root * root * root) fail_msg("%s: chi-square %.1f for %u cells", what, chi, n);
}

static void permutation_prefers_no_place_and_no_distance(void **state)
{ /* Goal: rough uniformity. Method: over many keys, where 0 lands, and how far behind it 1 lands. */
    struct fx_random r = fx_random_fresh();
    static const uint32_t sizes[] = {2, 3, 10, 64, 97};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        uint32_t n = sizes[s], keys = 20000;
        uint32_t place[97] = {0}, distance[97] = {0};
        for (uint32_t k = 0; k < keys; k++) {
            struct reeve_permutation p;
            reeve_permutation_init(&p, fx_u64(&r), n);
            uint64_t zero = reeve_permutation_image(&p, 0), one = reeve_permutation_image(&p, 1);
            place[zero]++;
            distance[(one + n - zero) % n - 1]++; /* 1..n-1 */
        }
        check_uniform(place, n, keys, "place of 0");
        if (n > 2) check_uniform(distance, n - 1, keys, "distance from 0 to 1");
    }
}

static void permutation_of_three_reaches_all_six_orders(void **state)
{ /* Goal: few elements are no excuse. Method: count the orders of three over 6000 keys. */
    struct fx_random r = fx_random_fresh();
    uint32_t orders[9] = {0}, counts[6], used = 0;
    for (int k = 0; k < 6000; k++) {
        struct reeve_permutation p;
        reeve_permutation_init(&p, fx_u64(&r), 3);
        orders[reeve_permutation_image(&p, 0) * 3 + reeve_permutation_image(&p, 1)]++;
    }
    for (int i = 0; i < 9; i++)
        if (i % 4 != 0) counts[used++] = orders[i]; /* 0, 4 and 8 would send two to the same place */
    check_uniform(counts, 6, 6000, "orders of three");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(permutation_visits_each_number_once_for_every_n_to_2000),
        cmocka_unit_test(permutation_of_any_large_n_stays_below_n_and_comes_back),
        cmocka_unit_test(permutation_depends_on_its_key_and_on_nothing_else),
        cmocka_unit_test(permutation_prefers_no_place_and_no_distance),
        cmocka_unit_test(permutation_of_three_reaches_all_six_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
