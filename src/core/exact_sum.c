/* Gradients as integers; see exact_sum.h for the rules and docs/exact-sum.md for the bound.
 *
 * Every floating-point operation here is exact but for one rounding to the nearest integer, which IEEE 754 fixes in all
 * its bits (round to nearest, ties to even: the mode that no thread may change). So neither the width of the vectors
 * nor fused operations can change a result; the file is compiled with -O3 -ffp-contract=off all the same. */
#include "core/exact_sum.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"

#ifdef __FAST_MATH__
#error "-ffast-math lets the compiler undo the rounding that this file consists of"
#endif
_Static_assert(FLT_EVAL_METHOD == 0, "f64 arithmetic must round to f64");

/* The same C, compiled for three widths and chosen when the program starts. A test compiles it for the narrowest alone;
 * so do sanitizers, whose code may not run before the loader has chosen. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(REEVE_EXACT_SUM_ONE_WIDTH) &&           \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define FOR_EACH_WIDTH __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define FOR_EACH_WIDTH
#endif

#define MICRO_BATCHES_MAX ((uint32_t)1 << 24)
#define LOSS_LIMIT 0x1p30 /* nats a micro-batch */

#define F32_INFINITY_BITS 0x7f800000u
#define F32_LIMIT_BITS ((127u + REEVE_GRAD_LIMIT_BITS) << 23) /* of 2^REEVE_GRAD_LIMIT_BITS */

/* Adding 1.5 * 2^52 to a number below 2^51 leaves its nearest integer in the low bits of the mantissa. */
#define ROUNDER 0x1.8p52
#define ROUNDER_BITS 0x4338000000000000u

int reeve_exact_unit_bits(uint32_t micro_batches)
{
    REEVE_ASSERT(micro_batches >= 1 && micro_batches <= MICRO_BATCHES_MAX);
    int log2_ceil = micro_batches > 1 ? 32 - __builtin_clz(micro_batches - 1) : 0;
    return 62 - log2_ceil - REEVE_GRAD_LIMIT_BITS;
}

static inline uint32_t magnitude_bits(const float *x)
{
    uint32_t bits;
    memcpy(&bits, x, sizeof(bits));
    return bits & 0x7fffffffu;
}

static inline uint64_t f64_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

/* v is an integral multiple of a power of two with 24 bits, |v| < 2^62. In two halves, because the trick above holds up
 * to 2^51 only and a direct conversion has no vector form before AVX-512. high * 2^32 and v - high * 2^32 are exact,
 * and an even multiple of the half's unit moves no tie. Unsigned: the sum of both halves may wrap on its way. */
static inline uint64_t round_half_even(double v)
{
    double high_rounded = v * 0x1p-32 + ROUNDER;
    double low = v - (high_rounded - ROUNDER) * 0x1p32;
    uint64_t high_bits = f64_bits(high_rounded) - ROUNDER_BITS;
    uint64_t low_bits = f64_bits(low + ROUNDER) - ROUNDER_BITS;
    return (high_bits << 32) + low_bits;
}

/* Flagged elements become +0.0 before any arithmetic, so nothing here can overflow or convert a NaN.
 * Returns whether there was one. */
FOR_EACH_WIDTH
static bool add_quantised(int64_t *restrict acc, const float *restrict grad, size_t n, double per_unit)
{
    uint32_t flagged = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t beyond = magnitude_bits(&grad[i]) >= F32_LIMIT_BITS ? UINT32_MAX : 0;
        flagged |= beyond;
        uint32_t bits;
        memcpy(&bits, &grad[i], sizeof(bits));
        bits &= ~beyond;
        float kept;
        memcpy(&kept, &bits, sizeof(kept));
        acc[i] = (int64_t)((uint64_t)acc[i] + round_half_even((double)kept * per_unit));
    }
    return flagged != 0;
}

static void count_flagged(const float *grad, size_t n, struct reeve_exact_flags *flags)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t magnitude = magnitude_bits(&grad[i]);
        if (magnitude >= F32_INFINITY_BITS) flags->nonfinite++;
        else if (magnitude >= F32_LIMIT_BITS) flags->overflow++;
    }
}

void reeve_exact_add(int64_t *acc, const float *grad, size_t n, int unit_bits, struct reeve_exact_flags *flags)
{
    if (add_quantised(acc, grad, n, ldexp(1.0, unit_bits))) count_flagged(grad, n, flags);
}

FOR_EACH_WIDTH
static bool add_unflagged(float *restrict acc, const float *restrict grad, size_t n)
{
    uint32_t flagged = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits, beyond = magnitude_bits(&grad[i]) >= F32_LIMIT_BITS ? UINT32_MAX : 0;
        flagged |= beyond;
        memcpy(&bits, &grad[i], sizeof(bits));
        bits &= ~beyond;
        float kept;
        memcpy(&kept, &bits, sizeof(kept));
        acc[i] += kept;
    }
    return flagged != 0;
}

void reeve_fast_add(float *acc, const float *grad, size_t n, struct reeve_exact_flags *flags)
{
    if (add_unflagged(acc, grad, n)) count_flagged(grad, n, flags);
}

FOR_EACH_WIDTH
static void scale_to_f32(float *restrict grad_mean, const int64_t *restrict sum, size_t n, double unit, double scale)
{
    for (size_t i = 0; i < n; i++)
        grad_mean[i] = (float)((double)sum[i] * unit * scale);
}

void reeve_exact_mean(float *grad_mean, const int64_t *sum, size_t n, int unit_bits, double scale)
{
    scale_to_f32(grad_mean, sum, n, ldexp(1.0, -unit_bits), scale);
}

int64_t reeve_exact_loss(double loss_sum, struct reeve_exact_flags *flags)
{
    if (!isfinite(loss_sum)) {
        flags->nonfinite++;
        return 0;
    }
    if (fabs(loss_sum) >= LOSS_LIMIT) {
        flags->overflow++;
        return 0;
    }
    return (int64_t)nearbyint(ldexp(loss_sum, REEVE_LOSS_UNIT_BITS));
}

double reeve_exact_loss_value(int64_t q)
{
    return ldexp((double)q, -REEVE_LOSS_UNIT_BITS);
}
