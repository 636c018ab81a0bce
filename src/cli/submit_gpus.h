/* What `reeve submit` asks for of GPUs: by node, one for each worker of it (docs/gpu.md says why). Pure. */
#ifndef REEVE_CLI_SUBMIT_GPUS_H
#define REEVE_CLI_SUBMIT_GPUS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/submit_script.h"

/* What the command line says; 0: not said, but for gpus_per_node, where 0 said means that none are to be asked for. */
struct reeve_gpus_asked {
    uint32_t nodes, tasks_per_node, gpus_per_node;
    bool gpus_said;
};

/* reeve_submission_place(), and s->gpus_per_node: what was asked for, else what the job says, else, with
 * resources.device cuda, one for each worker. Where GPUs are said and workers on a node are not, each GPU gets one.
 * INPUT_USAGE, INPUT_INVALID: more workers on a node than GPUs, said on the command line or in the job. */
reeve_status reeve_submission_place_gpus(struct reeve_submission *s, const struct reeve_gpus_asked *asked,
                                         const struct reeve_job *job, struct reeve_error *err);

#endif
