/* A job that is small enough to be run a thousand times in a test of the master, and for the fuzz targets: four shards, six
 * micro-batches a step, and what is the same in every run of it. Belongs to no test framework: what cannot be made
 * ends the program. */
#ifndef REEVE_TESTS_SMALL_JOB_H
#define REEVE_TESTS_SMALL_JOB_H

#include "core/audit.h"
#include "core/manifest.h"
#include "core/master.h"

#define SMALL_MICRO_BATCHES 6u
#define SMALL_SAMPLES 2u /* of a micro-batch */
#define SMALL_BATCH (SMALL_MICRO_BATCHES * SMALL_SAMPLES)
#define SMALL_SEQUENCE 4u
#define SMALL_RUN_ID 9u

struct small_job {
    struct reeve_manifest manifest;
    struct reeve_plan_config plan;
};
void small_job_init(struct small_job *j);
reeve_plan *small_job_plan(const struct small_job *j);
/* How a master of it is set up, before somebody changes it. */
struct reeve_master_config small_job_config(const struct small_job *j, uint32_t workers, uint64_t steps);
/* A master of it; plan is borrowed until it is destroyed. */
reeve_master *small_job_master(const struct small_job *j, reeve_plan *plan, uint32_t workers, uint64_t steps,
                               uint32_t crash_limit);
/* RUN_OPENED, with which each start begins. */
struct reeve_event small_job_opening(const struct small_job *j, uint32_t workers);
/* What the audit says of such a run. */
struct reeve_audit_result small_job_audit(reeve_plan *plan, const struct reeve_event *journal, uint32_t events);

#endif
