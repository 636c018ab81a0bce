/* See slurm.h. */
#include "cli/slurm.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/command.h"

#define DEADLINE_MS 60000 /* a controller with ten thousand jobs may take its time */
#define NO_ANSWER "sbatch did not answer within a minute"

bool reeve_slurm_is_here(struct reeve_error *err)
{
    char path[REEVE_SLURM_SAYS_BYTES];
    if (reeve_command_which("sbatch", path, sizeof(path))) return true;
    (void)reeve_fail(err, REEVE_JOB_DEVICE,
                     "sbatch is not on PATH: this is no machine of a Slurm cluster, or its module is not loaded; "
                     "`reeve run` trains without Slurm");
    return false;
}

/* The next field of a line with '|' between, into out; what does not fit is cut. */
static const char *take_field(const char *at, char *out, size_t out_bytes)
{
    size_t n = strcspn(at, "|\n");
    (void)snprintf(out, out_bytes, "%.*s", (int)n, at);
    return at + n + (at[n] == '|');
}

/* The last line that looks like an answer, among warnings of a site, which come on the same stream. NULL: there is none. */
static const char *find_line(const char *says, bool (*is_answer)(const char *line))
{
    const char *found = NULL;
    for (const char *line = says; *line != '\0'; line += *line == '\n') {
        if (is_answer(line)) found = line;
        line += strcspn(line, "\n");
    }
    return found;
}

static bool is_row(const char *line)
{
    size_t state = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
    return state > 0 && line[state] == '|';
}

/* "4711", "4711;cluster" */
static bool is_job_id(const char *line)
{
    size_t digits = strspn(line, "0123456789");
    return digits > 0 && strchr(";\n", line[digits]) != NULL; /* or the end */
}

enum reeve_slurm_answer reeve_slurm_find_job(uint64_t job_id, struct reeve_slurm_job *out)
{
    char job[24], says[REEVE_SLURM_SAYS_BYTES];
    (void)snprintf(job, sizeof(job), "%" PRIu64, job_id);
    const char *const argv[] = {"squeue", "--noheader", "--jobs", job, "--format=%T|%r|%L|%N", NULL};
    memset(out, 0, sizeof(*out));
    int code = reeve_command_run(argv, DEADLINE_MS, says, sizeof(says));
    if (code != 0) return strstr(says, "Invalid job id") != NULL ? REEVE_SLURM_GONE : REEVE_SLURM_SILENT;
    const char *row = find_line(says, is_row);
    if (row == NULL) return REEVE_SLURM_GONE;
    const char *at = take_field(row, out->state, sizeof(out->state));
    at = take_field(at, out->reason, sizeof(out->reason));
    at = take_field(at, out->left, sizeof(out->left));
    (void)take_field(at, out->nodes, sizeof(out->nodes));
    return REEVE_SLURM_FOUND;
}

/* "75:0": exit code, and the signal that ended it. */
static bool parse_exit(const char *text, struct reeve_slurm_job *out)
{
    char *end = NULL;
    long code = strtol(text, &end, 10);
    if (end == text || *end != ':' || code < 0 || code > 255) return false;
    const char *at = end + 1;
    long signal = strtol(at, &end, 10);
    if (end == at || *end != '\0' || signal < 0 || signal > 255) return false;
    out->exit_code = (int)code;
    out->signal = (int)signal;
    return true;
}

bool reeve_slurm_parse_ended(const char *says, struct reeve_slurm_job *out)
{
    size_t n = strlen(says);
    while (n > 0 && isspace((unsigned char)says[n - 1]))
        n--;
    const char *line = says;
    for (size_t i = 0; i < n; i++)
        if (says[i] == '\n') line = says + i + 1;
    char exit[32];
    struct reeve_slurm_job job = {.ended = true};
    const char *at = take_field(line, job.state, sizeof(job.state));
    at = take_field(at, exit, sizeof(exit));
    at = take_field(at, job.reason, sizeof(job.reason));
    (void)take_field(at, job.nodes, sizeof(job.nodes));
    job.state[strcspn(job.state, " ")] = '\0'; /* "CANCELLED by 1000" */
    if (!isupper((unsigned char)job.state[0]) || !parse_exit(exit, &job)) return false;
    if (strcmp(job.nodes, "None assigned") == 0) job.nodes[0] = '\0';
    *out = job;
    return true;
}

/* The value of " key" in a line of "Key=value" pairs, up to the next blank, into out. False: it is not there. */
static bool take_value(const char *line, const char *key, char *out, size_t out_bytes)
{
    const char *at = strstr(line, key);
    if (at == NULL) return false;
    at += strlen(key);
    (void)snprintf(out, out_bytes, "%.*s", (int)strcspn(at, " \n"), at);
    return true;
}

bool reeve_slurm_parse_shown(const char *says, struct reeve_slurm_job *out)
{
    static const char *const goes_on[] = {"PENDING",     "RUNNING",  "SUSPENDED", "COMPLETING",
                                          "CONFIGURING", "REQUEUED", "STAGE_OUT", "STOPPED"};
    char exit[32];
    struct reeve_slurm_job job = {.ended = true};
    if (!take_value(says, " JobState=", job.state, sizeof(job.state)) || !isupper((unsigned char)job.state[0]) ||
        !take_value(says, " ExitCode=", exit, sizeof(exit)) || !parse_exit(exit, &job))
        return false;
    for (size_t i = 0; i < sizeof(goes_on) / sizeof(goes_on[0]); i++)
        if (strcmp(job.state, goes_on[i]) == 0) return false;
    (void)take_value(says, " Reason=", job.reason, sizeof(job.reason));
    (void)take_value(says, " NodeList=", job.nodes, sizeof(job.nodes));
    if (strcmp(job.nodes, "(null)") == 0) job.nodes[0] = '\0';
    *out = job;
    return true;
}

bool reeve_slurm_find_ended(uint64_t job_id, struct reeve_slurm_job *out)
{
    char job[24], says[REEVE_SLURM_SAYS_BYTES];
    (void)snprintf(job, sizeof(job), "%" PRIu64, job_id);
    const char *const show[] = {"scontrol", "--oneliner", "show", "job", job, NULL};
    if (reeve_command_run(show, DEADLINE_MS, says, sizeof(says)) == 0 && reeve_slurm_parse_shown(says, out))
        return true;
    const char *const argv[] = {
        "sacct", "--noheader", "--parsable2", "--allocations", "--jobs", job, "--format=State,ExitCode,Reason,NodeList",
        NULL};
    return reeve_command_run(argv, DEADLINE_MS, says, sizeof(says)) == 0 && reeve_slurm_parse_ended(says, out);
}

/* What Slurm's words mean for whoever typed the command. */
static const struct {
    const char *part;
    reeve_status status;
    const char *advice;
} refusals[] = {
    {"nvalid account", REEVE_INPUT_PERMISSION,
     "`sacctmgr show assoc user=$USER` lists your accounts; give one with --account"},
    {"nvalid qos", REEVE_INPUT_PERMISSION, "`sacctmgr show assoc user=$USER format=qos` lists yours"},
    {"not permitted to use", REEVE_INPUT_PERMISSION, "`sinfo -s` lists the partitions; give another with --partition"},
    {"ccess/permission denied", REEVE_INPUT_PERMISSION, "ask those who run the cluster"},
    {"olicy", REEVE_INPUT_PERMISSION, "`sacctmgr show assoc user=$USER` lists your limits; ask for less"},
    {"nvalid partition", REEVE_JOB_DEVICE, "`sinfo -s` lists the partitions; give one with --partition"},
    {"time limit", REEVE_JOB_DEVICE,
     "`sinfo -o '%P %l'` lists the longest; give less with --time, the job is queued again"},
    {"ode configuration", REEVE_JOB_DEVICE,
     "`sinfo -o '%P %D %c %G'` lists nodes, cores and GPUs; a node needs tasks-per-node x resources.threads + 1 cores"},
    {"ode count", REEVE_JOB_DEVICE, "`sinfo -s` lists how many nodes there are; ask for fewer with --nodes"},
    {"configuration source", REEVE_JOB_DEVICE,
     "this machine belongs to no cluster: submit where one is, or say where its slurm.conf lies (export "
     "SLURM_CONF=...)"},
    {"contact", REEVE_JOB_DEVICE, "the controller does not answer: try again later"},
};

static size_t refusal_of(const char *says)
{
    size_t i = 0;
    while (i < sizeof(refusals) / sizeof(refusals[0]) && strstr(says, refusals[i].part) == NULL)
        i++;
    return i;
}

int reeve_slurm_exit_code(const char *says)
{
    size_t i = refusal_of(says);
    bool known = i < sizeof(refusals) / sizeof(refusals[0]);
    return reeve_status_exit_code(known ? refusals[i].status : REEVE_JOB_DEVICE);
}

static reeve_status fail_refused(const char *says, struct reeve_error *err)
{
    size_t i = refusal_of(says);
    bool known = i < sizeof(refusals) / sizeof(refusals[0]);
    return reeve_fail(err, known ? refusals[i].status : REEVE_JOB_DEVICE, "Slurm refused the job: %s; %s", says,
                      known ? refusals[i].advice : "`reeve submit --dry-run` shows what it was given");
}

reeve_status reeve_slurm_submit(const char *script_path, uint64_t *job_id, struct reeve_error *err)
{
    char says[REEVE_SLURM_SAYS_BYTES];
    const char *const argv[] = {"sbatch", "--parsable", script_path, NULL};
    int code = reeve_command_run(argv, DEADLINE_MS, says, sizeof(says));
    if (code == 0) {
        const char *number = find_line(says, is_job_id);
        *job_id = number != NULL ? strtoull(number, NULL, 10) : 0;
        if (*job_id > 0) return REEVE_OK;
    }
    if (code == REEVE_COMMAND_TIMED_OUT)
        return reeve_fail(err, REEVE_JOB_DEVICE, NO_ANSWER "; `squeue --me` tells whether the job was taken");
    reeve_slurm_one_line(says);
    return fail_refused(says, err);
}

/* The script in memory, ready to be read: a login node's /tmp may be full. -1: errno says why. */
static int hold_script(const char *script)
{
    size_t bytes = strlen(script);
    int fd = memfd_create("script", MFD_CLOEXEC);
    if (fd < 0) return -1;
    if (write(fd, script, bytes) == (ssize_t)bytes && lseek(fd, 0, SEEK_SET) == 0) return fd;
    (void)close(fd);
    return -1;
}

bool reeve_slurm_test(const char *script, char *says, size_t says_bytes, struct reeve_error *err)
{
    const char *const argv[] = {"sbatch", "--test-only", NULL};
    says[0] = '\0';
    if (!reeve_slurm_is_here(err)) return true;
    int fd = hold_script(script);
    if (fd < 0) {
        (void)reeve_fail(err, REEVE_JOB_NO_MEMORY, "no memory for the script: %m");
        return true;
    }
    int code = reeve_command_run_with(argv, fd, DEADLINE_MS, says, says_bytes);
    (void)close(fd);
    reeve_slurm_one_line(says);
    if (code == REEVE_COMMAND_TIMED_OUT) (void)snprintf(says, says_bytes, NO_ANSWER);
    return code == 0;
}

int reeve_slurm_requeue(uint64_t job_id, char *says, size_t says_bytes)
{
    char job[24];
    (void)snprintf(job, sizeof(job), "%" PRIu64, job_id);
    const char *const argv[] = {"scontrol", "requeue", job, NULL};
    int code = reeve_command_run(argv, DEADLINE_MS, says, says_bytes);
    reeve_slurm_one_line(says);
    return code;
}

bool reeve_slurm_fences_are_loose(void)
{
    const char *job = getenv("PMIX_NAMESPACE"), *nodes = getenv("SLURM_STEP_NUM_NODES"),
               *fence = getenv("SLURM_PMIX_FENCE");
    if (job == NULL || strncmp(job, "slurm.pmix.", strlen("slurm.pmix.")) != 0)
        return false; /* mpirun brings its own */
    if (nodes == NULL || strcmp(nodes, "1") == 0) return false;
    return fence == NULL || strcmp(fence, "ring") != 0;
}

void reeve_slurm_one_line(char *says)
{
    char *out = says;
    for (const char *at = says; *at != '\0'; at++) {
        bool begins = out == says || out[-1] == ' ';
        if (!isspace((unsigned char)*at)) *out++ = *at;
        else if (!begins) *out++ = ' ';
    }
    while (out > says && out[-1] == ' ')
        out--;
    *out = '\0';
    static const char *const heads[] = {"sbatch: ", "scontrol: ", "squeue: ", "error: "};
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        size_t n = strlen(heads[i]);
        if (strncmp(says, heads[i], n) == 0) memmove(says, says + n, strlen(says + n) + 1);
    }
}
