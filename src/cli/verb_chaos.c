/* `reeve chaos JOB`: run a job and break it on a seeded schedule, run it undisturbed, and compare. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/path.h"
#include "cli/chaos.h"
#include "cli/launch.h"
#include "cli/output.h"
#include "cli/run_folder.h"
#include "cli/verb.h"
#include "config/job_file.h"
#include "reeve/status.h"
#include "run/stop_signals.h"

enum {
    OPT_FIRST_KIND = 300,
    OPT_RUN_DIR = OPT_FIRST_KIND + REEVE_CHAOS_KINDS,
    OPT_AGAINST,
    OPT_KILLS,
    OPT_LEAVE,
    OPT_EVERY,
    OPT_SEED,
    OPT_HOSTS
};

#define EVERYWHERE /* what needs no right that others have not */                                                      \
    (1u << REEVE_CHAOS_KILL_WORKER | 1u << REEVE_CHAOS_KILL_MASTER | 1u << REEVE_CHAOS_KILL_LAUNCHER |                 \
     1u << REEVE_CHAOS_STOP | 1u << REEVE_CHAOS_TORN_WRITE)

#define IDENTITY_BYTES 65536

struct chaos_options {
    unsigned long long kills, leave, seed;
    reeve_time_ns every_ns;
    const char *run_dir, *against;
    struct reeve_verb_list sets;
    bool json;
};

/* "3", "0.25": seconds between strikes. */
static int take_seconds(const struct reeve_verb *verb, const char *option, const char *value, reeve_time_ns *out)
{
    char *end = NULL;
    double seconds = strtod(value, &end);
    /* strtod takes blanks, signs, hexadecimal and words; a number of ours is digits and a point */
    bool plain = *value != '\0' && value[strspn(value, "0123456789.")] == '\0' && *end == '\0';
    if (!plain || !(seconds >= 0.01 && seconds <= 86400.0))
        return reeve_verb_usage(verb, "%s %s: expected seconds, from 0.01 to 86400", option, value);
    *out = (reeve_time_ns)(seconds * 1e9);
    return 0;
}

static int take_word(const struct reeve_verb *verb, struct reeve_chaos *c, const char *option, const char *value)
{
    if (c->word_count + 6 > REEVE_CHAOS_WORDS_MAX) return reeve_verb_usage(verb, "%s is given too often", option);
    c->words[c->word_count++] = option;
    c->words[c->word_count++] = value;
    return 0;
}

static int parse(const struct reeve_verb *verb, int argc, char **argv, struct reeve_chaos *c, struct chaos_options *o)
{
    const char *value = NULL;
    unsigned long long workers = 0;
    int code = 0;
    for (int id; code == 0 && (id = reeve_verb_option(verb, argc, argv, &value)) != -1;) {
        if (id >= OPT_FIRST_KIND && id < OPT_FIRST_KIND + REEVE_CHAOS_KINDS) {
            c->kinds |= 1u << (id - OPT_FIRST_KIND);
            continue;
        }
        switch (id) {
        case REEVE_OPT_WORKERS_ID:
            code = reeve_verb_number(verb, "-n", value, 1, 65535, &workers);
            if (code == 0) code = take_word(verb, c, "--workers", value);
            break;
        case REEVE_OPT_SET_ID:
            code = reeve_verb_add(verb, "--set", value, &o->sets);
            if (code == 0) code = take_word(verb, c, "--set", value);
            break;
        case OPT_HOSTS: code = take_word(verb, c, "--hosts", value); break;
        case OPT_RUN_DIR: o->run_dir = value; break;
        case OPT_KILLS: code = reeve_verb_number(verb, "--kills", value, 1, REEVE_CHAOS_STRIKES_MAX, &o->kills); break;
        case OPT_AGAINST: o->against = value; break;
        case OPT_LEAVE: code = reeve_verb_number(verb, "--leave", value, 0, 65535, &o->leave); break;
        case OPT_EVERY: code = take_seconds(verb, "--every", value, &o->every_ns); break;
        case OPT_SEED: code = reeve_verb_number(verb, "--seed", value, 0, UINT64_MAX, &o->seed); break;
        case REEVE_OPT_JSON_ID: o->json = true; break;
        default: return reeve_verb_usage(verb, "unknown option");
        }
    }
    return code;
}

/* Another training would have other bits, and be called a broken promise. */
static int check_against(const struct reeve_chaos *c, const struct reeve_job *job)
{
    static struct reeve_job theirs;
    static char a[IDENTITY_BYTES], b[IDENTITY_BYTES];
    struct reeve_error err = {0};
    if (reeve_run_folder_check(c->whole, &err) != REEVE_OK ||
        reeve_run_folder_read(c->whole, &theirs, NULL, &err) != REEVE_OK)
        return reeve_cli_fail(&err);
    (void)reeve_job_identity(job, a, sizeof(a));
    (void)reeve_job_identity(&theirs, b, sizeof(b));
    if (strcmp(a, b) == 0 && job->train.steps == theirs.train.steps) return 0;
    return reeve_cli_fail_text(REEVE_EXIT_DATA,
                               "--against %s: that was another training (its job.yaml says in what); give the run of "
                               "the same job, or leave --against out",
                               c->whole);
}

/* Folders: those of the two runs must be new, so that all that is found in them came from here. */
static int make_folders(struct reeve_chaos *c, const struct chaos_options *o, const struct reeve_job *job)
{
    char here[REEVE_PATH_BYTES_MAX], relative[REEVE_PATH_BYTES_MAX];
    struct reeve_error err = {0};
    if (o->run_dir != NULL) (void)snprintf(relative, sizeof(relative), "%s", o->run_dir);
    else (void)snprintf(relative, sizeof(relative), "runs/%s-chaos", job->name);
    if (getcwd(here, sizeof(here)) == NULL) return reeve_cli_fail_text(REEVE_EXIT_IO, "current folder: %m");
    reeve_status st = reeve_path_join(c->dir, sizeof(c->dir), here, relative, &err);
    if (st == REEVE_OK) st = reeve_path_join(c->broken, sizeof(c->broken), c->dir, "broken", &err);
    c->whole_is_given = o->against != NULL;
    if (st == REEVE_OK && c->whole_is_given) st = reeve_path_join(c->whole, sizeof(c->whole), here, o->against, &err);
    if (st == REEVE_OK && !c->whole_is_given)
        st = reeve_path_join(c->whole, sizeof(c->whole), c->dir, "undisturbed", &err);
    if (st == REEVE_OK && (reeve_path_exists(c->broken) || (!c->whole_is_given && reeve_path_exists(c->whole))))
        st =
            reeve_fail(&err, REEVE_STORE_CREATE,
                       "%s holds the runs of an earlier `reeve chaos`: remove it, or choose another --run-dir", c->dir);
    int code = st != REEVE_OK ? reeve_cli_fail(&err) : c->whole_is_given ? check_against(c, job) : 0;
    if (code != 0) return code;
    st = reeve_mkdir_parents(c->broken, &err);
    return st == REEVE_OK ? 0 : reeve_cli_fail(&err);
}

static int prepare(struct reeve_chaos *c, struct chaos_options *o)
{
    static struct reeve_job job;
    struct reeve_error err = {0};
    if (reeve_job_read(c->job, o->sets.text, o->sets.count, &job, &err) != REEVE_OK) return reeve_cli_fail(&err);
    if (reeve_job_is_list(&job))
        return reeve_cli_fail_text(REEVE_EXIT_DATA,
                                   "%s: a list of commands has no weights to compare; `reeve chaos` is "
                                   "for jobs that train",
                                   c->job);
    c->sync = (enum reeve_sync)job.journal.sync;
    c->strikes = (uint32_t)o->kills;
    c->every_ns = o->every_ns;
    c->leave = (uint32_t)o->leave;
    c->seed = o->seed;
    if (c->kinds == 0) c->kinds = EVERYWHERE;
    c->blows = calloc(c->strikes, sizeof(*c->blows));
    if (c->blows == NULL) return reeve_cli_fail_text(REEVE_EXIT_INTERNAL, "out of memory");
    ssize_t n = readlink("/proc/self/exe", c->program, sizeof(c->program) - 1);
    if (n <= 0) return reeve_cli_fail_text(REEVE_EXIT_INTERNAL, "where this program is: %m");
    int code = make_folders(c, o, &job);
    if (code != 0) return code;
    reeve_launch_id_make(c->broken, 0, c->id);
    c->id[REEVE_LAUNCH_RUN_CHARS] = '\0';
    return (c->kinds & 1u << REEVE_CHAOS_DISK_FULL) != 0 ? reeve_chaos_disk_make(c->broken) : 0;
}

/* A stopped process is found by its silence: with the usual patience of minutes that would be a long test. What is
 * given with --set comes later, and wins. */
static void hurry(struct reeve_chaos *c)
{
    if ((c->kinds & 1u << REEVE_CHAOS_STOP) == 0) return;
    memmove(c->words + 2, c->words, (size_t)c->word_count * sizeof(c->words[0]));
    c->words[0] = "--set";
    c->words[1] = "faults.hang_min_s=5";
    c->word_count += 2;
}

static void say_plan(const struct reeve_chaos *c)
{
    (void)fprintf(c->out, "%u strikes, one about every %g s, seed %" PRIu64 ":", c->strikes, (double)c->every_ns * 1e-9,
                  c->seed);
    for (uint32_t k = 0, n = 0; k < REEVE_CHAOS_KINDS; k++)
        if ((c->kinds & 1u << k) != 0)
            (void)fprintf(c->out, "%s %s", n++ > 0 ? "," : "", reeve_chaos_kind_name((enum reeve_chaos_kind)k));
    (void)fprintf(c->out, "\nthe run is in %s, its words in %s.log\n", c->broken, c->broken);
    (void)fflush(c->out);
}

static int chaos_main(const struct reeve_verb *verb, int argc, char **argv)
{
    static struct reeve_chaos c;
    struct chaos_options o = {
        .kills = 20, .every_ns = 3 * REEVE_SECOND_NS, .seed = (unsigned long long)reeve_clock_wall_ns() / 1000000};
    int code = parse(verb, argc, argv, &c, &o);
    if (code == 0) code = reeve_verb_operands(verb, argc, argv, 1, 1);
    if (code != 0) return code;
    if (reeve_launch_inside_mpi())
        return reeve_verb_usage(verb, "it starts mpirun by itself: not inside mpirun or srun");
    c.job = argv[optind];
    c.out = o.json ? stderr : stdout;
    code = prepare(&c, &o);
    if (code == 0) {
        hurry(&c);
        say_plan(&c);
        reeve_stop_signals_install(0);
        code = reeve_chaos_break(&c);
    }
    if (code == 0 && !c.whole_is_given) code = reeve_chaos_run_whole(&c);
    if (code == 0) code = reeve_chaos_report(&c, o.json);
    reeve_chaos_marks_fini(&c.marks);
    free(c.lives.list);
    free(c.blows);
    return code;
}

static const struct reeve_opt chaos_opts[] = {
    REEVE_OPT_WORKERS,
    {OPT_RUN_DIR, "run-dir", "DIR", "folder for both runs, a new one (default: runs/<name of the job>-chaos)"},
    REEVE_OPT_SET,
    {OPT_AGAINST, "against", "RUN", "compare with this run, which is done, instead of running the job undisturbed"},
    {OPT_HOSTS, "hosts", "LIST", "hosts for the ranks, as mpirun's --host takes them"},
    {OPT_KILLS, "kills", "N", "strikes in all, of whatever kind (default: 20)"},
    {OPT_LEAVE, "leave", "N", "no kill leaves fewer workers than N (default: 0): 1 for a job that outlives losses"},
    {OPT_EVERY, "every", "S", "seconds of training between two strikes, on average, e.g. 0.5 (default: 3)"},
    {OPT_SEED, "seed", "N", "plan the same strikes again (default: another one each time; it is printed)"},
    {OPT_FIRST_KIND + REEVE_CHAOS_KILL_WORKER, "kill-worker", NULL, "kill -9 of a worker"},
    {OPT_FIRST_KIND + REEVE_CHAOS_KILL_MASTER, "kill-master", NULL, "kill -9 of the master"},
    {OPT_FIRST_KIND + REEVE_CHAOS_KILL_LAUNCHER, "kill-launcher", NULL, "kill -9 of mpirun"},
    {OPT_FIRST_KIND + REEVE_CHAOS_STOP, "stop", NULL, "SIGSTOP of a rank that nobody wakes up"},
    {OPT_FIRST_KIND + REEVE_CHAOS_TORN_WRITE, "torn-write", NULL,
     "kill -9 of everything, and tear what was not yet synced"},
    {OPT_FIRST_KIND + REEVE_CHAOS_DISK_FULL, "disk-full", NULL,
     "fill the run's disk (a small one of its own; see above)"},
    REEVE_OPT_JSON,
    {0}};

const struct reeve_verb reeve_verb_chaos = {
    "chaos",
    "JOB",
    "run a job and break it, to see that it recovers to the same bits",
    "Starts the job with `reeve run`, as you would, and strikes it from outside at random moments that a seed plans;\n"
    "nothing else is done to it. Then it runs the same job undisturbed, and compares: the digest of the weights, the\n"
    "audit, what was left behind, and how long each recovery took. Do this on a cluster before you trust it.\n"
    "\n"
    "Without an option for a kind of strike, all are taken but --disk-full. Struck are processes of this run on this\n"
    "host only, found by the identity that they carry, never by name; ranks on other hosts are out of reach.\n"
    "--stop sets faults.hang_min_s to 5 s, unless --set says otherwise. --torn-write ends `reeve run` itself, as a "
    "power\n"
    "cut does, destroys records that were not yet synced, and starts the same command again. --disk-full puts the run "
    "on\n"
    "a tmpfs that only this command sees, and makes that full for a while: it needs root or user name spaces, one "
    "host,\n"
    "and memory for the run's files, which are gone at the end.\n"
    "\n"
    "The job should run longer undisturbed than strikes x --every: set train.steps so.\n"
    "\n"
    "Exit codes: 0 every promise was kept; 65 one was broken, or nothing could be struck; 70 the run did not survive;\n"
    "73 the folder is not new; 77 --disk-full is not allowed here; 130 interrupted; others as `reeve run`.\n"
    "\n"
    "Examples:\n"
    "  reeve chaos job.yaml -n 3 --set train.steps=20000\n"
    "  reeve chaos job.yaml -n 3 --kills 50 --every 2 --kill-worker --kill-master --seed 7\n"
    "  reeve chaos job.yaml -n 2 --torn-write --kills 10 --json >chaos.json\n",
    chaos_opts,
    chaos_main,
};
