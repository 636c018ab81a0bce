/* See status_look.h. */
#include "cli/status_look.h"

#include <stdio.h>

#include "cli/run_folder.h"
#include "export/starts_file.h"
#include "store/owner.h"

static bool has_ended(enum reeve_run_state state)
{
    return state == REEVE_RUN_STOPPED || state == REEVE_RUN_COMPLETE || state == REEVE_RUN_FAILED;
}

/* The owner's LOCK says who is alive, and status.json what was last known: together they say which it is. */
static const char *judge(const struct reeve_status_look *s)
{
    if (!s->owned && s->supervised) return "restarting";
    if (!s->reported) return s->owned ? "starting" : s->waits && s->submitted ? "submitted" : "prepared";
    if (s->owned) return has_ended(s->report.state) ? "starting" : reeve_run_state_name(s->report.state);
    return has_ended(s->report.state) ? reeve_run_state_name(s->report.state) : "died";
}

reeve_status reeve_status_look_at(const char *run_dir, struct reeve_status_look *s, struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    *s = (struct reeve_status_look){0};
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
    s->waits = !reeve_run_folder_has(run_dir, "job.yaml") && reeve_run_folder_has(run_dir, "submit");
    s->submitted = reeve_run_folder_has(run_dir, "starts.jsonl");
    s->state = judge(s);
    return REEVE_OK;
}

void reeve_status_look_ask_slurm(struct reeve_status_look *s)
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
