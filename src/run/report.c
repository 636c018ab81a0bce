/* See report.h. */
#include "run/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/path.h"
#include "core/exact_sum.h"
#include "export/foreground.h"
#include "export/metrics_file.h"
#include "export/progress.h"
#include "export/prometheus.h"
#include "reeve/version.h"
#include "run/report_tasks.h"

#define LIVE_NS (200 * REEVE_MILLISECOND_NS)
#define PLAIN_NS (5 * REEVE_SECOND_NS)
#define FILES_NS REEVE_SECOND_NS
#define RATE_STEPS 64u /* the rate is taken over so many of the last steps */

struct reeve_report {
    const struct reeve_job *job; /* borrowed */
    FILE *out;                   /* borrowed; NULL: no progress */
    uint32_t columns;            /* 0: plain lines */
    pid_t seen_by;               /* `reeve run`: the line is drawn while it has the terminal; 0: always */
    char status_path[REEVE_PATH_BYTES_MAX];
    char prom_path[REEVE_PATH_BYTES_MAX];
    reeve_metrics_file *metrics; /* owned; NULL after a failure */
    struct reeve_status_report status;
    uint64_t epoch_samples; /* 0: a task list is worked off */
    struct reeve_task_rate task_rate;
    uint64_t first_step; /* committed when this process began */
    reeve_time_ns commit_ns[RATE_STEPS];
    uint64_t commits;
    struct reeve_metrics_row row; /* of the last committed step; waits for the workers' word on it */
    bool row_waiting, warned, drawn;
    reeve_time_ns drawn_ns, written_ns;
};

/* Losing sight is not losing the run: say it once. */
static void warn_once(reeve_report *r, const struct reeve_error *err)
{
    if (r->warned) return;
    r->warned = true;
    reeve_log(REEVE_LOG_WARN, "metrics or status cannot be written, the run goes on without: %s", err->text);
}

static void record(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    reeve_log_record(format, args);
    va_end(args);
}

reeve_status reeve_report_create(const char *run_dir, const struct reeve_job *job, uint64_t run_id,
                                 uint64_t epoch_samples, FILE *out, reeve_report **result, struct reeve_error *err)
{
    reeve_report *r = calloc(1, sizeof(*r));
    if (r == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "report: out of memory");
    r->job = job;
    r->out = out;
    r->epoch_samples = epoch_samples;
    const char *columns = getenv("REEVE_PROGRESS_COLUMNS"); /* mpirun's pipes hide the terminal: `reeve run` says */
    r->columns = columns != NULL ? (uint32_t)strtoul(columns, NULL, 10) : reeve_progress_columns(STDOUT_FILENO);
    const char *process = getenv("REEVE_PROGRESS_OF");
    r->seen_by = process != NULL ? (pid_t)strtol(process, NULL, 10) : 0;
    if (r->columns > 0 && getenv("REEVE_STDERR_IS_TERMINAL") != NULL) reeve_log_share_terminal();
    reeve_status_report_init(&r->status);
    r->status.state = REEVE_RUN_STARTING;
    (void)snprintf(r->status.job, sizeof(r->status.job), "%s", job->name);
    r->status.run_id = run_id;
    r->status.steps = job->train.steps;
    char path[REEVE_PATH_BYTES_MAX];
    reeve_status st = reeve_path_join(r->status_path, sizeof(r->status_path), run_dir, "status.json", err);
    if (st == REEVE_OK) st = reeve_path_join(r->prom_path, sizeof(r->prom_path), run_dir, "reeve.prom", err);
    if (st == REEVE_OK) st = reeve_path_join(path, sizeof(path), run_dir, "metrics.jsonl", err);
    if (st == REEVE_OK && epoch_samples > 0) st = reeve_metrics_open(path, &r->metrics, err);
    if (st != REEVE_OK) {
        reeve_report_destroy(r);
        return st;
    }
    record("master of job %s, run %016" PRIx64 ", reeve " REEVE_VERSION "; process %d", job->name, run_id,
           (int)getpid());
    *result = r;
    return REEVE_OK;
}

void reeve_report_destroy(reeve_report *r)
{
    if (r == NULL) return;
    reeve_metrics_close(r->metrics);
    free(r);
}

static double per_token(const reeve_report *r, int64_t loss, uint64_t samples)
{
    return reeve_exact_loss_value(loss) / ((double)samples * r->job->data.sequence);
}

/* Tokens a second over the last steps of this process. */
static double token_rate(const reeve_report *r)
{
    uint64_t n = r->commits < RATE_STEPS ? r->commits : RATE_STEPS;
    if (n < 2) return NAN;
    reeve_time_ns last = r->commit_ns[(r->commits - 1) % RATE_STEPS];
    reeve_time_ns first = r->commit_ns[(r->commits - n) % RATE_STEPS];
    if (last <= first) return NAN;
    return (double)(n - 1) * r->job->train.global_batch * r->job->data.sequence / ((double)(last - first) * 1e-9);
}

static void append_row(reeve_report *r)
{
    struct reeve_error err = {0};
    if (r->row_waiting && r->metrics != NULL && reeve_metrics_append(r->metrics, &r->row, &err) != REEVE_OK)
        warn_once(r, &err);
    r->row_waiting = false;
}

static void step_committed(reeve_report *r, const reeve_master *m, const struct reeve_event *ev, reeve_time_ns now_ns)
{
    append_row(r); /* nobody had a word on the step before (it was refused, perhaps) */
    double seconds = NAN;
    if (r->commits > 0) seconds = (double)(now_ns - r->commit_ns[(r->commits - 1) % RATE_STEPS]) * 1e-9;
    r->commit_ns[r->commits++ % RATE_STEPS] = now_ns;
    struct reeve_master_status s;
    reeve_master_get_status(m, &s);
    bool refused = (ev->flags & REEVE_EVENT_FLAG_REFUSED) != 0;
    r->status.state = REEVE_RUN_RUNNING;
    r->status.loss = refused ? NAN : per_token(r, (int64_t)ev->a, ev->arg);
    r->status.tokens_per_s = token_rate(r);
    uint64_t samples = ev->step * r->job->train.global_batch;
    r->row = (struct reeve_metrics_row){
        .step = ev->step,
        .epoch = (samples - r->job->train.global_batch) / r->epoch_samples,
        .samples = samples,
        .workers = s.workers,
        .membership_epoch = s.epoch,
        .refused = refused,
        .loss = r->status.loss,
        .eval_loss = NAN,
        .learning_rate = NAN,
        .grad_norm = NAN,
        .tokens_per_s = r->status.tokens_per_s,
        .step_seconds = seconds,
    };
    r->row_waiting = true;
    if (refused)
        reeve_log(REEVE_LOG_WARN,
                  "step %llu was refused: its gradient holds NaN, infinity or values beyond the limit; the "
                  "weights did not change",
                  (unsigned long long)ev->step);
}

void reeve_report_applied(reeve_report *r, uint64_t step, double learning_rate, double grad_norm)
{
    if (!r->row_waiting || step != r->row.step) return;
    r->row.learning_rate = r->status.learning_rate = learning_rate;
    r->row.grad_norm = r->status.grad_norm = grad_norm;
    append_row(r);
}

void reeve_report_silent(reeve_report *r, const char *host, double silent_s)
{
    if (strcmp(r->status.silent_host, host) != 0) r->written_ns = 0; /* told at once: somebody waits for it */
    (void)snprintf(r->status.silent_host, sizeof(r->status.silent_host), "%s", host);
    r->status.silent_s = silent_s;
}

void reeve_report_long(reeve_report *r, uint32_t workers)
{
    r->status.workers_long = workers;
}

static void eval_committed(reeve_report *r, const struct reeve_event *ev)
{
    struct reeve_error err = {0};
    r->status.eval_loss = ev->b > 0 ? reeve_exact_loss_value((int64_t)ev->a) / (double)ev->b : NAN;
    r->status.eval_step = ev->step;
    append_row(r);
    if (r->metrics != NULL && reeve_metrics_append_eval(r->metrics, ev->step, r->status.eval_loss, &err) != REEVE_OK)
        warn_once(r, &err);
}

static void resumed(reeve_report *r, const reeve_master *m, uint64_t step)
{
    struct reeve_error err = {0};
    struct reeve_master_status s;
    reeve_master_get_status(m, &s);
    if (r->metrics != NULL && reeve_metrics_append_resumed(r->metrics, step, s.workers, &err) != REEVE_OK)
        warn_once(r, &err);
}

/* Called for each task: it may not cost more than a look at the kind. */
void reeve_report_event(reeve_report *r, const reeve_master *m, const struct reeve_event *ev, reeve_time_ns now_ns)
{
    switch (ev->kind) {
    case REEVE_EVENT_STEP_COMMITTED: step_committed(r, m, ev, now_ns); break;
    case REEVE_EVENT_EVAL_COMMITTED: eval_committed(r, ev); break;
    case REEVE_EVENT_CKPT_COMMIT:
        r->status.last_checkpoint_step = ev->step;
        r->status.last_checkpoint_wall_ns = reeve_clock_wall_ns();
        break;
    case REEVE_EVENT_REGROUPED: {
        struct reeve_master_status s;
        reeve_master_get_status(m, &s);
        r->status.workers = s.workers;
        break;
    }
    case REEVE_EVENT_RUN_RESUMED: resumed(r, m, ev->step); break;
    default: break;
    }
}

static void fill(reeve_report *r, const reeve_master *m, reeve_time_ns now_ns)
{
    struct reeve_master_status s;
    reeve_master_get_status(m, &s);
    struct reeve_status_report *o = &r->status;
    o->step = s.step;
    if (r->epoch_samples > 0) {
        o->samples = s.step * r->job->train.global_batch;
        o->epoch = o->samples / r->epoch_samples;
    }
    o->membership_epoch = s.epoch;
    if (s.phase < REEVE_PHASE_DRAIN) o->workers = s.workers; /* later they say goodbye one by one */
    o->tasks_ready = s.ready;
    o->tasks_leased = s.leased;
    o->tasks_blocked = s.blocked;
    o->tasks_done = s.computed;
    o->tasks_dead = s.dead;
    o->refused_steps = s.refused_steps;
    o->restarts = s.restarts;
    if (o->last_checkpoint_step == 0) o->last_checkpoint_step = s.last_checkpoint;
    if (o->eval_step == 0 && s.eval_step > 0 && s.eval_tokens > 0) {
        o->eval_step = s.eval_step;
        o->eval_loss = reeve_exact_loss_value(s.eval_loss) / (double)s.eval_tokens;
    }
    if (r->epoch_samples == 0) {
        uint64_t slots = (uint64_t)o->workers * r->job->exec.slots;
        reeve_report_tasks(&r->task_rate, &s, now_ns, o);
        o->tasks_running = s.leased < slots ? s.leased : slots;
        return;
    }
    double left = (double)(r->job->train.steps - s.step) * r->job->train.global_batch * r->job->data.sequence;
    o->seconds_left = o->tokens_per_s > 0 ? left / o->tokens_per_s : NAN;
}

static void draw(reeve_report *r, reeve_time_ns now_ns)
{
    if (r->out == NULL) return;
    char line[REEVE_PROGRESS_BYTES];
    size_t n = reeve_progress_format(&r->status, r->columns, line, sizeof(line));
    (void)fwrite(line, 1, n, r->out);
    (void)fflush(r->out);
    r->drawn = r->columns > 0;
    r->drawn_ns = now_ns;
}

/* After Ctrl-Z, or in the background, the line would be drawn over a prompt; and nothing of ours is there to be cleared. */
static bool is_seen(reeve_report *r)
{
    if (r->columns == 0 || r->seen_by <= 0 || reeve_foreground_has(r->seen_by)) return true;
    r->drawn = false;
    return false;
}

static void write_files(reeve_report *r, reeve_time_ns now_ns)
{
    struct reeve_error err = {0};
    if (reeve_status_file_write(r->status_path, &r->status, &err) != REEVE_OK ||
        reeve_prometheus_write(r->prom_path, &r->status, &err) != REEVE_OK)
        warn_once(r, &err);
    r->written_ns = now_ns;
}

void reeve_report_turn(reeve_report *r, const reeve_master *m, reeve_time_ns now_ns)
{
    bool draw_due =
        now_ns - r->drawn_ns >= (r->columns > 0 ? LIVE_NS : PLAIN_NS) && (r->commits > 0 || r->epoch_samples == 0);
    bool write_due = now_ns - r->written_ns >= FILES_NS;
    if (!draw_due && !write_due) return;
    fill(r, m, now_ns);
    if (draw_due && is_seen(r)) draw(r, now_ns);
    if (draw_due) r->drawn_ns = now_ns;
    if (write_due) write_files(r, now_ns);
}

void reeve_report_say(reeve_report *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    reeve_log_record(format, args);
    va_end(args);
    if (r->out == NULL) return;
    if (r->drawn) (void)fputs(reeve_progress_clear(r->columns), r->out);
    r->drawn = false;
    va_start(args, format);
    (void)vfprintf(r->out, format, args);
    va_end(args);
    (void)fputc('\n', r->out);
    (void)fflush(r->out);
}

void reeve_report_end(reeve_report *r, const reeve_master *m, enum reeve_run_state state, int exit_code,
                      const char *message, reeve_time_ns now_ns)
{
    append_row(r);
    fill(r, m, now_ns);
    r->status.state = state;
    reeve_report_silent(r, "", 0.0);
    reeve_report_long(r, 0);
    r->status.exit_code = exit_code;
    r->status.seconds_left = state == REEVE_RUN_COMPLETE ? 0.0 : NAN;
    (void)snprintf(r->status.message, sizeof(r->status.message), "%s", message);
    if (r->commits > 0 || r->epoch_samples == 0) draw(r, now_ns);
    if (r->drawn && r->out != NULL) (void)fputc('\n', r->out);
    r->drawn = false;
    write_files(r, now_ns);
}
