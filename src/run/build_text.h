/* What the bits of a run depend on besides its job: version, workload from outside, GPU, compiler, BLAS, processor. One
 * line, recorded in each checkpoint, so that a resume elsewhere can say what changed. */
#ifndef REEVE_RUN_BUILD_TEXT_H
#define REEVE_RUN_BUILD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reeve_recovered;

#define REEVE_BUILD_MIXED "mixed: " /* begins the line where workers of several kinds compute */

/* Of one process. Travels between ranks as its bytes, and is read back by reeve_build_check(). */
struct reeve_build {
    char program[32];   /* "reeve 0.1.0" */
    char compiler[48];  /* "gcc 12.2, glibc 2.36" */
    char blas[64];      /* "OpenBLAS 0.3.21": as it is loaded */
    char kernels[24];   /* "Haswell": those that it took for this processor */
    char processor[48]; /* "Intel(R) Xeon(R) Processor": a name of trade, of which one model has many */
    char model[48];     /* "family 6 model 207"; "" where the system does not say */
};

/* Of this process; bytes behind the ends of texts are 0. */
void reeve_build_here(struct reeve_build *build);
/* Words from another rank: ends what must end, and no text has lines or commands to a terminal. */
void reeve_build_check(struct reeve_build *build);

/* "reeve 0.1.0, gcc 12.2, glibc 2.36, OpenBLAS 0.3.21 SkylakeX, Intel(R) Xeon(R) Processor (family 6 model 207)":
 * text_bytes with the NUL; cut if it does not fit. library: behind the version, the shared object that the workload comes
 * from, as reeve_library_file_check() words it; device: behind that, the GPU and its libraries; "": none. */
void reeve_build_text(const struct reeve_build *build, const char *library, const char *device, char *text,
                      size_t text_bytes);

/* Warn where a run goes on from a checkpoint that another build wrote, or another number of threads: the bits are
 * promised for one of each (README, P1). Another processor alone is said, and no warning: it decides no bits, but for a
 * plugin, whose code is not known (run/kinds.h). Says nothing where there was no checkpoint. */
void reeve_build_tell_change(const struct reeve_recovered *from, const char *build, bool plugin, uint32_t threads);

#endif
