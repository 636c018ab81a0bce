/* What a large manifest costs: bench-shards [SHARDS [ROUNDS [FOLDER]]]
 *
 * A manifest of SHARDS shards is written as a lock, and read again ROUNDS times: the time, beside that of reading the
 * same bytes without looking at them, and the memory that it needs at most. Then the plan: creating it, entering an
 * epoch (its first step) and the steps after that, for each shuffle. What was read is compared with what was written,
 * and that the samples of a step are in their shards. FOLDER is where the lock is written (default: here). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/path.h"
#include "base/random.h"
#include "core/plan.h"
#include "measure.h"
#include "store/lock.h"

#define PATH_BYTES 40u
#define SEQUENCE 1024u
#define GLOBAL_BATCH 512u
#define MICRO_BATCH 8u
#define STEPS 200u

static struct reeve_manifest *make(uint32_t shards)
{
    struct reeve_manifest *m = calloc(1, sizeof(*m));
    if (m == NULL) measure_stop("out of memory");
    (void)snprintf(m->dataset, sizeof(m->dataset), "benchmark");
    (void)snprintf(m->tokenizer, sizeof(m->tokenizer), "gpt2");
    m->vocab = 50257;
    m->shard_count = shards;
    m->paths_bytes = (uint64_t)shards * PATH_BYTES;
    m->shards = calloc(shards, sizeof(*m->shards));
    m->paths = calloc(shards, PATH_BYTES);
    m->base_dir = strdup("/data");
    if (m->shards == NULL || m->paths == NULL || m->base_dir == NULL) measure_stop("out of memory");
    for (uint32_t i = 0; i < shards; i++) {
        struct reeve_shard *s = &m->shards[i];
        s->path_offset = (uint64_t)i * PATH_BYTES;
        (void)snprintf(m->paths + s->path_offset, PATH_BYTES, "part-%05u/shard-%08u.bin", i / 1000, i);
        s->token_count = 1000000 + reeve_random_below(1, 1, i, 1000000);
        s->file_bytes = 2 * s->token_count;
        s->digest = reeve_digest_of(&i, sizeof(i));
        s->weight = 1;
        s->format = REEVE_SHARD_NANOGPT;
        s->token_bytes = 2;
    }
    m->digest = reeve_manifest_digest(m);
    return m;
}

static double ms_since(reeve_time_ns start_ns)
{
    return (double)(reeve_clock_now() - start_ns) / 1e6;
}

/* The same bytes into memory, and nothing more. */
static double read_plain(const char *path)
{
    static char block[1 << 20];
    reeve_time_ns start_ns = reeve_clock_now();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) measure_stop("open %s: %m", path);
    ssize_t n;
    do
        n = read(fd, block, sizeof(block));
    while (n > 0);
    (void)close(fd);
    if (n < 0) measure_stop("read %s: %m", path);
    return ms_since(start_ns);
}

static size_t peak_bytes(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (size_t)usage.ru_maxrss * 1024;
}

static void read_here(const char *path, uint32_t shards)
{
    struct reeve_manifest *m = NULL;
    struct reeve_error err = {.text = ""};
    size_t before = measure_resident_bytes();
    if (reeve_lock_read(path, &m, &err) != REEVE_OK) measure_stop("%s", err.text);
    if (m->shard_count != shards) measure_stop("%u shards were read, %u written", m->shard_count, shards);
    (void)printf("memory: %.0f MB at most while it is read, %.0f MB after\n", (double)peak_bytes() / 1e6,
                 (double)(measure_resident_bytes() - before) / 1e6);
    reeve_manifest_destroy(m);
}

/* In a program of its own, so that its peak is not that of the manifest that was written. */
static void read_apart(const char *path, uint32_t shards)
{
    char number[16];
    int status = 0;
    (void)snprintf(number, sizeof(number), "%u", shards);
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        (void)execl("/proc/self/exe", "bench-shards", "--read", path, number, (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) measure_stop("reading the lock apart failed");
}

static void measure_lock(const char *path, uint32_t shards, size_t rounds)
{
    struct reeve_manifest *m = make(shards);
    struct reeve_error err = {.text = ""};
    reeve_time_ns start_ns = reeve_clock_now();
    if (reeve_lock_write(path, m, &err) != REEVE_OK) measure_stop("%s", err.text);
    double write_ms = ms_since(start_ns);
    double *load = calloc(rounds, sizeof(double)), *plain = calloc(rounds, sizeof(double));
    if (load == NULL || plain == NULL) measure_stop("out of memory");
    for (size_t r = 0; r < rounds; r++) {
        struct reeve_manifest *got = NULL;
        plain[r] = read_plain(path);
        start_ns = reeve_clock_now();
        if (reeve_lock_read(path, &got, &err) != REEVE_OK) measure_stop("%s", err.text);
        load[r] = ms_since(start_ns);
        if (memcmp(got->shards, m->shards, sizeof(*m->shards) * shards) != 0 || got->paths_bytes != m->paths_bytes ||
            memcmp(got->paths, m->paths, m->paths_bytes) != 0)
            measure_stop("the lock that was read is not the one that was written");
        reeve_manifest_destroy(got);
    }
    struct stat st;
    if (stat(path, &st) != 0) measure_stop("stat %s: %m", path);
    (void)printf("lock of %u shards, %.0f MB: written in %.0f ms; read in %.0f ms (median); its bytes alone %.0f ms\n",
                 shards, (double)st.st_size / 1e6, write_ms, measure_quantile(load, rounds, 0.5),
                 measure_quantile(plain, rounds, 0.5));
    read_apart(path, shards);
    free(plain);
    free(load);
    reeve_manifest_destroy(m);
}

static void check_samples(const struct reeve_manifest *m, const struct reeve_sample *s)
{
    for (uint32_t i = 0; i < MICRO_BATCH; i++)
        if (s[i].shard.v >= m->shard_count || s[i].token_offset + SEQUENCE >= m->shards[s[i].shard.v].token_count)
            measure_stop("a sample lies outside of its shard");
}

static double step_us(reeve_plan *plan, const struct reeve_manifest *m, uint64_t step)
{
    struct reeve_sample samples[GLOBAL_BATCH];
    reeve_time_ns start_ns = reeve_clock_now();
    for (uint32_t micro = 0; micro < GLOBAL_BATCH / MICRO_BATCH; micro++)
        if (reeve_plan_micro_batch(plan, step, micro, samples + (size_t)micro * MICRO_BATCH, NULL) != REEVE_OK)
            measure_stop("no plan of step %llu", (unsigned long long)step);
    double us = (double)(reeve_clock_now() - start_ns) / 1e3;
    for (uint32_t i = 0; i < GLOBAL_BATCH; i += MICRO_BATCH)
        check_samples(m, samples + i);
    return us;
}

static void measure_plan(const struct reeve_manifest *m, uint32_t shuffle, const char *name)
{
    struct reeve_plan_config config = {.seed = 1,
                                       .shuffle = shuffle,
                                       .block_shards = 16,
                                       .sequence = SEQUENCE,
                                       .global_batch = GLOBAL_BATCH,
                                       .micro_batch = MICRO_BATCH};
    struct reeve_error err = {.text = ""};
    reeve_plan *plan = NULL;
    double us[STEPS], far[STEPS];
    reeve_time_ns start_ns = reeve_clock_now();
    if (reeve_plan_create(m, &config, &plan, &err) != REEVE_OK) measure_stop("%s", err.text);
    double create_ms = ms_since(start_ns);
    double first_ms = step_us(plan, m, 1) / 1e3;
    uint64_t epoch_steps = reeve_plan_epoch_samples(plan) / GLOBAL_BATCH;
    double second_ms = step_us(plan, m, epoch_steps + 2) / 1e3;
    for (uint32_t i = 0; i < STEPS; i++) {
        us[i] = step_us(plan, m, 2 + i % (epoch_steps - 2));
        far[i] = step_us(plan, m, 2 + reeve_random_below(1, 2, i, epoch_steps - 2));
    }
    (void)printf("%-8s create %7.1f ms; enters an epoch in %6.1f and %6.1f ms; a step of %u samples %6.1f us, "
                 "anywhere in the epoch %6.1f us\n",
                 name, create_ms, first_ms, second_ms, GLOBAL_BATCH, measure_quantile(us, STEPS, 0.5),
                 measure_quantile(far, STEPS, 0.5));
    reeve_plan_destroy(plan);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--read") == 0) { /* what read_apart() starts */
        read_here(argv[2], (uint32_t)measure_argument(argc, argv, 3, 0, 1));
        return 0;
    }
    uint32_t shards = (uint32_t)measure_argument(argc, argv, 1, 1000000, 1000);
    size_t rounds = (size_t)measure_argument(argc, argv, 2, 5, 1);
    char folder[REEVE_PATH_BYTES_MAX], path[REEVE_PATH_BYTES_MAX];
    struct reeve_error err = {.text = ""};
    measure_folder_create(argc > 3 ? argv[3] : ".", folder, sizeof(folder));
    if (reeve_path_join(path, sizeof(path), folder, "manifest.h5", &err) != REEVE_OK) measure_stop("%s", err.text);
    measure_lock(path, shards, rounds);
    struct reeve_manifest *m = make(shards);
    measure_plan(m, REEVE_SHUFFLE_NONE, "none");
    measure_plan(m, REEVE_SHUFFLE_BLOCK, "block");
    measure_plan(m, REEVE_SHUFFLE_GLOBAL, "global");
    reeve_manifest_destroy(m);
    measure_folder_remove(folder);
    return 0;
}
