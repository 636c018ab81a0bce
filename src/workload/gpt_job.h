/* What workload gpt takes from a job: "model" and "optimizer" of its JSON. */
#ifndef REEVE_WORKLOAD_GPT_JOB_H
#define REEVE_WORKLOAD_GPT_JOB_H

#include "model/adamw.h"
#include "model/gpt/gpt.h"
#include "reeve/workload.h"

struct gpt_job {
    struct reeve_gpt_shape shape;
    struct reeve_adamw_config optimizer;
};

/* Read and check. model.layers, .heads, .width and optimizer.lr must be there; the other keys of optimizer have the
 * defaults of docs/gpt.md. Keys that are not known are another's. INPUT_INVALID, naming the key. */
reeve_status gpt_job_parse(const struct reeve_workload_config *config, struct gpt_job *out, struct reeve_error *err);

#endif
