/* Large arrays that are read here and there: zeroed, aligned to pages, and on huge pages where the kernel has them, since
 * with small ones most of such a read is spent on finding the page. */
#ifndef REEVE_BASE_PAGES_H
#define REEVE_BASE_PAGES_H

#include <stddef.h>

/* NULL: out of memory, or count * bytes overflows. Memory that is never touched is never used. */
void *reeve_pages_take(size_t count, size_t bytes);
void reeve_pages_give_back(void *pages, size_t count, size_t bytes); /* the same numbers as were taken; takes NULL */

#endif
