/* The commands of Slurm as the verbs use them: asked with a deadline, their words kept for whoever must read them. */
#ifndef REEVE_CLI_SLURM_H
#define REEVE_CLI_SLURM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reeve/status.h"

#define REEVE_SLURM_SAYS_BYTES 4096

/* Is there a Slurm here at all? False: *err says what to do. */
bool reeve_slurm_is_here(struct reeve_error *err);

/* What squeue knows of a job that waits or runs, or scontrol or sacct of one that has ended. */
struct reeve_slurm_job {
    char state[32];   /* "RUNNING", "NODE_FAIL" */
    char reason[128]; /* why it waits: "Priority", "BeginTime"; "None" */
    char nodes[256];  /* "n[1-4]"; "" while it waits */
    char left[32];    /* "11:59:30", "UNLIMITED"; "" once it has ended */
    bool ended;
    int exit_code, signal; /* of the batch script, once it has ended */
};
enum reeve_slurm_answer { REEVE_SLURM_SILENT, REEVE_SLURM_GONE, REEVE_SLURM_FOUND };
/* SILENT: squeue does not answer (now); GONE: the job neither waits nor runs. */
enum reeve_slurm_answer reeve_slurm_find_job(uint64_t job_id, struct reeve_slurm_job *out);

/* A job that squeue does not know any more, asked of the controller, which remembers it for some minutes (MinJobAge), then
 * of the accounting. False: neither knows it, or it has not ended. */
bool reeve_slurm_find_ended(uint64_t job_id, struct reeve_slurm_job *out);
/* What `scontrol --oneliner show job` says of one job; false of one that has not ended. */
bool reeve_slurm_parse_shown(const char *says, struct reeve_slurm_job *out);
/* What sacct says of one job, "State|ExitCode|Reason|NodeList"; several lines: it was queued again, the last counts. */
bool reeve_slurm_parse_ended(const char *says, struct reeve_slurm_job *out);

/* sbatch. JOB_DEVICE | INPUT_PERMISSION with Slurm's words and ours. */
reeve_status reeve_slurm_submit(const char *script_path, uint64_t *job_id, struct reeve_error *err);
/* sbatch --test-only with this script: what it said, in one line. False: it would be refused. Where nobody could be asked, true,
 * with "" and why. */
bool reeve_slurm_test(const char *script, char *says, size_t says_bytes, struct reeve_error *err);
/* 77 where Slurm does not let this user, 69 where it cannot give what was asked for. */
int reeve_slurm_exit_code(const char *says);

/* True in a rank that srun started through Slurm's PMIx, on one of several nodes, where PMIx's fences may let a rank go on
 * before all have come: all of Slurm's but the ring's (seen with 22.05 and 24.11, whatever PMIxFenceBarrier says). MPI_Init
 * counts on them. A site's mpi.conf cannot be seen from here. */
bool reeve_slurm_fences_are_loose(void);

/* scontrol requeue. Exit code 0; otherwise Slurm's words are in `says`. */
int reeve_slurm_requeue(uint64_t job_id, char *says, size_t says_bytes);

/* What Slurm said when it refused, in one line: blanks and ends of lines become one blank, the name of the program and
 * "error:" in front are left out. In place. */
void reeve_slurm_one_line(char *says);

#endif
