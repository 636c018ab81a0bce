/* See small_job.h. */
#include "small_job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void small_job_init(struct small_job *j)
{
    static struct reeve_shard shards[4];
    static char paths[] = "a\0b\0c\0d";
    for (uint32_t i = 0; i < 4; i++)
        shards[i] = (struct reeve_shard){.path_offset = 2 * i,
                                         .file_bytes = 40 + 13 * i,
                                         .token_count = 40 + 13 * i,
                                         .weight = 1,
                                         .format = REEVE_SHARD_TEXT,
                                         .token_bytes = 1};
    j->manifest = (struct reeve_manifest){.dataset = "small",
                                          .tokenizer = "bytes",
                                          .vocab = 256,
                                          .shard_count = 4,
                                          .shards = shards,
                                          .paths = paths,
                                          .paths_bytes = sizeof(paths)};
    j->manifest.digest = reeve_manifest_digest(&j->manifest);
    j->plan = (struct reeve_plan_config){.seed = 5,
                                         .shuffle = REEVE_SHUFFLE_GLOBAL,
                                         .block_shards = 2,
                                         .sequence = SMALL_SEQUENCE,
                                         .global_batch = SMALL_BATCH,
                                         .micro_batch = SMALL_SAMPLES,
                                         .holdout_ppm = 100000};
}

reeve_plan *small_job_plan(const struct small_job *j)
{
    reeve_plan *plan = NULL;
    struct reeve_error err = {0};
    if (reeve_plan_create(&j->manifest, &j->plan, &plan, &err) != REEVE_OK) fail_msg("plan: %s", err.text);
    return plan;
}

reeve_master *small_job_master(const struct small_job *j, reeve_plan *plan, uint32_t workers, uint64_t steps,
                               uint32_t crash_limit)
{
    reeve_master *m = NULL;
    struct reeve_error err = {0};
    struct reeve_master_config c = {.run_id = 9,
                                    .workers_max = workers,
                                    .manifest = &j->manifest,
                                    .steps = steps,
                                    .global_batch = SMALL_BATCH,
                                    .micro_batch = SMALL_SAMPLES,
                                    .eval_every = 5,
                                    .checkpoint_every = 4,
                                    .attempts_max = 8,
                                    .crash_limit = crash_limit,
                                    .refused_max = 3,
                                    .credits = 2,
                                    .seed = 1,
                                    .lease_term_ns = 3600000000000};
    memcpy(&c.manifest_digest64, j->manifest.digest.bytes, 8);
    if (reeve_master_create(&c, plan, &m, &err) != REEVE_OK) fail_msg("master: %s", err.text);
    return m;
}

struct reeve_event small_job_opening(const struct small_job *j, uint32_t workers)
{
    struct reeve_event ev = {.kind = REEVE_EVENT_RUN_OPENED, .a = 9, .arg = workers};
    memcpy(&ev.b, j->manifest.digest.bytes, 8);
    return ev;
}

struct reeve_audit_result small_job_audit(reeve_plan *plan, const struct reeve_event *journal, uint32_t events)
{
    reeve_audit *audit = NULL;
    struct reeve_audit_result r;
    struct reeve_error err = {0};
    assert_int_equal(reeve_audit_create(plan, &audit, &err), REEVE_OK);
    for (uint32_t i = 0; i < events; i++)
        assert_int_equal(reeve_audit_event(audit, &journal[i], &err), REEVE_OK);
    assert_int_equal(reeve_audit_finish(audit, &r, &err), REEVE_OK);
    reeve_audit_destroy(audit);
    return r;
}
