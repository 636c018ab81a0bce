/* Fresh random inputs for the tests of model/, from a seed that is printed; REEVE_TEST_SEED=N repeats one. */
#ifndef REEVE_TESTS_UNIT_MODEL_FRESH_H
#define REEVE_TESTS_UNIT_MODEL_FRESH_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t fresh_state;

static inline void fresh_init(void)
{
    const char *given = getenv("REEVE_TEST_SEED");
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    fresh_state = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)now.tv_nsec * 1000003u + (uint64_t)now.tv_sec;
    printf("REEVE_TEST_SEED=%llu\n", (unsigned long long)fresh_state);
}

/* SplitMix64 (Steele, Lea, Flood 2014) */
static inline uint64_t fresh_u64(void)
{
    uint64_t z = fresh_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint32_t fresh_between(uint32_t low, uint32_t high)
{
    return low + (uint32_t)(fresh_u64() % (high - low + 1u));
}

/* Uniform in [-size, size] */
static inline float fresh_float(float size)
{
    return size * ((float)(fresh_u64() >> 40) / 8388608.0f - 1.0f);
}

/* (n,) uniform in [-size, size]; free() */
static inline float *fresh_floats(size_t n, float size)
{
    float *x = malloc((n + 1) * sizeof(float));
    if (x == NULL) abort();
    for (size_t i = 0; i < n; i++)
        x[i] = fresh_float(size);
    return x;
}

/* (n,) of NaN, so that an element that is not written is found, with a mark behind the end; free() */
static inline float *poisoned(size_t n)
{
    float *x = malloc((n + 1) * sizeof(float));
    if (x == NULL) abort();
    for (size_t i = 0; i < n; i++)
        x[i] = NAN;
    x[n] = 12345.0f;
    return x;
}

static inline int is_intact(const float *x, size_t n)
{
    return x[n] == 12345.0f;
}

/* Largest |a - b| over the largest |b|, or over `floor` where that is larger: the size of what was added up, when it
 * may have cancelled. NaN counts as infinite. */
static inline double worst_of(const float *a, const double *b, size_t n, double floor)
{
    double wrong = 0.0, size = floor > 1e-30 ? floor : 1e-30;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - b[i]);
        if (!(d <= 1e300)) return INFINITY;
        if (d > wrong) wrong = d;
        if (fabs(b[i]) > size) size = fabs(b[i]);
    }
    return wrong / size;
}

#endif
