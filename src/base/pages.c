/* See pages.h. */
#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#define HUGE_BYTES ((size_t)2 << 20)

/* Small arrays end at a page, large ones at a huge page. 0: too large. */
static size_t rounded(size_t count, size_t bytes)
{
    size_t n;
    if (__builtin_mul_overflow(count, bytes, &n) || n > SIZE_MAX / 2) return 0;
    size_t unit = n < HUGE_BYTES ? (size_t)4096 : HUGE_BYTES;
    return n == 0 ? unit : (n + unit - 1) / unit * unit;
}

void *reeve_pages_take(size_t count, size_t bytes)
{
    size_t n = rounded(count, bytes);
    if (n == 0) return NULL;
    size_t spare = n < HUGE_BYTES ? 0 : HUGE_BYTES; /* to begin at a huge page; given back at once */
    char *at = mmap(NULL, n + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return NULL;
    if (spare == 0) return at;
    size_t before = (HUGE_BYTES - (uintptr_t)at % HUGE_BYTES) % HUGE_BYTES;
    if (before > 0) (void)munmap(at, before);
    if (before < spare) (void)munmap(at + before + n, spare - before);
    (void)madvise(at + before, n, MADV_HUGEPAGE); /* advice: without it all works, slower */
    return at + before;
}

void reeve_pages_give_back(void *pages, size_t count, size_t bytes)
{
    if (pages != NULL) (void)munmap(pages, rounded(count, bytes));
}
