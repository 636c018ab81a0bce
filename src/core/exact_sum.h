/* The exact sum: gradients as int64 fixed-point numbers, so that no order of addition can change a bit.
 *
 * An element g of a micro-batch's gradient becomes q = round-half-even(g / unit), unit = 2^-unit_bits. Integers add
 * exactly, whatever the assignment, the number of workers or the reduction's topology.
 * Overflow rule: |q| <= 2^62 / micro_batches, tested per micro-batch, so the sum of all micro-batches of a step stays
 * below 2^62; NaN, infinity and overflow are counted and travel with the sum, and refuse the step on every worker.
 * docs/exact-sum.md has the error bound. */
#ifndef REEVE_CORE_EXACT_SUM_H
#define REEVE_CORE_EXACT_SUM_H

#include <stddef.h>
#include <stdint.h>

#define REEVE_GRAD_LIMIT_BITS 8 /* |g| < 2^8 = 256 per element of a mean gradient; beyond it a step is refused */
#define REEVE_LOSS_UNIT_BITS 20 /* loss sums (nats, over a step's tokens) are counted in units of 2^-20 */

/* Words that travel behind the parameters in the same reduction. */
enum reeve_sum_word {
    REEVE_SUM_SAMPLES,    /* samples added */
    REEVE_SUM_COVERAGE,   /* sum of reeve_plan_coverage_word(), mod 2^64 */
    REEVE_SUM_LOSS,       /* loss summed over tokens, in 2^-REEVE_LOSS_UNIT_BITS nats */
    REEVE_SUM_TOKENS,     /* tokens that the loss was summed over */
    REEVE_SUM_NONFINITE,  /* elements that were NaN or infinite */
    REEVE_SUM_OVERFLOW,   /* elements beyond the limit */
    REEVE_SUM_MEMBERS,    /* 1 from each worker */
    REEVE_SUM_SPARE,
    REEVE_SUM_WORDS
};

/* Bits of the unit for a step of micro_batches: 62 - ceil(log2 micro_batches) - REEVE_GRAD_LIMIT_BITS. A function of
 * the job alone. micro_batches 1..2^24. */
int reeve_exact_unit_bits(uint32_t micro_batches);

struct reeve_exact_flags { uint64_t nonfinite; uint64_t overflow; };

/* acc[i] += quantise(grad[i]), i < n. Elements with a flag add 0. acc and grad are 64-byte aligned. The bits do not
 * depend on vector width. Cost: memory bandwidth (12 B read, 8 B written an element). */
void reeve_exact_add(int64_t *acc, const float *grad, size_t n, int unit_bits, struct reeve_exact_flags *flags);

/* The same for sums in fp32 (train.reduce: fast), whose bits depend on their order: acc[i] += grad[i], with the same
 * elements left out and counted, so no sum of a step can overflow, and the step is refused by the same rule. */
void reeve_fast_add(float *acc, const float *grad, size_t n, struct reeve_exact_flags *flags);

/* grad_mean[i] = (f32)(sum[i] * unit * scale), computed in f64, i < n; scale is 1 / micro-batches (each micro-batch's
 * gradient is already the mean over its own samples, and all have the same number). */
void reeve_exact_mean(float *grad_mean, const int64_t *sum, size_t n, int unit_bits, double scale);

/* A micro-batch's loss sum in fixed point, and back. Returns 0 and counts into flags if it is not finite (nonfinite) or
 * 2^30 nats or more (overflow). */
int64_t reeve_exact_loss(double loss_sum, struct reeve_exact_flags *flags);
double reeve_exact_loss_value(int64_t q);

#endif
