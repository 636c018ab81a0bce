/* What this processor can do, as far as it decides speed and bits. */
#ifndef REEVE_BASE_PROCESSOR_H
#define REEVE_BASE_PROCESSOR_H

/* OpenBLAS picks its kernels by the processor's model number. A build that is older than the processor falls back to
 * kernels without AVX, several times slower, though newer ones would run. `chosen` is what openblas_get_corename()
 * says; returned is a value for OPENBLAS_CORETYPE that this processor can run and that uses more of it, or NULL if the
 * choice is sound (or unknown). Static storage; any thread; no allocation. */
const char *reeve_processor_better_blas_core(const char *chosen);

/* Of two processors that chose kernels of these names: a value for OPENBLAS_CORETYPE that both can run, so that both
 * compute the same bits; NULL: not known. A value that was returned may be given again. Static storage; any thread. */
const char *reeve_processor_common_blas_core(const char *one, const char *other);

#endif
