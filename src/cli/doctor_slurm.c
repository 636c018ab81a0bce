/* `reeve doctor --slurm`: what this cluster allows, asked of Slurm itself: launchers, requeueing, signals, time, GPUs. */
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/doctor.h"

#define DEADLINE_MS 30000

/* The value of `key` in what `scontrol show config` says, into out; "" where there is none. */
static const char *setting(const char *config, const char *key, char out[128])
{
    size_t n = strlen(key);
    out[0] = '\0';
    for (const char *line = config; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
        if (strncmp(line, key, n) != 0 || (line[n] != ' ' && line[n] != '=')) continue;
        const char *value = strchr(line, '=');
        if (value == NULL) continue;
        value += strspn(value, "= ");
        (void)snprintf(out, 128, "%.*s", (int)strcspn(value, "\n"), value);
        break;
    }
    return out;
}

/* Is the word in the list, with blanks between? */
static bool is_listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += n)
        if ((at == list || at[-1] == ' ') && (at[n] == '\0' || at[n] == ' ')) return true;
    return false;
}

/* "MPI plugin types are... none pmi2 pmix; specific pmix plugin versions available: pmix_v4": each once. */
static void probe_launchers(struct reeve_doctor *d)
{
    const char *const argv[] = {"srun", "--mpi=list", NULL};
    char says[1024], list[200] = "";
    int code = reeve_command_run(argv, DEADLINE_MS, says, sizeof says);
    size_t used = 0;
    for (char *at = says, *word; (word = strsep(&at, " \t\n,")) != NULL && used < sizeof list - 32;)
        if (strncmp(word, "pmi", 3) == 0 && strlen(word) < 24 && !is_listed(list, word))
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? " " : "", word);
    bool pmix = code == 0 && is_listed(list, "pmix");
    struct reeve_doctor_finding *f = reeve_doctor_add(d, "mpi_plugins", pmix ? REEVE_DOCTOR_GOOD : REEVE_DOCTOR_NOTE,
                                                      "%s", used > 0 ? list : "none");
    if (!pmix) reeve_doctor_follows(f, "srun cannot launch Open MPI here: use --launcher mpirun, which is the default");
}

/* How Slurm's PMIx keeps ranks together while MPI starts: see reeve_slurm_fences_are_loose. */
static void probe_fence(struct reeve_doctor *d, const char *config)
{
    char value[128];
    bool ring = strcmp(setting(config, "PMIxCollFence", value), "ring") == 0;
    if (value[0] == '\0') return; /* older than 22.05, or without PMIx */
    struct reeve_doctor_finding *f = reeve_doctor_add(d, "pmix_fence", ring ? REEVE_DOCTOR_GOOD : REEVE_DOCTOR_NOTE,
                                                      "%s", strcmp(value, "(null)") == 0 ? "mixed" : value);
    if (!ring)
        reeve_doctor_follows(
            f, "before an srun of your own: export SLURM_PMIX_FENCE=ring, or a rank may end in MPI_Init; the "
               "scripts of `reeve submit` do so");
}

static void probe_requeue(struct reeve_doctor *d, const char *config)
{
    char value[128];
    bool allowed = strcmp(setting(config, "JobRequeue", value), "0") != 0;
    struct reeve_doctor_finding *f = reeve_doctor_add(d, "requeue", REEVE_DOCTOR_GOOD, "%s",
                                                      allowed ? "by default" : "only where a job asks for it");
    reeve_doctor_follows(f, "scripts of `reeve submit` ask for it; where it is refused all the same, use --chain N");
    (void)setting(config, "JobFileAppend", value);
    (void)reeve_doctor_add(d, "output", REEVE_DOCTOR_GOOD, "%s",
                           strcmp(value, "1") == 0 ? "appended by default"
                                                   : "truncated by default; the scripts ask to append");
}

static void probe_signals(struct reeve_doctor *d, const char *config)
{
    char mode[128], a[128], b[128], wait[128];
    (void)setting(config, "PreemptMode", mode);
    (void)setting(config, "PreemptParameters", a);
    (void)setting(config, "SlurmctldParameters", b);
    bool off = mode[0] == '\0' || strcmp(mode, "OFF") == 0;
    bool told = strstr(a, "send_user_signal") != NULL || strstr(b, "preempt_send_user_signal") != NULL;
    struct reeve_doctor_finding *f = reeve_doctor_add(
        d, "preemption", off || told ? REEVE_DOCTOR_GOOD : REEVE_DOCTOR_NOTE, "%s%s", off ? "none" : mode,
        off    ? ""
        : told ? ", announced by the signal of the job"
               : "");
    if (!off && !told)
        reeve_doctor_follows(f,
                             "not announced by a signal of the job's own: what was done since the last checkpoint is "
                             "done again; a smaller checkpoint.every makes that less");
    (void)reeve_doctor_add(d, "kill_wait", REEVE_DOCTOR_GOOD, "%s from SIGTERM to SIGKILL",
                           setting(config, "KillWait", wait)[0] != '\0' ? wait : "unknown");
}

/* SLURM_JOB_END_TIME came with 23.02; before that, and wherever it changes, squeue is asked. */
static void probe_time(struct reeve_doctor *d)
{
    const char *const version[] = {"sbatch", "--version", NULL}, *const queue[] = {"squeue", "--noheader", NULL};
    char says[4096];
    long year = 0, month = 0;
    (void)reeve_command_run(version, DEADLINE_MS, says, sizeof says);
    const char *number = strchr(says, ' ');
    char *end = NULL;
    if (number != NULL) year = strtol(number, &end, 10);
    if (end != NULL && *end == '.') month = strtol(end + 1, NULL, 10);
    bool told = year > 23 || (year == 23 && month >= 2),
         asked = reeve_command_run(queue, DEADLINE_MS, says, sizeof says) == 0;
    struct reeve_doctor_finding *f =
        reeve_doctor_add(d, "job_end_time", told || asked ? REEVE_DOCTOR_GOOD : REEVE_DOCTOR_NOTE, "%s%s%s",
                         told ? "in the environment of the job" : "", told && asked ? ", and " : "",
                         asked  ? "from squeue"
                         : told ? ""
                                : "nowhere");
    if (!told && !asked) reeve_doctor_follows(f, "say it in the script: reeve run --max-time 11h");
}

static void probe_gpus(struct reeve_doctor *d, const char *config)
{
    char types[128];
    bool any = strstr(setting(config, "GresTypes", types), "gpu") != NULL;
    struct reeve_doctor_finding *f =
        reeve_doctor_add(d, "gpu_binding", any ? REEVE_DOCTOR_NOTE : REEVE_DOCTOR_MISSING, "%s",
                         any ? "GPUs are given out by Slurm" : "this cluster gives out no GPUs");
    if (any)
        reeve_doctor_follows(f,
                             "`reeve submit --gpus-per-node G` asks for them, and starts a worker for each; not by task: every "
                             "rank must see all GPUs of its node");
}

void reeve_doctor_probe_slurm(struct reeve_doctor *d)
{
    static char config[65536];
    char path[REEVE_DOCTOR_VALUE_BYTES];
    const char *const argv[] = {"scontrol", "show", "config", NULL};
    d->topic = "slurm";
    if (!reeve_command_which("sbatch", path, sizeof path)) {
        reeve_doctor_follows(reeve_doctor_add(d, "cluster", REEVE_DOCTOR_MISSING, "no sbatch on PATH"),
                             "this is no machine of a cluster, or its module is not loaded");
        return;
    }
    if (reeve_command_run(argv, DEADLINE_MS, config, sizeof config) != 0) {
        reeve_doctor_follows(reeve_doctor_add(d, "cluster", REEVE_DOCTOR_NOTE, "the controller does not answer"),
                             "`scontrol ping` says more");
        return;
    }
    char name[128];
    (void)reeve_doctor_add(d, "cluster", REEVE_DOCTOR_GOOD, "%s", setting(config, "ClusterName", name));
    probe_launchers(d);
    probe_fence(d, config);
    probe_requeue(d, config);
    probe_signals(d, config);
    probe_time(d);
    probe_gpus(d, config);
}
