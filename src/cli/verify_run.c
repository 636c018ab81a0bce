/* Which files a run should have, and the check of each in a child process of its own. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "cli/guard.h"
#include "cli/output.h"
#include "cli/run_folder.h"
#include "cli/ticker.h"
#include "cli/verify.h"
#include "config/job_file.h"
#include "export/metrics_file.h"
#include "export/status_file.h"
#include "run/initial_weights.h"
#include "store/checkpoint.h"
#include "store/lock.h"
#include "store/tasks_lock.h"

/* A processor reads and checks more than 100 MB a second; what takes ten times that will never end. */
#define CPU_S_MIN 60u
#define CPU_BYTES_PER_S 10000000u
#define FOLDER_NAME_BYTES 256

struct check {
    const char *path; /* file, or folder of the run */
    uint64_t step, digest64;
};

struct waiting {
    struct reeve_ticker ticker;
    const char *file;
};

static void on_wait(void *arg)
{
    struct waiting *w = arg;
    reeve_ticker_file(&w->ticker, w->file);
}

static uint64_t bytes_below(const char *path)
{
    struct stat info;
    if (lstat(path, &info) != 0) return 0;
    if (!S_ISDIR(info.st_mode)) return (uint64_t)info.st_size;
    DIR *dir = opendir(path);
    uint64_t bytes = 0;
    if (dir == NULL) return 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode))
            bytes += (uint64_t)info.st_size;
    (void)closedir(dir);
    return bytes;
}

/* Run one check in a child, and add what it found under the name `shown`. */
static struct reeve_finding *guarded(struct reeve_verification *v, reeve_guard_work *work, struct check *c,
                                     const char *place, const char *shown, const char *follows)
{
    struct waiting w = {.file = shown};
    struct reeve_guard_report report;
    uint64_t cpu_s = CPU_S_MIN + bytes_below(place) / CPU_BYTES_PER_S;
    reeve_ticker_begin(&w.ticker, "checking");
    reeve_guard_run(work, c, place, cpu_s < UINT32_MAX ? (uint32_t)cpu_s : UINT32_MAX, on_wait, &w, &report);
    reeve_ticker_end(&w.ticker);
    struct reeve_finding *f = reeve_verification_add(v, shown);
    f->bytes = report.bytes;
    v->bytes += report.bytes;
    f->error = report.error;
    if (report.error.status == REEVE_OK) {
        (void)snprintf(f->error.text, sizeof f->error.text, "%s", report.note);
        return f;
    }
    f->grade = REEVE_FINDING_DAMAGE;
    bool closed = report.error.status == REEVE_INPUT_PERMISSION;
    (void)snprintf(f->follows, sizeof f->follows, "%s",
                   closed ? "nothing is known of it: look as the user whom it belongs to" : follows);
    return f;
}

static void note(struct reeve_verification *v, const char *file, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void note(struct reeve_verification *v, const char *file, const char *format, ...)
{
    struct reeve_finding *f = reeve_verification_add(v, file);
    va_list args;
    f->grade = REEVE_FINDING_NOTE;
    va_start(args, format);
    (void)vsnprintf(f->error.text, sizeof f->error.text, format, args);
    va_end(args);
}

/* ---- one file each ---- */

static void check_job(void *arg, struct reeve_guard_report *report)
{
    const struct check *c = arg;
    static struct reeve_job job;
    if (reeve_job_read(c->path, NULL, 0, &job, &report->error) != REEVE_OK) return;
    report->bytes = bytes_below(c->path);
    (void)snprintf(report->note, sizeof report->note, "job %s", job.name);
}

static void check_lock(void *arg, struct reeve_guard_report *report)
{
    const struct check *c = arg;
    struct reeve_manifest *m = NULL;
    if (reeve_lock_read(c->path, &m, &report->error) != REEVE_OK) return;
    report->bytes = bytes_below(c->path);
    char hex[REEVE_DIGEST_HEX_BYTES];
    reeve_digest_hex(m->digest, hex);
    (void)snprintf(report->note, sizeof report->note, "%u shards, digest %s", m->shard_count, hex);
    reeve_manifest_destroy(m);
}

static void check_tasks(void *arg, struct reeve_guard_report *report)
{
    const struct check *c = arg;
    struct reeve_task_list *l = NULL;
    if (reeve_tasks_lock_read(c->path, &l, &report->error) != REEVE_OK) return;
    report->bytes = bytes_below(c->path);
    char hex[REEVE_DIGEST_HEX_BYTES];
    reeve_digest_hex(l->digest, hex);
    (void)snprintf(report->note, sizeof report->note, "%u tasks, digest %s", l->task_count, hex);
    reeve_task_list_destroy(l);
}

static void check_journal(void *arg, struct reeve_guard_report *report)
{
    const struct check *c = arg;
    static struct reeve_journal_check found;
    if (reeve_journal_verify(c->path, &found, &report->error) != REEVE_OK) return;
    report->bytes = found.bytes;
    (void)snprintf(
        report->note, sizeof report->note, "%" PRIu64 " records in %u segment%s%s", found.records, found.info.segments,
        found.info.segments == 1 ? "" : "s",
        found.torn_slots > 0 ? "; a write that was cut short has left bytes that mean nothing, as a crash does" : "");
}

static void check_checkpoint(void *arg, struct reeve_guard_report *report)
{
    const struct check *c = arg;
    reeve_checkpoint *ckpt = NULL;
    const uint64_t *expected = c->digest64 != 0 ? &c->digest64 : NULL;
    if (reeve_checkpoint_open(c->path, c->step, expected, &ckpt, &report->error) != REEVE_OK) return;
    (void)reeve_checkpoint_verify(ckpt, &report->bytes, &report->error);
    (void)snprintf(report->note, sizeof report->note, "%u tensors", reeve_checkpoint_tensor_count(ckpt));
    reeve_checkpoint_close(ckpt);
}

static void check_status(void *arg, struct reeve_guard_report *report)
{
    const struct check *c = arg;
    struct reeve_status_report r;
    (void)reeve_status_file_read(c->path, &r, &report->error);
}

void reeve_verify_lock(struct reeve_verification *v, const char *path, const char *shown, const char *follows)
{
    struct check c = {.path = path};
    (void)guarded(v, check_lock, &c, path, shown, follows);
}

void reeve_verify_tasks(struct reeve_verification *v, const char *path, const char *shown)
{
    struct check c = {.path = path};
    (void)guarded(v, check_tasks, &c, path, shown,
                  "the run cannot be resumed or audited without it: bring it back from a backup, or start over");
}

void reeve_verify_journal(struct reeve_verification *v, const char *run_dir)
{
    struct check c = {.path = run_dir};
    char place[REEVE_PATH_BYTES_MAX];
    if (reeve_run_folder_file(run_dir, "journal", place, NULL) != REEVE_OK) return;
    (void)guarded(
        v, check_journal, &c, place, "journal",
        "the run cannot be resumed or audited past that place: bring the file back from a backup, or start over "
        "in another --run-dir, where model.init_from takes the weights of a checkpoint of this one");
}

/* ---- checkpoints ---- */

static void checkpoint_name(uint64_t step, char out[FOLDER_NAME_BYTES])
{
    (void)snprintf(out, FOLDER_NAME_BYTES, "checkpoint/step-%010" PRIu64, step);
}

static void check_one(struct reeve_verification *v, const char *run_dir, uint64_t step, uint64_t digest64,
                      const char *follows)
{
    struct check c = {.path = run_dir, .step = step, .digest64 = digest64};
    char place[REEVE_PATH_BYTES_MAX], shown[FOLDER_NAME_BYTES];
    reeve_checkpoint_dir(run_dir, step, place, sizeof place);
    checkpoint_name(step, shown);
    (void)guarded(v, check_checkpoint, &c, place, shown, follows);
}

void reeve_verify_checkpoint(struct reeve_verification *v, const char *run_dir, uint64_t step)
{
    struct reeve_history history;
    uint64_t digest64 = 0;
    if (reeve_history_read(run_dir, &history, NULL) == REEVE_OK) {
        for (uint32_t i = 0; i < history.checkpoint_count; i++)
            if (history.checkpoints[i].step == step) digest64 = history.checkpoints[i].digest64;
        reeve_history_destroy(&history);
    }
    check_one(v, run_dir, step, digest64, "this checkpoint cannot be resumed from");
}

/* The weights of another run that this one began with. */
static void check_initial(struct reeve_verification *v, const char *run_dir)
{
    char dir[REEVE_PATH_BYTES_MAX], place[REEVE_PATH_BYTES_MAX];
    struct check c = {.path = dir};
    reeve_initial_weights_dir(run_dir, dir);
    if (!reeve_path_exists(dir)) return;
    reeve_checkpoint_dir(dir, 0, place, sizeof place);
    (void)guarded(v, check_checkpoint, &c, place, place + strlen(run_dir) + 1,
                  "a start without a checkpoint cannot begin: bring it back from a backup, or start over");
}

/* Those on record, newest first, so that what is said of one can name the one before. Retention has removed old ones:
 * that is no damage. The newest must be there. */
static void check_recorded(struct reeve_verification *v, const char *run_dir, const struct reeve_history *h)
{
    bool newest_gone = false, any = false;
    for (uint32_t n = h->checkpoint_count; n > 0; n--) {
        const struct reeve_history_checkpoint *c = &h->checkpoints[n - 1];
        char place[REEVE_PATH_BYTES_MAX], follows[256], shown[FOLDER_NAME_BYTES];
        reeve_checkpoint_dir(run_dir, c->step, place, sizeof place);
        checkpoint_name(c->step, shown);
        if (!reeve_path_exists(place)) {
            newest_gone = newest_gone || n == h->checkpoint_count;
            continue;
        }
        if (n > 1)
            (void)snprintf(follows, sizeof follows,
                           "a resume passes over it and falls back to the one before, at most step %" PRIu64
                           ", and does the steps between again, to the same bits",
                           h->checkpoints[n - 2].step);
        else
            (void)snprintf(follows, sizeof follows,
                           "there is no older one: bring it back from a backup, or start over");
        check_one(v, run_dir, c->step, c->digest64, follows);
        if (!reeve_path_exists(place)) { /* a run that goes on has removed it meanwhile, as it does with old ones */
            v->count--;
            continue;
        }
        any = true;
    }
    if (!newest_gone) return;
    const struct reeve_history_checkpoint *last = &h->checkpoints[h->checkpoint_count - 1];
    char shown[FOLDER_NAME_BYTES];
    checkpoint_name(last->step, shown);
    struct reeve_finding *f = reeve_verification_add(v, shown);
    f->grade = REEVE_FINDING_DAMAGE;
    (void)reeve_fail(&f->error, REEVE_STORE_CORRUPT, "%s/%s: the newest checkpoint on record is gone", run_dir, shown);
    (void)snprintf(f->follows, sizeof f->follows, "%s",
                   any ? "a resume falls back to the one before"
                       : "none is left to resume from: bring one back from a backup, or start over");
}

static bool on_record(const struct reeve_history *h, const char *name)
{
    char shown[FOLDER_NAME_BYTES];
    for (uint32_t i = 0; i < h->checkpoint_count; i++) {
        checkpoint_name(h->checkpoints[i].step, shown);
        if (strcmp(shown + strlen("checkpoint/"), name) == 0) return true;
    }
    return false;
}

/* What lies in checkpoint/ without a record is garbage by definition: an interrupted save, or a step rolled back. */
static void note_garbage(struct reeve_verification *v, const char *run_dir, const struct reeve_history *h)
{
    char path[REEVE_PATH_BYTES_MAX], shown[2 * FOLDER_NAME_BYTES];
    if (reeve_run_folder_file(run_dir, "checkpoint", path, NULL) != REEVE_OK) return;
    DIR *dir = opendir(path);
    if (dir == NULL) return;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || on_record(h, entry->d_name))
            continue;
        (void)snprintf(shown, sizeof shown, "checkpoint/%s", entry->d_name);
        note(v, shown,
             "no record of it in the journal: a save that is going on, or one that never ended; it counts for "
             "nothing, and the next start removes it");
    }
    (void)closedir(dir);
}

/* ---- the whole run ---- */

static void check_shadows(struct reeve_verification *v, const char *run_dir)
{
    char path[REEVE_PATH_BYTES_MAX];
    struct check c = {.path = path};
    if (reeve_run_folder_has(run_dir, "status.json") &&
        reeve_run_folder_file(run_dir, "status.json", path, NULL) == REEVE_OK) {
        struct reeve_finding *f = guarded(v, check_status, &c, path, "status.json", "");
        if (f->grade == REEVE_FINDING_DAMAGE) {
            f->grade = REEVE_FINDING_NOTE; /* nothing depends on it */
            f->error.status = REEVE_OK;
        }
    }
    struct reeve_metrics_row *rows = NULL;
    uint64_t count = 0, skipped = 0;
    if (reeve_run_folder_file(run_dir, "metrics.jsonl", path, NULL) != REEVE_OK ||
        reeve_metrics_read(path, &rows, &count, &skipped, NULL) != REEVE_OK)
        return;
    free(rows);
    if (skipped > 0) note(v, "metrics.jsonl", "%" PRIu64 " lines are no metrics; readers pass over them", skipped);
}

static bool journal_damaged(const struct reeve_verification *v)
{
    return v->count > 0 && v->findings[v->count - 1].grade == REEVE_FINDING_DAMAGE;
}

static void check_without_journal(struct reeve_verification *v, const char *run_dir)
{
    char path[REEVE_PATH_BYTES_MAX];
    if (reeve_run_folder_file(run_dir, "checkpoint", path, NULL) != REEVE_OK) return;
    DIR *dir = opendir(path);
    if (dir == NULL) return;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        uint64_t step;
        int end = 0;
        if (sscanf(entry->d_name, "step-%10" SCNu64 "%n", &step, &end) != 1 || entry->d_name[end] != '\0') continue;
        check_one(v, run_dir, step, 0, "it cannot be resumed from");
    }
    (void)closedir(dir);
}

void reeve_verify_run(struct reeve_verification *v, const char *run_dir)
{
    char path[REEVE_PATH_BYTES_MAX];
    struct check c = {.path = path};
    if (reeve_run_folder_file(run_dir, "job.yaml", path, NULL) == REEVE_OK)
        (void)guarded(
            v, check_job, &c, path, "job.yaml",
            "the run cannot be resumed or audited without it: write it again from the job file that the run was "
            "started with");
    bool list = reeve_run_folder_has(run_dir, "tasks.h5");
    if (list && reeve_run_folder_file(run_dir, "tasks.h5", path, NULL) == REEVE_OK)
        reeve_verify_tasks(v, path, "tasks.h5");
    if (!list && reeve_run_folder_file(run_dir, "manifest.h5", path, NULL) == REEVE_OK)
        reeve_verify_lock(v, path, "manifest.h5",
                          "the run cannot be resumed or audited without it: make it again with `reeve manifest lock "
                          "SHARDS.yaml -o RUN/manifest.h5` from the same, unchanged data");
    check_initial(v, run_dir);
    reeve_verify_journal(v, run_dir);
    struct reeve_history history;
    struct reeve_error err = {0};
    if (journal_damaged(v) || reeve_history_read(run_dir, &history, &err) != REEVE_OK) {
        check_without_journal(v, run_dir);
    } else {
        check_recorded(v, run_dir, &history);
        note_garbage(v, run_dir, &history);
        reeve_history_destroy(&history);
    }
    check_shadows(v, run_dir);
}
