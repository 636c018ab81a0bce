/* The element types of a sum, and the addition of two of them. Pure. */
#ifndef REEVE_COLL_ADD_H
#define REEVE_COLL_ADD_H

#include <stddef.h>

enum sum_type { SUM_I64, SUM_F32, SUM_BF16 };

size_t sum_type_bytes(enum sum_type type);

/* dst[i] = a[i] + b[i], i < n. dst may be a or b itself, and overlaps neither otherwise. Aligned as the type asks.
 * I64 wraps around, so that the result does not depend on the order; F32 rounds once an addition. BF16 is summed on GPUs
 * only. */
void sum_add(enum sum_type type, void *dst, const void *a, const void *b, size_t n);

#endif
