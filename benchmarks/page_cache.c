/* What the page cache costs a checkpoint: bench-page_cache [MB [ROUNDS [FOLDER]]]
 *
 * The life of a part, without HDF5: MB megabytes are digested and written (the disk told of each MiB as it comes), synced, read
 * back with digests, and removed; through the page cache and past it (O_DIRECT, 4 MiB a call). The ways take turns; figures
 * are medians of ROUNDS, after a round that does not count. Processor time is that of this process, in the kernel too, but
 * not of kernel threads. What is read must have the digests of what was written. FOLDER is on the disk to measure. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/path.h"
#include "measure.h"

#define BLOCK_BYTES ((size_t)1 << 20)
#define DIRECT_BYTES ((size_t)4 << 20)
#define BEHIND_BYTES ((size_t)32 << 20) /* as in store/checkpoint_write.c */
#define ALIGNMENT ((size_t)4096)

static const struct way {
    const char *name;
    bool direct_write, drop, direct_read;
} ways[] = {
    {"page cache", false, false, false},
    {"page cache, dropped after the sync", false, true, false},
    {"page cache, read past it", false, false, true},
    {"written past it", true, false, false},
    {"written and read past it", true, false, true},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))
enum phase { WRITE, DROP, READ, REMOVE, PHASES };

struct bench {
    char path[REEVE_PATH_BYTES_MAX];
    size_t bytes;                                         /* a multiple of DIRECT_BYTES */
    unsigned char *data, *read;                           /* (bytes,) and (DIRECT_BYTES,) owned */
    uint64_t *digests;                                    /* (bytes / BLOCK_BYTES,) owned; of the data */
    double *processor[WAYS][PHASES], *wall[WAYS][PHASES]; /* (rounds,) owned; seconds */
};

/* False: this file system does not do it. */
static bool set_direct(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0) return true;
    if (errno != EINVAL) measure_stop("fcntl: %m");
    return false;
}

static void write_file(struct bench *b, int fd, bool direct)
{
    size_t piece = direct ? DIRECT_BYTES : BLOCK_BYTES, on_disk = 0;
    for (size_t at = 0; at < b->bytes; at += piece) {
        for (size_t block = at; block < at + piece; block += BLOCK_BYTES)
            b->digests[block / BLOCK_BYTES] = reeve_digest64(b->data + block, BLOCK_BYTES, 0);
        if (pwrite(fd, b->data + at, piece, (off_t)at) != (ssize_t)piece) measure_stop("write %s: %m", b->path);
        if (direct) continue;
        (void)sync_file_range(fd, (off_t)at, (off_t)piece, SYNC_FILE_RANGE_WRITE);
        if (at + piece <= on_disk + BEHIND_BYTES) continue;
        size_t until = at + piece - BEHIND_BYTES;
        (void)sync_file_range(fd, (off_t)on_disk, (off_t)(until - on_disk), SYNC_FILE_RANGE_WAIT_BEFORE);
        on_disk = until;
    }
    if (fsync(fd) != 0) measure_stop("sync %s: %m", b->path);
}

static void read_file(struct bench *b, int fd, bool direct)
{
    size_t piece = direct ? DIRECT_BYTES : BLOCK_BYTES;
    for (size_t at = 0; at < b->bytes; at += piece) {
        if (pread(fd, b->read, piece, (off_t)at) != (ssize_t)piece) measure_stop("read %s: %m", b->path);
        for (size_t block = 0; block < piece; block += BLOCK_BYTES)
            if (reeve_digest64(b->read + block, BLOCK_BYTES, 0) != b->digests[(at + block) / BLOCK_BYTES])
                measure_stop("%s: other bytes than were written", b->path);
    }
}

static void clocks(double *processor, double *wall)
{
    struct timespec t;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0) measure_stop("clock_gettime: %m");
    *processor = (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
    *wall = (double)reeve_clock_now() * 1e-9;
}

/* False: this file system has no such way. */
static bool run(struct bench *b, const struct way *way, double processor[PHASES], double wall[PHASES])
{
    double used[PHASES + 1], time[PHASES + 1];
    clocks(&used[WRITE], &time[WRITE]);
    int fd = open(b->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) measure_stop("open %s: %m", b->path);
    (void)fallocate(fd, 0, 0, (off_t)b->bytes);
    bool good = set_direct(fd, way->direct_write);
    if (good) write_file(b, fd, way->direct_write);
    clocks(&used[DROP], &time[DROP]);
    if (way->drop) (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    clocks(&used[READ], &time[READ]);
    good = good && set_direct(fd, way->direct_read);
    if (good) read_file(b, fd, way->direct_read);
    clocks(&used[REMOVE], &time[REMOVE]);
    (void)close(fd);
    if (unlink(b->path) != 0) measure_stop("remove %s: %m", b->path);
    clocks(&used[PHASES], &time[PHASES]);
    for (int p = 0; p < PHASES; p++) {
        processor[p] = used[p + 1] - used[p];
        wall[p] = time[p + 1] - time[p];
    }
    return good;
}

static void print(struct bench *b, size_t way, size_t rounds)
{
    double ms[PHASES], sum = 0;
    for (int p = 0; p < PHASES; p++) {
        ms[p] = measure_quantile(b->processor[way][p], rounds, 0.5) * 1e3;
        sum += ms[p];
    }
    (void)printf("%-36s %8.1f %8.1f %8.1f %8.1f %8.1f  %8.1f %8.1f\n", ways[way].name, ms[WRITE], ms[DROP], ms[READ],
                 ms[REMOVE], sum, measure_quantile(b->wall[way][WRITE], rounds, 0.5) * 1e3,
                 measure_quantile(b->wall[way][READ], rounds, 0.5) * 1e3);
}

int main(int argc, char **argv)
{
    char folder[REEVE_PATH_BYTES_MAX];
    bool refused[WAYS] = {false};
    size_t rounds = (size_t)measure_argument(argc, argv, 2, 9, 1);
    struct bench b = {.bytes = (size_t)measure_argument(argc, argv, 1, 130, 1) * 1000000 / DIRECT_BYTES * DIRECT_BYTES};
    struct reeve_error err;
    if (b.bytes == 0) b.bytes = DIRECT_BYTES;
    measure_folder_create(argc > 3 ? argv[3] : ".", folder, sizeof(folder));
    if (reeve_path_join(b.path, sizeof(b.path), folder, "part", &err) != REEVE_OK) measure_stop("%s", err.text);
    b.data = aligned_alloc(ALIGNMENT, b.bytes);
    b.read = aligned_alloc(ALIGNMENT, DIRECT_BYTES);
    b.digests = malloc(b.bytes / BLOCK_BYTES * sizeof(*b.digests));
    double *seconds = calloc(2 * WAYS * PHASES * rounds, sizeof(*seconds));
    if (b.data == NULL || b.read == NULL || b.digests == NULL || seconds == NULL) measure_stop("out of memory");
    for (size_t i = 0; i < WAYS * PHASES; i++) {
        b.processor[i / PHASES][i % PHASES] = seconds + 2 * i * rounds;
        b.wall[i / PHASES][i % PHASES] = seconds + (2 * i + 1) * rounds;
    }
    for (size_t i = 0; i < b.bytes; i++)
        b.data[i] = (unsigned char)((i * 2654435761u) >> 13);
    for (size_t r = 0; r <= rounds; r++)
        for (size_t w = 0; w < WAYS; w++) {
            double processor[PHASES], wall[PHASES];
            refused[w] = !run(&b, &ways[w], processor, wall);
            for (int p = 0; p < PHASES && r > 0; p++) {
                b.processor[w][p][r - 1] = processor[p];
                b.wall[w][p][r - 1] = wall[p];
            }
        }
    (void)printf("%.0f MB, medians of %zu rounds, ms\n%-36s %44s  %17s\n%-36s %8s %8s %8s %8s %8s  %8s %8s\n",
                 (double)b.bytes * 1e-6, rounds, "", "processor", "wall", "", "write", "drop", "read", "remove", "sum",
                 "write", "read");
    for (size_t w = 0; w < WAYS; w++)
        if (refused[w]) (void)printf("%-36s not on this file system\n", ways[w].name);
        else print(&b, w, rounds);
    free(seconds);
    free(b.digests);
    free(b.read);
    free(b.data);
    measure_folder_remove(folder);
    return 0;
}
