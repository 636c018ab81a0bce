/* A job for many workers, for measuring and for simulating how far one master goes: the real plan, master, queue and
 * frames; no data, since nobody computes. */
#ifndef TESTS_SIM_SCALE_JOB_H
#define TESTS_SIM_SCALE_JOB_H

#include "core/master.h"

struct scale_job {
    struct reeve_shard shard;
    struct reeve_manifest manifest;
    reeve_plan *plan;
    reeve_master *master;
    uint32_t workers, tasks; /* tasks: micro-batches of a step */
    uint64_t lsn;
};

/* Where the decisions go. append may be NULL: the record is only numbered. */
struct scale_sink {
    void (*append)(void *arg, struct reeve_event *ev);
    void (*send)(void *arg, uint32_t worker, const struct reeve_frame *frame);
    void *arg;
};

/* All workers have joined and are ready; the first step is not open yet. */
void scale_job_create(struct scale_job *j, uint32_t workers, uint32_t tasks_per_worker, uint32_t credits);
void scale_job_destroy(struct scale_job *j);

/* One input, or a tick until nothing is left to decide; events are appended and applied, frames go to the sink.
 * Returns how many decisions had events. */
uint32_t scale_give(struct scale_job *j, uint32_t worker, const struct reeve_frame *f, const struct scale_sink *sink);
uint32_t scale_tick(struct scale_job *j, const struct scale_sink *sink);

/* What a worker answers to a lease, and to a REDUCE of this step. */
struct reeve_frame scale_answer(const struct reeve_frame *lease);
struct reeve_frame scale_reduced(const struct scale_job *j, uint64_t step);

#endif
