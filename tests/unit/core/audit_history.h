/* Correct histories of runs, with every mishap that a run may meet, for the tests of the audit.
 *
 * The generator writes what a correct master would journal, with failing tasks, lost workers, aborted steps, crashes and
 * roll-backs at random, and counts for itself what the audit should count. */
#ifndef TESTS_UNIT_CORE_AUDIT_HISTORY_H
#define TESTS_UNIT_CORE_AUDIT_HISTORY_H

#include "fixture.h"

#include "core/audit.h"
#include "core/task.h"

#define MICRO_BATCHES 4u
#define MICRO_BATCH 3u
#define STEP_SAMPLES (MICRO_BATCHES * MICRO_BATCH)
#define WORKERS_MAX 5u
#define FIRST_TASK 100u /* tasks of a step have the same numbers in every step: numbers are used again */
#define EVENTS_MAX 20000u

struct history {
    struct reeve_event *events; /* (EVENTS_MAX,) owned */
    size_t count;
};

struct generator {
    struct fx_random random;
    struct history h;
    reeve_plan *plan;
    struct reeve_manifest *manifest;
    uint32_t epoch, workers, alive; /* alive: bit w for worker w */
    uint64_t step, last_step, checkpoints[64], runs;
    uint32_t checkpoint_count;
    uint32_t holder[MICRO_BATCHES], attempt[MICRO_BATCHES]; /* holder 0: nobody */
    bool computed[MICRO_BATCHES], refused[512];
    struct reeve_audit_result expect;
};

/* A run of last_step steps, over as many restarts as it takes. */
void history_generate(struct generator *g, struct fx_random random, uint64_t last_step);
void history_generator_end(struct generator *g);
bool history_chance(struct generator *g, uint32_t of_thousand);

/* The whole of it through a fresh audit. */
struct reeve_audit_result history_audit(reeve_plan *plan, const struct history *h);

#endif
