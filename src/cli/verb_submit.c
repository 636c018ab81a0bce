/* `reeve submit JOB`: write the batch script into the run folder, hand it to Slurm, and say the number of the job. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"
#include "cli/output.h"
#include "cli/slurm.h"
#include "cli/submit_gpus.h"
#include "cli/submit_script.h"
#include "cli/submit_wait.h"
#include "cli/verb.h"
#include "config/job_file.h"
#include "export/starts_file.h"

#define CHAIN_MAX 1000

enum {
    OPT_NODES = 300,
    OPT_TASKS,
    OPT_GPUS,
    OPT_TIME,
    OPT_PARTITION,
    OPT_ACCOUNT,
    OPT_CHAIN,
    OPT_LAUNCHER,
    OPT_SBATCH,
    OPT_DRY_RUN,
    OPT_WAIT
};

struct submit_options {
    struct reeve_verb_list sets, extras;
    unsigned long long nodes, tasks_per_node, gpus_per_node, chain;
    bool gpus_said, dry_run, wait, json;
    const char *time, *partition, *account, *launcher, *run_dir;
};

struct submitted {
    char run_dir[REEVE_PATH_BYTES_MAX], script[REEVE_PATH_BYTES_MAX];
    char *text;               /* of the script; owned */
    uint64_t jobs[CHAIN_MAX]; /* (job_count,) */
    uint32_t job_count;
    char test[REEVE_SLURM_SAYS_BYTES]; /* what `sbatch --test-only` said; "" where nobody was asked */
};

static int parse(const struct reeve_verb *verb, int argc, char **argv, struct submit_options *o)
{
    const char *value = NULL;
    int code = 0;
    for (int id; code == 0 && (id = reeve_verb_option(verb, argc, argv, &value)) != -1;) {
        switch (id) {
        case OPT_NODES: code = reeve_verb_number(verb, "--nodes", value, 1, 65535, &o->nodes); break;
        case OPT_TASKS: code = reeve_verb_number(verb, "--tasks-per-node", value, 1, 4096, &o->tasks_per_node); break;
        case OPT_GPUS:
            code = reeve_verb_number(verb, "--gpus-per-node", value, 0, 1024, &o->gpus_per_node);
            o->gpus_said = true;
            break;
        case OPT_CHAIN: code = reeve_verb_number(verb, "--chain", value, 1, CHAIN_MAX, &o->chain); break;
        case OPT_TIME: o->time = value; break;
        case OPT_PARTITION: o->partition = value; break;
        case OPT_ACCOUNT: o->account = value; break;
        case OPT_LAUNCHER: o->launcher = value; break;
        case REEVE_OPT_RUN_DIR_ID: o->run_dir = value; break;
        case REEVE_OPT_SET_ID: code = reeve_verb_add(verb, "--set", value, &o->sets); break;
        case OPT_SBATCH: code = reeve_verb_add(verb, "--sbatch", value, &o->extras); break;
        case OPT_DRY_RUN: o->dry_run = true; break;
        case OPT_WAIT: o->wait = true; break;
        default: o->json = true;
        }
    }
    for (uint32_t i = 0; code == 0 && i < o->extras.count; i++)
        if (o->extras.text[i][0] != '-')
            code = reeve_verb_usage(verb, "--sbatch %s: expected options of sbatch, such as \"--qos=long\"",
                                    o->extras.text[i]);
    if (code == 0 && o->dry_run && o->wait) code = reeve_verb_usage(verb, "--dry-run leaves nothing to --wait for");
    return code;
}

/* The job with its overrides; resources given on the command line are overrides too, so they are checked alike. */
static reeve_status read_job(const char *path, const struct submit_options *o, struct reeve_job *job,
                             struct reeve_error *err)
{
    static const char *const keys[] = {"time", "partition", "account", "launcher"};
    const char *const values[] = {o->time, o->partition, o->account, o->launcher};
    const char *sets[REEVE_VERB_LIST_MAX + 4];
    char texts[4][256];
    uint32_t count = o->sets.count;
    memcpy(sets, o->sets.text, sizeof(sets[0]) * count);
    for (uint32_t i = 0; i < 4; i++) {
        if (values[i] == NULL) continue;
        int n = snprintf(texts[i], sizeof(texts[i]), "resources.%s=\"%s\"", keys[i], values[i]);
        if (n < 0 || (size_t)n >= sizeof(texts[i]) || strpbrk(values[i], "\"\\") != NULL)
            return reeve_fail(err, REEVE_INPUT_USAGE, "--%s %s: no word of Slurm's", keys[i], values[i]);
        sets[count++] = texts[i];
    }
    return reeve_job_read(path, sets, count, job, err);
}

static reeve_status absolute(const char *path, char out[REEVE_PATH_BYTES_MAX], struct reeve_error *err)
{
    char here[REEVE_PATH_BYTES_MAX];
    if (getcwd(here, sizeof(here)) == NULL) return reeve_fail(err, REEVE_INPUT_INVALID, "current folder: %m");
    return reeve_path_join(out, REEVE_PATH_BYTES_MAX, here, path, err);
}

/* The folder of this program, which the batch script puts first on PATH. */
static void program_dir(char out[REEVE_PATH_BYTES_MAX])
{
    char path[REEVE_PATH_BYTES_MAX] = "";
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    path[n > 0 ? n : 0] = '\0';
    reeve_path_dirname(path, out, REEVE_PATH_BYTES_MAX);
}

static reeve_status make_script(const struct submit_options *o, const struct reeve_job *job, const char *job_path,
                                struct submitted *out, struct reeve_error *err)
{
    char programs[REEVE_PATH_BYTES_MAX], name[128], plain[96];
    program_dir(programs);
    reeve_submission_name(job->name, plain, sizeof(plain));
    /* Links of a chain wait for others of the same name: theirs must be that of no other run. */
    unsigned tail = (unsigned)(reeve_digest64(out->run_dir, strlen(out->run_dir), 0) & 0xffffff);
    (void)snprintf(name, sizeof(name), o->chain > 0 ? "%s-%06x" : "%s", plain, tail);
    struct reeve_submission s = {
        .job_path = job_path,
        .run_dir = out->run_dir,
        .program_dir = programs,
        .name = name,
        .time = job->resources.time,
        .partition = job->resources.partition,
        .account = job->resources.account,
        .srun = job->resources.launcher == REEVE_LAUNCHER_SRUN,
        .chain = o->chain > 0,
        .sets = o->sets.text,
        .set_count = o->sets.count,
        .extras = o->extras.text,
        .extra_count = o->extras.count,
    };
    reeve_submission_cores(&s, job);
    const struct reeve_gpus_asked asked = {(uint32_t)o->nodes, (uint32_t)o->tasks_per_node, (uint32_t)o->gpus_per_node,
                                           o->gpus_said};
    reeve_status st = reeve_submission_place_gpus(&s, &asked, job, err);
    if (st != REEVE_OK) return st;
    if (s.workers > 65535)
        return reeve_fail(err, REEVE_INPUT_USAGE, "%" PRIu32 " nodes of %" PRIu32 " workers: more than 65535 workers",
                          s.nodes, s.tasks_per_node);
    return reeve_submission_script(&s, &out->text, err);
}

/* RUN/submit/train.sbatch and the settings beside it. */
static reeve_status write_script(struct submitted *out, struct reeve_error *err)
{
    char dir[REEVE_PATH_BYTES_MAX], env[REEVE_PATH_BYTES_MAX];
    const char *settings = reeve_submission_env();
    reeve_status st = reeve_path_join(dir, sizeof(dir), out->run_dir, "submit", err);
    if (st == REEVE_OK) st = reeve_path_join(env, sizeof(env), dir, "env.sh", err);
    if (st == REEVE_OK) st = reeve_mkdir_parents(dir, err);
    if (st == REEVE_OK && !reeve_path_exists(env)) st = reeve_file_replace(env, settings, strlen(settings), false, err);
    if (st == REEVE_OK) st = reeve_file_replace(out->script, out->text, strlen(out->text), false, err);
    return st;
}

static int submit_all(const struct submit_options *o, struct submitted *out, struct reeve_error *err)
{
    uint32_t links = o->chain > 0 ? (uint32_t)o->chain : 1;
    while (out->job_count < links) {
        uint64_t job_id = 0;
        reeve_status st = reeve_slurm_submit(out->script, &job_id, err);
        if (st != REEVE_OK && out->job_count > 0) {
            reeve_cli_note("of %" PRIu32 " links %" PRIu32 " were submitted", links, out->job_count);
        }
        if (st != REEVE_OK) return reeve_cli_fail(err);
        out->jobs[out->job_count++] = job_id;
        struct reeve_start s = {.job_id = job_id};
        if (reeve_starts_append_submitted(out->run_dir, &s, err) != REEVE_OK) reeve_cli_note("%s", err->text);
    }
    return REEVE_EXIT_DONE;
}

static int print_json(const struct submit_options *o, const struct submitted *s, int exit_code)
{
    json_t *object = reeve_cli_json_object(), *jobs = json_array();
    for (uint32_t i = 0; i < s->job_count; i++)
        reeve_cli_json_append(jobs, reeve_cli_json_u64(s->jobs[i]));
    reeve_cli_json_set(object, "run_dir", reeve_cli_json_text(s->run_dir));
    reeve_cli_json_set(object, "job_id", s->job_count > 0 ? reeve_cli_json_u64(s->jobs[0]) : json_null());
    reeve_cli_json_set(object, "job_ids", jobs);
    reeve_cli_json_set(object, "script", o->dry_run ? json_null() : reeve_cli_json_text(s->script));
    if (o->dry_run) {
        reeve_cli_json_set(object, "text", reeve_cli_json_text(s->text));
        reeve_cli_json_set(object, "test_only", s->test[0] != '\0' ? reeve_cli_json_text(s->test) : json_null());
    }
    if (o->wait) reeve_cli_json_set(object, "exit_code", json_integer(exit_code));
    int printed = reeve_cli_print_json(object);
    return printed != 0 ? printed : exit_code;
}

/* The script, and what Slurm would say of it, where there is one. Nothing is left behind. */
static int dry_run(const struct submit_options *o, struct submitted *s)
{
    struct reeve_error err = {0};
    bool taken = reeve_slurm_test(s->text, s->test, sizeof(s->test), &err);
    int code = taken ? REEVE_EXIT_DONE : reeve_slurm_exit_code(s->test);
    if (o->json) return print_json(o, s, code);
    (void)fputs(s->text, stdout);
    if (s->test[0] == '\0') reeve_cli_note("nobody was asked what Slurm would say: %s", err.text);
    else reeve_cli_note("Slurm says: %s", s->test);
    return code;
}

static int submit_it(const struct submit_options *o, struct submitted *s)
{
    struct reeve_error err = {0};
    if (!reeve_slurm_is_here(&err) || write_script(s, &err) != REEVE_OK) return reeve_cli_fail(&err);
    /* A cluster may take what it can never start: better said now than found out next week. */
    bool can_start = reeve_slurm_test(s->text, s->test, sizeof(s->test), &err);
    int code = submit_all(o, s, &err);
    if (code != REEVE_EXIT_DONE) return code;
    if (!can_start) reeve_cli_note("submitted, but as things are, Slurm would not start it: %s", s->test);
    if (!o->json) {
        for (uint32_t i = 0; i < s->job_count; i++)
            (void)printf("%" PRIu64 "\n", s->jobs[i]);
        (void)fflush(stdout);
        reeve_cli_note("submitted %s; `reeve status %s` says how it is doing", s->script, s->run_dir);
    }
    if (o->wait) code = reeve_submit_wait(s->run_dir, s->jobs, s->job_count);
    return o->json ? print_json(o, s, code) : code;
}

static int submit_main(const struct reeve_verb *verb, int argc, char **argv)
{
    static struct submitted s;
    static struct reeve_job job;
    struct submit_options o = {0};
    struct reeve_error err = {0};
    char job_path[REEVE_PATH_BYTES_MAX], named[REEVE_PATH_BYTES_MAX];
    int code = parse(verb, argc, argv, &o);
    if (code == 0) code = reeve_verb_operands(verb, argc, argv, 1, 1);
    if (code != 0) return code;
    reeve_status st = absolute(argv[optind], job_path, &err);
    if (st == REEVE_OK) st = read_job(job_path, &o, &job, &err);
    if (st == REEVE_OK && !reeve_job_is_list(&job) && !reeve_path_exists(job.data.manifest))
        st = reeve_fail(&err, REEVE_INPUT_MISSING, "%s: key 'data.manifest': %s is not there", job_path,
                        job.data.manifest);
    (void)snprintf(named, sizeof(named), "runs/%s", job.name);
    if (st == REEVE_OK) st = absolute(o.run_dir != NULL ? o.run_dir : named, s.run_dir, &err);
    if (st == REEVE_OK) st = reeve_path_join(s.script, sizeof(s.script), s.run_dir, "submit/train.sbatch", &err);
    if (st == REEVE_OK) st = make_script(&o, &job, job_path, &s, &err);
    if (st != REEVE_OK) return reeve_cli_fail(&err);
    code = o.dry_run ? dry_run(&o, &s) : submit_it(&o, &s);
    free(s.text);
    return code;
}

static const struct reeve_opt submit_opts[] = {
    {OPT_NODES, "nodes", "N", "nodes to ask for (default: resources.nodes of the job, or 1)"},
    {OPT_TASKS, "tasks-per-node", "K",
     "workers on each node (default: one for each GPU, or resources.workers, spread evenly)"},
    {OPT_GPUS, "gpus-per-node", "G",
     "GPUs of each node (default: resources.gpus_per_node; one a worker with device cuda); 0: ask for none"},
    {OPT_TIME, "time", "TIME", "time limit of each job, as Slurm writes it, e.g. 12:00:00"},
    {OPT_PARTITION, "partition", "NAME", "partition of the cluster"},
    {OPT_ACCOUNT, "account", "NAME", "account to charge"},
    {OPT_LAUNCHER, "launcher", "NAME", "mpirun (default) or srun"},
    {OPT_CHAIN, "chain", "N", "N jobs, one after the other, instead of one that is queued again"},
    REEVE_OPT_RUN_DIR,
    REEVE_OPT_SET,
    {OPT_SBATCH, "sbatch", "OPTIONS", "more options of sbatch, e.g. \"--qos=long --exclusive\"; can be repeated"},
    {OPT_DRY_RUN, "dry-run", NULL, "print the script and what Slurm would say, and leave nothing behind"},
    {OPT_WAIT, "wait", NULL, "wait until the run has ended; the exit code is that of the run"},
    REEVE_OPT_JSON,
    {0}};

const struct reeve_verb reeve_verb_submit = {
    "submit",
    "JOB",
    "have Slurm train, on as many nodes as you say, until it is done",
    "Writes a batch script into the run's folder (submit/train.sbatch, with its settings in submit/env.sh), submits "
    "it,\n"
    "and prints the number of the job. The job is saved and queued again before its time limit, after pre-emption, "
    "and\n"
    "after a crash as long as it gets on; it is stopped with `touch RUN/STOP`. Defaults are the `resources:` of the "
    "job.\n"
    "\n"
    "Examples:\n"
    "  reeve submit job.yaml --nodes 4 --tasks-per-node 2 --time 12:00:00\n"
    "  reeve submit job.yaml --nodes 4 --dry-run\n"
    "  reeve submit job.yaml --nodes 4 --gpus-per-node 4      sixteen workers, a GPU for each\n"
    "  reeve submit job.yaml --partition gpu --account proj123 --sbatch \"--qos=long\" --launcher srun\n"
    "  reeve submit job.yaml --time 1:00:00 --chain 8      where jobs may not be queued again\n"
    "  reeve submit job.yaml --run-dir runs/a --wait && reeve audit runs/a\n"
    "\n"
    "Exit codes: 0 submitted (with --wait: of the run), 65 bad job, 66 input missing, 69 no Slurm, or it cannot give\n"
    "what was asked for, 73 cannot create, 77 Slurm does not let you (account, partition, limits).\n",
    submit_opts,
    submit_main,
};
