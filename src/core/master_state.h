/* Private to the master: its state, shared by the files named master_*.c and written by those named master_apply*.c
 * alone. */
#ifndef REEVE_CORE_MASTER_STATE_H
#define REEVE_CORE_MASTER_STATE_H

#include "core/job.h"
#include "core/master.h"

#define MASTER_ABORTS_MAX 3u /* of one step for sums that do not agree */
#define MASTER_CKPT_FAILURES_MAX 3u
#define MASTER_PRIORITY_NOW 1000000      /* staging that an open step waits for */
#define MASTER_PRIORITY_AHEAD (-1000000) /* staging for the step after */
#define MASTER_SHARD_PRIORITY_MAX 100000
#define MASTER_SHARD_STAGED (UINT32_MAX - 1)
#define MASTER_SHARD_UNKNOWN UINT32_MAX

enum master_worker_state { WORKER_ABSENT = 0, WORKER_JOINED, WORKER_GONE, WORKER_LOST };

struct master_worker {
    uint8_t state;
    bool ready, restore_failed, reduced, weighed;
    bool tainted, rejoined, settled;   /* since the last regrouping: master_regroup.c */
    bool bare;                         /* it is new, and waits for the state: master_replace.c */
    uint32_t leased;                   /* tasks it holds leases on */
    uint32_t credit;                   /* leases that it may hold */
    uint32_t hungry_next, hungry_prev; /* list of workers with spare credit */
    bool hungry;
    uint64_t pace; /* 0: it has computed nothing yet; master_pace.c */
    uint64_t sum_digest;
    uint64_t weights[2];
    reeve_time_ns heard_ns;
};

struct reeve_master {
    struct reeve_master_config config; /* copied */
    reeve_plan *plan;                  /* borrowed */
    reeve_queue *queue;                /* owned */
    struct master_worker *workers;     /* (workers_max + 1,) owned */
    uint32_t *shard_task;              /* (shard_count,) owned; a task, STAGED or UNKNOWN */
    uint32_t *shard_holder;            /* (shard_count,) owned; worker that staged it */
    uint32_t *open_tasks;              /* (open_max,) owned; of the open step or evaluation */
    struct reeve_sample *samples;      /* (micro_batch,) owned */
    struct reeve_master_part *parts;   /* (workers_max,) owned */
    uint8_t *part_there;               /* (workers_max,) owned */
    uint32_t open_max, micro_batches, eval_batches;

    enum reeve_master_phase phase;
    uint32_t epoch;        /* membership epoch: grows with each launch and each regrouping; every frame carries it */
    uint32_t term;         /* epoch of the journal's last opening: one master's records have one */
    uint32_t opened_epoch; /* of the journal, when this launch began */
    uint32_t first_epoch;  /* of the members, when this launch began */
    uint32_t restarts, runs;
    uint32_t expected, joined, gone; /* joined: or lost before they could; gone: or lost */
    uint32_t rejoining;              /* workers that have not yet settled what they hold after a regrouping */
    uint32_t settle_from;            /* none before this one is to settle */
    bool sharing;                    /* one of them was told to bring its state to those who are new */
    bool reload;                     /* one of them holds weights of another step: all go back to a checkpoint */
    uint32_t hungry_head, hungry_tail;
    uint64_t pace_sum; /* of pace_count workers */
    uint32_t pace_count;
    uint64_t applied_lsn;
    uint64_t step;      /* last committed */
    uint64_t open_step; /* step or evaluation that is open; 0: none */
    uint32_t open_count, computed;
    uint64_t open_coverage; /* what the reduction must find */
    uint64_t open_samples;
    uint32_t reduced;
    uint64_t sum_coverage, sum_tokens;
    int64_t sum_loss;
    uint32_t sum_samples, sum_members, sum_flagged;
    uint32_t aborts; /* of the open step */
    int64_t loss;
    uint64_t eval_step, eval_tokens, checkpoint_eval_step;
    int64_t eval_loss;
    uint32_t refused_run;
    bool last_refused; /* the last committed step was */
    uint32_t poisoned; /* task that lost its worker crash_limit times in a row; UINT32_MAX: none */
    uint64_t refused_steps;
    uint32_t dead;
    reeve_status dead_reason; /* of a task that training cannot do without */
    reeve_status stop_reason;
    bool save_asked, ended, stopped, sampled;
    uint32_t sample_task; /* UINT32_MAX: none */
    bool load_asked, checkpoint_seen;
    uint64_t load_step;
    uint32_t load_answers;
    struct {
        bool active, committing, handed; /* under way; all parts and digests there; the index is being written */
        uint64_t step, lsn, queue_digest, begun_step;
        uint32_t parts, there, weighed, failures;
        reeve_status failed; /* why a part could not be written; OK: all are there so far */
        uint64_t weights[2];
    } ckpt;
    struct reeve_master_checkpoint checkpoints[REEVE_CHECKPOINTS_MAX]; /* oldest first */
    uint32_t checkpoint_count;
    uint64_t checkpoints_skipped;
    uint32_t list_added, list_started; /* tasks of config.tasks, in its order */
    uint64_t attempts_failed;
};

#endif
