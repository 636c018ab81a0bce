/* `reeve run JOB`: prepare the run folder, launch its ranks, and tell how it went. Inside MPI it becomes a rank. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "cli/allocation_hosts.h"
#include "cli/complete.h"
#include "cli/duration.h"
#include "cli/help_keys.h"
#include "cli/launch.h"
#include "cli/output.h"
#include "cli/slurm.h"
#include "cli/verb.h"
#include "config/job_file.h"
#include "export/status_file.h"
#include "reeve/status.h"

enum { OPT_HELP_KEYS = 300, OPT_STOP_AT, OPT_HOSTS, OPT_MAX_TIME };

struct run_options {
    struct reeve_verb_list sets;
    const char *run_dir, *hosts;
    unsigned long long workers, stop_at;
    uint64_t end_at_s; /* seconds since 1970; 0: none */
    bool quiet, json, help_keys;
};

/* --max-time as a moment: a relaunch in between does not begin it anew. */
static int take_max_time(const struct reeve_verb *verb, const char *value, uint64_t *end_at_s)
{
    uint64_t seconds = 0;
    if (!reeve_duration_parse(value, &seconds) || seconds == 0)
        return reeve_verb_usage(
            verb, "--max-time %s: expected a duration such as 90s, 30m, 12h, 2d, 11:30:00 or 1-12:00:00", value);
    *end_at_s = (uint64_t)(reeve_clock_wall_ns() / REEVE_SECOND_NS) + seconds;
    return 0;
}

static int parse(const struct reeve_verb *verb, int argc, char **argv, struct run_options *o)
{
    const char *value = NULL;
    int code = 0;
    for (int id; code == 0 && (id = reeve_verb_option(verb, argc, argv, &value)) != -1;) {
        switch (id) {
        case REEVE_OPT_WORKERS_ID: code = reeve_verb_number(verb, "-n", value, 1, 65535, &o->workers); break;
        case OPT_STOP_AT: code = reeve_verb_number(verb, "--stop-at", value, 1, UINT64_MAX, &o->stop_at); break;
        case OPT_MAX_TIME: code = take_max_time(verb, value, &o->end_at_s); break;
        case REEVE_OPT_RUN_DIR_ID: o->run_dir = value; break;
        case OPT_HOSTS:
            if (*value == '\0') return reeve_verb_usage(verb, "--hosts: empty; expected hosts with commas between");
            o->hosts = value;
            break;
        case REEVE_OPT_SET_ID: code = reeve_verb_add(verb, "--set", value, &o->sets); break;
        case 'q': o->quiet = true; break;
        case REEVE_OPT_JSON_ID: o->json = true; break;
        case OPT_HELP_KEYS: o->help_keys = true; break;
        default: return reeve_verb_usage(verb, "unknown option");
        }
    }
    return code;
}

/* Said before MPI begins: it may end there. */
static void warn_of_fences(void)
{
    const char *rank = getenv("PMIX_RANK");
    if (rank == NULL || strcmp(rank, "0") != 0 || !reeve_slurm_fences_are_loose()) return;
    reeve_cli_note(
        "srun was not told to keep ranks together while MPI starts: now and then one begins too early, and another "
        "ends in MPI_Init with `Segmentation fault`. Before srun: export SLURM_PMIX_FENCE=ring (docs/slurm.md)");
}

/* Inside mpirun or srun every rank comes here; rank 0 of them will prepare. */
static int become_rank(const struct run_options *o, const char *job)
{
    const char *argv[2 * REEVE_VERB_LIST_MAX + 16];
    char number[32], moment[32];
    int n = 1;
    argv[n++] = "--job";
    argv[n++] = job;
    for (uint32_t i = 0; i < o->sets.count; i++) {
        argv[n++] = "--set";
        argv[n++] = o->sets.text[i];
    }
    if (o->run_dir != NULL) {
        argv[n++] = "--run-dir";
        argv[n++] = o->run_dir;
    }
    if (o->stop_at > 0) {
        (void)snprintf(number, sizeof(number), "%llu", o->stop_at);
        argv[n++] = "--stop-at";
        argv[n++] = number;
    }
    if (o->end_at_s > 0) {
        (void)snprintf(moment, sizeof(moment), "%llu", (unsigned long long)o->end_at_s);
        argv[n++] = "--end-at";
        argv[n++] = moment;
    }
    if (o->quiet) argv[n++] = "--quiet";
    argv[n] = NULL;
    warn_of_fences();
    /* A job that cannot be read is rank 0's to tell. */
    struct reeve_job read;
    bool cuda =
        reeve_job_read(job, o->sets.text, o->sets.count, &read, NULL) == REEVE_OK && reeve_launch_wants_cuda(&read);
    return reeve_launch_exec_rank(cuda, argv);
}

static int print_json(const struct reeve_prepared *p, int exit_code, uint32_t restarts)
{
    char path[REEVE_PATH_BYTES_MAX + 16];
    (void)snprintf(path, sizeof(path), "%s/status.json", p->run_dir);
    struct reeve_status_report report;
    reeve_status_report_init(&report);
    bool told = reeve_status_file_read(path, &report, NULL) == REEVE_OK; /* not by a launch whose ranks never began */
    json_t *object = reeve_cli_json_object();
    if (object == NULL) return reeve_cli_print_json(NULL);
    (void)json_object_set_new(object, "run_dir", reeve_cli_json_text(p->run_dir));
    (void)json_object_set_new(object, "state",
                              told ? reeve_cli_json_text(reeve_run_state_name(report.state)) : json_null());
    if (p->tasks != NULL) {
        (void)json_object_set_new(object, "tasks", reeve_cli_json_u64(p->tasks->task_count));
        (void)json_object_set_new(object, "done", reeve_cli_json_u64(report.tasks_done));
        (void)json_object_set_new(object, "dead", reeve_cli_json_u64(report.tasks_dead));
    } else {
        (void)json_object_set_new(object, "step", reeve_cli_json_u64(report.step));
        (void)json_object_set_new(object, "samples", reeve_cli_json_u64(report.samples));
    }
    (void)json_object_set_new(object, "restarts", json_integer(restarts));
    (void)json_object_set_new(object, "exit_code", json_integer(exit_code));
    (void)json_object_set_new(object, "message", reeve_cli_json_text(report.message));
    return reeve_cli_print_json(object);
}

/* Before anything is made: a list of commands has no steps to stop at. */
static int check_stop_at(const struct reeve_verb *verb, const struct run_options *o, const char *job_path)
{
    static struct reeve_job job;
    struct reeve_error err = {0};
    if (o->stop_at == 0) return 0;
    if (reeve_job_read(job_path, o->sets.text, o->sets.count, &job, &err) != REEVE_OK) return reeve_cli_fail(&err);
    if (!reeve_job_is_list(&job)) return 0;
    return reeve_verb_usage(verb,
                            "--stop-at counts steps, and a job of workload exec has none: `touch RUN/STOP` stops it");
}

/* What only a launch of our own can do is refused inside somebody else's, rather than passed over. NULL: nothing of it. */
static const char *launch_word(const struct run_options *o)
{
    if (o->workers > 0) return "-n has no meaning inside mpirun or srun: it was given the number of ranks";
    if (o->hosts != NULL) return "--hosts has no meaning inside mpirun or srun: it was given the hosts";
    if (o->json) return "--json has no meaning inside mpirun or srun: `reeve status RUN --json` tells the same";
    return NULL;
}

static int run_main(const struct reeve_verb *verb, int argc, char **argv)
{
    struct run_options o = {0};
    int code = parse(verb, argc, argv, &o);
    if (code != 0) return code;
    if (o.help_keys && o.json) return reeve_help_keys_print_json();
    if (o.help_keys) {
        reeve_job_print_keys(stdout);
        return REEVE_EXIT_DONE;
    }
    code = reeve_verb_operands(verb, argc, argv, 1, 1);
    if (code != 0) return code;
    code = check_stop_at(verb, &o, argv[optind]);
    if (code != 0) return code;
    if (reeve_launch_inside_mpi()) {
        const char *word = launch_word(&o);
        if (word != NULL) return reeve_verb_usage(verb, "%s", word);
        return become_rank(&o, argv[optind]);
    }
    struct reeve_error err = {0};
    struct reeve_prepared p;
    if (reeve_prepare(argv[optind], o.sets.text, o.sets.count, o.run_dir, (uint32_t)o.workers, &p, &err) != REEVE_OK)
        return reeve_cli_fail(&err);
    if (p.complete) {
        int dead = reeve_complete_exit_code(&p);
        if (o.json) code = print_json(&p, dead, 0);
        else reeve_complete_say(&p);
        if (code == REEVE_EXIT_DONE) code = dead;
        reeve_prepared_fini(&p);
        return code;
    }
    struct reeve_launch launch = {
        .prepared = &p,
        .placement = {.workers = p.job.resources.workers, .hosts = o.hosts},
        .stop_at = o.stop_at,
        .end_at_s = o.end_at_s,
        .quiet = o.quiet || o.json,
    };
    /* In an allocation of several nodes a launch after a loss goes to those that are left. */
    static struct reeve_allocation_hosts allocation;
    if (o.hosts == NULL &&
        reeve_allocation_hosts_init(&allocation, launch.placement.workers, p.job.resources.min_workers)) {
        launch.is_lost = reeve_allocation_hosts_is_lost;
        launch.find_lost = reeve_allocation_hosts_find_lost;
        launch.replace = reeve_allocation_hosts_replace;
        launch.arg = &allocation;
    }
    struct reeve_launch_result result;
    code = reeve_launch_run(&launch, &result);
    if (o.json && !reeve_cli_json_is_printed()) (void)print_json(&p, code, result.restarts);
    reeve_prepared_fini(&p);
    return code;
}

static const struct reeve_opt run_opts[] = {
    REEVE_OPT_WORKERS,
    REEVE_OPT_RUN_DIR,
    {OPT_HOSTS, "hosts", "LIST", "hosts for the ranks, as mpirun's --host takes them (default: mpirun finds out)"},
    REEVE_OPT_SET,
    {OPT_STOP_AT, "stop-at", "STEP", "checkpoint and stop (exit 75) once this step is committed; not of exec jobs"},
    {OPT_MAX_TIME, "max-time", "TIME",
     "checkpoint and stop (exit 75) before this much time is up, e.g. 11h or 0:45:00"},
    {'q', "quiet", NULL, "no progress on stdout"},
    {OPT_HELP_KEYS, "help-keys", NULL, "list every key of a job file, with type, default and meaning"},
    REEVE_OPT_JSON,
    {0}};

const struct reeve_verb reeve_verb_run = {
    "run",
    "JOB",
    "train, or go on where the last run of this job was",
    "Trains what the job file says, with one master and N workers on this machine; -n 1 is a single process.\n"
    "A run that loses a process, or hangs, is started again by itself from the newest checkpoint, until restarts\n"
    "bring no progress (faults.restarts_max of the job). RUN/log/supervisor.log keeps what is said about that.\n"
    "The same command goes on from the newest complete checkpoint, with any number of workers, to the same bits.\n"
    "Ctrl-C (or SIGTERM, or a file STOP in the run folder) checkpoints at the next step boundary and exits with 75;\n"
    "so does a terminal that is closed, but not under nohup. Ctrl-C twice leaves at once. A file SAVE in the run\n"
    "folder asks for a checkpoint.\n"
    "In a batch job of Slurm it also stops, checkpointed, before the job's time is up; elsewhere --max-time says "
    "when.\n"
    "A job of workload exec runs its list of commands; the same command runs what is not done (docs/exec.md).\n"
    "\n"
    "Examples:\n"
    "  reeve run job.yaml -n 2\n"
    "  reeve run jobs/exec-sweep.yaml -n 3     a sweep of commands\n"
    "  reeve run job.yaml -n 3 --run-dir /scratch/me/run1 --set train.steps=1000\n"
    "  mpirun -n 4 reeve run job.yaml          one master and three workers, launched by yourself\n"
    "  SLURM_PMIX_FENCE=ring srun --mpi=pmix reeve run job.yaml   the same in a Slurm allocation\n"
    "\n"
    "Exit codes: 0 done, 3 done with dead tasks, 65 bad job or data, 66 input missing, 69 no launcher, 70 internal,\n"
    "73 cannot create or in use, 74 I/O, 75 checkpointed (run me again), 77 permission, 78 bad configuration, 130 "
    "interrupted.\n",
    run_opts,
    run_main,
};
