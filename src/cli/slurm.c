/* See slurm.h. */
#include "cli/slurm.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/command.h"

#define DEADLINE_MS 60000 /* a controller with ten thousand jobs may take its time */

static uint64_t number_in(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    errno = 0;
    unsigned long long v = text != NULL ? strtoull(text, &end, 10) : 0;
    return text != NULL && end != text && *end == '\0' && errno == 0 ? v : 0;
}

uint64_t reeve_slurm_own_job(uint32_t *restart_count)
{
    *restart_count = (uint32_t)number_in("SLURM_RESTART_COUNT");
    return number_in("SLURM_JOB_ID");
}

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

bool reeve_slurm_find_job(uint64_t job_id, struct reeve_slurm_job *out)
{
    char job[24], says[REEVE_SLURM_SAYS_BYTES];
    (void)snprintf(job, sizeof(job), "%" PRIu64, job_id);
    const char *const argv[] = {"squeue", "--noheader", "--jobs", job, "--format=%T|%r|%L|%N", NULL};
    memset(out, 0, sizeof(*out));
    if (reeve_command_run(argv, DEADLINE_MS, says, sizeof(says)) != 0 || strchr(says, '|') == NULL) return false;
    const char *at = take_field(says, out->state, sizeof(out->state));
    at = take_field(at, out->reason, sizeof(out->reason));
    at = take_field(at, out->left, sizeof(out->left));
    (void)take_field(at, out->nodes, sizeof(out->nodes));
    return true;
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
