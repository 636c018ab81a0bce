/* Philox4x32-10; see random.h for the source. */
#include "base/random.h"

#include <math.h>

#define M0 0xD2511F53u
#define M1 0xCD9E8D57u
#define W0 0x9E3779B9u
#define W1 0xBB67AE85u

void reeve_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)M0 * c0;
        uint64_t p1 = (uint64_t)M1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += W0;
        k1 += W1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint64_t reeve_random_u64(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)};
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t out[4];
    reeve_philox(counter, key, out);
    return (uint64_t)out[1] << 32 | out[0];
}

uint64_t reeve_random_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t bound)
{
    return (uint64_t)((unsigned __int128)reeve_random_u64(seed, stream, index) * bound >> 64);
}

double reeve_random_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
    return (double)(reeve_random_u64(seed, stream, index) >> 11) * 0x1p-53;
}

void reeve_random_normal_f32(uint64_t seed, uint64_t stream, float *out, uint64_t n, float stddev)
{
    const double two_pi = 6.283185307179586476925;
    for (uint64_t i = 0; i < n; i++) {
        double u = 1.0 - reeve_random_uniform(seed, stream, 2 * i); /* (0, 1] */
        double v = reeve_random_uniform(seed, stream, 2 * i + 1);
        out[i] = (float)(sqrt(-2.0 * log(u)) * cos(two_pi * v)) * stddev;
    }
}
