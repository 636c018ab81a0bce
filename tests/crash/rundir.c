/* See rundir.h. */
#include "rundir.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"
#include "core/master.h"
#include "export/metrics_file.h"
#include "export/status_file.h"
#include "run/prepare.h"
#include "run/rank.h"
#include "run/recover.h"
#include "store/checkpoint.h"
#include "store/owner.h"
#include "workload/registry.h"

#define EVENTS_MAX 4096
#define LAUNCH_LIMIT_S 60

static struct reeve_event truth[EVENTS_MAX];
static uint64_t truth_count;

/* --- what the journal was told ------------------------------------------------------------------------------------ */

/* The loops reach their journal by these two functions; the linker (--wrap) puts ours in their place. */
reeve_journal_port *__real_reeve_journal_as_port(reeve_journal *j);
reeve_journal_port *__wrap_reeve_journal_as_port(reeve_journal *j);
reeve_status __real_reeve_journal_flush(reeve_journal *j, struct reeve_error *err);
reeve_status __wrap_reeve_journal_flush(reeve_journal *j, struct reeve_error *err);

static struct {
    struct reeve_journal_port port;
    reeve_journal *journal;
    uint64_t step, digest64; /* of a CKPT_COMMIT that was appended and not yet synced */
} told;

static reeve_status told_append(reeve_journal_port *port, struct reeve_event *ev, struct reeve_error *err)
{
    reeve_journal_port *real = __real_reeve_journal_as_port(told.journal);
    (void)port;
    reeve_status st = real->ops->append(real, ev, err);
    if (st != REEVE_OK || ev->kind != REEVE_EVENT_CKPT_COMMIT) return st;
    told.step = ev->step;
    told.digest64 = ev->a;
    return st;
}

static reeve_status told_sync(reeve_journal_port *port, struct reeve_error *err)
{
    reeve_journal_port *real = __real_reeve_journal_as_port(told.journal);
    (void)port;
    reeve_status st = real->ops->sync(real, err);
    if (st != REEVE_OK) return st;
    trace_mark(MARK_SYNCED, reeve_journal_last_lsn(told.journal), 0);
    if (told.step > 0) trace_mark(MARK_CHECKPOINT, told.step, told.digest64);
    told.step = 0;
    return st;
}

reeve_journal_port *__wrap_reeve_journal_as_port(reeve_journal *j)
{
    static const struct reeve_journal_ops ops = {.append = told_append, .sync = told_sync};
    if (told.journal != j) told.step = 0;
    told.port.ops = &ops;
    told.journal = j;
    return &told.port;
}

reeve_status __wrap_reeve_journal_flush(reeve_journal *j, struct reeve_error *err)
{
    reeve_status st = __real_reeve_journal_flush(j, err);
    if (st == REEVE_OK) trace_mark(MARK_FLUSHED, reeve_journal_last_lsn(j), 0);
    return st;
}

/* --- the run ------------------------------------------------------------------------------------------------------ */

static void beside(const char *root, const char *name, char out[PATH_MAX])
{
    char base[PATH_MAX - 64];
    reeve_path_dirname(root, base, sizeof(base));
    crash_path(out, base, name);
}

static void put(const char *root, const char *name, const char *text)
{
    char path[PATH_MAX];
    beside(root, name, path);
    FILE *file = fopen(path, "we");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) abort();
}

void rundir_make_data(const char *root)
{
    static const char *const words[] = {"the ", "of ", "a ", "worker ", "step ", "sum ", "queue ", "task ", ".\n"};
    char path[PATH_MAX];
    beside(root, "job.yaml", path);
    if (reeve_path_exists(path)) return;
    for (unsigned shard = 1; shard <= 3; shard++) {
        char name[32], text[8192] = "";
        size_t used = 0;
        for (unsigned i = 0; used < 1500 + 400 * shard; i++)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", words[(i * i + i / 3 + shard) % 9]);
        (void)snprintf(name, sizeof(name), "text-%u.txt", shard);
        put(root, name, text);
    }
    put(root, "shards.yaml", "dataset: tiny\nformat: text\ntokenizer: bytes\nshards:\n  - glob: \"text-[1-3].txt\"\n");
    put(root, "job.yaml",
        "name: tiny\nworkload: gpt\nseed: 7\n"
        "data: {manifest: shards.yaml, sequence: 16, shuffle: block, block_shards: 2, holdout: 0.05}\n"
        "train: {steps: 8, global_batch: 4, micro_batch: 2, eval_every: 4}\n"
        "model: {layers: 1, heads: 2, width: 16}\n"
        "optimizer: {kind: adamw, lr: 3.0e-3, warmup: 2}\n"
        "checkpoint: {every: 2, keep: 2}\n"
        "resources: {workers: 1, threads: 1, device: cpu}\n");
}

static reeve_status prepare(const char *root, struct reeve_prepared *p, struct reeve_error *err)
{
    char job[PATH_MAX], run[PATH_MAX];
    beside(root, "job.yaml", job);
    crash_path(run, root, "run");
    return reeve_prepare(job, NULL, 0, run, 1, p, err);
}

int rundir_launch(const char *root, uint64_t stop_at)
{
    char log[PATH_MAX];
    struct reeve_prepared p;
    struct reeve_error err = {0};
    beside(root, "launch.log", log);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (fd >= 0) (void)dup2(fd, STDERR_FILENO);
    if (prepare(root, &p, &err) != REEVE_OK) {
        (void)dprintf(STDERR_FILENO, "prepare: %s\n", err.text);
        return reeve_status_exit_code(err.status);
    }
    int code = REEVE_EXIT_DONE;
    static const struct reeve_kinds kinds = {.build = "the one of this test"};
    const struct reeve_rank_config config = {.prepared = &p,
                                             .stop_at = stop_at,
                                             .host = "localhost",
                                             .kinds = &kinds,
                                             .ops = reeve_workload_find(p.job.workload)};
    if (!p.complete) code = reeve_rank_alone(&config, NULL);
    reeve_prepared_fini(&p);
    return code;
}

reeve_status rundir_words(const char *root, int code, struct reeve_error *err)
{
    static const struct {
        int code;
        reeve_status status;
    } known[] = {{REEVE_EXIT_IO, REEVE_STORE_WRITE},
                 {REEVE_EXIT_CANNOT_CREATE, REEVE_STORE_CREATE},
                 {REEVE_EXIT_DATA, REEVE_STORE_CORRUPT},
                 {REEVE_EXIT_AGAIN, REEVE_JOB_STOPPED},
                 {REEVE_EXIT_PERMISSION, REEVE_INPUT_PERMISSION}};
    char log[PATH_MAX], *text = NULL;
    size_t bytes = 0;
    reeve_status st = REEVE_JOB_INTERNAL;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].code == code) st = known[i].status;
    beside(root, "launch.log", log);
    const char *last = "said nothing";
    if (reeve_file_read(log, 1u << 24, &text, &bytes, NULL) == REEVE_OK && bytes > 0) {
        text[bytes - 1] = '\0';
        last = strrchr(text, '\n') != NULL ? strrchr(text, '\n') + 1 : text;
    }
    (void)reeve_fail(err, st, "exit code %d: %s", code, last);
    free(text);
    return st;
}

/* --- judging ------------------------------------------------------------------------------------------------------ */

static reeve_status note(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    (void)arg;
    (void)err;
    if (truth_count < EVENTS_MAX) truth[truth_count++] = *ev;
    return REEVE_OK;
}

void rundir_learn(const char *root)
{
    char run[PATH_MAX];
    crash_path(run, root, "run");
    truth_count = 0;
    (void)reeve_journal_replay(run, note, NULL, NULL, NULL);
}

struct seen {
    uint64_t step, digest64; /* of the newest checkpoint on record */
};

static reeve_status compare(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    struct seen *s = arg;
    if (ev->lsn > truth_count || memcmp(ev, &truth[ev->lsn - 1], sizeof(*ev)) != 0)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "record %llu is not the one that was written",
                          (unsigned long long)ev->lsn);
    if (ev->kind == REEVE_EVENT_CKPT_COMMIT) *s = (struct seen){ev->step, ev->a};
    return REEVE_OK;
}

static reeve_status no_compare(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    struct seen *s = arg;
    (void)err;
    if (ev->kind == REEVE_EVENT_CKPT_COMMIT) *s = (struct seen){ev->step, ev->a};
    return REEVE_OK;
}

static void let_time_pass(const char *run)
{
    const struct timespec old[2] = {{.tv_sec = time(NULL) - 2 * REEVE_OWNER_SILENT_S},
                                    {.tv_sec = time(NULL) - 2 * REEVE_OWNER_SILENT_S}};
    DIR *dir = opendir(run);
    for (const struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        if (strncmp(e->d_name, "LOCK", 4) == 0) (void)utimensat(dirfd(dir), e->d_name, old, AT_SYMLINK_NOFOLLOW);
    if (dir != NULL) (void)closedir(dir);
}

/* What people look at: whole after a kill, never in the way after a power cut. */
static bool check_shown(const char *run, bool power, char *why, size_t why_bytes)
{
    char path[PATH_MAX];
    struct reeve_error err = {0};
    struct reeve_status_report report;
    crash_path(path, run, "status.json");
    reeve_status st = reeve_status_file_read(path, &report, &err);
    bool good = st == REEVE_OK ? report.step <= RUNDIR_STEPS
                               : st == REEVE_INPUT_MISSING || (power && st == REEVE_STORE_CORRUPT);
    if (!good) return crash_found(why, why_bytes, "status.json: %s", err.text);
    struct reeve_metrics_row *rows = NULL;
    uint64_t count = 0, skipped = 0;
    crash_path(path, run, "metrics.jsonl");
    st = reeve_metrics_read(path, &rows, &count, &skipped, &err);
    for (uint64_t i = 0; i < count && st == REEVE_OK && good; i++)
        good = rows[i].step >= 1 && rows[i].step <= RUNDIR_STEPS && isfinite(rows[i].loss);
    free(rows);
    if (good && (st == REEVE_OK || st == REEVE_INPUT_MISSING)) return true;
    return crash_found(why, why_bytes, "metrics.jsonl: %s", st != REEVE_OK ? err.text : "a row that nobody wrote");
}

static bool check_files(const char *run, const struct seen *seen, char *why, size_t why_bytes)
{
    char path[PATH_MAX];
    struct reeve_error err = {0};
    reeve_checkpoint *c = NULL;
    crash_path(path, run, "journal");
    if (!crash_stock_reads_all(path, 28, why, why_bytes)) return false;
    for (uint64_t step = 1; step <= RUNDIR_STEPS; step++) {
        reeve_checkpoint_dir(run, step, path, sizeof(path));
        if (!crash_stock_reads_all(path, 0, why, why_bytes)) return false;
    }
    if (seen->step == 0) return true;
    reeve_status st = reeve_checkpoint_open(run, seen->step, &seen->digest64, &c, &err);
    if (st == REEVE_OK) st = reeve_checkpoint_verify(c, NULL, &err);
    reeve_checkpoint_close(c);
    return st == REEVE_OK ||
           crash_found(why, why_bytes, "checkpoint of step %llu: %s", (unsigned long long)seen->step, err.text);
}

static bool open_again(const char *run, const struct reeve_prepared *p, const struct seen *seen,
                       const struct crash_promise *promise, char *why, size_t why_bytes)
{
    struct reeve_error err = {0};
    struct reeve_owner *owner = NULL;
    struct reeve_recovered r;
    reeve_journal *j = NULL;
    bool over;
    if (promise->power) let_time_pass(run);
    if (reeve_owner_acquire(run, &owner, &over, &err) != REEVE_OK) return crash_found(why, why_bytes, "%s", err.text);
    bool good = reeve_recover(run, &p->job, p->manifest, 1, 0, false, &r, &err) == REEVE_OK;
    if (!good) (void)crash_found(why, why_bytes, "recovery: %s", err.text);
    if (good && r.resume_step != seen->step)
        good = crash_found(why, why_bytes, "step %llu is on record, and recovery goes on from step %llu",
                           (unsigned long long)seen->step, (unsigned long long)r.resume_step);
    if (good && reeve_journal_open(run, &r.info, r.info.last_epoch + 1, r.run_id, &j, &err) != REEVE_OK)
        good = crash_found(why, why_bytes, "going on: %s", err.text);
    if (j != NULL && reeve_journal_close(j, &err) != REEVE_OK && good)
        good = crash_found(why, why_bytes, "%s", err.text);
    if (r.master != NULL) reeve_recover_fini(&r);
    reeve_owner_release(owner);
    return good;
}

bool rundir_check(const char *folder, const struct crash_promise *p, char *why, size_t why_bytes)
{
    char run[PATH_MAX];
    struct reeve_error err = {0};
    struct reeve_journal_info info;
    struct reeve_prepared prepared;
    struct seen seen = {0};
    crash_path(run, folder, "run");
    reeve_journal_visit *visit = p->disturbed ? no_compare : compare;
    if (reeve_journal_replay(run, visit, &seen, &info, &err) != REEVE_OK)
        return crash_found(why, why_bytes, "replay: %s", err.text);
    if (info.last_lsn < p->lsn)
        return crash_found(why, why_bytes, "record %llu was acknowledged, the replay ends at %llu",
                           (unsigned long long)p->lsn, (unsigned long long)info.last_lsn);
    if (seen.step < p->step)
        return crash_found(why, why_bytes, "step %llu was on record, step %llu is", (unsigned long long)p->step,
                           (unsigned long long)seen.step);
    if (!check_files(run, &seen, why, why_bytes) || !check_shown(run, p->power, why, why_bytes)) return false;
    if (p->power) let_time_pass(run);
    if (prepare(folder, &prepared, &err) != REEVE_OK) return crash_found(why, why_bytes, "prepare: %s", err.text);
    bool good = open_again(run, &prepared, &seen, p, why, why_bytes);
    reeve_prepared_fini(&prepared);
    return good;
}

/* --- from outside ------------------------------------------------------------------------------------------------- */

struct last_weights {
    uint64_t step, a, b;
};

static reeve_status last_weights(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    struct last_weights *w = arg;
    (void)err;
    if (ev->kind == REEVE_EVENT_STEP_WEIGHTS) *w = (struct last_weights){ev->step, ev->a, ev->b};
    return REEVE_OK;
}

bool rundir_finish(const char *folder, char *why, size_t why_bytes)
{
    char run[PATH_MAX];
    struct reeve_error err = {0};
    struct last_weights found = {0}, expected = {0};
    int how;
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        (void)alarm(LAUNCH_LIMIT_S);
        _exit(rundir_launch(folder, 0));
    }
    if (pid < 0 || waitpid(pid, &how, 0) != pid || !WIFEXITED(how) || WEXITSTATUS(how) != REEVE_EXIT_DONE)
        return crash_found(why, why_bytes, "the next launch ended with status %d, not with exit code 0", how);
    crash_path(run, folder, "run");
    if (reeve_journal_replay(run, last_weights, &found, NULL, &err) != REEVE_OK)
        return crash_found(why, why_bytes, "replay after the next launch: %s", err.text);
    for (uint64_t i = 0; i < truth_count; i++)
        (void)last_weights(&expected, &truth[i], NULL);
    if (found.step == RUNDIR_STEPS && found.a == expected.a && found.b == expected.b) return true;
    return crash_found(why, why_bytes, "the next launch came to other weights");
}

bool rundir_verify(const char *folder, char *why, size_t why_bytes)
{
    char command[2 * PATH_MAX];
    (void)snprintf(command, sizeof(command), "'%s' verify '%s/run' 2>&1", REEVE_PROGRAM, folder);
    FILE *out = popen(command, "r");
    size_t n = out != NULL ? fread(why, 1, why_bytes - 1, out) : 0;
    why[n] = '\0';
    return out != NULL && pclose(out) == 0;
}
