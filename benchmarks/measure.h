/* What every program here needs: medians, a way to stop, and a folder on the disk that is to be measured. */
#ifndef REEVE_BENCHMARKS_MEASURE_H
#define REEVE_BENCHMARKS_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* Print what is wrong (printf) and exit with 70: a benchmark that computes something wrong has no figures. */
_Noreturn void measure_stop(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The value that the share 0..1 of values (count,) does not exceed; sorts them. */
double measure_quantile(double *values, size_t count, double share);

/* argv[at] as a number of at least `min`, or `preset` where it is not there. */
uint64_t measure_argument(int argc, char **argv, int at, uint64_t preset, uint64_t min);

/* Memory that this process has in use, in bytes. */
size_t measure_resident_bytes(void);

/* A fresh folder below `parent`, in `path` (path_bytes); measure_folder_remove() deletes it with all in it. */
void measure_folder_create(const char *parent, char *path, size_t path_bytes);
void measure_folder_remove(const char *path);

#endif
