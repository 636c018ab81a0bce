/* What the tests of verified and of copied shards share: one shard of text under a lock, caches of several processes that
 * read it, and how often something took long. */
#ifndef REEVE_TEST_SHARD_FIXTURE_H
#define REEVE_TEST_SHARD_FIXTURE_H

#include "store_fixture.h"

#include "store/lock.h"
#include "store/shard.h"

#define SHARD_BYTES 200000u
#define SAMPLE_TOKENS 100u

struct shard_rig {
    struct fixture *f;
    struct reeve_manifest manifest;
    struct reeve_shard shard;
    char paths[16], base[512];
    char source[512], run_dir[512];
    uint8_t *text; /* owned; the locked bytes */
    int readings;  /* that began, in caches of this rig */
    int open_readings;
};

static inline void rig_takes_long(void *arg, bool begins)
{
    struct shard_rig *r = arg;
    r->readings += begins;
    r->open_readings += begins ? 1 : -1;
    assert_in_range(r->open_readings, 0, 1);
}

/* Past the ticks of the file system's clock, so that what comes next has a later time. */
static inline void tick(void)
{
    const struct timespec t = {.tv_nsec = 25000000};
    (void)nanosleep(&t, NULL);
}

static inline struct shard_rig *rig_new(struct fixture *f)
{
    struct shard_rig *r = calloc(1, sizeof(*r));
    struct reeve_error err;
    r->f = f;
    r->text = malloc(SHARD_BYTES);
    for (size_t i = 0; i < SHARD_BYTES; i++)
        r->text[i] = (uint8_t)reeve_random_below(f->seed, 3, i, 256);
    (void)snprintf(r->source, sizeof(r->source), "%s/text", f->dir);
    (void)snprintf(r->run_dir, sizeof(r->run_dir), "%s/run", f->dir);
    (void)snprintf(r->base, sizeof(r->base), "%s", f->dir);
    (void)strcpy(r->paths, "text");
    assert_int_equal(mkdir(r->run_dir, 0777), 0);
    file_store(r->source, r->text, SHARD_BYTES);
    r->shard = (struct reeve_shard){.format = REEVE_SHARD_TEXT, .token_bytes = 1, .weight = 1};
    OK(reeve_shard_measure(r->source, &r->shard, &err));
    r->manifest = (struct reeve_manifest){.dataset = "rig",
                                          .tokenizer = "bytes",
                                          .vocab = 256,
                                          .base_dir = r->base,
                                          .shard_count = 1,
                                          .shards = &r->shard,
                                          .paths = r->paths,
                                          .paths_bytes = sizeof("text")};
    return r;
}

static inline void rig_free(struct shard_rig *r)
{
    assert_int_equal(r->open_readings, 0);
    free(r->text);
    free(r);
}

/* What a process of the run has; each call is another process as far as shards go. */
static inline reeve_shard_cache *rig_process(struct shard_rig *r, const char *cache_dir)
{
    struct reeve_error err;
    const struct reeve_shard_config config = {.manifest = &r->manifest,
                                              .cache_dir = cache_dir,
                                              .run_dir = r->run_dir,
                                              .open_max = 2,
                                              .takes_long = rig_takes_long,
                                              .arg = r};
    reeve_shard_cache *c = NULL;
    OK(reeve_shard_cache_create(&config, &c, &err));
    return c;
}

static inline reeve_status rig_read(struct shard_rig *r, reeve_shard_cache *c, uint64_t at, struct reeve_error *err)
{
    int32_t tokens[SAMPLE_TOKENS];
    const struct reeve_sample sample = {.shard = {0}, .token_offset = at};
    reeve_status st = reeve_shard_read(c, &sample, SAMPLE_TOKENS - 1, tokens, err);
    for (uint32_t i = 0; st == REEVE_OK && i < SAMPLE_TOKENS; i++)
        if (tokens[i] != r->text[at + i]) fail_msg("token %u is %d, locked as %u", i, tokens[i], r->text[at + i]);
    return st;
}

/* The shard is read, its tokens are the locked ones, and something took long so many times. */
static inline void rig_reads(struct shard_rig *r, reeve_shard_cache *c, int readings, int line)
{
    struct reeve_error err;
    int before = r->readings;
    for (int i = 0; i < 5; i++)
        check_ok(rig_read(r, c, draw(r->f, SHARD_BYTES - SAMPLE_TOKENS), &err), &err, line);
    if (r->readings - before != readings)
        fail_msg("line %d: %d times something took long, expected %d", line, r->readings - before, readings);
}
#define READS(cache, readings) rig_reads(r, (cache), (readings), __LINE__)

/* Another byte in place, and the time of the last write as it was. */
static inline void flip_in_place(const char *path, size_t at)
{
    struct stat before;
    uint8_t byte;
    assert_int_equal(stat(path, &before), 0);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && pread(fd, &byte, 1, (off_t)at) == 1);
    byte ^= 0x55;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    const struct timespec times[2] = {before.st_atim, before.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    assert_int_equal(close(fd), 0);
}

#endif
