/* The job: everything a job.yaml says, resolved, in one plain struct. Pure; config/ fills it. */
#ifndef REEVE_CORE_JOB_H
#define REEVE_CORE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/plan.h"

#define REEVE_JOB_NAME_BYTES 64
#define REEVE_JOB_PATH_BYTES 4096
#define REEVE_JOB_PROMPT_BYTES 256
#define REEVE_JOB_SHELL_BYTES 256
#define REEVE_JOB_WORD_BYTES 64 /* of a word of Slurm's: a partition, an account, a time */
#define REEVE_JOB_WEIGHTS_BYTES 33 /* of a digest in hex, with its NUL */
#define REEVE_CHECKPOINTS_MAX 64u /* that may be kept; no more are on record (core/master.h) */

enum reeve_reduce { REEVE_REDUCE_EXACT = 0, REEVE_REDUCE_FAST = 1 };
enum reeve_precision { REEVE_PRECISION_AUTO = 0, REEVE_PRECISION_BF16 = 1, REEVE_PRECISION_FP32 = 2 };
enum reeve_device { REEVE_DEVICE_AUTO = 0, REEVE_DEVICE_CPU = 1, REEVE_DEVICE_CUDA = 2 };
enum reeve_launcher { REEVE_LAUNCHER_MPIRUN = 0, REEVE_LAUNCHER_SRUN = 1 };
enum reeve_sync { REEVE_SYNC_STEP = 0, REEVE_SYNC_ALWAYS = 1, REEVE_SYNC_NONE = 2 };

struct reeve_job {
    char name[REEVE_JOB_NAME_BYTES];
    char workload[REEVE_JOB_PATH_BYTES]; /* "gpt", "exec", or the path of a shared object, which ends in .so */
    uint64_t seed;
    struct {
        char manifest[REEVE_JOB_PATH_BYTES]; /* relative to the job file */
        uint32_t sequence;
        uint32_t shuffle;       /* enum reeve_shuffle */
        uint32_t block_shards;
        uint32_t holdout_ppm;
        char cache[REEVE_JOB_PATH_BYTES];    /* node-local folder that shards are staged into; "" for none */
    } data;
    struct {
        uint64_t steps;
        uint32_t global_batch;
        uint32_t micro_batch;
        uint32_t reduce;        /* enum reeve_reduce */
        uint32_t precision;     /* enum reeve_precision; of products of matrices on GPUs */
        uint32_t eval_every;    /* steps; 0: only at the end (if anything is held out) */
        uint32_t refused_max;   /* refused steps in a row that stop the run */
    } train;
    struct {
        uint32_t layers, heads, width;
        char init_from[REEVE_JOB_PATH_BYTES];       /* a run, or a checkpoint of one, whose weights it begins with; "": none */
        char init_weights[REEVE_JOB_WEIGHTS_BYTES]; /* their weights_digest, in hex; "": not known yet (run/initial_weights.h) */
    } model;
    struct {
        double lr, min_lr;
        uint64_t warmup;        /* steps */
        uint64_t decay_steps;   /* cosine ends here; fixed when the run begins (default: train.steps) */
        double weight_decay, beta1, beta2, eps, clip; /* clip 0: off */
    } optimizer;
    struct { uint32_t every; uint32_t keep; } checkpoint; /* every 0: only at the end and when stopped */
    struct {
        uint32_t workers, threads, device;
        uint32_t min_workers; /* with fewer left after a loss a batch job is queued again */
        /* what `reeve submit` asks a cluster for; 0 and "" leave it open */
        uint32_t nodes, tasks_per_node, gpus_per_node;
        uint32_t launcher; /* enum reeve_launcher */
        char time[REEVE_JOB_WORD_BYTES], partition[REEVE_JOB_WORD_BYTES], account[REEVE_JOB_WORD_BYTES];
    } resources;
    struct { uint32_t sync; } journal;
    struct {
        uint32_t attempts_max;      /* of a task, before it is dead */
        uint32_t crash_limit;       /* workers lost in a row with the same task */
        uint32_t silence_warn_s;    /* a worker this silent is named in a warning */
        uint32_t silence_stop_s;    /* and after this long the run stops */
        uint32_t evict_min_s;       /* a member of a job that hangs for so long, at least, is put out of it; 0: never */
        uint32_t host_silence_s;    /* without a word of any worker of a host: then it may be lost; 0: never */
        uint32_t replace;           /* 1: another process takes the place of a worker that was lost */
        uint32_t credits;           /* tasks a worker holds ahead */
        uint32_t restarts_max;      /* by `reeve run`, in a row and without progress; 0: never */
        uint32_t restart_wait_s; /* the back-off before a restart ends here */
        uint32_t hang_min_s;        /* a job in which nothing moves for so long, at least, counts as hung */
    } faults;
    struct { char prompt[REEVE_JOB_PROMPT_BYTES]; uint32_t tokens; double temperature; } sample; /* tokens 0: none */
    struct {
        char folder[REEVE_JOB_PATH_BYTES]; /* where commands start */
        char shell[REEVE_JOB_SHELL_BYTES];
        uint32_t slots;        /* commands of one worker at once */
        uint32_t ahead;        /* most tasks that a worker holds, while they are short */
        uint32_t time_limit_s; /* of a task that names none; 0: none */
        uint32_t grace_s;      /* from SIGTERM to SIGKILL */
        uint32_t drain_s;      /* that running commands have left when a stop was asked */
        double retry_s;        /* first back-off */
    } exec;                    /* all zero unless the workload is exec */
};

/* The job works a task list off (workload exec) and trains nothing: sections data, train, model, optimizer, checkpoint
 * and sample have no meaning then, and are all zero. */
bool reeve_job_is_list(const struct reeve_job *job);

/* The workload comes from a shared object: its path ends in .so. */
bool reeve_job_is_plugin(const struct reeve_job *job);

/* All that decides the trajectory (seed, data, batch, model, optimiser, reduce, workload), as canonical text lines
 * "key=value\n"; the resume check compares it line by line, and names the first key that differs.
 * Excluded: resources, checkpoint, journal, faults, sample, eval_every, refused_max, train.steps, name, and the paths of
 * manifest, cache and model.init_from (the manifest's digest is compared by itself, that of the weights is in the text).
 * Of a shared object the name counts, not its folder: what is in it is told from its digest (run/library_file.h). Text is
 * cut to fit, and ends with a NUL. Returns the bytes that the whole of it takes, without the NUL: text_bytes or more means
 * that it was cut. Of a task list only the
 * workload and the shell: the list has a digest of its own. */
size_t reeve_job_identity(const struct reeve_job *job, char *text, size_t text_bytes);

void reeve_job_plan_config(const struct reeve_job *job, struct reeve_plan_config *out);

#endif
