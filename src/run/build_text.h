/* What the bits of a run depend on besides its job: version, compiler, processor, BLAS. One line, recorded in each
 * checkpoint, so that a resume elsewhere can say what changed. */
#ifndef REEVE_RUN_BUILD_TEXT_H
#define REEVE_RUN_BUILD_TEXT_H

#include <stddef.h>

/* "reeve 0.1.0, gcc 12.2, glibc 2.36, OpenBLAS 0.3.21 SkylakeX, Intel(R) Xeon(R) Processor (family 6 model 207)":
 * text_bytes with the NUL; cut if it does not fit. */
void reeve_build_text(char *text, size_t text_bytes);

#endif
