/* Events: what happened to the queue and the run, one 64-byte record each. The state of the master is a fold over
 * them; the journal stores them; replaying them gives the same state. Byte layout: docs/format/journal.md. */
#ifndef REEVE_CORE_EVENT_H
#define REEVE_CORE_EVENT_H

#include <stdint.h>

/* Kinds below REEVE_EVENT_VOLATILE are durable (appended to the journal). Volatile kinds change the live state only;
 * they carry what a dead master's successor asks the workers again. Numbers are part of the format: never reused. */
#define REEVE_EVENT_MAP(X)                                                                                      \
    /*  name            no.  fields used                                                                     */ \
    X(RUN_OPENED,        1, "step: resumed at; a: run id; b: manifest digest, first 8 bytes; arg: workers expected") \
    X(WORKER_JOINED,     2, "worker; a: host digest; arg: rank")                                                \
    X(WORKER_LOST,       3, "worker; arg: reason (reeve_status)")                                               \
    X(RUN_RESUMED,       4, "step: steps after this one are rolled back; a: lsn of that checkpoint's cut")      \
    X(STEP_OPENED,       5, "step; arg: micro-batches; a: first position; b: samples")                          \
    X(TASK_LEASED,       6, "task, worker, attempt, step; arg: key (micro-batch); a: kind; b: lapses at, ns")   \
    X(TASK_COMPUTED,     7, "task, worker, attempt, step; arg: micro-batch; a: compute ns")                     \
    X(TASK_DONE,         8, "task, worker, attempt; a: task kind; b: result word; step: ended, listed")         \
    X(TASK_FAILED,       9, "task, worker, attempt; arg: reason; a: retry at, ns; b: result, step: ended, listed") \
    X(TASK_RELEASED,    10, "task, worker, attempt: lease ended without a verdict")                             \
    X(TASK_DEAD,        11, "task; arg: reason (reeve_status); a: task kind; b: its key; listed: as TASK_FAILED") \
    X(TASK_ADDED,       12, "task; arg: priority; a: task kind; b: its key; worker: affinity")                  \
    X(TASK_CANCELLED,   13, "task")                                                                             \
    X(STEP_COMMITTED,   14, "step; arg: samples; a: loss (exact); b: coverage; flags: refused")                 \
    X(STEP_WEIGHTS,     15, "step; a, b: digest of the weights after it (at checkpoints and at the end)")       \
    X(EVAL_COMMITTED,   16, "step; arg: samples; a: loss (exact); b: tokens, 0: the loss was not finite")       \
    X(CKPT_COMMIT,      17, "step; a: index digest, first 8 bytes; b: lsn of the cut; arg: files")              \
    X(CKPT_FAILED,      18, "step; arg: reason (reeve_status)")                                                 \
    X(RUN_STOPPED,      19, "step: last committed; arg: reason (reeve_status)")                                 \
    X(RUN_ENDED,        20, "step: last (of a list: tasks done); arg: dead tasks")                             \
    X(STEP_ABORTED,     21, "step: thrown away before its commit; arg: reason (reeve_status)")                  \
    X(EVAL_OPENED,      22, "step; arg: batches")                                                               \
    X(SEGMENT_STAMP,    23, "a: wall clock ns; arg: 0")                                                         \
    X(REGROUPED,        30, "worker: who is master from now on (0: rank 0); arg: membership epoch; a: workers left") \
    X(WORKER_CLEARED,   31, "worker: what it holds of the open step is void; it goes on")                                \
    X(WORKER_REPLACED,  32, "worker: another process is there in its place, which holds nothing")               \
    X(TASKS_ADDED,      40, "task: the first; arg: so many of the task list, in its order")                      \
    X(TASKS_STARTED,    41, "task: the first; arg: so many know what they wait for, and run when it has ended")

enum reeve_event_kind {
    REEVE_EVENT_NONE = 0, /* an unused slot of a segment */
#define REEVE_EVENT_ENUM(name, number, fields) REEVE_EVENT_##name = (number),
    REEVE_EVENT_MAP(REEVE_EVENT_ENUM)
#undef REEVE_EVENT_ENUM
    REEVE_EVENT_VOLATILE = 128,
    REEVE_EVENT_WORKER_READY = 129,   /* worker; step; a, b: digest of its weights */
    REEVE_EVENT_WORKER_REDUCED = 130, /* worker; step; a: sum digest; b: coverage; arg: samples */
    REEVE_EVENT_STEP_REDUCING = 131,  /* step */
    REEVE_EVENT_CKPT_BEGUN = 132,     /* step; arg: parts */
    REEVE_EVENT_CKPT_PART = 133,      /* step; worker; arg: part; a: bytes; b: digest; attempt: reeve_status of the write */
    REEVE_EVENT_STOP_ASKED = 134,     /* arg: reason */
    REEVE_EVENT_SAVE_ASKED = 135,
    REEVE_EVENT_HEARTBEAT = 136,      /* worker; a: now */
    REEVE_EVENT_PHASE = 137,          /* arg: phase of the master */
    REEVE_EVENT_WORKER_WEIGHTS = 138, /* worker; step; a, b: digest of its weights */
    REEVE_EVENT_WORKER_GONE = 139,    /* worker said goodbye */
    REEVE_EVENT_WORKER_LOSS = 140,    /* step; a: loss (exact); b: tokens; arg: members; attempt: flagged elements */
    REEVE_EVENT_TASK_WOKEN = 141,     /* task: its delay is over */
    REEVE_EVENT_LEASE_RENEWED = 142,  /* task; b: expires at, ns */
    REEVE_EVENT_RESTORE_FAILED = 143, /* worker; step; arg: reason */
    REEVE_EVENT_LOAD_ASKED = 144,     /* step: workers were told to initialise (0) or restore */
    REEVE_EVENT_CKPT_HANDED = 146,    /* step: all parts are there, the index is being written */
    REEVE_EVENT_CKPT_SKIPPED = 145,   /* step: the one before was still being written */
    REEVE_EVENT_TASK_CONFIRMED = 160, /* task: its holder named it after a regrouping */
    REEVE_EVENT_WORKER_TAINTED = 161, /* worker named something that the queue does not know of */
    REEVE_EVENT_WORKER_REJOINED = 162, /* worker has named all it holds; arg: 1 if its weights are of another step */
    REEVE_EVENT_WORKER_BARE = 164, /* worker has taken the place of a lost one, and has no state */
    REEVE_EVENT_STATE_ASKED = 165, /* worker brings its state, of this step, to those who have none */
    REEVE_EVENT_WORKER_SETTLED = 163, /* worker: what it did not name is with nobody any more */
};

#define REEVE_EVENT_FLAG_REFUSED 1u /* STEP_COMMITTED: NaN, infinity or overflow; the weights did not change.
                                     * EVAL_COMMITTED: there is no loss */
#define REEVE_EVENT_FLAG_FAST 2u    /* STEP_COMMITTED: reduced in fp32; P1 does not hold */

struct reeve_event {
    uint64_t lsn;      /* 1, 2, 3 ... without a gap over all segments of a run; 0 in an unused slot */
    uint32_t epoch;    /* membership epoch of the master that wrote it; never decreases */
    uint16_t kind;     /* enum reeve_event_kind */
    uint16_t flags;
    uint64_t step;
    uint32_t task;
    uint32_t worker;
    uint32_t attempt;
    uint32_t arg;
    uint64_t a;
    uint64_t b;
    uint64_t sum;      /* XXH3-64 of the 56 bytes before, seeded with the sum of the record before (store/ fills it) */
};
_Static_assert(sizeof(struct reeve_event) == 64, "layout is part of journal format 1");

const char *reeve_event_name(uint16_t kind); /* "STEP_COMMITTED"; "?" if unknown; static storage */

#endif
