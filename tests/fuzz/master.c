/* See master.h. */
#include "master.h"

#include <string.h>

#include "fuzz.h"
#include "small_job.h"

static struct small_job job;

/* Under a name of its own: the digest of its manifest stands in the journals of the corpus. */
static const struct small_job *the_job(void)
{
    if (job.manifest.shard_count > 0) return &job;
    small_job_init(&job);
    memset(job.manifest.dataset, 0, sizeof(job.manifest.dataset));
    memcpy(job.manifest.dataset, "fuzz", 4);
    job.manifest.digest = reeve_manifest_digest(&job.manifest);
    return &job;
}

reeve_plan *fuzz_plan(void)
{
    static reeve_plan *plan;
    if (plan == NULL) plan = small_job_plan(the_job());
    return plan;
}

reeve_master *fuzz_master_create(const struct reeve_task_list *list)
{
    struct reeve_error err;
    reeve_master *m = NULL;
    reeve_plan *plan = list == NULL ? fuzz_plan() : NULL;
    struct reeve_master_config c = small_job_config(the_job(), FUZZ_WORKERS, 12);
    c.sample_tokens = 4;
    if (list != NULL) {
        c = (struct reeve_master_config){.run_id = SMALL_RUN_ID,
                                         .workers_max = FUZZ_WORKERS,
                                         .tasks = list,
                                         .slots = 2,
                                         .credits = 4,
                                         .crash_limit = 3,
                                         .seed = 1,
                                         .drain_s = 5,
                                         .retry_ns = 100000000};
        memcpy(&c.manifest_digest64, list->digest.bytes, 8);
    }
    c.lease_term_ns = 60000000000;
    FUZZ_CHECK(reeve_master_create(&c, plan, &m, &err) == REEVE_OK, "master: %s", err.text);
    return m;
}

struct reeve_event fuzz_master_opening(const struct reeve_task_list *list)
{
    struct reeve_event ev = small_job_opening(the_job(), FUZZ_WORKERS);
    ev.epoch = 1;
    if (list != NULL) memcpy(&ev.b, list->digest.bytes, 8);
    return ev;
}
