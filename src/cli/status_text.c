/* `reeve status` for people; see status_look.h. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/one_line.h"
#include "cli/output.h"
#include "cli/status_look.h"
#include "export/progress.h"

static enum reeve_cli_style style_of(const char *state)
{
    if (strcmp(state, "running") == 0 || strcmp(state, "complete") == 0) return REEVE_STYLE_GOOD;
    if (strcmp(state, "died") == 0 || strcmp(state, "failed") == 0) return REEVE_STYLE_BAD;
    return REEVE_STYLE_WARN;
}

static void print_state(const struct reeve_status_look *s)
{
    (void)printf("%s%s%s", reeve_cli_style(stdout, style_of(s->state)), s->state,
                 reeve_cli_style(stdout, REEVE_STYLE_PLAIN));
}

static double age_s(const struct reeve_status_look *s)
{
    double age = (double)(reeve_clock_wall_ns() - s->report.updated_wall_ns) / (double)REEVE_SECOND_NS;
    return age < 0.0 ? 0.0 : age; /* clocks of two machines differ */
}

static void print_next(const struct reeve_status_look *s)
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

static void print_slurm(const struct reeve_status_look *s)
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

void reeve_status_look_print(struct reeve_status_look *s)
{
    char *texts[] = {s->run_dir, s->owner, s->supervisor, s->report.job, s->report.message, s->report.silent_host};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        reeve_one_line(texts[i]);
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

void reeve_status_look_print_heads(void)
{
    (void)printf("%-9s  %-15s  %-8s  run\n", "state", "step", "loss");
}

void reeve_status_look_print_row(const struct reeve_status_look *s)
{
    char loss[16] = "-", steps[48] = "-", name[REEVE_PATH_BYTES_MAX];
    if (isfinite(s->report.loss)) (void)snprintf(loss, sizeof loss, "%.4f", s->report.loss);
    bool list = s->report.tasks_total > 0;
    if (s->reported)
        (void)snprintf(steps, sizeof steps, "%" PRIu64 "/%" PRIu64, list ? s->report.tasks_done : s->report.step,
                       list ? s->report.tasks_total : s->report.steps);
    (void)printf("%s%-9s%s  %-15s  %-8s  %s\n", reeve_cli_style(stdout, style_of(s->state)), s->state,
                 reeve_cli_style(stdout, REEVE_STYLE_PLAIN), steps, loss, reeve_cli_plain(s->run_dir, name));
}
