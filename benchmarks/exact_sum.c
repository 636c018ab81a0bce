/* What the exact sum costs a worker: bench-exact_sum [MILLIONS [ROUNDS [MICRO_BATCHES]]]
 *
 * For MILLIONS * 10^6 parameters: one micro-batch's gradient quantised and added (12 bytes read and 8 written an
 * element), the sum turned into the mean (8 read, 4 written), and beside them what the memory does here: memcpy of as
 * many bytes, and a plain f32 addition. One thread. The methods take turns; the figures are medians over ROUNDS, after
 * one that does not count and touches all pages. Each sum and mean is compared with what it must be. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/exact_sum.h"
#include "measure.h"

enum method { QUANTISE, MEAN, ADD_F32, COPY, METHODS };
static const struct {
    const char *name;
    double bytes; /* moved, an element */
} methods[METHODS] = {{"quantise and add", 20}, {"mean", 12}, {"f32 addition", 12}, {"memcpy", 20}};

struct bench {
    size_t count;
    uint32_t micro_batches;
    int unit_bits;
    int64_t *sum, *copy; /* (count,) owned */
    float *grad, *mean;  /* (count,) owned */
};

static void *take(size_t count, size_t bytes)
{
    void *p = aligned_alloc(64, (count * bytes + 63) & ~(size_t)63);
    if (p == NULL) measure_stop("out of memory");
    memset(p, 0, (count * bytes + 63) & ~(size_t)63);
    return p;
}

static float gradient(size_t i)
{
    return ldexpf((float)((int)(i % 2003) - 1001), -14); /* a whole number of units: what it must be is plain */
}

/* Two arrays of the widths that quantising reads and writes: 10 bytes read and 10 written an element. */
static void copy(struct bench *b)
{
    memcpy(b->copy, b->sum, b->count * sizeof(*b->sum));
    memcpy(b->mean, b->grad, b->count * sizeof(*b->grad) / 2);
}

static void add_f32(struct bench *b)
{
    for (size_t i = 0; i < b->count; i++)
        b->mean[i] += b->grad[i];
}

static double run(struct bench *b, enum method m)
{
    struct reeve_exact_flags flags = {0};
    reeve_time_ns start_ns = reeve_clock_now();
    switch (m) {
    case QUANTISE: reeve_exact_add(b->sum, b->grad, b->count, b->unit_bits, &flags); break;
    case MEAN: reeve_exact_mean(b->mean, b->sum, b->count, b->unit_bits, 1.0 / b->micro_batches); break;
    case ADD_F32: add_f32(b); break;
    default: copy(b); break;
    }
    double ns = (double)(reeve_clock_now() - start_ns);
    if (flags.nonfinite + flags.overflow > 0) measure_stop("flagged elements, of which there are none");
    return ns;
}

/* After `added` micro-batches that were all the same. */
static void check(const struct bench *b, uint32_t added)
{
    for (size_t i = 0; i < b->count; i++) {
        int64_t expected = (int64_t)added * (int64_t)ldexp((double)gradient(i), b->unit_bits);
        if (b->sum[i] != expected) measure_stop("element %zu of the sum is wrong", i);
        if (b->mean[i] != (float)((double)gradient(i) * added / b->micro_batches))
            measure_stop("element %zu of the mean is wrong", i);
    }
}

int main(int argc, char **argv)
{
    struct bench b = {.count = (size_t)(measure_argument(argc, argv, 1, 10, 1) * 1000000)};
    size_t rounds = (size_t)measure_argument(argc, argv, 2, 15, 1);
    b.micro_batches = (uint32_t)measure_argument(argc, argv, 3, 8, 1);
    b.unit_bits = reeve_exact_unit_bits(b.micro_batches);
    b.sum = take(b.count, sizeof(*b.sum));
    b.copy = take(b.count, sizeof(*b.copy));
    b.grad = take(b.count, sizeof(*b.grad));
    b.mean = take(b.count, sizeof(*b.mean));
    for (size_t i = 0; i < b.count; i++)
        b.grad[i] = gradient(i);
    double *ns[METHODS];
    for (int m = 0; m < METHODS; m++)
        if ((ns[m] = calloc(rounds, sizeof(double))) == NULL) measure_stop("out of memory");
    for (size_t r = 0; r <= rounds; r++) {
        for (int m = METHODS - 1; m >= 0; m--) {
            double took = run(&b, (enum method)m);
            if (r > 0) ns[m][r - 1] = took;
            if (m == MEAN && r > 0) check(&b, (uint32_t)r);
        }
    }
    (void)printf("%zu elements, %u micro-batches, medians of %zu rounds\n", b.count, b.micro_batches, rounds);
    for (int m = 0; m < METHODS; m++) {
        double each = measure_quantile(ns[m], rounds, 0.5) / (double)b.count;
        (void)printf("%-18s %6.3f ns an element  %6.1f GB/s  %8.2f ms in all\n", methods[m].name, each,
                     methods[m].bytes / each, each * (double)b.count * 1e-6);
        free(ns[m]);
    }
    free(b.mean);
    free(b.grad);
    free(b.copy);
    free(b.sum);
    return 0;
}
