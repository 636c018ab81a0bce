/* Addition of two arrays, element by element; see add.h. Bound by memory, so plain loops that the compiler vectorises. */
#include "coll/add.h"

#include <stdint.h>

#include "base/error.h"

size_t sum_type_bytes(enum sum_type type)
{
    switch (type) {
    case SUM_I64: return sizeof(int64_t);
    case SUM_F32: return sizeof(float);
    case SUM_BF16: return sizeof(uint16_t);
    }
    return 0;
}

static void add_i64(uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = a[i] + b[i];
}

static void add_f32(float *dst, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = a[i] + b[i];
}

void sum_add(enum sum_type type, void *dst, const void *a, const void *b, size_t n)
{
    REEVE_ASSERT(type != SUM_BF16);
    if (type == SUM_I64) add_i64(dst, a, b, n);
    else add_f32(dst, a, b, n);
}
