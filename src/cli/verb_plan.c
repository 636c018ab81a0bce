/* `reeve plan`: what a job will read, before and without running it. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "cli/listed.h"
#include "cli/output.h"
#include "cli/plan.h"
#include "cli/run_folder.h"
#include "cli/ticker.h"
#include "cli/verb.h"
#include "config/job_file.h"
#include "run/lock_manifest.h"
#include "reeve/status.h"

#define OVERRIDES_MAX 256

static reeve_status open_data(const char *job_path, struct reeve_planned *p, struct reeve_error *err)
{
    char folder[REEVE_PATH_BYTES_MAX], path[REEVE_PATH_BYTES_MAX];
    struct reeve_ticker ticker;
    reeve_path_dirname(job_path, folder, sizeof folder);
    reeve_status st = reeve_path_join(path, sizeof path, folder, p->job.data.manifest, err);
    if (st != REEVE_OK) return st;
    reeve_ticker_begin(&ticker, "measured");
    st = reeve_manifest_open(path, 0, reeve_ticker_shards, &ticker, &p->manifest, &p->from_lock, err);
    reeve_ticker_end(&ticker);
    if (st != REEVE_OK && !reeve_path_exists(path))
        return reeve_error_context(err, "%s, key 'data.manifest'", job_path);
    return st;
}

reeve_status reeve_planned_open(const char *job_or_run, const char *const *overrides, uint32_t override_count,
                                struct reeve_planned *out, struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    reeve_status st;
    bool is_run = reeve_is_folder(job_or_run);
    *out = (struct reeve_planned){.from_lock = true};
    if (is_run) {
        st = reeve_run_folder_read(job_or_run, NULL, &out->manifest, err);
        if (st == REEVE_OK) st = reeve_run_folder_file(job_or_run, "job.yaml", path, err);
        if (st == REEVE_OK) st = reeve_job_read(path, overrides, override_count, &out->job, err);
    } else {
        st = reeve_job_read(job_or_run, overrides, override_count, &out->job, err);
        if (st == REEVE_OK) st = open_data(job_or_run, out, err);
    }
    struct reeve_plan_config config;
    if (st == REEVE_OK) {
        reeve_job_plan_config(&out->job, &config);
        st = reeve_plan_create(out->manifest, &config, &out->plan, err);
    }
    if (st != REEVE_OK) reeve_planned_close(out);
    return st;
}

void reeve_planned_close(struct reeve_planned *p)
{
    reeve_plan_destroy(p->plan);
    reeve_manifest_destroy(p->manifest);
    p->plan = NULL;
    p->manifest = NULL;
}

/* "7" or "7-12" */
static bool parse_steps(const char *text, uint64_t *first, uint64_t *last)
{
    char *end = NULL;
    errno = 0;
    if (*text < '0' || *text > '9') return false;
    *first = *last = strtoull(text, &end, 10);
    if (*end == '-' && end[1] >= '0' && end[1] <= '9') *last = strtoull(end + 1, &end, 10);
    return *end == '\0' && errno == 0 && *first >= 1 && *last >= *first;
}

static int plan_print(const struct reeve_verb *verb, const struct reeve_planned *p, const char *steps, bool json)
{
    uint64_t first, last;
    if (steps == NULL) return reeve_plan_print_summary(p, json);
    if (!parse_steps(steps, &first, &last))
        return reeve_verb_usage(verb, "--step %s: expected a step from 1 on, or two with a dash between them", steps);
    if (last > p->job.train.steps)
        return reeve_verb_usage(verb, "--step %s: the job has %llu steps; more with --set train.steps=N", steps,
                                (unsigned long long)p->job.train.steps);
    return reeve_plan_print_steps(p, first, last, json);
}

/* A job or run with a task list has no steps: its tasks are listed. */
static int plan_list(const struct reeve_verb *verb, const char *job_or_run, const char *const *overrides,
                     uint32_t override_count, const char *steps, bool json, bool *is_list)
{
    static struct reeve_listed l;
    struct reeve_error err = {0};
    bool run = reeve_is_folder(job_or_run);
    *is_list = run && reeve_listed_is_run(job_or_run);
    if (run && !*is_list) return 0;
    reeve_status st = run ? reeve_listed_open(job_or_run, &l, &err)
                          : reeve_listed_open_job(job_or_run, overrides, override_count, is_list, &l, &err);
    if (st != REEVE_OK) return reeve_cli_fail(&err);
    if (!*is_list) return 0;
    int code = steps != NULL ? reeve_verb_usage(verb, "--step: this job has no steps, but a list of tasks")
                             : reeve_listed_plan(&l, json);
    reeve_listed_close(&l);
    return code;
}

static int plan_main(const struct reeve_verb *verb, int argc, char **argv)
{
    const char *overrides[OVERRIDES_MAX], *steps = NULL, *value;
    uint32_t override_count = 0;
    bool json = false;
    for (int id; (id = reeve_verb_option(verb, argc, argv, &value)) != -1;) {
        if (id == 's') steps = value;
        if (id == REEVE_OPT_JSON_ID) json = true;
        if (id != 'S') continue;
        if (override_count == OVERRIDES_MAX) return reeve_verb_usage(verb, "more than %d --set", OVERRIDES_MAX);
        overrides[override_count++] = value;
    }
    int code = reeve_verb_operands(verb, argc, argv, 1, 1);
    if (code != 0) return code;
    struct reeve_error err = {0};
    bool is_list = false;
    code = plan_list(verb, argv[optind], overrides, override_count, steps, json, &is_list);
    if (is_list || code != 0) return code;
    static struct reeve_planned p; /* the job alone is some 12 KiB */
    if (reeve_planned_open(argv[optind], overrides, override_count, &p, &err) != REEVE_OK) return reeve_cli_fail(&err);
    code = plan_print(verb, &p, steps, json);
    reeve_planned_close(&p);
    return code;
}

static const struct reeve_opt plan_opts[] = {
    {'s', "step", "S[-S2]", "show the samples that each micro-batch of step S (to S2) reads"},
    {'S', "set", "KEY=VALUE", "replace a key of the job, e.g. train.steps=100; can be repeated"},
    REEVE_OPT_JSON,
    {0}};

const struct reeve_verb reeve_verb_plan = {
    "plan",
    "JOB|RUN",
    "say which samples each step of a job reads, without running it",
    "The plan follows from the job and the data alone: not from the number of workers, nor from what fails on the "
    "way.\n"
    "Without --step it is summed up: samples, epochs, micro-batches, the held-out part, and what is never read. With\n"
    "--step it is told sample by sample, with the shard and the tokens that each one covers.\n"
    "The data is measured in memory where it has not been locked (see `reeve help manifest`).\n"
    "\n"
    "Examples:\n"
    "  reeve plan job.yaml\n"
    "  reeve plan job.yaml --step 17 --json\n"
    "  reeve plan runs/quickstart --step 1-3\n"
    "  reeve plan job.yaml --set data.shuffle=none --step 1\n",
    plan_opts,
    plan_main};
