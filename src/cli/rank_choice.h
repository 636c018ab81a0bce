/* What a rank computes on, and with which table of functions. Every rank of a job comes to the same device. */
#ifndef REEVE_CLI_RANK_CHOICE_H
#define REEVE_CLI_RANK_CHOICE_H

#include "reeve/workload.h"
#include "run/kinds.h"
#include "run/prepare.h"

struct reeve_rank_choice {
    struct reeve_device_choice device;
    const struct reeve_workload_ops *ops; /* points into this struct, or to a built-in; NULL: a task list, or a master */
    struct reeve_workload_ops plugin;
    struct reeve_kinds kinds; /* "" of a task list */
    char card[128];           /* a worker's GPU, with its UUID; "": not known, or none */
};

/* places[first_worker .. count) are the workers; self is this rank. A workload from a shared object is loaded here: on a
 * master only where a GPU is asked for or found, since its table says whether it has a use for one.
 * JOB_DEVICE, also where the workers are not of one kind (run/kinds.h) | INPUT_INVALID. */
reeve_status reeve_rank_choose(const struct reeve_prepared *prepared, const struct reeve_device_place *places,
                               uint32_t count, uint32_t first_worker, uint32_t self, struct reeve_rank_choice *out,
                               struct reeve_error *err);

#endif
