/* What all kernels of the folder share: fixed lanes, and an exponential of our own.
 *
 * Sums run over 16 lanes that stand in the source, and a fixed tree at the end: whatever vector width the compiler
 * picks, the order of additions is the same. With -ffp-contract=off (see CMakeLists.txt) these kernels therefore give
 * the same bits on every x86-64 and at every address; only the matrix products depend on the type of processor.
 *
 * Not-a-numbers must come through: the runtime finds them in the gradient. So limits are written with ?:, where a
 * comparison with a NaN keeps the NaN, never with fminf or fmaxf, which drop it. */
#ifndef REEVE_MODEL_VECTOR_H
#define REEVE_MODEL_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The same C compiled for three widths of vectors, chosen when the program starts. Sanitizers run before the loader can
 * choose, so they get the plain one. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) &&                       \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define MODEL_KERNEL __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MODEL_KERNEL
#endif

#define MODEL_LANES 16

/* Lanes as a type, since compilers do not reliably make vectors of an array of 16 sums: two such arrays in one loop
 * became 23 KB of shuffles. Loaded and stored at any address; where a register holds fewer, the compiler takes several. */
typedef float model_lanes __attribute__((vector_size(MODEL_LANES * sizeof(float)), aligned(4), may_alias));

static inline model_lanes *lanes_at(float *x)
{
    return (model_lanes *)x;
}
static inline const model_lanes *lanes_of(const float *x)
{
    return (const model_lanes *)x;
}

static inline float lanes_sum(const model_lanes *lanes)
{
    float x[MODEL_LANES];
    memcpy(x, lanes, sizeof(x));
    for (int width = MODEL_LANES / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++)
            x[j] += x[j + width];
    return x[0];
}

static inline float lanes_max(const model_lanes *lanes)
{
    float x[MODEL_LANES];
    memcpy(x, lanes, sizeof(x));
    for (int width = MODEL_LANES / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++)
            x[j] = x[j + width] > x[j] ? x[j + width] : x[j];
    return x[0];
}

/* e^x within 2 units in the last place; 0 below -87 (a denormal is next to it) and infinity above 88.3.
 * x = n ln 2 + r with |r| <= 0.35, e^r by its Taylor series to r^7 (remainder 6e-9), 2^n put into the exponent. Adding
 * 1.5 * 2^23 rounds to an integer and leaves n in the low bits, which avoids a conversion that is undefined for a NaN.
 */
static inline float model_expf(float x)
{
    const float ln2_high = 0.693359375f, ln2_low = -2.1219444e-4f; /* n * ln2_high is exact */
    float t = x < -87.0f ? -87.0f : x;
    t = t > 88.3f ? 88.3f : t;
    float shifted = t * 1.44269504f + 12582912.0f;
    float n = shifted - 12582912.0f;
    float r = (t - n * ln2_high) - n * ln2_low;
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof(bits));
    bits = (bits << 23) + 0x3f800000u;
    float power;
    memcpy(&power, &bits, sizeof(power));
    float y = p * power;
    y = x < -87.0f ? 0.0f : y;
    return x > 88.3f ? INFINITY : y;
}

#endif
