/* See audit_run.h. */
#include "cli/audit_run.h"

#include "cli/run_folder.h"
#include "store/journal.h"

static reeve_status visit(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    return reeve_audit_event(arg, ev, err);
}

reeve_status reeve_audit_run(const char *run_dir, struct reeve_job *job, struct reeve_audit_result *result,
                             struct reeve_error *err)
{
    struct reeve_manifest *manifest = NULL;
    struct reeve_plan_config config;
    struct reeve_journal_info info;
    reeve_plan *plan = NULL;
    reeve_audit *audit = NULL;
    reeve_status st = reeve_run_folder_read(run_dir, job, &manifest, err);
    if (st == REEVE_OK) {
        reeve_job_plan_config(job, &config);
        st = reeve_plan_create(manifest, &config, &plan, err);
    }
    if (st == REEVE_OK) st = reeve_audit_create(plan, &audit, err);
    if (st == REEVE_OK) st = reeve_journal_replay(run_dir, visit, audit, &info, err);
    if (st == REEVE_OK) st = reeve_audit_finish(audit, result, err);
    reeve_audit_destroy(audit);
    reeve_plan_destroy(plan);
    reeve_manifest_destroy(manifest);
    return st;
}
