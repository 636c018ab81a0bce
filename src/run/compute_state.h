/* Private to the compute thread: its state, shared by compute.c (queues and life) and compute_work.c (what it does). */
#ifndef REEVE_RUN_COMPUTE_STATE_H
#define REEVE_RUN_COMPUTE_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/exact_sum.h"
#include "core/plan.h"
#include "run/compute.h"
#include "store/shard.h"

#define COMPUTE_COMMANDS_MAX 256u
#define COMPUTE_ANSWERS_MAX 256u

struct compute_answer {
    struct reeve_frame frame;
    char *text; /* owned; NULL: none */
};

/* Memory of one asynchronous write of a part. FREE -> STAGED -> WRITING -> FREE: while it is not FREE, nobody else
 * touches it, and a checkpoint that comes then is refused rather than queued. With a GPU there is no copy: what is
 * written is the state that the workload published, and the next publish waits for the writer. */
struct compute_stage {
    pthread_t thread;
    bool started; /* thread was created and not yet joined */
    atomic_bool busy;
    struct reeve_frame frame;     /* the CHECKPOINT command */
    struct reeve_tensor *tensors; /* (count,) owned; data points into bytes, with a GPU to what was published */
    uint32_t count;
    float *bytes; /* owned; grows to the largest part */
    size_t bytes_max;
};

/* Tokens that were read ahead, for the lease that probably comes next. */
struct compute_ahead {
    int32_t *tokens; /* (micro_batch, sequence + 1) owned; NULL on CPUs */
    uint64_t step;   /* 0: nothing is there */
    uint32_t micro;
};

struct reeve_compute {
    struct reeve_compute_config config;
    pthread_t thread;
    bool thread_started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_bool stopping;
    struct reeve_frame commands[COMPUTE_COMMANDS_MAX]; /* ring, under lock */
    uint32_t command_head, command_count;
    uint32_t unsettled; /* commands posted and not finished that touch the sums; under lock */
    struct {            /* the command in hand; under lock */
        bool any;
        struct reeve_frame command;
        reeve_time_ns since_ns;  /* later by the time that shards took */
        reeve_time_ns paused_ns; /* a shard is being verified or copied since then; 0: none is */
        uint32_t paces_seen; /* bit: enum reeve_pace of a command that has ended */
    } hand;
    struct compute_answer answers[COMPUTE_ANSWERS_MAX]; /* ring, under lock */
    uint32_t answer_head, answer_count;
    pthread_cond_t room;

    /* from here on the compute thread's own */
    void *self;                         /* the workload; NULL until INIT or RESTORE */
    const struct reeve_tensor *tensors; /* borrowed from the workload */
    uint32_t tensor_count;
    uint64_t param_count;          /* P */
    reeve_plan *plan;              /* owned */
    reeve_shard_cache *shards;     /* owned */
    struct reeve_sample *samples;  /* (micro_batch,) owned */
    int32_t *tokens;               /* (micro_batch, sequence + 1) owned */
    float *grad;                   /* (P,) owned, 64-byte aligned */
    int64_t *acc, *sum;            /* (P + REEVE_SUM_WORDS,) owned; exact */
    float *fast_acc, *fast_sum;    /* (P,) owned; fast */
    int64_t *words_in, *words_out; /* the words: within acc and sum if exact on CPUs, else own memory */
    struct reeve_device_sum device; /* count 0: none; with a GPU acc, sum, fast_acc, fast_sum and grad are NULL */
    struct compute_ahead ahead;
    int64_t eval_in[REEVE_SUM_WORDS], eval_out[REEVE_SUM_WORDS];
    int unit_bits;
    bool broken; /* an apply failed: the state must not be saved */
    bool half_restored; /* a restore failed in its midst: what is there is no state, until one succeeds */
    struct compute_stage stage;
};

/* Run one command to its end; answers are queued by compute_answer(). */
void compute_execute(reeve_compute *c, const struct reeve_frame *command);
/* Queue an answer; waits while the ring is full. text may be NULL. */
void compute_answer(reeve_compute *c, const struct reeve_frame *frame, const char *text);
void compute_close_workload(reeve_compute *c);
void compute_free_sums(reeve_compute *c);
bool compute_is_cancelled(void *compute);
/* The state is about to be used: ends the process, as one that was lost, if it is half restored. A master that was lost
 * meanwhile cannot have heard of that, and whoever took its place believes what it knows of the step. */
void compute_need_state(const reeve_compute *c);
/* A function of the workload failed in this command: words the error. */
reeve_status compute_failed_at(reeve_compute *c, const char *function, const struct reeve_frame *command,
                               reeve_status st, struct reeve_error *err);
/* The samples of a micro-batch into tokens; command: its lease. */
reeve_status compute_read_micro(reeve_compute *c, const struct reeve_frame *command, int32_t *tokens,
                                struct reeve_error *err);
/* One micro-batch entered the sum: add its words. */
void compute_count_micro(reeve_compute *c, const struct reeve_frame *command, double loss_sum,
                         struct reeve_exact_flags flags);
/* Stage and start writing (compute_checkpoint.c). */
void compute_checkpoint(reeve_compute *c, const struct reeve_frame *command);
void compute_checkpoint_join(reeve_compute *c);
/* The words that the master gets of the state at a checkpoint. */
void compute_answer_weights(reeve_compute *c, const struct reeve_frame *command);

/* Open the workload, if it is not; what is done to the state after it was read (compute_work.c). */
reeve_status compute_open_workload(reeve_compute *c, struct reeve_error *err);
reeve_status compute_state_restored(reeve_compute *c, const struct reeve_frame *command, struct reeve_error *err);
void compute_answer_ready(reeve_compute *c, const struct reeve_frame *command, struct reeve_digest digest);
/* A command STATE (compute_share.c). */
void compute_share(reeve_compute *c, const struct reeve_frame *command);

/* On a GPU (compute_device.c). */

/* The sums, after open() and tensors(). */
reeve_status compute_device_open(reeve_compute *c, struct reeve_error *err);
/* The state as it is now into tensors[].data. */
reeve_status compute_device_fetch(reeve_compute *c, struct reeve_error *err);
reeve_status compute_device_gradient(reeve_compute *c, const struct reeve_frame *command, struct reeve_error *err);
void compute_device_zero(reeve_compute *c);
/* A function of the workload returned this. Does not return where the GPU has failed. */
void compute_device_check(const reeve_compute *c, const char *function, reeve_status st, const struct reeve_error *err);

#endif
