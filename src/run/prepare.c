/* See prepare.h. */
#include "run/prepare.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "config/job_file.h"
#include "config/manifest_file.h"
#include "config/tasks_file.h"
#include "run/fresh_folder.h"
#include "run/initial_weights.h"
#include "run/lock_manifest.h"
#include "run/owner_wait.h"
#include "run/prepare_tasks.h"
#include "store/checkpoint.h"
#include "store/journal.h"
#include "store/lock.h"
#include "store/owner.h"

#define IDENTITY_BYTES_MAX 16384

/* RUN, absolute, so that every rank means the same folder wherever it was started. */
static reeve_status absolute_run_dir(const char *run_dir, const struct reeve_job *job, struct reeve_prepared *out,
                                     struct reeve_error *err)
{
    char relative[REEVE_PATH_BYTES_MAX];
    int n = run_dir != NULL ? snprintf(relative, sizeof(relative), "%s", run_dir)
                            : snprintf(relative, sizeof(relative), "runs/%s", job->name);
    if (n <= 0 || (size_t)n >= sizeof(relative))
        return reeve_fail(err, REEVE_INPUT_USAGE, "--run-dir: empty, or longer than %zu bytes", sizeof(relative) - 1);
    if (relative[0] == '/') {
        memcpy(out->run_dir, relative, sizeof(relative));
        return REEVE_OK;
    }
    char here[REEVE_PATH_BYTES_MAX];
    if (getcwd(here, sizeof(here)) == NULL)
        return reeve_fail(err, reeve_status_from_errno_read(errno), "current folder: %m");
    return reeve_path_join(out->run_dir, sizeof(out->run_dir), here, relative, err);
}

static reeve_status in_run(const struct reeve_prepared *p, const char *name, char path[REEVE_PATH_BYTES_MAX],
                           struct reeve_error *err)
{
    return reeve_path_join(path, REEVE_PATH_BYTES_MAX, p->run_dir, name, err);
}

static reeve_status write_job(const struct reeve_prepared *p, struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    char *text = NULL;
    reeve_status st = in_run(p, "job.yaml", path, err);
    if (st == REEVE_OK) st = reeve_job_format_yaml(&p->job, &text, err);
    if (st == REEVE_OK) st = reeve_file_replace(path, text, strlen(text), true, err);
    free(text);
    return st;
}

/* ---- a folder that is there already ---- */

/* The first line in which two identities differ, as "key=stored" and "key=given". */
static reeve_status compare_identity(const struct reeve_prepared *p, const struct reeve_job *stored,
                                     struct reeve_error *err)
{
    char *a = malloc(2 * IDENTITY_BYTES_MAX);
    if (a == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "prepare: out of memory");
    char *b = a + IDENTITY_BYTES_MAX;
    (void)reeve_job_identity(stored, a, IDENTITY_BYTES_MAX);
    (void)reeve_job_identity(&p->job, b, IDENTITY_BYTES_MAX);
    reeve_status st = REEVE_OK;
    const char *x = a, *y = b;
    while (*x != '\0' || *y != '\0') {
        size_t m = strcspn(x, "\n"), n = strcspn(y, "\n");
        if (m != n || memcmp(x, y, m) != 0) {
            st = reeve_fail(
                err, REEVE_STORE_MISMATCH,
                "%s was begun with %.*s, the job says %.*s: that would be another training; change it back, or "
                "choose another --run-dir",
                p->run_dir, (int)m, x, (int)n, y);
            break;
        }
        x += m + (x[m] == '\n');
        y += n + (y[n] == '\n');
    }
    free(a);
    return st;
}

/* A shard that the lock has and the disk has not: the likeliest reason why a list of shards is another one now. */
static reeve_status name_missing_shard(const struct reeve_prepared *p, struct reeve_error *err)
{
    for (uint32_t i = 0; i < p->manifest->shard_count; i++) {
        char path[REEVE_PATH_BYTES_MAX];
        const char *name = reeve_manifest_path(p->manifest, (reeve_shard_id){i});
        reeve_status st = reeve_path_join(path, sizeof(path), p->manifest->base_dir, name, err);
        if (st == REEVE_OK && !reeve_path_exists(path))
            st = reeve_fail(err, REEVE_INPUT_MISSING,
                            "shard %s is gone; %s was begun with it: put it back and run again", path, p->run_dir);
        if (st != REEVE_OK) return st;
    }
    return REEVE_OK;
}

/* The shards that shards.yaml names now must be the locked ones; their contents are checked when they are staged. */
static reeve_status compare_manifest(const struct reeve_prepared *p, struct reeve_error *err)
{
    struct reeve_manifest *now = NULL;
    if (!reeve_path_exists(p->job.data.manifest)) {
        reeve_log(REEVE_LOG_WARN, "%s is gone; going on with the manifest locked in %s", p->job.data.manifest,
                  p->run_dir);
        return REEVE_OK;
    }
    reeve_status st = reeve_manifest_file_read(p->job.data.manifest, &now, err);
    if (st != REEVE_OK) return st;
    const struct reeve_manifest *locked = p->manifest;
    if (now->shard_count != locked->shard_count) st = name_missing_shard(p, err);
    if (st == REEVE_OK && (now->shard_count != locked->shard_count || strcmp(now->dataset, locked->dataset) != 0))
        st = reeve_fail(
            err, REEVE_INPUT_CHANGED,
            "%s names %u shards of '%s' now, but %s was begun with %u of '%s': restore the manifest, or choose "
            "another --run-dir",
            p->job.data.manifest, now->shard_count, now->dataset, p->run_dir, locked->shard_count, locked->dataset);
    for (uint32_t i = 0; i < now->shard_count && st == REEVE_OK; i++) {
        reeve_shard_id id = {i};
        bool same = strcmp(reeve_manifest_path(now, id), reeve_manifest_path(locked, id)) == 0 &&
                    now->shards[i].weight == locked->shards[i].weight &&
                    (now->shards[i].format == 0 || now->shards[i].format == locked->shards[i].format);
        if (!same)
            st = reeve_fail(err, REEVE_INPUT_CHANGED,
                            "%s: shard %u is %s (weight %u) now, but %s was begun with %s (weight %u): restore the "
                            "manifest, or choose another --run-dir",
                            p->job.data.manifest, i + 1, reeve_manifest_path(now, id), now->shards[i].weight,
                            p->run_dir, reeve_manifest_path(locked, id), locked->shards[i].weight);
    }
    reeve_manifest_destroy(now);
    return st;
}

struct completion {
    bool ended;
    uint64_t step;
    uint32_t dead;
};

static reeve_status see_end(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    (void)err;
    struct completion *c = arg;
    if (ev->kind == REEVE_EVENT_RUN_OPENED) c->ended = false;
    if (ev->kind == REEVE_EVENT_RUN_ENDED) *c = (struct completion){.ended = true, .step = ev->step, .dead = ev->arg};
    return REEVE_OK;
}

/* Where there was a checkpoint there was a journal, on the disk before it. Without one a run would begin from nothing, in
 * silence, and remove what it cannot know. */
static reeve_status refuse_lost_journal(const char *run_dir, struct reeve_error *err)
{
    uint64_t step = 0;
    if (!reeve_checkpoint_newest_name(run_dir, &step)) return REEVE_OK;
    return reeve_fail(err, REEVE_STORE_CORRUPT,
                      "%s: there is a checkpoint of step %" PRIu64
                      ", and no journal: put %s/journal back, or begin anew in another --run-dir (with its weights: "
                      "--set model.init_from=%s)",
                      run_dir, step, run_dir, run_dir);
}

/* Does the journal say that every step of the job is done? */
static reeve_status look_for_end(struct reeve_prepared *p, struct reeve_error *err)
{
    struct completion c = {0};
    struct reeve_journal_info info;
    reeve_status st = reeve_journal_replay(p->run_dir, see_end, &c, &info, err);
    p->complete = st == REEVE_OK && c.ended && (p->tasks != NULL || c.step >= p->job.train.steps);
    p->dead = p->complete ? c.dead : 0;
    p->steps_done = p->complete && p->tasks == NULL ? c.step : 0;
    return st == REEVE_OK && info.segments == 0 ? refuse_lost_journal(p->run_dir, err) : st;
}

/* Everything that a training was begun with, against what the job says now. */
static reeve_status check_training(struct reeve_prepared *p, struct reeve_error *err)
{
    char lock_path[REEVE_PATH_BYTES_MAX];
    reeve_status st = in_run(p, "manifest.h5", lock_path, err);
    if (st == REEVE_OK) st = reeve_lock_read(lock_path, &p->manifest, err);
    return st == REEVE_OK ? compare_manifest(p, err) : st;
}

/* Where the cosine ends was fixed when the run began, unless the job names another step than its last for it. */
static void keep_decay(struct reeve_prepared *p, const struct reeve_job *stored)
{
    if (p->job.optimizer.decay_steps != p->job.train.steps || stored->optimizer.decay_steps == p->job.train.steps)
        return;
    p->job.optimizer.decay_steps = stored->optimizer.decay_steps;
    reeve_log(REEVE_LOG_INFO,
              "optimizer.decay_steps stays %" PRIu64 ", as when the run began: after that step the rate is min_lr",
              stored->optimizer.decay_steps);
}

static reeve_status check_list(struct reeve_prepared *p, const char *job_path, bool *moved, struct reeve_error *err)
{
    reeve_status st = reeve_prepare_tasks_open(p, err);
    return st == REEVE_OK ? reeve_prepare_tasks_compare(p, job_path, moved, err) : st;
}

/* What stands in the folder is the owner's, and one on another machine whose clock is another looks dead until it is
 * watched: so the run is taken for the time of writing, as whoever launches it would take it. */
static reeve_status rewrite(struct reeve_prepared *p, bool list, bool job, struct reeve_error *err)
{
    reeve_owner *supervisor = NULL, *master = NULL;
    bool ignored;
    reeve_status st = reeve_owner_acquire_as(p->run_dir, REEVE_OWNER_SUPERVISOR, &supervisor, &ignored, err);
    if (st == REEVE_OK) st = reeve_owner_acquire(p->run_dir, &master, &ignored, err);
    if (st == REEVE_OK && list) st = reeve_prepare_tasks_lock(p, err);
    if (st == REEVE_OK && job) st = write_job(p, err);
    reeve_owner_release(master);
    reeve_owner_release(supervisor);
    return st;
}

static reeve_status check_existing(struct reeve_prepared *p, const char *job_path, const char *job_yaml,
                                   struct reeve_error *err)
{
    struct reeve_job stored;
    reeve_status st = reeve_job_read(job_yaml, NULL, 0, &stored, err);
    if (st == REEVE_OK) keep_decay(p, &stored);
    if (st == REEVE_OK) st = reeve_initial_weights_resolve(&p->job, &stored, err);
    if (st == REEVE_OK) st = compare_identity(p, &stored, err);
    bool moved = false;
    if (st == REEVE_OK) st = reeve_job_is_list(&p->job) ? check_list(p, job_path, &moved, err) : check_training(p, err);
    if (st == REEVE_OK) st = look_for_end(p, err);
    /* Where nothing is left to do, what is on record stays what was done. */
    if (st != REEVE_OK || p->complete) return st;
    bool changed = memcmp(&stored, &p->job, sizeof(stored)) != 0;
    return moved || changed ? rewrite(p, moved, changed, err) : REEVE_OK;
}

/* ---- a fresh folder ---- */

static void tell_locking(void *arg, uint32_t done, uint32_t count, uint64_t bytes)
{
    (void)arg;
    if (!isatty(STDERR_FILENO)) return;
    (void)fprintf(stderr, "\rlocking the manifest: %u of %u shards, %.1f MB\033[K%s", done, count, (double)bytes * 1e-6,
                  done == count ? "\r\033[K" : "");
}

static reeve_status make_folders(const struct reeve_prepared *p, struct reeve_error *err)
{
    static const char *const names[] = {"journal", "checkpoint", "log"};
    reeve_status st = reeve_mkdir_parents(p->run_dir, err);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && st == REEVE_OK; i++) {
        if (p->tasks != NULL && strcmp(names[i], "checkpoint") == 0) continue; /* a task list has none */
        char path[REEVE_PATH_BYTES_MAX];
        st = in_run(p, names[i], path, err);
        if (st == REEVE_OK) st = reeve_mkdir_parents(path, err);
    }
    return st;
}

static reeve_status make_training(struct reeve_prepared *p, const char *job_path, struct reeve_error *err)
{
    char lock_path[REEVE_PATH_BYTES_MAX];
    reeve_status st = reeve_manifest_lock_progress(p->job.data.manifest, 0, tell_locking, NULL, &p->manifest, err);
    if (st != REEVE_OK && !reeve_path_exists(p->job.data.manifest))
        return reeve_error_context(err, "%s, key 'data.manifest'", job_path);
    reeve_plan *plan = NULL;
    struct reeve_plan_config plan_config;
    reeve_job_plan_config(&p->job, &plan_config);
    if (st == REEVE_OK)
        st = reeve_plan_create(p->manifest, &plan_config, &plan, err); /* refuse before anything is made */
    reeve_plan_destroy(plan);
    if (st == REEVE_OK) st = make_folders(p, err);
    if (st == REEVE_OK) st = reeve_initial_weights_copy(p->run_dir, &p->job, err);
    if (st == REEVE_OK) st = in_run(p, "manifest.h5", lock_path, err);
    return st == REEVE_OK ? reeve_lock_write(lock_path, p->manifest, err) : st;
}

static reeve_status make_list(struct reeve_prepared *p, const char *job_path, struct reeve_error *err)
{
    reeve_status st = reeve_tasks_read(job_path, &p->job, &p->tasks, err); /* refuse before anything is made */
    if (st == REEVE_OK) st = make_folders(p, err);
    return st == REEVE_OK ? reeve_prepare_tasks_lock(p, err) : st;
}

/* A folder that has lost its job.yaml too, or checkpoints that somebody has put back, is no new run either. */
static reeve_status check_fresh(const char *run_dir, struct reeve_error *err)
{
    uint64_t step;
    struct reeve_journal_info info = {.segments = 0};
    reeve_status st = reeve_fresh_folder_check(run_dir, err);
    if (st != REEVE_OK || !reeve_checkpoint_newest_name(run_dir, &step)) return st;
    st = reeve_journal_replay(run_dir, NULL, NULL, &info, err);
    return st == REEVE_OK && info.segments == 0 ? refuse_lost_journal(run_dir, err) : st;
}

static reeve_status make_fresh(struct reeve_prepared *p, const char *job_path, struct reeve_error *err)
{
    p->fresh = true;
    reeve_status st = check_fresh(p->run_dir, err);
    if (st == REEVE_OK) st = reeve_job_is_list(&p->job) ? make_list(p, job_path, err) : make_training(p, job_path, err);
    return st == REEVE_OK ? write_job(p, err) : st; /* last: its presence says that the folder is a run */
}

/* A job.yaml alone is somebody's own: a run writes it last. */
static bool is_begun(const struct reeve_prepared *p)
{
    static const char *const names[] = {"manifest.h5", "tasks.h5", "journal"};
    char path[REEVE_PATH_BYTES_MAX];
    if (in_run(p, "job.yaml", path, NULL) != REEVE_OK || !reeve_path_exists(path)) return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (in_run(p, names[i], path, NULL) == REEVE_OK && reeve_path_exists(path)) return true;
    return false;
}

static void wait_for_owners(const char *run_dir)
{
    reeve_time_ns end_ns = reeve_clock_now() + REEVE_OWNER_PATIENCE_NS;
    struct reeve_owner_watch ignored; /* who takes the run watches for itself */
    reeve_owner_wait(run_dir, REEVE_OWNER_SUPERVISOR, end_ns, &ignored);
    reeve_owner_wait(run_dir, REEVE_OWNER_MASTER, end_ns, &ignored);
}

reeve_status reeve_prepare(const char *job_path, const char *const *overrides, uint32_t override_count,
                           const char *run_dir, uint32_t workers, struct reeve_prepared *out, struct reeve_error *err)
{
    memset(out, 0, sizeof(*out));
    reeve_status st = reeve_job_read(job_path, overrides, override_count, &out->job, err);
    if (st == REEVE_OK) st = reeve_library_file_check(&out->job, out->library, err);
    if (st != REEVE_OK) return st;
    if (workers > 0) out->job.resources.workers = workers;
    st = absolute_run_dir(run_dir, &out->job, out, err);
    char job_yaml[REEVE_PATH_BYTES_MAX];
    if (st == REEVE_OK) st = in_run(out, "job.yaml", job_yaml, err);
    char holder[256];
    if (st == REEVE_OK) wait_for_owners(out->run_dir);
    if (st == REEVE_OK && (reeve_owner_peek_as(out->run_dir, REEVE_OWNER_SUPERVISOR, holder, sizeof(holder)) ||
                           reeve_owner_peek(out->run_dir, holder, sizeof(holder))))
        st = reeve_fail(err, REEVE_STORE_IN_USE,
                        "%s is in use by %s: wait for it, stop it (touch %s/STOP), or choose another "
                        "--run-dir",
                        out->run_dir, holder, out->run_dir);
    if (st == REEVE_OK)
        st = is_begun(out) ? check_existing(out, job_path, job_yaml, err) : make_fresh(out, job_path, err);
    if (st != REEVE_OK) reeve_prepared_fini(out);
    return st;
}

reeve_status reeve_prepare_open(const char *run_dir, struct reeve_prepared *out, struct reeve_error *err)
{
    memset(out, 0, sizeof(*out));
    (void)snprintf(out->run_dir, sizeof(out->run_dir), "%s", run_dir);
    char path[REEVE_PATH_BYTES_MAX];
    reeve_status st = in_run(out, "job.yaml", path, err);
    if (st == REEVE_OK) st = reeve_job_read(path, NULL, 0, &out->job, err);
    if (st == REEVE_OK) st = reeve_library_file_check(&out->job, out->library, err);
    if (st == REEVE_OK && reeve_job_is_list(&out->job)) {
        st = reeve_prepare_tasks_open(out, err);
    } else if (st == REEVE_OK) {
        st = in_run(out, "manifest.h5", path, err);
        if (st == REEVE_OK) st = reeve_lock_read(path, &out->manifest, err);
    }
    if (st == REEVE_OK) st = look_for_end(out, err);
    if (st != REEVE_OK) reeve_prepared_fini(out);
    return st;
}

void reeve_prepared_fini(struct reeve_prepared *p)
{
    reeve_manifest_destroy(p->manifest);
    p->manifest = NULL;
    reeve_task_list_destroy(p->tasks);
    p->tasks = NULL;
}
