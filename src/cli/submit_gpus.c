/* See submit_gpus.h. */
#include "cli/submit_gpus.h"

#include <inttypes.h>

#include "base/error.h"

/* Commands of a list, and a workload that computes on CPUs, may share the GPUs of a node as they like. */
static bool needs_one_each(const struct reeve_job *job)
{
    return !reeve_job_is_list(job) && job->resources.device != REEVE_DEVICE_CPU;
}

reeve_status reeve_submission_place_gpus(struct reeve_submission *s, const struct reeve_gpus_asked *asked,
                                         const struct reeve_job *job, struct reeve_error *err)
{
    bool one_each = needs_one_each(job);
    uint32_t gpus = asked->gpus_said ? asked->gpus_per_node : job->resources.gpus_per_node;
    uint32_t tasks = asked->tasks_per_node;
    if (one_each && tasks == 0 && job->resources.tasks_per_node == 0) tasks = gpus;
    reeve_submission_place(s, asked->nodes, tasks, job);
    if (gpus == 0 && !asked->gpus_said && one_each && job->resources.device == REEVE_DEVICE_CUDA)
        gpus = s->tasks_per_node;
    s->gpus_per_node = gpus;
    if (!one_each || gpus == 0 || s->tasks_per_node <= gpus) return REEVE_OK;
    return reeve_fail(err, asked->gpus_said || asked->tasks_per_node > 0 ? REEVE_INPUT_USAGE : REEVE_INPUT_INVALID,
                      "%" PRIu32 " workers on a node, but %" PRIu32 " GPU%s; NCCL does not share a GPU: ask for "
                      "--tasks-per-node %" PRIu32 ", for --gpus-per-node %" PRIu32 ", or set resources.device to cpu",
                      s->tasks_per_node, gpus, gpus == 1 ? "" : "s", gpus, s->tasks_per_node);
}
