/* The simulator: the master's loop, recovery, the journal and the worker's side of the conversation, all of them the
 * program's own code, in a world whose transport, collective, disk, checkpoint folders, compute threads and clock are
 * made of memory and a seed. A seed is a whole history: faults, restarts, until the run is complete.
 *
 * How time runs: `now_ns` is an integer that only sim_time.c moves, to the time of the next event; code under test takes
 * no time. Everything that lasts (a message, a gradient, a sum, a write, a pause) is an event in the future, at a
 * distance drawn from the seed. Events of one instant run in the order in which they were made. So a seed is one
 * history, on any machine. No thread, no file, no clock.
 *
 * How the code under test reaches this world: by name. The simulator is linked with fakes of the functions that touch
 * it (docs/testing.md lists them), and these find the world, and who is running, in `sim_running`. */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdbool.h>

#include "base/clock.h"
#include "core/exact_sum.h"
#include "core/job.h"
#include "port/collective.h"
#include "port/transport.h"
#include "run/master_loop.h"
#include "run/worker.h"
#include "store/journal_segment.h"

#define SIM_WORKERS_MAX 5u
#define SIM_TENSORS 4u
#define SIM_PARAMS 6u
#define SIM_SUM_COUNT (SIM_PARAMS + REEVE_SUM_WORDS)
#define SIM_FAULTS_MAX 12u
#define SIM_STEPS_MAX 12u
#define SIM_MICRO_MAX 16u
#define SIM_START_NS (1000 * REEVE_SECOND_NS) /* of the first event: no duration reaches back before 0 */
#define SIM_RUN_DIR "run"

struct sim;
struct sim_proc;
struct sim_launch;

/* ---- the workload (sim_job.c) ---- */

struct sim_model {
    uint64_t word[SIM_TENSORS];
    uint64_t step;
};

/* A shape of job: everything but the faults. Shared by many seeds, since the undisturbed run is computed once. */
struct sim_shape {
    struct reeve_job job;
    struct reeve_manifest manifest;
    reeve_plan *plan;  /* the workers' and the checkers'; owned */
    uint64_t nan_step; /* the gradient of micro-batch 0 of this step is not a number; 0: none */
    uint32_t micro_batches;
    struct sim_model undisturbed[SIM_STEPS_MAX + 1]; /* after each step */
};
#define SIM_SHAPES 24u
const struct sim_shape *sim_shape_get(uint32_t number); /* 0..SIM_SHAPES - 1; kept until the process ends */
void sim_gradient(const struct sim_shape *shape, const struct sim_model *model, uint64_t step, uint32_t micro,
                  float grad[SIM_PARAMS], double *loss_sum);
void sim_apply(const struct sim_shape *shape, struct sim_model *model, const int64_t *sum, uint64_t step);
void sim_model_init(struct sim_model *model);
struct reeve_digest sim_model_digest(const struct sim_model *model);

/* ---- faults (sim_faults.c) ---- */

enum sim_fault_kind {
    SIM_FAULT_KILL_WORKER = 0, /* a worker dies */
    SIM_FAULT_KILL_MASTER,     /* between two turns */
    SIM_FAULT_MASTER_AT_SEAM,  /* in a turn: before, within or after the n-th call to disk or network from now on */
    SIM_FAULT_POWER_CUT,       /* everybody dies, and what was not synced vanishes, is torn, or survives */
    SIM_FAULT_STALL_WORKER,
    SIM_FAULT_STALL_MASTER,         /* between two turns */
    SIM_FAULT_STALL_MASTER_AT_SEAM, /* in a turn; the world goes on meanwhile */
    SIM_FAULT_PARTITION,            /* one worker and the master hear nothing of each other for a time */
    SIM_FAULT_WRITE_FAILS,          /* the next write or sync of the journal fails */
    SIM_FAULT_DISK_FULL,            /* no new segment, no checkpoint for a time */
    SIM_FAULT_PART_FAILS,           /* the next part of a checkpoint cannot be written */
    SIM_FAULT_DAMAGE,               /* a checkpoint on the disk is damaged; an older one is still good */
    SIM_FAULT_SUM_FAILS,            /* the next sum fails at one worker */
    SIM_FAULT_SUM_FLIPS,            /* the next sum ends with other bits at one worker */
    SIM_FAULT_TAKE_OVER, /* the machine of the run is cut off; another one takes the run over; then it comes back */
    SIM_FAULT_STOP,      /* somebody asks the run to stop */
    SIM_FAULT_SAVE,      /* somebody asks for a checkpoint */
    SIM_FAULT_KINDS
};

struct sim_fault {
    enum sim_fault_kind kind;
    reeve_time_ns at_ns; /* after the start */
    uint32_t target, count;
    reeve_time_ns length_ns;
};

/* What is drawn per seed besides the list. ppm: parts in a million. */
struct sim_weather {
    reeve_time_ns delay_ns, compute_ns; /* the largest, usually; now and then ten times as much */
    uint32_t task_fails_ppm;
    bool ulfm;                                     /* a dead peer is told of; otherwise the launch is ended */
    uint32_t drop_ppm, duplicate_ppm, reorder_ppm; /* within a pair: hostile, no transport of ours does it */
};

struct sim_plan {
    uint64_t seed;
    uint32_t shape;
    struct sim_weather weather;
    struct sim_fault fault[SIM_FAULTS_MAX];
    uint32_t fault_count;
};

/* A mutation breaks one thing on purpose, to prove that a checker sees it. */
enum sim_mutation {
    SIM_MUTATE_NOTHING = 0,
    SIM_MUTATE_ADD_TWICE,     /* a worker adds a gradient twice and hides it from the coverage word */
    SIM_MUTATE_WRONG_SUM,     /* a sum has one wrong bit, everywhere the same */
    SIM_MUTATE_FORGET_RECORD, /* the last record that was written is gone after a restart */
    SIM_MUTATE_SYNC_NOTHING,  /* the disk says that it synced, and did not, and the power goes */
    SIM_MUTATE_LIVE_AHEAD,    /* a live master is changed by something that is not on record */
    SIM_MUTATE_TWO_HOLDERS,   /* a lease is given to two workers */
    SIM_MUTATE_OLD_EPOCH,     /* a worker is handed a command of an epoch before */
    SIM_MUTATE_DEAF,          /* a worker computes nothing, and says that it lives */
    SIM_MUTATE_SKIP_MICRO,    /* a worker counts a micro-batch in the coverage word, and does not add it */
    SIM_MUTATE_SPEAK_FIRST,   /* the master's words leave before its records are written */
    SIM_MUTATE_LOSE_FOLDER,   /* a checkpoint is on record, and its folder is not there */
    SIM_MUTATE_IMPOSSIBLE,    /* decide() decides what cannot be */
    SIM_MUTATIONS
};

/* ---- the world ---- */

struct sim_event {
    reeve_time_ns at_ns;
    uint64_t order;
    void (*run)(struct sim *s, void *arg, uint64_t number);
    void *arg;
    uint64_t number;
};

struct sim_message {
    struct sim_message *next;
    uint32_t from;
    size_t bytes;
    unsigned char data[];
};

/* One direction of one pair of processes. */
struct sim_line {
    reeve_time_ns last_ns; /* when its last message arrives: the next one not before */
};

struct sim_proc {
    struct reeve_transport transport; /* first: the transport is the process */
    struct reeve_collective collective;
    struct sim *sim;
    struct sim_launch *launch;
    uint32_t rank;
    bool alive, ended, in_turn, begun;
    reeve_time_ns stalled_until_ns, turn_at_ns;
    struct sim_message *inbox, **inbox_end;
    uint32_t lost_untold; /* bit per rank */
    /* master */
    struct reeve_recovered recovered;
    reeve_master_loop *loop;
    struct reeve_checkpointer *checkpointer; /* of the loop; NULL once it is gone */
    reeve_time_ns refreshed_ns;
    uint32_t epoch;
    uint32_t die_at_seam, stall_at_seam; /* n: at the n-th seam call from now; 0: no */
    reeve_time_ns stall_length_ns;
    /* worker */
    reeve_worker *worker;
    reeve_compute *compute;
    uint32_t obeyed_epoch;
    /* the checkers' own */
    uint64_t appended_lsn;
    uint8_t added[SIM_MICRO_MAX]; /* worker: how often each micro-batch is in its accumulator */
};

struct sim_collective_member {
    uint8_t state; /* enum in sim_collective.c */
    uint64_t number, completed;
    reeve_time_ns done_ns;
    const int64_t *in;
    int64_t *out;
    size_t n;
    bool fails, flips;
};

struct sim_launch {
    struct sim *sim;
    struct sim_launch *next;
    uint32_t number, workers;
    struct sim_proc proc[SIM_WORKERS_MAX + 1];
    struct sim_line line[SIM_WORKERS_MAX + 1][SIM_WORKERS_MAX + 1];
    reeve_time_ns cut_until_ns[SIM_WORKERS_MAX + 1]; /* partition between this worker and the master */
    struct sim_collective_member member[SIM_WORKERS_MAX + 1];
    uint64_t sum_number, sum_void;
    int64_t sum[SIM_SUM_COUNT];    /* of the last one that started */
    uint8_t summed[SIM_MICRO_MAX]; /* the checkers' own: what the last sum held */
    bool over;                     /* nobody of it runs any more */
    int code;                      /* of its end */
};

struct sim_disk;
struct sim_checkpoints;
struct sim_checkers;

struct sim {
    struct sim_plan plan;
    const struct sim_shape *shape;
    enum sim_mutation mutation;
    uint64_t mutation_count; /* opportunities passed */
    uint64_t without;        /* bit i: leave fault i out */
    uint64_t draws;
    reeve_time_ns now_ns;
    uint64_t event_order, events_run;
    struct sim_event *heap; /* (heap_count,) owned; a binary heap by time, then order */
    size_t heap_count, heap_room;
    struct sim_launch *launches; /* newest first; owned */
    uint32_t launch_count;
    uint32_t owner;         /* launch that holds the run; 0: nobody */
    reeve_time_ns owner_ns; /* refreshed */
    reeve_time_ns faults_end_ns, disk_full_until_ns;
    uint32_t fail_next_write, fail_next_part, fail_next_sum, flip_next_sum;
    bool stop_file, save_file;
    bool complete, failed;
    int exit_code;
    uint64_t run_id;
    struct sim_disk *disk;
    struct sim_checkpoints *checkpoints;
    struct sim_checkers *checkers;
    char promise[64], why[512]; /* of the first violation */
};

/* Who is running now: what fakes called by name work for. NULL between events. */
extern struct sim_proc *sim_running;

/* ---- time and chance (sim_time.c) ---- */
void sim_at(struct sim *s, reeve_time_ns at_ns, void (*run)(struct sim *, void *, uint64_t), void *arg,
            uint64_t number);
/* Run events until one lies behind until_ns, the run is complete, or a promise is broken. False: no event is left. */
bool sim_run_until(struct sim *s, reeve_time_ns until_ns);
uint64_t sim_below(struct sim *s, uint64_t bound);
bool sim_chance(struct sim *s, uint32_t ppm);
reeve_time_ns sim_some_time(struct sim *s, reeve_time_ns most_ns); /* usually below; now and then ten times that */

/* ---- processes (sim_process.c) ---- */
void sim_turn_soon(struct sim_proc *p, reeve_time_ns at_ns);
/* Called by every fake through which p acts on the world. False: p is dead, and the call must have no effect. It may die
 * or be stopped here; a stopped process waits in this call while the world goes on. */
enum sim_seam_outcome { SIM_SEAM_PASS = 0, SIM_SEAM_DEAD, SIM_SEAM_DIE_WITHIN, SIM_SEAM_DIE_AFTER };
enum sim_seam_outcome sim_seam(struct sim_proc *p, const char *what);
void sim_kill(struct sim_proc *p, const char *why);
void sim_kill_launch(struct sim_launch *l, const char *why);
void sim_supervise(struct sim *s, reeve_time_ns at_ns); /* start the run (again) at this time if nobody runs it */
struct sim_launch *sim_newest(const struct sim *s);
void sim_end_processes(struct sim *s);

/* ---- the seams ---- */
void sim_net_init(struct sim_proc *p);
void sim_net_fini(struct sim_proc *p);
void sim_net_drop_all(struct sim *s);                   /* messages that are still on their way */
void sim_net_lost(struct sim_launch *l, uint32_t rank); /* tell the others */
void sim_collective_init(struct sim_proc *p);
reeve_compute *sim_compute_create(struct sim_proc *p);
struct sim_disk *sim_disk_create(struct sim *s);
void sim_disk_destroy(struct sim_disk *d);
void sim_disk_power_cut(struct sim *s);
/* Records of this epoch that survive a kill (written) and a power cut (durable), as LSN of the last. */
void sim_disk_reach(const struct sim *s, uint32_t epoch, uint64_t *written_lsn, uint64_t *durable_lsn);
struct sim_checkpoints *sim_checkpoints_create(void);
void sim_checkpoints_destroy(struct sim_checkpoints *c);
reeve_status sim_checkpoint_write_part(struct sim *s, uint64_t step, uint32_t epoch, uint32_t part, uint32_t parts,
                                       const struct sim_model *model, uint64_t *digest, struct reeve_error *err);
reeve_status sim_checkpoint_read(struct sim *s, uint64_t step, uint64_t digest64, struct sim_model *model,
                                 struct reeve_error *err);
void sim_checkpoint_damage(struct sim *s); /* one that is not the last good one */

/* ---- faults ---- */
enum sim_mix {
    SIM_MIX_GENERAL = 0,
    SIM_MIX_CALM,
    SIM_MIX_MASTER,
    SIM_MIX_POWER,
    SIM_MIX_STALL,
    SIM_MIX_CHECKPOINT,
    SIM_MIX_COLLECTIVE,
    SIM_MIX_TAKE_OVER,
    SIM_MIX_HOSTILE,
    SIM_MIXES
};
const char *sim_mix_name(uint32_t mix);
void sim_plan_draw(uint64_t seed, uint32_t mix, struct sim_plan *out);
void sim_faults_begin(struct sim *s);
void sim_fault_describe(const struct sim_fault *f, char *text, size_t text_bytes);

/* ---- mutations (sim_mutations.c) ---- */
const char *sim_mutation_name(uint32_t mutation);
const char *sim_mutation_promise(uint32_t mutation);
uint32_t sim_mutation_mix(uint32_t mutation);

/* ---- the trace (sim_trace.c) ---- */
void sim_trace(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool sim_trace_is_read(void);
void sim_trace_begin(void); /* from now on lines are kept, the last few thousand */
void sim_trace_print(uint32_t last_count);
void sim_trace_end(void);

/* ---- one seed, from the first event to the last (sim_run.c) ---- */
struct sim_result {
    bool failed;
    char promise[64], why[512];
    uint32_t launches, faults;
    uint64_t events, records;
    reeve_time_ns simulated_ns;
};
void sim_run_plan(const struct sim_plan *plan, uint64_t without, enum sim_mutation mutation, struct sim_result *out);

#endif
