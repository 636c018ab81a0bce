/* The master, with its real decide and apply, against simulated workers, clock and journal. Everything random comes from
 * the seed. */
#ifndef REEVE_TESTS_MASTER_SIM_H
#define REEVE_TESTS_MASTER_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "small_job.h"

#define WORKERS_MAX 5
#define STEPS 12
#define EVENTS_MAX 20000
#define INBOX_MAX 512
#define SIM_SAMPLE_TOKENS ((uint64_t)5 << 30) /* long ones: the sum of a few needs more than 32 bits */

struct sim_worker {
    uint64_t weights; /* a hash chain stands for the model */
    uint64_t coverage, samples, tokens;
    int64_t loss;
    struct reeve_frame inbox[INBOX_MAX]; /* ring */
    uint32_t head, count;
    bool greeted, reducing, gone;
    struct reeve_frame reduce;
};

struct sim {
    uint64_t seed, draws;
    struct small_job job;
    reeve_plan *plan; /* the master's */
    reeve_plan *worker_plan;
    reeve_master *master;
    uint32_t workers;
    struct sim_worker worker[WORKERS_MAX + 1];
    struct reeve_event journal[EVENTS_MAX];
    uint32_t events;
    uint32_t epoch;
    uint64_t saved[STEPS + 1]; /* weights of the committed checkpoint of a step */
    bool has_saved[STEPS + 1];
    uint64_t ckpt_done_step; /* 0: none is being written */
    reeve_time_ns now_ns;
    uint32_t fail_percent;
    uint64_t poison;     /* micro-batch of step 3 that always fails permanently; UINT64_MAX: none */
    uint64_t steps;      /* of the job; may change from one start to the next */
    bool fail_init;      /* worker 1 cannot build its model */
    uint32_t fail_parts; /* so many parts of worker 1 cannot be written */
    bool flag_evals;     /* the loss of some batch of each evaluation is not finite */
    bool cheat;          /* worker 1 adds its first micro-batch twice */
    struct reeve_error err;
};

uint64_t sim_draw(struct sim *s, uint64_t bound);
/* Of a job that nobody has begun; sim_restart() begins it. */
void sim_init(struct sim *s, uint64_t seed);
struct sim *sim_start(uint64_t seed, uint32_t workers);
void sim_end(struct sim *s); /* frees it */
/* Another master that knows nothing yet. */
void sim_new_master(struct sim *s);
/* Start over with another number of workers: a new master folds the journal, and must come to the same state. */
void sim_restart(struct sim *s, uint32_t workers);
void sim_give(struct sim *s, const struct reeve_master_input *in);
/* Turns of everybody in random order, until the end or for `turns` turns. True: it ended. */
bool sim_run(struct sim *s, uint32_t turns);
struct reeve_audit_result sim_audit(const struct sim *s);
struct reeve_master_status sim_status(const struct sim *s);
/* What a run ends in that one worker made alone. */
uint64_t sim_undisturbed_weights(void);

#endif
