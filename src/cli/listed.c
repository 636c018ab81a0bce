/* See listed.h. */
#include "cli/listed.h"

#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "cli/run_folder.h"
#include "config/job_file.h"
#include "config/tasks_file.h"
#include "run/executor_output.h"
#include "store/journal.h"
#include "store/tasks_lock.h"

bool reeve_listed_is_run(const char *run_dir)
{
    return reeve_is_folder(run_dir) && reeve_run_folder_has(run_dir, "tasks.h5");
}

static reeve_status visit(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    (void)err;
    reeve_list_audit_event(arg, ev);
    return REEVE_OK;
}

reeve_status reeve_listed_open(const char *run_dir, struct reeve_listed *out, struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    memset(out, 0, sizeof(*out));
    out->run_dir = run_dir;
    reeve_status st = reeve_run_folder_check_begun(run_dir, err);
    if (st == REEVE_OK && !reeve_listed_is_run(run_dir))
        st = reeve_fail(err, REEVE_INPUT_INVALID,
                        "%s: has no task list (tasks.h5): it trains; `reeve inspect %s` tells of it", run_dir, run_dir);
    if (st == REEVE_OK) st = reeve_run_folder_file(run_dir, "job.yaml", path, err);
    if (st == REEVE_OK) st = reeve_job_read(path, NULL, 0, &out->job, err);
    if (st == REEVE_OK) st = reeve_run_folder_file(run_dir, "tasks.h5", path, err);
    if (st == REEVE_OK) st = reeve_tasks_lock_read(path, &out->tasks, err);
    if (st == REEVE_OK) st = reeve_list_audit_create(out->tasks, &out->audit, err);
    if (st == REEVE_OK) st = reeve_journal_replay(run_dir, visit, out->audit, &out->info, err);
    if (st == REEVE_OK) reeve_list_audit_finish(out->audit, &out->result);
    else reeve_listed_close(out);
    return st;
}

reeve_status reeve_listed_open_job(const char *job_path, const char *const *overrides, uint32_t override_count,
                                   bool *is_list, struct reeve_listed *out, struct reeve_error *err)
{
    memset(out, 0, sizeof(*out));
    *is_list = false;
    reeve_status st = reeve_job_read(job_path, overrides, override_count, &out->job, err);
    if (st != REEVE_OK || !reeve_job_is_list(&out->job)) return st;
    *is_list = true;
    return reeve_tasks_read(job_path, &out->job, &out->tasks, err);
}

void reeve_listed_close(struct reeve_listed *l)
{
    reeve_list_audit_destroy(l->audit);
    reeve_task_list_destroy(l->tasks);
    memset(l, 0, sizeof(*l));
}

const char *reeve_listed_state(const struct reeve_listed *l, uint32_t task)
{
    return reeve_task_state_name(reeve_list_audit_task(l->audit, task)->state);
}

const char *reeve_listed_reason(uint32_t status, uint64_t result)
{
    if (status == REEVE_TASK_FAILED && reeve_task_result_not_started(result)) return "task could not be started";
    return reeve_status_text((reeve_status)status);
}

bool reeve_listed_output(const struct reeve_listed *l, uint32_t task, bool errors, char out[REEVE_LISTED_OUTPUT_BYTES])
{
    char name[REEVE_LISTED_OUTPUT_BYTES], path[REEVE_PATH_BYTES_MAX];
    uint32_t attempt = reeve_list_audit_task(l->audit, task)->attempt;
    reeve_executor_output_path(l->tasks, task, attempt, errors, name, sizeof(name));
    if (attempt == 0 || reeve_run_folder_file(l->run_dir, name, path, NULL) != REEVE_OK || !reeve_path_exists(path))
        return false;
    memcpy(out, name, sizeof(name));
    return true;
}

static json_t *output_json(const struct reeve_listed *l, uint32_t task, bool errors)
{
    char name[REEVE_LISTED_OUTPUT_BYTES], path[REEVE_PATH_BYTES_MAX];
    if (!reeve_listed_output(l, task, errors, name) || reeve_run_folder_file(l->run_dir, name, path, NULL) != REEVE_OK)
        return json_null();
    return reeve_cli_json_text(path);
}

json_t *reeve_listed_json(const struct reeve_listed *l, uint32_t task)
{
    const struct reeve_task_record *r = reeve_list_audit_task(l->audit, task);
    bool ended = r->ended_ns > 0;
    uint32_t signal = reeve_task_result_signal(r->result);
    json_t *o = json_object();
    reeve_cli_json_set(o, "index", json_integer(task));
    reeve_cli_json_set(o, "name", reeve_cli_json_text(reeve_task_list_name(l->tasks, task)));
    reeve_cli_json_set(o, "command", reeve_cli_json_text(reeve_task_list_command(l->tasks, task)));
    reeve_cli_json_set(o, "state", json_string(reeve_listed_state(l, task)));
    reeve_cli_json_set(o, "attempt", json_integer(r->attempt));
    reeve_cli_json_set(o, "failures", json_integer(r->failures));
    reeve_cli_json_set(o, "released", json_integer(r->released));
    reeve_cli_json_set(o, "exit_code",
                       ended && signal == 0 ? json_integer(reeve_task_result_exit(r->result)) : json_null());
    reeve_cli_json_set(o, "signal", ended && signal != 0 ? json_integer(signal) : json_null());
    reeve_cli_json_set(o, "seconds", ended ? json_real((double)reeve_task_result_us(r->result) * 1e-6) : json_null());
    reeve_cli_json_set(o, "ended", ended ? reeve_cli_json_utc((int64_t)r->ended_ns) : json_null());
    reeve_cli_json_set(o, "reason",
                       r->reason != 0     ? json_string(reeve_listed_reason(r->reason, r->result))
                       : r->by_dependency ? json_string("a task that it waits for is dead")
                                          : json_null());
    reeve_cli_json_set(o, "worker", r->worker != 0 ? json_integer(r->worker) : json_null());
    reeve_cli_json_set(o, "stdout", output_json(l, task, false));
    reeve_cli_json_set(o, "stderr", output_json(l, task, true));
    return o;
}
