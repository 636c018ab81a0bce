/* Locking is measuring: the crew reads every shard file once, whole. */
#include "run/lock_manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "config/manifest_file.h"
#include "store/lock.h"

/* A file that has no mark of its own is text if a token is a byte; otherwise nobody can know what it is. */
static reeve_status settle_format(const struct reeve_manifest *m, const char *path, struct reeve_shard *shard,
                                  struct reeve_error *err)
{
    if (shard->format == 0) shard->format = (uint8_t)reeve_shard_guess_format(path);
    if (shard->format == 0 && strcmp(m->tokenizer, "bytes") == 0) shard->format = REEVE_SHARD_TEXT;
    if (shard->format == 0)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "shard %s: its first bytes do not say what it is; add `format: nanogpt` (raw u16 tokens), "
                          "llm.c, hdf5 or text to the shard or to the top of the manifest",
                          path);
    if (shard->token_bytes == 0 && shard->format == REEVE_SHARD_TEXT) shard->token_bytes = 1;
    if (shard->token_bytes == 0 && shard->format == REEVE_SHARD_NANOGPT) shard->token_bytes = 2;
    return REEVE_OK;
}

static reeve_status measure_shard(void *arg, uint32_t piece, uint64_t *bytes, struct reeve_error *err)
{
    struct reeve_manifest *m = arg;
    struct reeve_shard *shard = &m->shards[piece];
    char path[REEVE_PATH_BYTES_MAX];
    const char *written = reeve_manifest_path(m, (reeve_shard_id){piece});
    reeve_status st = reeve_path_join(path, sizeof path, m->base_dir, written, err);
    if (st == REEVE_OK) st = settle_format(m, path, shard, err);
    if (st == REEVE_OK) st = reeve_shard_measure(path, shard, err);
    if (st == REEVE_OK) *bytes = shard->file_bytes;
    return st;
}

static reeve_status check_shard(void *arg, uint32_t piece, uint64_t *bytes, struct reeve_error *err)
{
    const struct reeve_manifest *m = arg;
    reeve_status st = reeve_shard_check(m, (reeve_shard_id){piece}, err);
    if (st == REEVE_OK) *bytes = m->shards[piece].file_bytes;
    return st;
}

reeve_status reeve_manifest_measure(struct reeve_manifest *m, uint32_t threads, bool stop_at_failure,
                                    reeve_lock_progress *progress, void *arg, struct reeve_crew_failure **failures,
                                    uint32_t *failure_count, uint32_t *failed, struct reeve_error *err)
{
    struct reeve_crew_job job = {m->shard_count, threads, stop_at_failure, measure_shard, progress, m, arg};
    return reeve_crew_run(&job, failures, failure_count, failed, err);
}

reeve_status reeve_manifest_check_shards(const struct reeve_manifest *m, uint32_t threads,
                                         reeve_lock_progress *progress, void *arg, struct reeve_crew_failure **failures,
                                         uint32_t *failure_count, uint32_t *failed, struct reeve_error *err)
{
    /* work_arg is not const for others' sake; check_shard only reads */
    struct reeve_crew_job job = {m->shard_count, threads, false, check_shard, progress, (void *)m, arg};
    return reeve_crew_run(&job, failures, failure_count, failed, err);
}

reeve_status reeve_manifest_lock_progress(const char *shards_yaml, uint32_t threads, reeve_lock_progress *progress,
                                          void *arg, struct reeve_manifest **out, struct reeve_error *err)
{
    struct reeve_manifest *m = NULL;
    struct reeve_crew_failure *failures = NULL;
    uint32_t failure_count = 0, failed = 0;
    reeve_status st = reeve_manifest_file_read(shards_yaml, &m, err);
    if (st != REEVE_OK) return st;
    st = reeve_manifest_measure(m, threads, true, progress, arg, &failures, &failure_count, &failed, err);
    if (st == REEVE_OK && failed > 0) {
        if (err != NULL) *err = failures[0].error;
        st = failures[0].error.status;
    }
    free(failures);
    if (st == REEVE_OK) st = reeve_manifest_check(m, err);
    if (st != REEVE_OK) {
        reeve_manifest_destroy(m);
        return st;
    }
    m->digest = reeve_manifest_digest(m);
    *out = m;
    return REEVE_OK;
}

reeve_status reeve_manifest_lock(const char *shards_yaml, uint32_t threads, struct reeve_manifest **out,
                                 struct reeve_error *err)
{
    return reeve_manifest_lock_progress(shards_yaml, threads, NULL, NULL, out, err);
}
