/* The batch script that `reeve submit` writes: its own head (what to ask Slurm for, what to train), and below it, word for
 * word, the body of the script of the same launcher in slurm/. Pure text. */
#ifndef REEVE_CLI_SUBMIT_SCRIPT_H
#define REEVE_CLI_SUBMIT_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/job.h"
#include "reeve/status.h"

struct reeve_submission {
    const char *job_path;    /* absolute; all borrowed */
    const char *run_dir;     /* absolute */
    const char *program_dir; /* where reeve is, to be put first on PATH */
    const char *name;        /* of the batch job; made harmless with reeve_submission_name() */
    uint32_t nodes, tasks_per_node, workers, gpus_per_node;
    uint32_t cores;                         /* of each worker: its threads, or the commands that it runs at once */
    const char *unit;                       /* "thread", "command" */
    const char *time, *partition, *account; /* "": not said */
    bool srun, chain;
    const char *const *sets; /* KEY=VALUE of --set, passed on */
    uint32_t set_count;
    const char *const *extras; /* options of sbatch, each a line; they come last, so they win */
    uint32_t extra_count;
};

/* Workers, nodes and workers per node from what was asked for (0: not said) and what the job says, so that
 * workers <= nodes x tasks_per_node. */
void reeve_submission_place(struct reeve_submission *s, uint32_t nodes, uint32_t tasks_per_node,
                            const struct reeve_job *job);

/* The cores that each worker of this job uses, and as what. */
void reeve_submission_cores(struct reeve_submission *s, const struct reeve_job *job);

/* The name of a job or a folder as a word that is safe in a script: letters, digits, '.', '_' and '-'. */
void reeve_submission_name(const char *text, char *out, size_t out_bytes);

/* The script. *text: free(). JOB_NO_MEMORY; INPUT_INVALID: a path or an option has an end of line in it. */
reeve_status reeve_submission_script(const struct reeve_submission *s, char **text, struct reeve_error *err);

/* RUN/submit/env.sh's text. */
const char *reeve_submission_env(void);

#endif
