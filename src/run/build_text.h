/* What the bits of a run depend on besides its job: version, workload from outside, GPU, compiler, processor, BLAS. One
 * line, recorded in each checkpoint, so that a resume elsewhere can say what changed. */
#ifndef REEVE_RUN_BUILD_TEXT_H
#define REEVE_RUN_BUILD_TEXT_H

#include <stddef.h>

#include "run/recover.h"

/* "reeve 0.1.0, gcc 12.2, glibc 2.36, OpenBLAS 0.3.21 SkylakeX, Intel(R) Xeon(R) Processor (family 6 model 207)":
 * text_bytes with the NUL; cut if it does not fit. library: behind the version, the shared object that the workload comes
 * from, as reeve_library_file_check() words it; device: behind that, the GPU and its libraries; "": none. */
void reeve_build_text(const char *library, const char *device, char *text, size_t text_bytes);

/* Warn where a run goes on from a checkpoint that another build wrote, or another number of threads: the bits are
 * promised for one of each (README, P1). Says nothing where there was no checkpoint. */
void reeve_build_tell_change(const struct reeve_recovered *from, const char *build, uint32_t threads);

#endif
