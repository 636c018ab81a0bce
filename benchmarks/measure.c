/* See measure.h. */
#include "measure.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reeve/status.h"

void measure_stop(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    exit(REEVE_EXIT_INTERNAL);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double measure_quantile(double *values, size_t count, double share)
{
    if (count == 0) return 0;
    qsort(values, count, sizeof(*values), compare);
    return values[(size_t)(share * (double)(count - 1) + 0.5)];
}

uint64_t measure_argument(int argc, char **argv, int at, uint64_t preset, uint64_t min)
{
    if (argc <= at) return preset;
    char *end = NULL;
    uint64_t value = strtoull(argv[at], &end, 10);
    if (end == argv[at] || *end != '\0' || value < min)
        measure_stop("%s: argument %d is '%s'; expected a number of at least %llu", argv[0], at, argv[at],
                     (unsigned long long)min);
    return value;
}

size_t measure_resident_bytes(void)
{
    unsigned long long all = 0, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm == NULL || fscanf(statm, "%llu %llu", &all, &resident) != 2) measure_stop("cannot read /proc/self/statm");
    (void)fclose(statm);
    return (size_t)resident * 4096;
}

void measure_folder_create(const char *parent, char *path, size_t path_bytes)
{
    int n = snprintf(path, path_bytes, "%s/reeve-bench-XXXXXX", parent);
    if (n < 0 || (size_t)n >= path_bytes || mkdtemp(path) == NULL) measure_stop("cannot make a folder in %s", parent);
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    return remove(path);
}

void measure_folder_remove(const char *path)
{
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
