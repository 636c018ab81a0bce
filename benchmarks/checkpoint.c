/* What a checkpoint costs beside the plain way: bench-checkpoint [MB [ROUNDS [FOLDER]]]
 *
 * A model with the tensors of MB megabytes (a third of it the model, the rest two moments) is written by one worker and
 * committed, with checksums, index, renaming and all syncs; beside it the same bytes with write(2) and fsync, and with
 * H5Dwrite into one plain HDF5 file and fsync. Then it is read back with all checks, beside read(2) of the same bytes:
 * from the page cache, and after the kernel was asked to drop the files from it. The ways take turns; figures are medians
 * over ROUNDS, and of the ratios within a round, after a round that does not count; beside them the processor's time, which
 * is what a step beside it loses. What is read must be what was written. FOLDER is on the disk to measure (default: here). */
#include <fcntl.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/path.h"
#include "measure.h"
#include "store/checkpoint.h"

#define TENSORS 48u
#define COLUMNS 1024u
#define PIECE_BYTES ((size_t)8 << 20)

enum way { REEVE, PLAIN, HDF5, READ, READ_PLAIN, READ_COLD, READ_PLAIN_COLD, WAYS };
static const char *const names[WAYS] = {"checkpoint",      "write + fsync", "HDF5 + fsync", "restore, cached",
                                        "read(2), cached", "restore, cold", "read(2), cold"};

struct bench {
    char folder[REEVE_PATH_BYTES_MAX], plain[REEVE_PATH_BYTES_MAX], hdf5[REEVE_PATH_BYTES_MAX];
    struct reeve_tensor tensors[TENSORS];
    size_t tensor_bytes;
    unsigned char *written, *read; /* (TENSORS, tensor_bytes) owned */
    struct reeve_error err;
};

static void check_ok(const struct bench *b, reeve_status st)
{
    if (st != REEVE_OK) measure_stop("checkpoint: %s", b->err.text);
}

static void point_at(struct bench *b, unsigned char *memory)
{
    for (uint32_t i = 0; i < TENSORS; i++) {
        struct reeve_tensor *t = &b->tensors[i];
        *t = (struct reeve_tensor){.group = i < TENSORS / 3 ? REEVE_TENSOR_MODEL : REEVE_TENSOR_OPTIMIZER, .rank = 2};
        (void)snprintf(t->name, sizeof(t->name), "tensor%02u", i);
        t->shape[0] = b->tensor_bytes / (COLUMNS * sizeof(float));
        t->shape[1] = COLUMNS;
        t->data = (void *)(memory + i * b->tensor_bytes);
    }
}

static void write_reeve(struct bench *b, uint64_t step)
{
    struct reeve_checkpoint_part part;
    struct reeve_digest digest;
    const struct reeve_checkpoint_meta meta = {.run_id = 1, .epoch = 1, .workers = 1, .threads = 1, .build = "bench"};
    check_ok(b, reeve_checkpoint_begin(b->folder, step, 1, &b->err));
    check_ok(b, reeve_checkpoint_write_part(b->folder, step, 1, 0, b->tensors, TENSORS, &part, &b->err));
    check_ok(b, reeve_checkpoint_commit(b->folder, step, 1, &meta, &part, 1, "queue", 5, &digest, &b->err));
}

static void write_plain(struct bench *b)
{
    int fd = open(b->plain, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    size_t all = TENSORS * b->tensor_bytes;
    if (fd < 0) measure_stop("open %s: %m", b->plain);
    for (size_t at = 0, n; at < all; at += n) {
        n = all - at < PIECE_BYTES ? all - at : PIECE_BYTES;
        if (write(fd, b->written + at, n) != (ssize_t)n) measure_stop("write %s: %m", b->plain);
    }
    if (fsync(fd) != 0 || close(fd) != 0) measure_stop("sync %s: %m", b->plain);
}

static void write_hdf5(struct bench *b)
{
    hid_t file = H5Fcreate(b->hdf5, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    bool good = file >= 0;
    for (uint32_t i = 0; i < TENSORS && good; i++) {
        const hsize_t shape[2] = {b->tensors[i].shape[0], b->tensors[i].shape[1]};
        hid_t space = H5Screate_simple(2, shape, NULL);
        hid_t set = H5Dcreate2(file, b->tensors[i].name, H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        good = set >= 0 && H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, b->tensors[i].data) >= 0;
        if (set >= 0) good = H5Dclose(set) >= 0 && good;
        if (space >= 0) (void)H5Sclose(space);
    }
    if (file >= 0) good = H5Fclose(file) >= 0 && good;
    int fd = open(b->hdf5, O_RDONLY | O_CLOEXEC);
    if (!good || fd < 0 || fsync(fd) != 0) measure_stop("write %s with HDF5", b->hdf5);
    (void)close(fd);
}

static void drop_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) measure_stop("open %s: %m", path);
    if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0) measure_stop("posix_fadvise %s", path);
    (void)close(fd);
}

static void drop_all(struct bench *b, uint64_t step)
{
    char dir[REEVE_PATH_BYTES_MAX], path[REEVE_PATH_BYTES_MAX];
    reeve_checkpoint_dir(b->folder, step, dir, sizeof(dir));
    for (int i = 0; i < 2; i++) {
        check_ok(b, reeve_path_join(path, sizeof(path), dir, i == 0 ? "index.h5" : "rank-00000.h5", &b->err));
        drop_file(path);
    }
    drop_file(b->plain);
}

static void read_reeve(struct bench *b, uint64_t step)
{
    reeve_checkpoint *c = NULL;
    point_at(b, b->read);
    check_ok(b, reeve_checkpoint_open(b->folder, step, NULL, &c, &b->err));
    check_ok(b, reeve_checkpoint_read(c, b->tensors, TENSORS, &b->err));
    reeve_checkpoint_close(c);
    point_at(b, b->written);
}

static void read_plain(struct bench *b)
{
    int fd = open(b->plain, O_RDONLY | O_CLOEXEC);
    size_t all = TENSORS * b->tensor_bytes;
    if (fd < 0) measure_stop("open %s: %m", b->plain);
    for (size_t at = 0, n; at < all; at += n) {
        n = all - at < PIECE_BYTES ? all - at : PIECE_BYTES;
        if (read(fd, b->read + at, n) != (ssize_t)n) measure_stop("read %s: %m", b->plain);
    }
    (void)close(fd);
}

/* Of all threads of this process, in the kernel too. */
static double processor_seconds(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0) measure_stop("clock_gettime: %m");
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double run(struct bench *b, enum way way, uint64_t step, double *processor)
{
    if (way >= READ) memset(b->read, 0, TENSORS * b->tensor_bytes);
    if (way == READ_COLD || way == READ_PLAIN_COLD) drop_all(b, step);
    if (way == HDF5) (void)unlink(b->hdf5);
    if (way == PLAIN) (void)unlink(b->plain);
    double processor_before = processor_seconds();
    reeve_time_ns start_ns = reeve_clock_now();
    switch (way) {
    case REEVE: write_reeve(b, step); break;
    case PLAIN: write_plain(b); break;
    case HDF5: write_hdf5(b); break;
    case READ:
    case READ_COLD: read_reeve(b, step); break;
    default: read_plain(b); break;
    }
    double seconds = (double)(reeve_clock_now() - start_ns) * 1e-9;
    *processor = processor_seconds() - processor_before;
    if (way >= READ && memcmp(b->read, b->written, TENSORS * b->tensor_bytes) != 0)
        measure_stop("%s: other bytes than were written", names[way]);
    return seconds;
}

static void print(double *seconds[WAYS], double *processor[WAYS], size_t rounds, double megabytes)
{
    static const enum way beside[WAYS] = {PLAIN,      PLAIN,           PLAIN,          READ_PLAIN,
                                          READ_PLAIN, READ_PLAIN_COLD, READ_PLAIN_COLD};
    double ratio[WAYS];
    double *each = calloc(rounds, sizeof(double));
    if (each == NULL) measure_stop("out of memory");
    for (int w = 0; w < WAYS; w++) {
        for (size_t r = 0; r < rounds; r++)
            each[r] = seconds[beside[w]][r] / seconds[w][r];
        ratio[w] = measure_quantile(each, rounds, 0.5);
    }
    free(each);
    for (int w = 0; w < WAYS; w++) {
        double median = measure_quantile(seconds[w], rounds, 0.5), best = seconds[w][0];
        (void)printf("%-18s %8.1f ms (%.1f - %.1f)  %8.0f MB/s  processor %6.1f ms  %5.2f of %s\n", names[w],
                     median * 1e3, best * 1e3, seconds[w][rounds - 1] * 1e3, megabytes / median,
                     measure_quantile(processor[w], rounds, 0.5) * 1e3, ratio[w], names[beside[w]]);
    }
}

int main(int argc, char **argv)
{
    uint64_t megabytes = measure_argument(argc, argv, 1, 400, 1);
    size_t rounds = (size_t)measure_argument(argc, argv, 2, 7, 1);
    struct bench b = {.tensor_bytes = (size_t)megabytes * 1000000 / TENSORS / 4096 * 4096};
    double *seconds[WAYS], *processor[WAYS];
    if (b.tensor_bytes == 0) b.tensor_bytes = 4096;
    measure_folder_create(argc > 3 ? argv[3] : ".", b.folder, sizeof(b.folder));
    check_ok(&b, reeve_path_join(b.plain, sizeof(b.plain), b.folder, "plain", &b.err));
    check_ok(&b, reeve_path_join(b.hdf5, sizeof(b.hdf5), b.folder, "plain.h5", &b.err));
    b.written = malloc(TENSORS * b.tensor_bytes);
    b.read = malloc(TENSORS * b.tensor_bytes);
    if (b.written == NULL || b.read == NULL) measure_stop("out of memory");
    for (size_t i = 0; i < TENSORS * b.tensor_bytes; i++)
        b.written[i] = (unsigned char)((i * 2654435761u) >> 13);
    point_at(&b, b.written);
    for (int w = 0; w < WAYS; w++)
        if ((seconds[w] = calloc(rounds, sizeof(double))) == NULL ||
            (processor[w] = calloc(rounds, sizeof(double))) == NULL)
            measure_stop("out of memory");
    for (size_t r = 0; r <= rounds; r++) {
        for (int w = 0; w < WAYS; w++) {
            double used, took = run(&b, (enum way)w, r + 1, &used);
            if (r == 0) continue;
            seconds[w][r - 1] = took;
            processor[w][r - 1] = used;
        }
        const uint64_t keep = r + 2; /* none: so that every round finds as much room */
        check_ok(&b, reeve_checkpoint_sweep(b.folder, &keep, 1, &b.err));
    }
    double all = (double)(TENSORS * b.tensor_bytes) * 1e-6;
    (void)printf("%.0f MB, medians of %zu rounds (lowest - highest)\n", all, rounds);
    print(seconds, processor, rounds, all);
    for (int w = 0; w < WAYS; w++) {
        free(processor[w]);
        free(seconds[w]);
    }
    free(b.read);
    free(b.written);
    measure_folder_remove(b.folder);
    return 0;
}
