/* A shard file of one format (FUZZ_FORMAT) from anybody: measured as a lock measures it, then staged and read as a run
 * does. Every token that is handed out is below the vocabulary. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "store/lock.h"
#include "store/shard_cache.h"

#define SEQUENCE 8u

static void read_through(struct reeve_manifest *m)
{
    struct reeve_error err;
    reeve_shard_cache *c = NULL;
    int32_t tokens[SEQUENCE + 1];
    const struct reeve_shard_config config = {.manifest = m, .cache_dir = "", .run_dir = "", .open_max = 2};
    if (reeve_shard_cache_create(&config, &c, &err) != REEVE_OK) return;
    c->settle_ns = 0; /* nobody else writes here */
    reeve_status st = reeve_shard_stage(c, (reeve_shard_id){0}, &err);
    FUZZ_CHECK(st == REEVE_OK, "measured, and cannot be staged: %s", err.text);
    for (uint64_t at = 0; at + SEQUENCE + 1 <= m->shards[0].token_count && at < 64; at += SEQUENCE) {
        const struct reeve_sample sample = {.shard = {0}, .index = at / SEQUENCE, .token_offset = at};
        if (reeve_shard_read(c, &sample, SEQUENCE, tokens, &err) != REEVE_OK) continue;
        for (unsigned i = 0; i <= SEQUENCE; i++)
            FUZZ_CHECK(tokens[i] >= 0 && (uint32_t)tokens[i] < m->vocab, "a token beyond the vocabulary");
    }
    reeve_shard_cache_destroy(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reeve_error err;
    struct reeve_shard shard = {.format = FUZZ_FORMAT, .weight = 1};
    char paths[PATH_MAX];
    strcpy(paths, fuzz_file("shard", data, size));
    (void)reeve_shard_guess_format(paths);
    if (reeve_shard_measure(paths, &shard, &err) != REEVE_OK) return 0;
    FUZZ_CHECK(shard.data_offset <= shard.file_bytes &&
                   shard.token_count <= (shard.file_bytes - shard.data_offset) / shard.token_bytes,
               "tokens beyond the end of the file");
    struct reeve_manifest m = {.dataset = "fuzz",
                               .tokenizer = "bytes",
                               .vocab = 50000,
                               .shard_count = 1,
                               .shards = &shard,
                               .paths = paths,
                               .paths_bytes = strlen(paths) + 1};
    if (reeve_manifest_check(&m, &err) == REEVE_OK) read_through(&m);
    return 0;
}
