/* A job whose processes are lost, against the real decide and apply and the worker's real list of what it holds. Simulated
 * are the processes, the messages between them (all that are on their way are lost with each loss), the sum and the
 * journal. */
#ifndef REEVE_TESTS_REGROUP_JOB_H
#define REEVE_TESTS_REGROUP_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "run/holdings.h"
#include "small_job.h"

#define WORKERS 5
#define STEPS 14
#define EVENTS_MAX 40000
#define LINE_MAX 1024

struct line { /* ring of frames on their way */
    struct reeve_frame frames[LINE_MAX];
    uint32_t head, count;
};

struct sums {
    uint64_t coverage, samples, tokens, loss;
};

struct worker {
    bool alive;
    struct line inbox, outbox;
    struct reeve_frame work[64]; /* leases not yet computed */
    uint32_t work_count;
    struct reeve_holdings holds;
    uint32_t epoch;
    bool greeted, rejoin_due, reducing, summed; /* summed: the sum is complete here and not yet told */
    uint64_t weights, applied, reduced, reduce_step, reduce_kind;
    struct sums acc, eval, sum, eval_sum;
};

struct job {
    uint64_t seed, draws;
    struct small_job job;
    reeve_plan *plan, *worker_plan;
    reeve_master *master;
    uint32_t master_member; /* whose process it is; 0: nobody's but its own */
    struct worker worker[WORKERS + 1];
    struct reeve_event journal[EVENTS_MAX];
    uint32_t events, term, losses, kept_computed;
    uint64_t saved[STEPS + 1], ckpt_done_step;
    reeve_time_ns now_ns;
    uint32_t crash_limit;
    struct reeve_error err;
};

struct job *job_start(uint64_t seed, uint32_t crash_limit);
void job_end(struct job *j); /* frees it */
uint64_t job_draw(struct job *j, uint64_t bound);
void job_worker_turn(struct job *j, uint32_t id);
void job_master_turn(struct job *j);
/* Somebody was marked as not alive: those who are left come together. */
void job_regroup(struct job *j);
/* Until the end; one loss in `rate` turns on average, 0: none. cut_max: so many records of the journal go with a master. */
void job_run(struct job *j, uint64_t rate, uint32_t cut_max);
void job_ask_save(struct job *j); /* a file SAVE was seen */
struct reeve_master_status job_status(const struct job *j);
struct reeve_audit_result job_audit(const struct job *j);

#endif
