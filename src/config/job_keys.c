/* The one table of job.yaml's keys. What a key does when several are combined stands in docs/job.md. */
#include "config/job_keys.h"

#include <stddef.h>
#include <string.h>

static const char *const optimizers[] = {"adamw", NULL};
static const char *const shuffles[] = {"none", "block", "global", NULL};     /* enum reeve_shuffle */
static const char *const reductions[] = {"exact", "fast", NULL};             /* enum reeve_reduce */
static const char *const precisions[] = {"auto", "bf16", "fp32", NULL};      /* enum reeve_precision */
static const char *const devices[] = {"auto", "cpu", "cuda", NULL};          /* enum reeve_device */
static const char *const yes_or_no[] = {"false", "true", NULL};
static const char *const launchers[] = {"mpirun", "srun", NULL};             /* enum reeve_launcher */
static const char *const syncs[] = {"step", "always", "none", NULL};         /* enum reeve_sync */
static const char *const sections[] = {"data",       "train",     "model",   "optimizer", "checkpoint",
                                       "resources", "journal", "faults", "sample",    "exec",      NULL};

/* Rows are written by these, so that each reads: section, name, field, limits, default, unit, meaning. */
#define COMMON(section_, name_, type_, field_, fallback_, unit_, meaning_)                                           \
    .section = (section_), .name = (name_), .type = (type_), .offset = offsetof(struct reeve_job, field_),           \
    .fallback = (fallback_), .unit = (unit_), .meaning = (meaning_)
#define WHOLE(type_, section_, name_, field_, low_, high_, fallback_, unit_, meaning_)                               \
    {COMMON(section_, name_, type_, field_, fallback_, unit_, meaning_), .low = (low_), .high = (high_)}
#define U32(...) WHOLE(REEVE_KEY_U32, __VA_ARGS__)
#define U64(...) WHOLE(REEVE_KEY_U64, __VA_ARGS__)
#define NUMBER(type_, section_, name_, field_, low_, high_, below_, fallback_, unit_, meaning_)                      \
    {COMMON(section_, name_, type_, field_, fallback_, unit_, meaning_), .real_low = (low_), .real_high = (high_),   \
     .below = (below_)}
#define REAL(...) NUMBER(REEVE_KEY_REAL, __VA_ARGS__)
#define PPM(...) NUMBER(REEVE_KEY_PPM, __VA_ARGS__)
#define TEXT(type_, section_, name_, field_, bytes_min_, fallback_, meaning_)                                        \
    {COMMON(section_, name_, type_, field_, fallback_, "", meaning_), .low = (bytes_min_),                           \
     .capacity = sizeof(((struct reeve_job *)0)->field_)}
#define CHOICE(section_, name_, field_, choices_, fallback_, meaning_)                                               \
    {COMMON(section_, name_, REEVE_KEY_CHOICE, field_, fallback_, "", meaning_), .choices = (choices_),              \
     .capacity = sizeof(uint32_t)}
/* Said in the file, checked, and stored nowhere: there is one answer. */
#define SAID(section_, name_, choices_, fallback_, meaning_)                                                         \
    {.section = (section_), .name = (name_), .type = REEVE_KEY_CHOICE, .choices = (choices_),                        \
     .fallback = (fallback_), .unit = "", .meaning = (meaning_)}

#define STEPS_MAX ((int64_t)1 << 40)
#define GIVEN NULL /* no default: the file must say it */

static const struct reeve_key keys[] = {
    TEXT(REEVE_KEY_TEXT, "", "name", name, 1, GIVEN, "what people call this job, and its run's folder in runs/"),
    TEXT(REEVE_KEY_TEXT, "", "workload", workload, 1, GIVEN,
         "gpt trains; exec runs the commands of `tasks`; a path that ends in .so trains what is in there"),
    U64("", "seed", seed, 0, INT64_MAX, "1337", "", "of the initial weights and the order of the data"),

    TEXT(REEVE_KEY_TEXT, "data", "manifest", data.manifest, 1, GIVEN, "the shard manifest (shards.yaml)"),
    U32("data", "sequence", data.sequence, 1, 65536, "128", "tokens", "length of one sample"),
    CHOICE("data", "shuffle", data.shuffle, shuffles, "block", "order of the samples within an epoch"),
    U32("data", "block_shards", data.block_shards, 1, 1000000, "8", "shards", "of one block of `shuffle: block`"),
    PPM("data", "holdout", data.holdout_ppm, 0.0, 0.9, false, "0", "part of 1",
        "never trained on; the held-out loss is measured there"),
    TEXT(REEVE_KEY_TEXT, "data", "cache", data.cache, 0, "",
         "node-local folder that shards are copied into; \"\" for none"),

    U64("train", "steps", train.steps, 1, STEPS_MAX, GIVEN, "steps", "optimiser steps of the whole job"),
    U32("train", "global_batch", train.global_batch, 1, (int64_t)1 << 30, GIVEN, "samples",
        "of one step, whatever the number of workers"),
    U32("train", "micro_batch", train.micro_batch, 1, 65536, GIVEN, "samples",
        "of one gradient task; divides global_batch"),
    CHOICE("train", "reduce", train.reduce, reductions, "exact",
           "how gradients are summed; fast gives up equal bits for half the bytes"),
    CHOICE("train", "precision", train.precision, precisions, "auto",
           "of matrix products on GPUs; auto is bf16 there, and CPUs always compute in fp32"),
    U32("train", "eval_every", train.eval_every, 0, UINT32_MAX, "0", "steps",
        "between held-out losses; 0: only at the end"),
    U32("train", "refused_max", train.refused_max, 1, 1000000, "5", "steps",
        "refused in a row (NaN, infinity, overflow) that stop the run"),

    U32("model", "layers", model.layers, 1, 1024, "4", "", "transformer blocks"),
    U32("model", "heads", model.heads, 1, 1024, "4", "", "attention heads; divides width"),
    U32("model", "width", model.width, 1, 65536, "128", "", "of the residual stream"),
    TEXT(REEVE_KEY_TEXT, "model", "init_from", model.init_from, 0, "",
         "a run (its newest checkpoint), or a checkpoint of one, whose weights it begins with; \"\": the seed's"),
    TEXT(REEVE_KEY_TEXT, "model", "init_weights", model.init_weights, 0, "",
         "the weights_digest that init_from must have; \"\": what it has when the run begins"),

    SAID("optimizer", "kind", optimizers, "adamw", "Adam with decoupled weight decay"),
    REAL("optimizer", "lr", optimizer.lr, 0.0, 100.0, false, "1e-3", "", "learning rate after the warm-up"),
    REAL("optimizer", "min_lr", optimizer.min_lr, 0.0, 100.0, false, "1e-4", "",
         "learning rate where the cosine ends; at most lr"),
    U64("optimizer", "warmup", optimizer.warmup, 0, STEPS_MAX, "0", "steps",
        "over which the learning rate rises to lr"),
    U64("optimizer", "decay_steps", optimizer.decay_steps, 1, STEPS_MAX, "train.steps", "steps",
        "the step at which the cosine ends"),
    REAL("optimizer", "weight_decay", optimizer.weight_decay, 0.0, 100.0, false, "0.1", "",
         "decoupled, times the learning rate"),
    REAL("optimizer", "beta1", optimizer.beta1, 0.0, 1.0, true, "0.9", "", "decay of the first moment"),
    REAL("optimizer", "beta2", optimizer.beta2, 0.0, 1.0, true, "0.95", "", "decay of the second moment"),
    REAL("optimizer", "eps", optimizer.eps, 1e-30, 1.0, false, "1e-8", "", "added to the root of the second moment"),
    REAL("optimizer", "clip", optimizer.clip, 0.0, 1e9, false, "1.0", "",
         "largest L2 norm of the gradient; 0: no clipping"),

    U32("checkpoint", "every", checkpoint.every, 0, UINT32_MAX, "100", "steps",
        "between checkpoints; 0: only at the end and when stopped"),
    U32("checkpoint", "keep", checkpoint.keep, 1, REEVE_CHECKPOINTS_MAX, "3", "checkpoints",
        "kept; older ones are removed"),

    U32("resources", "workers", resources.workers, 1, 65536, "2", "processes",
        "that compute; `reeve run -n` overrides it"),
    U32("resources", "threads", resources.threads, 1, 4096, "1", "threads", "of each worker"),
    CHOICE("resources", "device", resources.device, devices, "auto", "what computes"),
    U32("resources", "nodes", resources.nodes, 0, 65536, "0", "nodes",
        "that `reeve submit` asks for; 0: one, or what tasks_per_node makes of workers"),
    U32("resources", "tasks_per_node", resources.tasks_per_node, 0, 4096, "0", "workers",
        "on each node; 0: workers, spread evenly"),
    U32("resources", "gpus_per_node", resources.gpus_per_node, 0, 1024, "0", "GPUs",
        "that `reeve submit` asks for; 0: one for each worker with device cuda, else none"),
    U32("resources", "min_workers", resources.min_workers, 1, 65536, "1", "workers",
        "that a batch job goes on with after the loss of a node; with fewer it is queued again"),
    TEXT(REEVE_KEY_TEXT, "resources", "time", resources.time, 0, "",
         "limit of a batch job as Slurm writes it, e.g. 12:00:00; \"\": the cluster's default"),
    TEXT(REEVE_KEY_TEXT, "resources", "partition", resources.partition, 0, "",
         "of the cluster; \"\": its default"),
    TEXT(REEVE_KEY_TEXT, "resources", "account", resources.account, 0, "", "to charge; \"\": your default"),
    CHOICE("resources", "launcher", resources.launcher, launchers, "mpirun", "of a batch job"),

    CHOICE("journal", "sync", journal.sync, syncs, "step",
           "when records reach the disk: once a step, each turn of the master, or only with a checkpoint and when a master begins"),

    U32("faults", "attempts_max", faults.attempts_max, 1, 1000, "3", "attempts", "of a task before it is put aside"),
    U32("faults", "crash_limit", faults.crash_limit, 1, 1000, "3", "workers",
        "lost in a row with the same task before it is put aside"),
    U32("faults", "silence_warn_s", faults.silence_warn_s, 1, 604800, "30", "s",
        "without a word of a worker before it is named in a warning"),
    U32("faults", "silence_stop_s", faults.silence_stop_s, 1, 604800, "600", "s",
        "without a word of a worker before the run stops; at least silence_warn_s"),
    U32("faults", "evict_min_s", faults.evict_min_s, 0, 604800, "15", "s",
        "without a word of a rank, or without the end of what it computes, at least, before a job that outlives losses "
        "goes on without it; 0: it waits"),
    U32("faults", "host_silence_s", faults.host_silence_s, 0, 604800, "3", "s",
        "without a word of any worker of a host before `reeve run` asks Slurm whether the host still starts a process; "
        "0: it never asks"),
    CHOICE(
        "faults", "replace", faults.replace, yes_or_no, "false",
        "start another process in the place of a worker that was lost, where the MPI can (Open MPI 5, one host, CPUs)"),
    U32("faults", "credits", faults.credits, 1, 64, "2", "tasks", "that a worker holds ahead"),
    U32("faults", "restarts_max", faults.restarts_max, 0, 1000000, "10", "restarts",
        "by `reeve run`, in a row without progress, before it gives up; 0: it never starts again"),
    U32("faults", "restart_wait_s", faults.restart_wait_s, 0, 86400, "60", "s",
        "longest wait before a restart; it doubles from half a second while there is no progress"),
    U32("faults", "hang_min_s", faults.hang_min_s, 1, 604800, "120", "s",
        "without any progress, at least, before `reeve run` ends a hung job and starts it again"),

    TEXT(REEVE_KEY_SPEECH, "sample", "prompt", sample.prompt, 0, "\n", "what the trained model continues at the end"),
    U32("sample", "tokens", sample.tokens, 0, 65536, "0", "tokens", "to continue by; 0: no sample"),
    REAL("sample", "temperature", sample.temperature, 0.0, 100.0, false, "0.8", "",
         "of the sample; 0: the likeliest token"),

    TEXT(REEVE_KEY_TEXT, "exec", "folder", exec.folder, 1, ".", "where commands start"),
    TEXT(REEVE_KEY_TEXT, "exec", "shell", exec.shell, 1, "/bin/sh", "that runs what is more than a program and words"),
    U32("exec", "slots", exec.slots, 1, 64, "1", "commands", "of each worker at once"),
    U32("exec", "ahead", exec.ahead, 1, 200, "64", "tasks", "that a worker may hold while they are short; at least slots"),
    U32("exec", "time_limit_s", exec.time_limit_s, 0, 31622400, "0", "s", "of each attempt; 0: none"),
    U32("exec", "grace_s", exec.grace_s, 0, 86400, "10", "s", "from SIGTERM to SIGKILL"),
    U32("exec", "drain_s", exec.drain_s, 0, 604800, "30", "s", "that running commands have left after a stop was asked"),
    REAL("exec", "retry_s", exec.retry_s, 0.001, 86400.0, false, "1", "s",
         "before the second attempt; doubles with each failure, to 64 times that at most"),
};

bool reeve_job_key_applies(const struct reeve_key *key, const char *workload)
{
    static const char *const training[] = {"data", "train", "model", "optimizer", "checkpoint", "sample"};
    bool list = strcmp(workload, "exec") == 0;
    if (strcmp(key->section, "exec") == 0) return list;
    for (size_t i = 0; i < sizeof(training) / sizeof(training[0]); i++)
        if (strcmp(key->section, training[i]) == 0) return !list;
    return true;
}

_Static_assert(sizeof(keys) / sizeof(keys[0]) <= REEVE_JOB_KEYS_MAX, "origins are arrays of that length");

const struct reeve_key_table reeve_job_keys = {keys, sizeof(keys) / sizeof(keys[0]), sections};
