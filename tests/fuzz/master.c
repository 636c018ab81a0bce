/* See master.h. */
#include "master.h"

#include <string.h>

#include "fuzz.h"

static struct reeve_shard shards[4];
static char paths[] = "a\0b\0c\0d";
static struct reeve_manifest manifest = {.dataset = "fuzz",
                                         .tokenizer = "bytes",
                                         .vocab = 256,
                                         .shard_count = 4,
                                         .shards = shards,
                                         .paths = paths,
                                         .paths_bytes = sizeof(paths)};

reeve_plan *fuzz_plan(void)
{
    static reeve_plan *plan;
    struct reeve_error err;
    if (plan != NULL) return plan;
    for (uint32_t i = 0; i < 4; i++)
        shards[i] = (struct reeve_shard){.path_offset = 2 * i,
                                         .file_bytes = 40 + 13 * i,
                                         .token_count = 40 + 13 * i,
                                         .weight = 1,
                                         .format = REEVE_SHARD_TEXT,
                                         .token_bytes = 1};
    manifest.digest = reeve_manifest_digest(&manifest);
    const struct reeve_plan_config config = {.seed = 5,
                                             .shuffle = REEVE_SHUFFLE_GLOBAL,
                                             .block_shards = 2,
                                             .sequence = 4,
                                             .global_batch = 12,
                                             .micro_batch = 2,
                                             .holdout_ppm = 100000};
    FUZZ_CHECK(reeve_plan_create(&manifest, &config, &plan, &err) == REEVE_OK, "plan: %s", err.text);
    return plan;
}

static struct reeve_master_config training(void)
{
    return (struct reeve_master_config){.manifest = &manifest,
                                        .steps = 12,
                                        .global_batch = 12,
                                        .micro_batch = 2,
                                        .eval_every = 5,
                                        .checkpoint_every = 4,
                                        .attempts_max = 8,
                                        .refused_max = 3,
                                        .sample_tokens = 4,
                                        .credits = 2};
}

reeve_master *fuzz_master_create(const struct reeve_task_list *list)
{
    struct reeve_error err;
    reeve_master *m = NULL;
    reeve_plan *plan = list == NULL ? fuzz_plan() : NULL;
    struct reeve_master_config c =
        list == NULL ? training()
                     : (struct reeve_master_config){
                           .tasks = list, .slots = 2, .credits = 4, .drain_s = 5, .retry_ns = 100000000};
    c.run_id = 9;
    c.workers_max = FUZZ_WORKERS;
    c.crash_limit = 3;
    c.seed = 1;
    c.lease_term_ns = 60000000000;
    memcpy(&c.manifest_digest64, list == NULL ? manifest.digest.bytes : list->digest.bytes, 8);
    FUZZ_CHECK(reeve_master_create(&c, plan, &m, &err) == REEVE_OK, "master: %s", err.text);
    return m;
}

struct reeve_event fuzz_master_opening(const struct reeve_task_list *list)
{
    struct reeve_event ev = {.kind = REEVE_EVENT_RUN_OPENED, .epoch = 1, .a = 9, .arg = FUZZ_WORKERS};
    memcpy(&ev.b, list == NULL ? manifest.digest.bytes : list->digest.bytes, 8);
    return ev;
}
