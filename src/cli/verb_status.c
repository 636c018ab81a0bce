/* `reeve status`: how a run is doing, or all runs below ./runs. Reads status.json, LOCK, STOP and SAVE. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/one_line.h"
#include "base/path.h"
#include "cli/output.h"
#include "cli/run_folder.h"
#include "cli/slurm.h"
#include "cli/verb.h"
#include "export/progress.h"
#include "export/starts_file.h"
#include "export/status_file.h"
#include "reeve/status.h"
#include "store/owner.h"

#define RUNS_FOLDER "runs"

struct run_state {
    char run_dir[REEVE_PATH_BYTES_MAX];
    struct reeve_status_report report;
    bool reported;   /* there is a status.json; otherwise the run has not begun */
    bool owned;      /* somebody alive holds it */
    bool supervised; /* and a `reeve run` lives that starts it again */
    char owner[256], supervisor[256];
    bool waits;        /* there is a batch script, and it never began */
    bool submitted;    /* Slurm took it */
    bool stop, save;   /* the files are there: asked, and not yet done */
    const char *state; /* static: running, stopped, complete, died, ... */
    uint64_t job_id;   /* of its last batch job, where Slurm knows that; 0: none */
    struct reeve_slurm_job job;
};

static bool has_ended(enum reeve_run_state state)
{
    return state == REEVE_RUN_STOPPED || state == REEVE_RUN_COMPLETE || state == REEVE_RUN_FAILED;
}

/* The owner's LOCK says who is alive, and status.json what was last known: together they say which it is. */
static const char *judge(const struct run_state *s)
{
    if (!s->owned && s->supervised) return "restarting";
    if (!s->reported) return s->owned ? "starting" : s->waits && s->submitted ? "submitted" : "prepared";
    if (s->owned) return has_ended(s->report.state) ? "starting" : reeve_run_state_name(s->report.state);
    return has_ended(s->report.state) ? reeve_run_state_name(s->report.state) : "died";
}

static reeve_status read_state(const char *run_dir, struct run_state *s, struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    *s = (struct run_state){0};
    reeve_status_report_init(&s->report);
    (void)snprintf(s->run_dir, sizeof s->run_dir, "%s", run_dir);
    reeve_status st = reeve_run_folder_check(run_dir, err);
    if (st == REEVE_OK) st = reeve_run_folder_file(run_dir, "status.json", path, err);
    if (st != REEVE_OK) return st;
    st = reeve_status_file_read(path, &s->report, err);
    s->reported = st == REEVE_OK;
    if (st != REEVE_OK && st != REEVE_INPUT_MISSING) return st;
    s->owned = reeve_owner_peek(run_dir, s->owner, sizeof s->owner);
    s->supervised = reeve_owner_peek_as(run_dir, REEVE_OWNER_SUPERVISOR, s->supervisor, sizeof s->supervisor);
    s->stop = reeve_run_folder_has(run_dir, "STOP");
    s->save = reeve_run_folder_has(run_dir, "SAVE");
    s->waits = !reeve_run_folder_has(run_dir, "job.yaml");
    s->submitted = reeve_run_folder_has(run_dir, "starts.jsonl");
    s->state = judge(s);
    return REEVE_OK;
}

/* What Slurm says of the run's batch job, or its accounting of one that has ended; nothing where neither answers. */
static void ask_slurm(struct run_state *s)
{
    struct reeve_starts starts;
    if (reeve_starts_read(s->run_dir, &starts, NULL) != REEVE_OK) return;
    uint64_t job_id = starts.job_id;
    reeve_starts_fini(&starts);
    if (job_id == 0 || !reeve_slurm_is_here(NULL)) return;
    enum reeve_slurm_answer answer = reeve_slurm_find_job(job_id, &s->job);
    bool ended = answer == REEVE_SLURM_GONE && reeve_slurm_find_ended(job_id, &s->job);
    if (answer == REEVE_SLURM_FOUND || ended) s->job_id = job_id;
}

/* ---- JSON ---- */

static void put_tasks(json_t *o, const struct reeve_status_report *r)
{
    json_t *tasks = json_object();
    reeve_cli_json_set(tasks, "ready", reeve_cli_json_u64(r->tasks_ready));
    reeve_cli_json_set(tasks, "leased", reeve_cli_json_u64(r->tasks_leased));
    reeve_cli_json_set(tasks, "blocked", reeve_cli_json_u64(r->tasks_blocked));
    reeve_cli_json_set(tasks, "done", reeve_cli_json_u64(r->tasks_done));
    reeve_cli_json_set(tasks, "dead", reeve_cli_json_u64(r->tasks_dead));
    if (r->tasks_total > 0) {
        reeve_cli_json_set(tasks, "total", reeve_cli_json_u64(r->tasks_total));
        reeve_cli_json_set(tasks, "delayed", reeve_cli_json_u64(r->tasks_delayed));
        reeve_cli_json_set(tasks, "cancelled", reeve_cli_json_u64(r->tasks_cancelled));
        reeve_cli_json_set(tasks, "attempts_failed", reeve_cli_json_u64(r->attempts_failed));
        reeve_cli_json_set(tasks, "per_second", reeve_cli_json_real(r->tasks_per_s));
    }
    reeve_cli_json_set(o, "tasks", tasks);
}

static void put_report(json_t *o, const struct reeve_status_report *r)
{
    reeve_cli_json_set(o, "job", reeve_cli_json_text(r->job));
    reeve_cli_json_set(o, "run_id", reeve_cli_json_hex(r->run_id));
    reeve_cli_json_set(o, "step", reeve_cli_json_u64(r->step));
    reeve_cli_json_set(o, "steps", reeve_cli_json_u64(r->steps));
    reeve_cli_json_set(o, "epoch", reeve_cli_json_u64(r->epoch));
    reeve_cli_json_set(o, "samples", reeve_cli_json_u64(r->samples));
    reeve_cli_json_set(o, "loss", reeve_cli_json_real(r->loss));
    reeve_cli_json_set(o, "eval_loss", reeve_cli_json_real(r->eval_loss));
    reeve_cli_json_set(o, "eval_step", reeve_cli_json_u64(r->eval_step));
    reeve_cli_json_set(o, "tokens_per_s", reeve_cli_json_real(r->tokens_per_s));
    reeve_cli_json_set(o, "learning_rate", reeve_cli_json_real(r->learning_rate));
    reeve_cli_json_set(o, "grad_norm", reeve_cli_json_real(r->grad_norm));
    reeve_cli_json_set(o, "workers", json_integer(r->workers));
    reeve_cli_json_set(o, "seconds_left", reeve_cli_json_real(r->seconds_left));
    reeve_cli_json_set(o, "refused_steps", reeve_cli_json_u64(r->refused_steps));
    reeve_cli_json_set(o, "restarts", json_integer(r->restarts));
    reeve_cli_json_set(o, "last_checkpoint_step", reeve_cli_json_u64(r->last_checkpoint_step));
    reeve_cli_json_set(o, "silent_host", r->silent_host[0] != '\0' ? reeve_cli_json_text(r->silent_host) : json_null());
    reeve_cli_json_set(o, "exit_code", r->exit_code >= 0 ? json_integer(r->exit_code) : json_null());
    reeve_cli_json_set(o, "message", reeve_cli_json_text(r->message));
    reeve_cli_json_set(o, "updated", reeve_cli_json_utc(r->updated_wall_ns));
    put_tasks(o, r);
}

static json_t *state_json(const struct run_state *s)
{
    json_t *o = json_object();
    reeve_cli_json_set(o, "run_dir", reeve_cli_json_text(s->run_dir));
    reeve_cli_json_set(o, "state", json_string(s->state));
    reeve_cli_json_set(o, "owner", s->owned ? reeve_cli_json_text(s->owner) : json_null());
    reeve_cli_json_set(o, "supervisor", s->supervised ? reeve_cli_json_text(s->supervisor) : json_null());
    reeve_cli_json_set(o, "stop_asked", json_boolean(s->stop));
    reeve_cli_json_set(o, "save_asked", json_boolean(s->save));
    if (s->reported) put_report(o, &s->report);
    if (s->job_id != 0) {
        json_t *job = json_object();
        reeve_cli_json_set(job, "job_id", reeve_cli_json_u64(s->job_id));
        reeve_cli_json_set(job, "state", reeve_cli_json_text(s->job.state));
        reeve_cli_json_set(job, "reason", reeve_cli_json_text(s->job.reason));
        reeve_cli_json_set(job, "time_left", s->job.ended ? json_null() : reeve_cli_json_text(s->job.left));
        reeve_cli_json_set(job, "exit_code", s->job.ended ? json_integer(s->job.exit_code) : json_null());
        reeve_cli_json_set(job, "signal", s->job.ended ? json_integer(s->job.signal) : json_null());
        reeve_cli_json_set(job, "nodes", reeve_cli_json_text(s->job.nodes));
        reeve_cli_json_set(o, "slurm", job);
    }
    return o;
}

/* ---- text ---- */

static enum reeve_cli_style style_of(const char *state)
{
    if (strcmp(state, "running") == 0 || strcmp(state, "complete") == 0) return REEVE_STYLE_GOOD;
    if (strcmp(state, "died") == 0 || strcmp(state, "failed") == 0) return REEVE_STYLE_BAD;
    return REEVE_STYLE_WARN;
}

static void print_state(const struct run_state *s)
{
    (void)printf("%s%s%s", reeve_cli_style(stdout, style_of(s->state)), s->state,
                 reeve_cli_style(stdout, REEVE_STYLE_PLAIN));
}

static double age_s(const struct run_state *s)
{
    double age = (double)(reeve_clock_wall_ns() - s->report.updated_wall_ns) / (double)REEVE_SECOND_NS;
    return age < 0.0 ? 0.0 : age; /* clocks of two machines differ */
}

static void print_next(const struct run_state *s)
{
    const char *state = s->state;
    if (s->job_id != 0 && !s->job.ended && !s->owned) {
        (void)printf("to stop it  scancel %" PRIu64 "\n", s->job_id);
    } else if (s->owned) {
        if (s->stop) (void)printf("asked       to stop at the next step boundary (STOP)\n");
        if (s->save) (void)printf("asked       to save now (SAVE)\n");
        if (!s->stop)
            (void)printf("to stop it  touch %s/STOP: it %s\n", s->run_dir,
                         s->report.tasks_total > 0 ? "begins nothing more, and ends"
                                                   : "checkpoints at the next step boundary");
    } else if (strcmp(state, "restarting") == 0) {
        (void)printf("lost        and about to be started again; the words of its supervisor: %s/log/supervisor.log\n",
                     s->run_dir);
    } else if (s->report.tasks_total > 0) {
        if (strcmp(state, "complete") != 0)
            (void)printf(
                "to go on    run the same command again (reeve run JOB --run-dir %s): it runs what is not done\n",
                s->run_dir);
    } else if (strcmp(state, "complete") == 0) {
        (void)printf("to go on    raise train.steps, and run the same command again\n");
    } else if (s->waits) {
        (void)printf("to begin    sbatch %s/submit/train.sbatch\n", s->run_dir);
    } else if (strcmp(state, "prepared") == 0) {
        (void)printf("to begin    run the command that prepared it again: reeve run JOB --run-dir %s\n", s->run_dir);
    } else {
        (void)printf(
            "to go on    run the same command again (reeve run JOB --run-dir %s): it resumes after step %" PRIu64 "\n",
            s->run_dir, s->report.last_checkpoint_step);
    }
}

static void print_report(const struct reeve_status_report *r)
{
    char a[32], b[32];
    if (r->tasks_total > 0) {
        (void)printf(
            "tasks       %s of %s done, %" PRIu64 " leased, %" PRIu64 " ready (%" PRIu64
            " of them to be tried again), %" PRIu64 " blocked, %" PRIu64 " dead\nattempts    %" PRIu64 " failed\n",
            reeve_cli_format_count(r->tasks_done, a), reeve_cli_format_count(r->tasks_total, b), r->tasks_leased,
            r->tasks_ready, r->tasks_delayed, r->tasks_blocked, r->tasks_dead, r->attempts_failed);
        if (isfinite(r->tasks_per_s)) (void)printf("rate        %.1f tasks/s\n", r->tasks_per_s);
        (void)printf("workers     %u\n", r->workers);
        if (*r->message != '\0') (void)printf("message     %s\n", r->message);
        return;
    }
    (void)printf("step        %s%s%s, epoch %" PRIu64 ", %" PRIu64 " samples\n", reeve_cli_format_count(r->step, a),
                 r->step > r->steps ? ", and train.steps asks for " : " of ", reeve_cli_format_count(r->steps, b),
                 r->epoch, r->samples);
    if (isfinite(r->loss)) (void)printf("loss        %.4f nats per token\n", r->loss);
    if (isfinite(r->eval_loss)) (void)printf("held-out    %.4f after step %" PRIu64 "\n", r->eval_loss, r->eval_step);
    if (isfinite(r->tokens_per_s)) (void)printf("rate        %.0f tokens/s\n", r->tokens_per_s);
    (void)printf("workers     %u\nqueue       %" PRIu64 " ready, %" PRIu64 " leased, %" PRIu64 " blocked, %" PRIu64
                 " dead\n",
                 r->workers, r->tasks_ready, r->tasks_leased, r->tasks_blocked, r->tasks_dead);
    if (r->last_checkpoint_step > 0) (void)printf("checkpoint  after step %" PRIu64 "\n", r->last_checkpoint_step);
    else (void)printf("checkpoint  none yet\n");
    if (*r->message != '\0') (void)printf("message     %s\n", r->message);
}

static void print_slurm(const struct run_state *s)
{
    const struct reeve_slurm_job *job = &s->job;
    (void)printf("slurm       job %" PRIu64 " %s", s->job_id, job->state);
    if (job->nodes[0] != '\0') (void)printf(" on %s", job->nodes);
    if (job->ended && job->signal != 0) (void)printf(", signal %d", job->signal);
    else if (job->ended) (void)printf(", exit code %d", job->exit_code);
    else if (job->nodes[0] != '\0') (void)printf(", %s left", job->left);
    bool told = job->reason[0] != '\0' && strcmp(job->reason, "None") != 0;
    if (told && (job->ended || job->nodes[0] == '\0')) (void)printf(", reason %s", job->reason);
    (void)printf("\n");
}

static void print_one(const struct run_state *s)
{
    char age[32], left[32];
    (void)printf("%s: ", s->run_dir);
    print_state(s);
    if (s->reported) (void)printf(", job %s, told %s ago", s->report.job, reeve_cli_format_seconds(age_s(s), age));
    if (s->owned && isfinite(s->report.seconds_left)) {
        reeve_progress_format_duration(s->report.seconds_left, left);
        (void)printf(", %s left", left);
    }
    (void)printf("\n");
    if (s->owned) (void)printf("owner       %s\n", s->owner);
    if (s->supervised) (void)printf("supervisor  %s\n", s->supervisor);
    if (s->job_id != 0) print_slurm(s);
    if (s->owned && s->report.silent_host[0] != '\0')
        (void)printf("silent      host %s for %.0f s\n", s->report.silent_host, s->report.silent_s);
    if (s->reported) print_report(&s->report);
    print_next(s);
}

static void print_row(const struct run_state *s)
{
    char loss[16] = "-", steps[48] = "-";
    if (isfinite(s->report.loss)) (void)snprintf(loss, sizeof loss, "%.4f", s->report.loss);
    bool list = s->report.tasks_total > 0;
    if (s->reported)
        (void)snprintf(steps, sizeof steps, "%" PRIu64 "/%" PRIu64, list ? s->report.tasks_done : s->report.step,
                       list ? s->report.tasks_total : s->report.steps);
    (void)printf("%s%-9s%s  %-15s  %-8s  %s\n", reeve_cli_style(stdout, style_of(s->state)), s->state,
                 reeve_cli_style(stdout, REEVE_STYLE_PLAIN), steps, loss, s->run_dir);
}

/* ---- all runs ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Is it a run? What cannot be looked into is told: it may be one. */
static bool is_run(const char *path)
{
    struct reeve_error err = {0};
    reeve_status st = reeve_run_folder_check(path, &err);
    if (st == REEVE_INPUT_PERMISSION) reeve_cli_note("%s", err.text);
    return st == REEVE_OK;
}

/* Names of the runs below ./runs, sorted. *names and each name: free(). 0, or an exit code after a message. */
static int list_runs(char ***names, size_t *count_out)
{
    size_t count = 0, room = 0;
    *names = NULL;
    *count_out = 0;
    DIR *dir = opendir(RUNS_FOLDER);
    if (dir == NULL && errno == ENOENT) return 0;
    if (dir == NULL)
        return reeve_cli_fail_text(reeve_status_exit_code(reeve_status_from_errno_read(errno)), "%s: %m", RUNS_FOLDER);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[REEVE_PATH_BYTES_MAX];
        if (entry->d_name[0] == '.' ||
            reeve_path_join(path, sizeof path, RUNS_FOLDER, entry->d_name, NULL) != REEVE_OK || !is_run(path))
            continue;
        if (count == room) {
            room = room == 0 ? 16 : room * 2;
            char **grown = reallocarray(*names, room, sizeof *grown);
            if (grown == NULL) break;
            *names = grown;
        }
        if (((*names)[count] = strdup(path)) != NULL) count++;
    }
    (void)closedir(dir);
    if (count > 0) qsort(*names, count, sizeof **names, by_name);
    *count_out = count;
    return 0;
}

static int status_all(bool json)
{
    char **names;
    size_t count;
    int code = list_runs(&names, &count);
    if (code != 0) return code;
    json_t *list = json ? json_array() : NULL;
    if (!json && count == 0)
        (void)printf("no runs below ./%s; `reeve run JOB` begins one, `reeve status RUN` looks elsewhere\n",
                     RUNS_FOLDER);
    if (!json && count > 0) (void)printf("%-9s  %-15s  %-8s  run\n", "state", "step", "loss");
    for (size_t i = 0; i < count; i++) {
        struct run_state s;
        struct reeve_error err = {0};
        if (read_state(names[i], &s, &err) != REEVE_OK) reeve_cli_note("%s", err.text);
        else if (json) reeve_cli_json_append(list, state_json(&s));
        else print_row(&s);
        free(names[i]);
    }
    free(names);
    if (!json) return REEVE_EXIT_DONE;
    json_t *o = reeve_cli_json_object();
    reeve_cli_json_set(o, "runs", list);
    return reeve_cli_print_json(o);
}

static int status_one(const char *run_dir, bool json)
{
    struct run_state s;
    struct reeve_error err = {0};
    if (read_state(run_dir, &s, &err) != REEVE_OK) return reeve_cli_fail(&err);
    ask_slurm(&s);
    if (!json) {
        char *texts[] = {s.owner, s.supervisor, s.report.job, s.report.message, s.report.silent_host};
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
            reeve_one_line(texts[i]);
        print_one(&s);
        return REEVE_EXIT_DONE;
    }
    json_t *o = state_json(&s);
    reeve_cli_json_set(o, "schema_version", json_integer(REEVE_CLI_SCHEMA_VERSION));
    return reeve_cli_print_json(o);
}

static int status_main(const struct reeve_verb *verb, int argc, char **argv)
{
    bool json = false;
    for (int id; (id = reeve_verb_option(verb, argc, argv, NULL)) != -1;)
        json = json || id == REEVE_OPT_JSON_ID;
    int code = reeve_verb_operands(verb, argc, argv, 0, 1);
    if (code != 0) return code;
    return optind < argc ? status_one(argv[optind], json) : status_all(json);
}

static const struct reeve_opt status_opts[] = {REEVE_OPT_JSON, {0}};
const struct reeve_verb reeve_verb_status = {
    "status",
    "[RUN]",
    "say how a run is doing, or all runs below ./runs",
    "Reads what the run last told (status.json, about once a second) and whether anybody alive holds it, from any\n"
    "machine that sees its folder; and, where Slurm knows its job, what Slurm says.\n"
    "\n"
    "States: submitted, prepared (never begun), starting, running, saving, restarting (lost, and its supervisor is\n"
    "about to start it again), stopped (checkpointed; the same command goes on), complete, failed, and died (it\n"
    "stopped without a word; the same command goes on).\n"
    "\n"
    "Examples:\n"
    "  reeve status\n"
    "  reeve status runs/quickstart\n"
    "  watch -n 2 reeve status runs/quickstart\n"
    "  reeve status runs/quickstart --json\n",
    status_opts,
    status_main};
