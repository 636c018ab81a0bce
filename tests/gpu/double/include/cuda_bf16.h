/* bf16 for the double: the upper half of an fp32, rounded to the nearest, to even where two are as near. */
#ifndef REEVE_TESTS_CUDA_BF16_H
#define REEVE_TESTS_CUDA_BF16_H

#include <cstdint>
#include <cstring>

struct __nv_bfloat16 {
    uint16_t bits;
    __nv_bfloat16() = default;
    explicit __nv_bfloat16(float x)
    {
        uint32_t word;
        std::memcpy(&word, &x, sizeof(word));
        const bool is_nan = (word & 0x7fffffffu) > 0x7f800000u;
        bits = is_nan ? 0x7fff : (uint16_t)((word + 0x7fffu + (word >> 16 & 1u)) >> 16);
    }
};
struct __nv_bfloat162 {
    __nv_bfloat16 x, y;
};

static inline float __bfloat162float(__nv_bfloat16 x)
{
    const uint32_t word = (uint32_t)x.bits << 16;
    float wide;
    std::memcpy(&wide, &word, sizeof(wide));
    return wide;
}
static inline __nv_bfloat16 __float2bfloat16(float x)
{
    return __nv_bfloat16(x);
}
static inline __nv_bfloat16 __float2bfloat16_rn(float x)
{
    return __nv_bfloat16(x);
}
static inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y)
{
    return {__nv_bfloat16(x), __nv_bfloat16(y)};
}
static inline uint16_t __bfloat16_as_ushort(__nv_bfloat16 x)
{
    return x.bits;
}

#endif
