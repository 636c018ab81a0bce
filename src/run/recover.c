/* Recovery; see recover.h. Two passes over the journal: the first learns how many workers there ever were and at which
 * records checkpoints were cut, the second replays. */
#include "run/recover.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "store/checkpoint.h"

#define CUTS_MAX 4096u
#define LEASE_TERM_NS (60 * REEVE_SECOND_NS) /* renewed by any word of the holder; heartbeats come every second */

struct cut {
    uint64_t step, lsn, queue_digest;
};

struct recovery {
    reeve_master *master;
    uint32_t workers_max;
    uint64_t run_id;
    struct cut cuts[CUTS_MAX]; /* a ring: of the last CUTS_MAX commits, in order of lsn */
    uint64_t first_cut, next_cut, cut_end;
};

static struct cut *cut_at(struct recovery *r, uint64_t n)
{
    return &r->cuts[n % CUTS_MAX];
}

static reeve_status survey_event(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    (void)err;
    struct recovery *r = arg;
    if (ev->kind == REEVE_EVENT_RUN_OPENED) {
        if (ev->arg > r->workers_max) r->workers_max = ev->arg;
        r->run_id = ev->a;
    }
    if (ev->kind != REEVE_EVENT_CKPT_COMMIT) return REEVE_OK;
    *cut_at(r, r->cut_end++) = (struct cut){.step = ev->step, .lsn = ev->b};
    if (r->cut_end - r->first_cut > CUTS_MAX) r->next_cut = ++r->first_cut;
    return REEVE_OK;
}

static reeve_status replay_event(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    struct recovery *r = arg;
    reeve_status st = reeve_master_apply(r->master, ev, err);
    for (; st == REEVE_OK && r->next_cut < r->cut_end && cut_at(r, r->next_cut)->lsn <= ev->lsn; r->next_cut++) {
        struct cut *cut = cut_at(r, r->next_cut);
        if (cut->lsn == ev->lsn) cut->queue_digest = reeve_master_digest(r->master);
    }
    return st;
}

static void master_config(const struct reeve_job *job, const struct reeve_manifest *manifest, uint64_t run_id,
                          uint32_t workers_max, struct reeve_master_config *out)
{
    *out = (struct reeve_master_config){
        .run_id = run_id,
        .workers_max = workers_max,
        .manifest = manifest,
        .steps = job->train.steps,
        .global_batch = job->train.global_batch,
        .micro_batch = job->train.micro_batch,
        .eval_every = job->train.eval_every,
        .checkpoint_every = job->checkpoint.every,
        .attempts_max = job->faults.attempts_max,
        .crash_limit = job->faults.crash_limit,
        .refused_max = job->train.refused_max,
        .credits = job->faults.credits,
        .sample_tokens = job->sample.tokens,
        .fast = job->train.reduce == REEVE_REDUCE_FAST,
        .seed = job->seed,
        .lease_term_ns = LEASE_TERM_NS,
    };
    memcpy(&out->manifest_digest64, manifest->digest.bytes, 8);
}

/* Is the checkpoint's index there, whole, of this run, and cut from the queue that the replay gave? */
static reeve_status check_index(const char *run_dir, struct recovery *r, const struct reeve_manifest *manifest,
                                const struct reeve_master_checkpoint *c, struct reeve_recovered *out,
                                struct reeve_error *err)
{
    reeve_checkpoint *ckpt = NULL;
    reeve_status st = reeve_checkpoint_open(run_dir, c->step, &c->digest64, &ckpt, err);
    if (st != REEVE_OK) return st;
    const struct reeve_checkpoint_meta *meta = reeve_checkpoint_meta(ckpt);
    if (meta->run_id != r->run_id || !reeve_digest_equal(meta->manifest_digest, manifest->digest))
        st = reeve_fail(err, REEVE_STORE_CORRUPT, "checkpoint of step %llu belongs to another run or manifest",
                        (unsigned long long)c->step);
    for (uint64_t i = r->first_cut; i < r->cut_end && st == REEVE_OK; i++) {
        const struct cut *cut = cut_at(r, i);
        if (cut->step == c->step && cut->lsn == c->lsn && cut->queue_digest != meta->queue_digest)
            st = reeve_fail(
                err, REEVE_STORE_CORRUPT,
                "checkpoint of step %llu: the journal up to record %llu does not give the queue it was cut with",
                (unsigned long long)c->step, (unsigned long long)c->lsn);
    }
    if (st == REEVE_OK) {
        out->resume_step = c->step;
        out->threads = meta->threads;
        memcpy(out->build, meta->build, sizeof(out->build));
    }
    reeve_checkpoint_close(ckpt);
    return st;
}

/* Newest first. Those that cannot be used are taken out of the list: whoever goes on from an older one says so on record
 * (RUN_RESUMED). A successor goes on with what the workers hold, and has no such record: its list stays as it is, or no
 * checkpoint that it cuts would fit the journal. */
static reeve_status choose_checkpoint(const char *run_dir, struct recovery *r, const struct reeve_manifest *manifest,
                                      bool succeeds, struct reeve_recovered *out, struct reeve_error *err)
{
    struct reeve_master_checkpoint list[REEVE_CHECKPOINTS_MAX];
    uint32_t count = reeve_master_checkpoints(out->master, list, REEVE_CHECKPOINTS_MAX);
    struct reeve_error why = {0};
    for (uint32_t i = 0; i < count; i++) {
        if (check_index(run_dir, r, manifest, &list[i], out, &why) == REEVE_OK) return REEVE_OK;
        reeve_log(REEVE_LOG_WARN, "checkpoint of step %llu cannot be used%s: %s", (unsigned long long)list[i].step,
                  succeeds ? "" : ", falling back to the one before", why.text);
        if (!succeeds) reeve_master_reject_checkpoint(out->master, list[i].step);
    }
    if (count == 0 || succeeds) return REEVE_OK;
    return reeve_fail(
        err, REEVE_STORE_CORRUPT,
        "%s: none of its checkpoints can be read (last: %s); copy one back from a backup, or start over in "
        "another --run-dir",
        run_dir, why.text);
}

/* The first pass. *r: free(). */
static reeve_status survey(const char *run_dir, uint32_t workers, struct recovery **result, struct reeve_recovered *out,
                           struct reeve_error *err)
{
    memset(out, 0, sizeof(*out));
    struct recovery *r = calloc(1, sizeof(*r));
    *result = r;
    if (r == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "recovery: out of memory");
    r->workers_max = workers;
    reeve_status st = reeve_journal_replay(run_dir, survey_event, r, &out->info, err);
    out->first = out->info.last_lsn == 0;
    bool unnamed =
        out->first && out->info.segments == 0; /* a segment without a record has named the run all the same */
    if (st == REEVE_OK && out->first && !unnamed) r->run_id = out->info.run_id;
    if (st == REEVE_OK && unnamed && getrandom(&r->run_id, sizeof(r->run_id), 0) != sizeof(r->run_id))
        st = reeve_fail(err, REEVE_JOB_INTERNAL, "getrandom: %m");
    out->run_id = r->run_id;
    return st;
}

reeve_status reeve_recover_list(const char *run_dir, const struct reeve_job *job, const struct reeve_task_list *tasks,
                                uint32_t workers, struct reeve_recovered *out, struct reeve_error *err)
{
    struct recovery *r;
    reeve_status st = survey(run_dir, workers, &r, out, err);
    if (st == REEVE_OK) {
        struct reeve_master_config config = {
            .run_id = r->run_id,
            .workers_max = r->workers_max,
            .crash_limit = job->faults.crash_limit,
            .credits = job->exec.ahead,
            .seed = job->seed,
            .lease_term_ns = LEASE_TERM_NS,
            .tasks = tasks,
            .slots = job->exec.slots,
            .drain_s = job->exec.drain_s,
            .retry_ns = (reeve_time_ns)(job->exec.retry_s * (double)REEVE_SECOND_NS),
        };
        memcpy(&config.manifest_digest64, tasks->digest.bytes, 8);
        st = reeve_master_create(&config, NULL, &out->master, err);
        r->master = out->master;
    }
    if (st == REEVE_OK && !out->first) st = reeve_journal_replay(run_dir, replay_event, r, &out->info, err);
    free(r);
    if (st != REEVE_OK) reeve_recover_fini(out);
    return st;
}

reeve_status reeve_recover(const char *run_dir, const struct reeve_job *job, const struct reeve_manifest *manifest,
                           uint32_t workers, uint64_t stop_at, bool succeeds, struct reeve_recovered *out,
                           struct reeve_error *err)
{
    struct recovery *r;
    reeve_status st = survey(run_dir, workers, &r, out, err);
    if (r == NULL) return st;
    struct reeve_plan_config plan_config;
    reeve_job_plan_config(job, &plan_config);
    if (st == REEVE_OK) st = reeve_plan_create(manifest, &plan_config, &out->plan, err);
    struct reeve_master_config config;
    master_config(job, manifest, r->run_id, r->workers_max, &config);
    config.stop_at = stop_at;
    if (st == REEVE_OK) st = reeve_master_create(&config, out->plan, &out->master, err);
    r->master = out->master;
    if (st == REEVE_OK && !out->first) {
        st = reeve_journal_replay(run_dir, replay_event, r, &out->info, err);
        if (st == REEVE_OK) st = choose_checkpoint(run_dir, r, manifest, succeeds, out, err);
    }
    if (st == REEVE_OK && !out->first) {
        struct reeve_master_status status;
        reeve_master_get_status(out->master, &status);
        out->complete = status.ended && status.step >= job->train.steps;
    }
    free(r);
    if (st != REEVE_OK) reeve_recover_fini(out);
    return st;
}

void reeve_recover_fini(struct reeve_recovered *r)
{
    reeve_master_destroy(r->master);
    reeve_plan_destroy(r->plan);
    r->master = NULL;
    r->plan = NULL;
}
