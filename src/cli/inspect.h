/* A run, opened for telling about it. */
#ifndef REEVE_CLI_INSPECT_H
#define REEVE_CLI_INSPECT_H

#include <stdbool.h>

#include "cli/history.h"
#include "core/job.h"
#include "core/manifest.h"
#include "store/checkpoint.h"

struct reeve_inspected {
    const char *run_dir;
    struct reeve_job job;
    struct reeve_manifest *manifest;
    reeve_plan *plan;
    struct reeve_history history;
    reeve_checkpoint *checkpoint; /* newest readable, or the one that was asked for; NULL: none */
};

/* tensors: list those of the checkpoint instead of the run's starts. Each returns the exit code. */
int reeve_inspect_print_text(const struct reeve_inspected *i, bool tensors);
int reeve_inspect_print_json(const struct reeve_inspected *i, bool tensors);

/* The best known digest of the weights and its step; false: none is known yet. */
bool reeve_inspect_weights(const struct reeve_inspected *i, struct reeve_digest *digest, uint64_t *step);
/* Bytes of the files of a checkpoint; 0: it is gone. */
uint64_t reeve_inspect_checkpoint_bytes(const char *run_dir, uint64_t step);

#endif
