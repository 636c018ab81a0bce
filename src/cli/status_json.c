/* `reeve status --json`; see status_look.h. docs/cli.md lists the keys. */
#include "cli/output.h"
#include "cli/status_look.h"

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

json_t *reeve_status_look_json(const struct reeve_status_look *s)
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
