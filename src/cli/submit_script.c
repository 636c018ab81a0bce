/* See submit_script.h. */
#include "cli/submit_script.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/batch_text.h"

#define BODY_MARK "# ---- nothing below needs a change ----\n"

const char *reeve_submission_env(void)
{
    return REEVE_BATCH_ENV;
}

static uint32_t divide_up(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

void reeve_submission_place(struct reeve_submission *s, uint32_t nodes, uint32_t tasks_per_node,
                            const struct reeve_job *job)
{
    bool said = nodes > 0 || tasks_per_node > 0;
    if (nodes == 0) nodes = job->resources.nodes;
    if (tasks_per_node == 0) tasks_per_node = job->resources.tasks_per_node;
    s->workers = job->resources.workers;
    if (nodes == 0) nodes = tasks_per_node > 0 ? divide_up(s->workers, tasks_per_node) : 1;
    if (tasks_per_node > 0 && (said || s->workers > nodes * tasks_per_node)) s->workers = nodes * tasks_per_node;
    if (tasks_per_node == 0) tasks_per_node = divide_up(s->workers, nodes);
    /* Nodes without a worker would only be paid for. */
    if (s->workers < nodes) s->workers = nodes;
    s->nodes = nodes;
    s->tasks_per_node = tasks_per_node;
}

void reeve_submission_cores(struct reeve_submission *s, const struct reeve_job *job)
{
    bool list = reeve_job_is_list(job);
    s->cores = list ? job->exec.slots : job->resources.threads;
    s->unit = list ? "command" : "thread";
}

void reeve_submission_name(const char *text, char *out, size_t out_bytes)
{
    size_t n = 0;
    for (; text[n] != '\0' && n + 1 < out_bytes; n++) {
        unsigned char c = (unsigned char)text[n];
        out[n] = isascii(c) && (isalnum(c) || strchr("._-", c) != NULL) ? (char)c : '-';
    }
    out[n] = '\0';
}

static bool is_one_line(const char *text)
{
    return strpbrk(text, "\n\r") == NULL;
}

/* 'text' as one word of the shell. */
static void put_quoted(FILE *f, const char *text)
{
    (void)fputc('\'', f);
    for (; *text != '\0'; text++) {
        if (*text == '\'') (void)fputs("'\\''", f);
        else (void)fputc(*text, f);
    }
    (void)fputc('\'', f);
}

/* A path in a file name pattern of sbatch: a % of its own is doubled. */
static void put_pattern(FILE *f, const char *path)
{
    for (; *path != '\0'; path++) {
        if (*path == '%') (void)fputc('%', f);
        if (strchr("\"\\", *path) != NULL) (void)fputc('\\', f);
        (void)fputc(*path, f);
    }
}

static void put_option(FILE *f, const char *name, const char *value)
{
    if (*value != '\0') (void)fprintf(f, "#SBATCH --%s=%s\n", name, value);
}

static void put_head(FILE *f, const struct reeve_submission *s)
{
    uint64_t slots = (uint64_t)s->tasks_per_node * s->cores + 1;
    (void)fprintf(f, "#!/usr/bin/env bash\n"
                     "# Written by `reeve submit`. It may be changed, and submitted again with sbatch.\n\n");
    put_option(f, "job-name", s->name);
    (void)fprintf(f, "#SBATCH --nodes=%" PRIu32 "\n", s->nodes);
    (void)fprintf(f,
                  "# Cores of a node: %" PRIu32 " worker%s of %" PRIu32 " %s%s, and one for the master.\n"
                  "#SBATCH --ntasks-per-node=%" PRIu64 "\n",
                  s->tasks_per_node, s->tasks_per_node == 1 ? "" : "s", s->cores, s->unit, s->cores == 1 ? "" : "s",
                  slots);
    if (s->gpus_per_node > 0)
        (void)fprintf(
            f, "# GPUs by node, not by task: every rank must see all of them.\n#SBATCH --gpus-per-node=%" PRIu32 "\n",
            s->gpus_per_node);
    put_option(f, "time", s->time);
    put_option(f, "partition", s->partition);
    put_option(f, "account", s->account);
    if (!s->srun) (void)fputs("#SBATCH --no-kill\n", f);
    (void)fputs(s->chain ? "#SBATCH --no-requeue\n#SBATCH --dependency=singleton\n" : "#SBATCH --requeue\n", f);
    (void)fputs("#SBATCH --output=\"", f);
    put_pattern(f, s->run_dir);
    (void)fputs("/submit/slurm-%j.out\"\n#SBATCH --open-mode=append\n#SBATCH --signal=B:USR2@60\n", f);
    for (uint32_t i = 0; i < s->extra_count; i++)
        (void)fprintf(f, "#SBATCH %s\n", s->extras[i]);
}

static void put_settings(FILE *f, const struct reeve_submission *s)
{
    (void)fputs("\njob=", f);
    put_quoted(f, s->job_path);
    (void)fputs("\nrun=", f);
    put_quoted(f, s->run_dir);
    (void)fprintf(f, "\nworkers=%" PRIu32 "\nenv=", s->workers);
    put_quoted(f, s->run_dir);
    (void)fputs("/submit/env.sh\nPATH=", f);
    put_quoted(f, s->program_dir);
    (void)fputs(":$PATH\n", f);
    if (s->set_count > 0) (void)fputs("set --", f);
    for (uint32_t i = 0; i < s->set_count; i++) {
        (void)fputs(" --set ", f);
        put_quoted(f, s->sets[i]);
    }
    (void)fputs(s->set_count > 0 ? "\n\n" : "\n", f);
}

/* What stands below the mark in the script of this launcher; a chain ends without queueing the job again. */
static void put_body(FILE *f, const struct reeve_submission *s)
{
    static const char ending[] = "exec reeve requeue ";
    const char *body = strstr(s->srun ? REEVE_BATCH_SRUN : REEVE_BATCH_MPIRUN, BODY_MARK);
    REEVE_ASSERT(body != NULL);
    const char *end = strstr(body, ending);
    REEVE_ASSERT(end != NULL);
    if (!s->chain) end = body + strlen(body);
    (void)fwrite(body, 1, (size_t)(end - body), f);
    if (s->chain) (void)fputs("exit \"$code\"\n", f);
}

reeve_status reeve_submission_script(const struct reeve_submission *s, char **text, struct reeve_error *err)
{
    bool lines = is_one_line(s->job_path) && is_one_line(s->run_dir) && is_one_line(s->program_dir);
    for (uint32_t i = 0; i < s->extra_count; i++)
        lines = lines && is_one_line(s->extras[i]);
    if (!lines) return reeve_fail(err, REEVE_INPUT_INVALID, "a path or an option for sbatch has an end of line in it");
    size_t bytes = 0;
    FILE *f = open_memstream(text, &bytes);
    if (f == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "batch script: out of memory");
    put_head(f, s);
    put_settings(f, s);
    put_body(f, s);
    if (fclose(f) == 0) return REEVE_OK;
    free(*text);
    return reeve_fail(err, REEVE_JOB_NO_MEMORY, "batch script: out of memory");
}
