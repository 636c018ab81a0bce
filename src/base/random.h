/* Counter-based random numbers: the same (key, counter) gives the same bits anywhere, in any order.
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x32-10). */
#ifndef REEVE_BASE_RANDOM_H
#define REEVE_BASE_RANDOM_H

#include <stdint.h>

/* One block: 128 bits of counter and 64 of key give 128 random bits. */
void reeve_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* The i-th 64-bit number of the stream named by (seed, stream). Cost: one Philox block. */
uint64_t reeve_random_u64(uint64_t seed, uint64_t stream, uint64_t index);

/* Uniform in [0, bound), bound >= 1, without modulo bias worth naming (128-bit multiply). */
uint64_t reeve_random_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t bound);

double reeve_random_uniform(uint64_t seed, uint64_t stream, uint64_t index); /* [0, 1), 53 bits */

/* Fill (n,) f32 with N(0, stddev^2), element i from index i alone (Box-Muller on f64). */
void reeve_random_normal_f32(uint64_t seed, uint64_t stream, float *out, uint64_t n, float stddev);

#endif
