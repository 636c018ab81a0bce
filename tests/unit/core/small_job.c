/* See small_job.h. */
#include "small_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A job that cannot even be made is a finding, in whatever program. */
static void need(reeve_status st, const char *what, const struct reeve_error *err)
{
    if (st == REEVE_OK) return;
    (void)fprintf(stderr, "%s: %s\n", what, err->text);
    abort();
}

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
    need(reeve_plan_create(&j->manifest, &j->plan, &plan, &err), "plan", &err);
    return plan;
}

struct reeve_master_config small_job_config(const struct small_job *j, uint32_t workers, uint64_t steps)
{
    struct reeve_master_config c = {.run_id = SMALL_RUN_ID,
                                    .workers_max = workers,
                                    .manifest = &j->manifest,
                                    .steps = steps,
                                    .global_batch = SMALL_BATCH,
                                    .micro_batch = SMALL_SAMPLES,
                                    .eval_every = 5,
                                    .checkpoint_every = 4,
                                    .attempts_max = 8,
                                    .crash_limit = 3,
                                    .refused_max = 3,
                                    .credits = 2,
                                    .seed = 1,
                                    .lease_term_ns = 3600000000000};
    memcpy(&c.manifest_digest64, j->manifest.digest.bytes, 8);
    return c;
}

reeve_master *small_job_master(const struct small_job *j, reeve_plan *plan, uint32_t workers, uint64_t steps,
                               uint32_t crash_limit)
{
    reeve_master *m = NULL;
    struct reeve_error err = {0};
    struct reeve_master_config c = small_job_config(j, workers, steps);
    c.crash_limit = crash_limit;
    need(reeve_master_create(&c, plan, &m, &err), "master", &err);
    return m;
}

struct reeve_event small_job_opening(const struct small_job *j, uint32_t workers)
{
    struct reeve_event ev = {.kind = REEVE_EVENT_RUN_OPENED, .a = SMALL_RUN_ID, .arg = workers};
    memcpy(&ev.b, j->manifest.digest.bytes, 8);
    return ev;
}

struct reeve_audit_result small_job_audit(reeve_plan *plan, const struct reeve_event *journal, uint32_t events)
{
    reeve_audit *audit = NULL;
    struct reeve_audit_result r;
    struct reeve_error err = {0};
    need(reeve_audit_create(plan, &audit, &err), "audit", &err);
    for (uint32_t i = 0; i < events; i++)
        need(reeve_audit_event(audit, &journal[i], &err), "audit", &err);
    need(reeve_audit_finish(audit, &r, &err), "audit", &err);
    reeve_audit_destroy(audit);
    return r;
}
