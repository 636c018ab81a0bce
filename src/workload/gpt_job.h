/* What workload gpt takes from a job: "model", "optimizer" and some of "train" in its JSON. */
#ifndef REEVE_WORKLOAD_GPT_JOB_H
#define REEVE_WORKLOAD_GPT_JOB_H

#include "model/adamw.h"
#include "model/gpt/gpt.h"
#include "reeve/workload.h"

enum gpt_job_precision {
    GPT_JOB_AUTO, /* fp32 on a CPU, bf16 on a GPU */
    GPT_JOB_BF16,
    GPT_JOB_FP32,
};

struct gpt_job {
    struct reeve_gpt_shape shape;
    struct reeve_adamw_config optimizer;
    enum gpt_job_precision precision; /* train.precision */
    bool exact;                       /* train.reduce: int64 sums, not fp32 */
};

/* Read and check. model.layers, .heads, .width and optimizer.lr must be there; the other keys have the defaults
 * of docs/gpt.md. Keys that are not known are another's. INPUT_INVALID, naming the key. */
reeve_status gpt_job_parse(const struct reeve_workload_config *config, struct gpt_job *out, struct reeve_error *err);

#endif
