/* workload: gpt, the language model of model/gpt with AdamW. What it computes stands in docs/gpt.md. */
#ifndef REEVE_WORKLOAD_GPT_WORKLOAD_H
#define REEVE_WORKLOAD_GPT_WORKLOAD_H

#include "reeve/workload.h"

extern const struct reeve_workload_ops reeve_gpt_workload;

#endif
