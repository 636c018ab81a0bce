/* A training that begins with the weights of another run (model.init_from) and not with those of its seed. Its first start
 * copies the model's tensors into RUN/initial/checkpoint/step-0000000000, a checkpoint without an optimizer (which begins
 * anew), and every start that has no checkpoint of its own yet begins from there: what happens to the other run afterwards
 * does not matter. Which weights they are stands in RUN/job.yaml (model.init_weights), and is part of what the run is. */
#ifndef REEVE_RUN_INITIAL_WEIGHTS_H
#define REEVE_RUN_INITIAL_WEIGHTS_H

#include "base/path.h"
#include "core/job.h"
#include "reeve/workload.h"

/* RUN/initial: read as a run's folder, it has one checkpoint, of step 0. */
void reeve_initial_weights_dir(const char *run_dir, char out[REEVE_PATH_BYTES_MAX]);

/* Before the job is compared with what the run was begun with: fill in its model.init_weights, from the stored job where
 * both name the same place, else from that place. STORE_MISMATCH: only one of them begins with weights of others.
 * INPUT_MISSING | INPUT_INVALID (no checkpoint is there) | STORE_CORRUPT | STORE_READ. */
reeve_status reeve_initial_weights_resolve(struct reeve_job *job, const struct reeve_job *stored,
                                           struct reeve_error *err);

/* For a fresh run: copy them, all blocks checked, durable, and fill in model.init_weights. Takes the memory of the weights,
 * once. What a start that was cut short left is replaced. Nothing to do without model.init_from.
 * INPUT_CHANGED: they are not those that model.init_weights says. Else as reeve_initial_weights_resolve(), and
 * STORE_CREATE | STORE_WRITE | JOB_NO_MEMORY. */
reeve_status reeve_initial_weights_copy(const char *run_dir, struct reeve_job *job, struct reeve_error *err);

/* For a worker: read the copy into tensors[].data, all tensors of the model and no others.
 * STORE_MISMATCH: of another model | STORE_CORRUPT (also: not the weights that the job says) | STORE_READ. */
reeve_status reeve_initial_weights_read(const char *run_dir, const struct reeve_job *job,
                                        const struct reeve_tensor *tensors, uint32_t tensor_count,
                                        struct reeve_error *err);

#endif
