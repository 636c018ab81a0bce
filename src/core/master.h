/* The master: the only place that decides who does what, and when steps, evaluations and checkpoints begin and end.
 *
 *   decide(const master, input, now) -> decision {events, frames, effect}    thinks, changes nothing
 *   apply(master, event)                                                     the only mutator, live and at replay alike,
 *                                                         but for reject_checkpoint(), before a run is opened
 *
 * The caller's turn is always decide -> append -> apply -> sync -> send. Pure: no I/O, no clock, no threads, no
 * allocation after create(). Invariant: the state is a fold over the events, so replaying the durable ones gives the
 * same reeve_master_digest() (volatile ones concern only processes that a replay knows to be gone). */
#ifndef REEVE_CORE_MASTER_H
#define REEVE_CORE_MASTER_H

#include <stdbool.h>

#include "core/event.h"
#include "core/frame.h"
#include "core/manifest.h"
#include "core/plan.h"
#include "core/queue.h"
#include "core/task_list.h"

struct reeve_master_config {
    uint64_t run_id;
    uint64_t manifest_digest64;
    uint32_t workers_max;                  /* ids 1..workers_max; workers_expected is in RUN_OPENED.arg */
    const struct reeve_manifest *manifest; /* borrowed until destroy */
    uint64_t steps;
    uint32_t global_batch, micro_batch;
    uint32_t eval_every;       /* 0: only after the last step */
    uint32_t checkpoint_every; /* 0: only at the end and when stopped */
    uint32_t attempts_max, crash_limit, refused_max, credits;
    uint64_t stop_at;       /* stop, checkpointed, once this step is committed; 0: no */
    uint32_t sample_tokens; /* 0: no text at the end */
    bool fast;              /* reduced in fp32 */
    uint64_t seed;          /* of the retry jitter */
    reeve_time_ns lease_term_ns;
    /* A run that works a list off instead of training: then plan and manifest are NULL, and of the above only run_id,
     * manifest_digest64 (of the list), workers_max, crash_limit, credits, seed and lease_term_ns count. */
    const struct reeve_task_list *tasks; /* borrowed until destroy; checked */
    uint32_t slots;                      /* tasks that a worker runs at once, 1..credits */
    uint32_t drain_s;                    /* after a stop was asked, what runs may go on so long */
    reeve_time_ns retry_ns;              /* first back-off; doubles with each failure, with jitter */
};

enum reeve_master_phase {
    REEVE_PHASE_REPLAY = 0, /* folding the journal */
    REEVE_PHASE_GATHER,     /* waiting for workers to say hello */
    REEVE_PHASE_LOAD,       /* workers initialise or restore */
    REEVE_PHASE_TRAIN,      /* a step is open, or about to be */
    REEVE_PHASE_REDUCE,     /* all computed; workers sum */
    REEVE_PHASE_EVAL,
    REEVE_PHASE_EVAL_REDUCE,
    REEVE_PHASE_LIST,  /* a task list is worked off */
    REEVE_PHASE_DRAIN, /* the end is on record; workers finish and say goodbye */
    REEVE_PHASE_ENDED,
};

enum reeve_master_input_kind {
    REEVE_INPUT_TICK = 1, /* nothing came in: what is to be done next? */
    REEVE_INPUT_FRAME,
    REEVE_INPUT_STOP,            /* status: JOB_STOPPED (at the next step boundary, checkpointed), or an error */
    REEVE_INPUT_SAVE,            /* checkpoint at the next step boundary, and go on */
    REEVE_INPUT_CKPT_DONE,       /* step; status; digest64: the effect COMMIT_CHECKPOINT has ended */
    REEVE_INPUT_WORKER_LOST,     /* worker; status */
    REEVE_INPUT_WORKER_REPLACED, /* worker: another process is there in its place; before REGROUPED */
    REEVE_INPUT_REGROUPED, /* after the losses: the survivors are together again. worker: who is master; 0: rank 0 */
};

struct reeve_master_input {
    enum reeve_master_input_kind kind;
    uint32_t worker;
    uint32_t round; /* of REGROUPED: grows with each in a launch, whoever was master; 0: that is not known */
    reeve_status status;
    uint64_t step;
    uint64_t digest64;
    const struct reeve_frame *frame;
    const char *text; /* of the frame: frame->text_bytes long, not terminated */
};

enum reeve_master_effect {
    REEVE_EFFECT_NONE = 0,
    REEVE_EFFECT_BEGIN_CHECKPOINT,  /* make the folder, before the frames of this decision are sent */
    REEVE_EFFECT_COMMIT_CHECKPOINT, /* all parts are there: write the index; then input CKPT_DONE */
    REEVE_EFFECT_ABANDON_CHECKPOINT,
    REEVE_EFFECT_RETAIN,    /* a checkpoint was committed: apply retention */
    REEVE_EFFECT_TEXT,      /* frame text is the sampled text */
    REEVE_EFFECT_PROBLEM,   /* frame text words a failed attempt or part */
    REEVE_EFFECT_STALE,     /* a late word was dropped */
    REEVE_EFFECT_MALFORMED, /* the frame makes no sense; dropped */
};

#define REEVE_DECISION_EVENTS_MAX 4
#define REEVE_DECISION_FRAMES_MAX 3

struct reeve_outgoing {
    uint32_t to; /* worker; 0: all that have joined and are not lost */
    struct reeve_frame frame;
};

struct reeve_decision {
    uint32_t event_count, frame_count;
    struct reeve_event events[REEVE_DECISION_EVENTS_MAX]; /* epoch, lsn and sum are filled when appended */
    struct reeve_outgoing frames[REEVE_DECISION_FRAMES_MAX];
    enum reeve_master_effect effect;
    uint64_t effect_step;
    bool sync;  /* must be durable before the frames leave, whatever the policy (commits, ends, epochs) */
    bool yield; /* a large piece of work: the turn should end with it */
};

typedef struct reeve_master reeve_master;

/* plan is borrowed until destroy (it caches permutations: the master is its only user). */
reeve_status reeve_master_create(const struct reeve_master_config *config, reeve_plan *plan, reeve_master **out,
                                 struct reeve_error *err);
void reeve_master_destroy(reeve_master *m);

/* Think about one input. m is not changed. The decision's frames must not leave before its events are applied. */
void reeve_master_decide(const reeve_master *m, const struct reeve_master_input *in, reeve_time_ns now_ns,
                         struct reeve_decision *out);

/* Change the state by one event. STORE_CORRUPT: an event that cannot happen in this state (a damaged or foreign
 * journal; live, it is a bug). JOB_NO_MEMORY: a limit of create() is exceeded. */
reeve_status reeve_master_apply(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);

/* Over everything that replay must reproduce. Cost: O(tasks). */
uint64_t reeve_master_digest(const reeve_master *m);

/* What people and files are told. */
struct reeve_master_status {
    enum reeve_master_phase phase;
    uint32_t epoch;        /* membership epoch of now */
    uint32_t opened_epoch; /* of the journal, when this launch began */
    uint64_t step;            /* committed */
    uint64_t last_checkpoint; /* step; 0: none */
    uint32_t workers, workers_expected;
    uint32_t ready, leased, blocked, computed, dead;
    uint32_t done, delayed, cancelled; /* of a task list; `ready` has the delayed ones too */
    uint64_t attempts_failed;          /* of a task list */
    uint64_t tasks_total; /* of the open step or evaluation, or of the list */
    int64_t loss;         /* exact, of the last committed step */
    uint64_t eval_step;   /* 0: none yet */
    int64_t eval_loss;
    uint64_t eval_tokens;
    uint64_t refused_steps, checkpoints_skipped, stale;
    uint32_t restarts;
    reeve_status stop_reason; /* REEVE_OK: none */
    bool ended;               /* RUN_ENDED is on record: the run is complete */
    bool sampled;
};
void reeve_master_get_status(const reeve_master *m, struct reeve_master_status *out);
enum reeve_master_phase reeve_master_get_phase(const reeve_master *m); /* the same, for who asks in each turn */

/* A task of the queue as it is now: of a list, its index. NULL: there is none; borrowed until the next apply. */
const struct reeve_task *reeve_master_task(const reeve_master *m, uint32_t task);

/* Checkpoints on record, newest first: step and index digest. Returns how many were written to out. */
struct reeve_master_checkpoint {
    uint64_t step, digest64, lsn;
};
uint32_t reeve_master_checkpoints(const reeve_master *m, struct reeve_master_checkpoint *out, uint32_t max);
/* A checkpoint on record that turned out unreadable before the run was opened: not to be offered to the workers. */
void reeve_master_reject_checkpoint(reeve_master *m, uint64_t step);

/* For how long a worker has said nothing, counted from `since_ns` at the earliest (when the caller began, or came back
 * from an absence of its own). False: no word of it is awaited. While workers gather, one that has not joined is awaited
 * too; one that said goodbye is not. */
bool reeve_master_silence(const reeve_master *m, uint32_t worker, reeve_time_ns now_ns, reeve_time_ns since_ns,
                          reeve_time_ns *silence_ns);
/* The awaited worker that has been silent longest, for how long; 0: none. */
uint32_t reeve_master_silent_worker(const reeve_master *m, reeve_time_ns now_ns, reeve_time_ns since_ns,
                                    reeve_time_ns *silence_ns);
/* Workers that were lost, if this is a moment to put others in their places: nothing is summed, written or ended; else 0.
 * in_sums: in a sum, too, which is begun again then. */
uint32_t reeve_master_replaceable(const reeve_master *m, bool in_sums);
/* Some worker brings its state to one that is new. Cost: O(workers). */
bool reeve_master_shares_state(const reeve_master *m);
bool reeve_master_worker_lost(const reeve_master *m, uint32_t worker);
/* For addressing frames with to == 0. */
bool reeve_master_worker_active(const reeve_master *m, uint32_t worker);
/* Part table and cut of the checkpoint under way (valid from BEGIN to COMMIT). */
struct reeve_master_part {
    uint64_t file_bytes, digest;
    uint32_t tensor_count;
};
struct reeve_master_cut {
    uint64_t step, lsn, queue_digest;
    uint64_t weights[2];                   /* the digest that all workers agreed on */
    const struct reeve_master_part *parts; /* borrowed until the next apply */
    uint32_t part_count;
};
void reeve_master_get_cut(const reeve_master *m, struct reeve_master_cut *out);
/* The lowest time at which decide(TICK) may have something new to do; INT64_MAX: only an input can change that. */
reeve_time_ns reeve_master_next_due(const reeve_master *m);

#endif
