/* The exact sum: equal to a naive twin in every bit, independent of order and of who adds what, within its stated
 * error, and safe on every f32 there is. */
#include "fixture.h"

#include <float.h>
#include <math.h>

#include "core/exact_sum.h"

#define N_MAX 300

/* One element, in the words of the header: floor and a look at the remainder, no trick. */
static int64_t twin_quantise(float g, int unit_bits, struct reeve_exact_flags *flags)
{
    if (!isfinite(g)) {
        flags->nonfinite++;
        return 0;
    }
    if (fabsf(g) >= 256.0f) {
        flags->overflow++;
        return 0;
    }
    double v = (double)g * ldexp(1.0, unit_bits), below = floor(v), rest = v - below;
    int64_t q = (int64_t)below;
    return q + (rest > 0.5 || (rest == 0.5 && (q & 1) != 0));
}

static float f32_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* Bits that reach every exponent, and the neighbourhood of every border. */
static float fx_f32(struct fx_random *r)
{
    static const float borders[] = {0.0f,     -0.0f,   FLT_TRUE_MIN, FLT_MIN, 255.99998f, 256.0f, -256.0f, 256.00003f,
                                    INFINITY, FLT_MAX, 1.0f,         -1.0f,   0x1p-51f,   0x1p-52f};
    switch (fx_below(r, 8)) {
    case 0: return borders[fx_below(r, sizeof(borders) / sizeof(borders[0]))];
    case 1: return -borders[fx_below(r, sizeof(borders) / sizeof(borders[0]))];
    case 2: return fx_below(r, 50) == 0 ? NAN : f32_of((uint32_t)fx_u64(r));
    case 3: return ldexpf((float)((int64_t)fx_below(r, 4001) - 2000), -1 - (int)fx_below(r, 60)); /* halves of units */
    default: return ldexpf((float)((int64_t)fx_u64(r) >> 11), -(int)fx_below(r, 130) + 7 - 53 + 24);
    }
}

static void check_against_twin(const float *grad, size_t n, int unit_bits, int64_t start)
{
    _Alignas(64) static int64_t acc[N_MAX + 1];
    int64_t expected[N_MAX];
    struct reeve_exact_flags flags = {0}, twin = {0};
    for (size_t i = 0; i < n; i++) {
        acc[i] = start;
        expected[i] = start + twin_quantise(grad[i], unit_bits, &twin);
    }
    acc[n] = 0x5555;
    reeve_exact_add(acc, grad, n, unit_bits, &flags);
    for (size_t i = 0; i < n; i++)
        if (acc[i] != expected[i])
            fail_msg("%a at %zu of %zu, unit 2^-%d: %lld, not %lld", (double)grad[i], i, n, unit_bits,
                     (long long)acc[i], (long long)expected[i]);
    assert_int_equal(acc[n], 0x5555);
    assert_int_equal(flags.nonfinite, twin.nonfinite);
    assert_int_equal(flags.overflow, twin.overflow);
}

static void exact_add_equals_its_naive_twin_in_every_bit(void **state)
{ /* Goal: the vector form rounds as defined. Method: every length to 300, any exponent, borders, NaN, ties. */
    struct fx_random r = fx_random_fresh();
    _Alignas(64) static float grad[N_MAX];
    for (size_t n = 0; n <= N_MAX; n++) {
        for (size_t i = 0; i < n; i++) grad[i] = fx_f32(&r);
        check_against_twin(grad, n, 30 + (int)fx_below(&r, 25), (int64_t)fx_below(&r, 1u << 30) - (1 << 29));
    }
}

static void exact_add_is_right_on_every_exponent_and_unit(void **state)
{ /* Goal: no gap between the tricks. Method: all 512 sign-exponent pairs, with edge mantissas, for all units. */
    static const uint32_t mantissas[] = {0, 1, 0x400000, 0x3fffff, 0x400001, 0x7fffff, 0x555555, 0x2aaaaa};
    _Alignas(64) static float grad[N_MAX];
    for (int unit_bits = 30; unit_bits <= 54; unit_bits++)
        for (uint32_t high = 0; high < 512; high += 32) {
            size_t n = 0;
            for (uint32_t e = high; e < high + 32; e++)
                for (size_t k = 0; k < 8; k++) grad[n++] = f32_of(e << 23 | mantissas[k]);
            check_against_twin(grad, n, unit_bits, 0);
        }
}

static void exact_add_rounds_ties_to_even(void **state)
{
    _Alignas(64) float grad[8];
    _Alignas(64) int64_t acc[8] = {0};
    static const double halves[8] = {0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.75, 1048576.5};
    static const int64_t even[8] = {0, 2, 2, 0, -2, -2, 1, 1048576};
    struct reeve_exact_flags flags = {0};
    for (int i = 0; i < 8; i++) grad[i] = (float)ldexp(halves[i], -51);
    reeve_exact_add(acc, grad, 8, 51, &flags);
    for (int i = 0; i < 8; i++) assert_int_equal(acc[i], even[i]);
}

static void exact_add_counts_what_it_refuses_and_adds_nothing_for_it(void **state)
{ /* Goal: NaN, infinity and overflow travel as counts. Method: one of each among good ones. */
    _Alignas(64) float grad[16] = {1, NAN, -INFINITY, 256, -256, 255.99998f, -NAN, INFINITY, FLT_MAX, 2};
    _Alignas(64) int64_t acc[16] = {0};
    struct reeve_exact_flags flags = {.nonfinite = 10, .overflow = 20};
    reeve_exact_add(acc, grad, 16, 40, &flags);
    assert_int_equal(flags.nonfinite, 14);
    assert_int_equal(flags.overflow, 23);
    for (int i = 0; i < 16; i++)
        if (i != 0 && i != 5 && i != 9) assert_int_equal(acc[i], 0);
    assert_int_equal(acc[0], (int64_t)1 << 40);
    assert_int_equal(acc[9], (int64_t)2 << 40);
}

static void fast_add_leaves_out_and_counts_the_same_elements(void **state)
{ /* Goal: a step is refused by one rule, however it is summed. Method: every length to 300, any exponent, borders, NaN. */
    struct fx_random r = fx_random_fresh();
    _Alignas(64) static float grad[N_MAX], acc[N_MAX + 1], before[N_MAX];
    for (size_t n = 0; n <= N_MAX; n++) {
        struct reeve_exact_flags flags = {.nonfinite = 10, .overflow = 20}, twin = flags;
        for (size_t i = 0; i < n; i++) {
            grad[i] = fx_f32(&r);
            acc[i] = before[i] = (float)i - 100.5f;
        }
        acc[n] = 5.0f;
        reeve_fast_add(acc, grad, n, &flags);
        for (size_t i = 0; i < n; i++) {
            bool good = isfinite(grad[i]) && fabsf(grad[i]) < 256.0f;
            float expected = good ? before[i] + grad[i] : before[i];
            (void)twin_quantise(grad[i], 40, &twin);
            if (memcmp(&acc[i], &expected, sizeof(expected)) != 0)
                fail_msg("%a at %zu of %zu: %a, not %a", (double)grad[i], i, n, (double)acc[i], (double)expected);
        }
        assert_true(acc[n] == 5.0f);
        assert_int_equal(flags.nonfinite, twin.nonfinite);
        assert_int_equal(flags.overflow, twin.overflow);
    }
}

static void unit_leaves_room_for_every_micro_batch_of_a_step(void **state)
{ /* Goal: the sum of the largest gradients stays below 2^62. Method: borders of micro_batches, in 128 bits. */
    assert_int_equal(reeve_exact_unit_bits(1), 54);
    assert_int_equal(reeve_exact_unit_bits(8), 51);
    assert_int_equal(reeve_exact_unit_bits(9), 50);
    assert_int_equal(reeve_exact_unit_bits(1u << 24), 30);
    for (uint32_t bits = 0; bits <= 24; bits++)
        for (int d = -1; d <= 1; d++) {
            int64_t m = ((int64_t)1 << bits) + d;
            if (m < 1 || m > 1 << 24) continue;
            int unit_bits = reeve_exact_unit_bits((uint32_t)m);
            __int128 largest = (__int128)llrint(ldexp((double)0x1.fffffep7f, unit_bits)) * m;
            assert_true(largest < (__int128)1 << 62);
            __int128 with_one_bit_more = ((__int128)1 << (unit_bits + 1 + REEVE_GRAD_LIMIT_BITS)) * m;
            assert_true(with_one_bit_more > (__int128)1 << 62);
        }
}

#define MICRO 24
#define PARAMS 67

static void fx_gradients(struct fx_random *r, float grad[MICRO][128])
{
    for (int m = 0; m < MICRO; m++)
        for (int i = 0; i < PARAMS; i++)
            grad[m][i] = ldexpf((float)((int64_t)fx_u64(r) >> 11), -53 + 7 - (int)fx_below(r, 50));
}

static void exact_sum_is_the_same_for_any_workers_order_and_partition(void **state)
{ /* Goal: P1's ground. Method: micro-batches to random workers in random order, partial sums added in random order. */
    struct fx_random r = fx_random_fresh();
    _Alignas(64) static float grad[MICRO][128];
    fx_gradients(&r, grad);
    int unit_bits = reeve_exact_unit_bits(MICRO);
    _Alignas(64) int64_t alone[PARAMS] = {0};
    struct reeve_exact_flags flags = {0};
    for (int m = 0; m < MICRO; m++) reeve_exact_add(alone, grad[m], PARAMS, unit_bits, &flags);
    assert_int_equal(flags.nonfinite + flags.overflow, 0);
    for (int trial = 0; trial < 200; trial++) {
        uint32_t workers = 1 + (uint32_t)fx_below(&r, 7), order[MICRO];
        _Alignas(64) static int64_t acc[7][PARAMS + 5];
        memset(acc, 0, sizeof(acc));
        for (uint32_t m = 0; m < MICRO; m++) order[m] = m;
        for (uint32_t m = MICRO - 1; m > 0; m--) {
            uint32_t j = (uint32_t)fx_below(&r, m + 1), swap = order[m];
            order[m] = order[j];
            order[j] = swap;
        }
        for (uint32_t m = 0; m < MICRO; m++)
            reeve_exact_add(acc[fx_below(&r, workers)], grad[order[m]], PARAMS, unit_bits, &flags);
        for (uint32_t left = workers; left > 1; left--) { /* a random tree of partial sums */
            uint32_t into = (uint32_t)fx_below(&r, left - 1);
            for (int i = 0; i < PARAMS; i++) acc[into][i] += acc[left - 1][i];
        }
        assert_memory_equal(acc[0], alone, sizeof(alone));
    }
}

static void exact_mean_is_within_the_bound_of_the_document(void **state)
{ /* Goal: docs/exact-sum.md states |error| <= unit/2 + 1.0000001 * 2^-24 |mean|. Method: against 64-bit mantissas; the
   * sum of 24 f32 within 50 binades of each other is exact to 2^-62 of the largest. */
    struct fx_random r = fx_random_fresh();
    _Alignas(64) static float grad[MICRO][128];
    int unit_bits = reeve_exact_unit_bits(MICRO);
    for (int trial = 0; trial < 50; trial++) {
        fx_gradients(&r, grad);
        _Alignas(64) int64_t sum[PARAMS] = {0};
        _Alignas(64) float mean[PARAMS];
        struct reeve_exact_flags flags = {0};
        for (int m = 0; m < MICRO; m++) reeve_exact_add(sum, grad[m], PARAMS, unit_bits, &flags);
        reeve_exact_mean(mean, sum, PARAMS, unit_bits, 1.0 / MICRO);
        for (int i = 0; i < PARAMS; i++) {
            long double exact = 0, largest = 0;
            for (int m = 0; m < MICRO; m++) {
                exact += grad[m][i];
                largest = fmaxl(largest, fabsl((long double)grad[m][i]));
            }
            exact /= MICRO;
            long double bound = ldexpl(0.5L, -unit_bits) + 1.0000001L * 0x1p-24L * fabsl(exact) + 0x1p-58L * largest;
            if (fabsl((long double)mean[i] - exact) > bound)
                fail_msg("mean %a, exact %La, bound %La", (double)mean[i], exact, bound);
        }
    }
}

static void gradients_above_the_exact_threshold_are_not_rounded_at_all(void **state)
{ /* Goal: docs/exact-sum.md: no error from 2^(23 - unit_bits) on. Method: back to f32 from one micro-batch. */
    struct fx_random r = fx_random_fresh();
    for (int unit_bits = 30; unit_bits <= 54; unit_bits++) {
        _Alignas(64) float grad[64], back[64];
        _Alignas(64) int64_t sum[64] = {0};
        struct reeve_exact_flags flags = {0};
        int low = 127 + 23 - unit_bits, high = 127 + 7;
        for (int i = 0; i < 64; i++)
            grad[i] = f32_of((uint32_t)(low + (int)fx_below(&r, (uint64_t)(high - low + 1))) << 23 |
                             (uint32_t)fx_below(&r, 1 << 23) | (uint32_t)fx_below(&r, 2) << 31);
        reeve_exact_add(sum, grad, 64, unit_bits, &flags);
        reeve_exact_mean(back, sum, 64, unit_bits, 1.0);
        assert_memory_equal(back, grad, sizeof(grad));
    }
}

static void exact_mean_equals_its_naive_twin_in_every_bit(void **state)
{
    struct fx_random r = fx_random_fresh();
    _Alignas(64) static int64_t sum[N_MAX];
    _Alignas(64) static float mean[N_MAX + 1];
    for (size_t n = 0; n <= N_MAX; n++) {
        int unit_bits = 30 + (int)fx_below(&r, 25);
        double scale = 1.0 / (double)(1 + fx_below(&r, 1000));
        for (size_t i = 0; i < n; i++) sum[i] = (int64_t)fx_u64(&r) >> (1 + fx_below(&r, 62));
        mean[n] = 77;
        reeve_exact_mean(mean, sum, n, unit_bits, scale);
        for (size_t i = 0; i < n; i++) {
            volatile double value = (double)sum[i];
            value = value * ldexp(1.0, -unit_bits);
            value = value * scale;
            float expected = (float)value;
            assert_memory_equal(&mean[i], &expected, sizeof(expected));
        }
        assert_true(mean[n] == 77);
    }
}

static void exact_loss_rounds_to_its_unit_and_refuses_what_is_no_number(void **state)
{
    struct reeve_exact_flags flags = {0};
    struct fx_random r = fx_random_fresh();
    assert_int_equal(reeve_exact_loss(1.0, &flags), 1 << REEVE_LOSS_UNIT_BITS);
    assert_int_equal(reeve_exact_loss(0x1p-21, &flags), 0); /* a tie, to even */
    assert_int_equal(reeve_exact_loss(0x3p-21, &flags), 2);
    assert_int_equal(reeve_exact_loss(-0x3p-21, &flags), -2);
    for (int i = 0; i < 1000; i++) {
        double loss = (double)fx_below(&r, 1u << 30) * reeve_random_uniform(r.seed, 3, (uint64_t)i);
        assert_true(fabs(reeve_exact_loss_value(reeve_exact_loss(loss, &flags)) - loss) <= 0x1p-21);
    }
    assert_int_equal(flags.nonfinite + flags.overflow, 0);
    assert_int_equal(reeve_exact_loss(NAN, &flags), 0);
    assert_int_equal(reeve_exact_loss(INFINITY, &flags), 0);
    assert_int_equal(reeve_exact_loss(-INFINITY, &flags), 0);
    assert_int_equal(flags.nonfinite, 3);
    assert_int_equal(reeve_exact_loss(0x1p30, &flags), 0);
    assert_int_equal(reeve_exact_loss(-1e300, &flags), 0);
    assert_int_equal(flags.overflow, 2);
    assert_int_equal(reeve_exact_loss(nextafter(0x1p30, 0), &flags), (int64_t)1 << 50);
    assert_true(reeve_exact_loss_value(3 << 19) == 1.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_add_equals_its_naive_twin_in_every_bit),
        cmocka_unit_test(exact_add_is_right_on_every_exponent_and_unit),
        cmocka_unit_test(exact_add_rounds_ties_to_even),
        cmocka_unit_test(exact_add_counts_what_it_refuses_and_adds_nothing_for_it),
        cmocka_unit_test(fast_add_leaves_out_and_counts_the_same_elements),
        cmocka_unit_test(unit_leaves_room_for_every_micro_batch_of_a_step),
        cmocka_unit_test(exact_sum_is_the_same_for_any_workers_order_and_partition),
        cmocka_unit_test(exact_mean_is_within_the_bound_of_the_document),
        cmocka_unit_test(gradients_above_the_exact_threshold_are_not_rounded_at_all),
        cmocka_unit_test(exact_mean_equals_its_naive_twin_in_every_bit),
        cmocka_unit_test(exact_loss_rounds_to_its_unit_and_refuses_what_is_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
