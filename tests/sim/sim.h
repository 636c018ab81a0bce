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
#include "port/membership.h"
#include "run/evict.h"
#include "run/master_loop.h"
#include "run/prepare.h"
#include "run/worker.h"
#include "store/journal_segment.h"
#include "store/owner.h"

#define SIM_WORKERS_MAX 5u
#define SIM_TENSORS 4u
#define SIM_PARAMS 6u
#define SIM_SUM_COUNT (SIM_PARAMS + REEVE_SUM_WORDS)
#define SIM_FAULTS_MAX 12u
#define SIM_STEPS_MAX 12u
#define SIM_MICRO_MAX 16u
#define SIM_EPOCHS_MAX 1024u
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
    /* where losses are survived in the job */
    SIM_FAULT_WORKER_AT_SEAM, /* a worker dies at its n-th send, sum, command or part of a checkpoint from now on */
    SIM_FAULT_KILL_SEVERAL,   /* at one instant; the master may be among them */
    SIM_FAULT_IN_RECOVERY,    /* the next time that the others come together, one of them dies on the way */
    SIM_FAULT_GIVE_UP,        /* a worker stands still, is taken for dead, and wakes up */
    SIM_FAULT_GIVE_UP_MASTER, /* the same of the master, in a turn */
    SIM_FAULT_MASTER_HOST,    /* the master dies with its host: what it had not synced is gone, too */
    /* where who hangs is put out */
    SIM_FAULT_STALL_WORKER_AT_SEAM,
    SIM_FAULT_HANG_WORKER, /* its compute thread; it says that it lives */
    SIM_FAULT_SUM_HANGS,   /* the next one, and nobody is to blame */
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
    bool ulfm;             /* a dead peer is told of; otherwise the launch is ended */
    bool in_job, one_host; /* losses are survived; who is given up can be seen and killed */
    uint32_t evict_min_s;  /* where losses are survived */
    bool state_hangs;      /* the first sum that brings a state to a new worker does not end */
    bool leaks;            /* words of a transport of before still come through, late: no transport of ours does it */
    uint32_t drop_ppm, duplicate_ppm, reorder_ppm; /* within a pair: hostile, no transport of ours does it */
};

struct sim_plan {
    uint64_t seed;
    uint32_t shape;
    struct sim_weather weather;
    bool replaces;    /* faults.replace */
    bool losses_only; /* then a launch goes on as long as a worker is left */
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
    /* of the recovery in the job */
    SIM_MUTATE_EPOCH_STAYS,   /* a regrouping does not raise the epoch */
    SIM_MUTATE_FORGET_DEAD,   /* what the lost one had computed counts as computed by another */
    SIM_MUTATE_REISSUE_ALL,   /* what survivors hold is taken back, too */
    SIM_MUTATE_OLD_WORD,      /* words of a transport of before come through, and pass for new ones */
    SIM_MUTATE_UNSYNCED_TAIL, /* the disk says that it synced, and did not, and the master's host dies */
    SIM_MUTATE_SETTLE_TWICE,  /* a worker counts twice as settled */
    SIM_MUTATE_KEEP_APPLY,    /* who missed APPLY does not get it again */
    SIM_MUTATE_MISS_LOSS,     /* the loss of a worker is not put on record */
    SIM_MUTATE_EVICT_NOBODY,  /* who hangs is waited for */
    SIM_MUTATE_EVICT_EARLY,   /* who says nothing for a second is put out */
    SIM_MUTATE_NEW_NOBODY,    /* nobody is asked for in the places of lost workers */
    SIM_MUTATE_NEW_UNKNOWN,   /* that somebody has come in a lost worker's place is not put on record */
    SIM_MUTATE_NEW_EMPTY,     /* who has come counts its own zeros for the state that was brought */
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
    uint32_t from, speaker, group; /* a peer; a rank */
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
    struct sim_fiber *fiber; /* its stack; NULL: it has not begun, or has ended */
    uint32_t rank;           /* its number in the launch: 0 the first master, any other the worker of that id */
    bool alive, ended, announced, begun;
    bool joins;        /* it was started in the place of a lost one */
    bool replace_wish; /* of a master: at the next regrouping */
    uint32_t since;    /* the group that it came with */
    uint64_t came_lsn; /* the record of that, in the journal of whoever leads; 0: there is none */
    reeve_time_ns stalled_until_ns, turn_at_ns;
    reeve_time_ns hangs_until_ns, stood_until_ns; /* its compute thread; either of them, whichever ends last */
    struct sim_message *inbox, **inbox_end;
    uint32_t die_at_seam, stall_at_seam; /* n: at the n-th seam call from now; 0: no */
    reeve_time_ns stall_length_ns;
    /* who is there, as it knows (sim_members.c); bits by rank */
    reeve_membership membership;
    uint32_t group; /* the transport and the collective that it has; 0: none, it waits for the others */
    uint32_t members, leader, lost, lost_untold, heard_group;
    bool gathering, revoked, given_up, sum_lost;
    bool here[SIM_WORKERS_MAX + 1], came[SIM_WORKERS_MAX + 1];
    struct reeve_evictor_eye eye; /* while it waits for the others */
    uint64_t guards;              /* ever; odd: one looks */
    /* of its master's part */
    reeve_master *master;                    /* borrowed; NULL: none */
    struct reeve_checkpointer *checkpointer; /* of the loop; NULL once it is gone */
    uint32_t term, epoch;                    /* of its journal; of its words */
    /* of its worker's part */
    reeve_compute *compute;
    uint32_t obeyed_epoch;
    /* the checkers' own */
    uint64_t appended_lsn, commit_lsn,
        epoch_lsn;                /* of the last record; of the last that words stand on; of its epoch */
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
    uint32_t group, leader, round; /* of the last that came together; how often somebody came or went since */
    bool opened;                   /* a master has said so */
    bool excused;                  /* it cannot go on: no worker is left, some had not begun, faults.crash_limit */
    struct reeve_prepared prepared;
    struct reeve_owner_process process[SIM_WORKERS_MAX + 1];
    struct sim_proc proc[SIM_WORKERS_MAX + 1];
    struct sim_line line[SIM_WORKERS_MAX + 1][SIM_WORKERS_MAX + 1];
    reeve_time_ns cut_until_ns[SIM_WORKERS_MAX + 1]; /* partition between this worker and the master */
    struct sim_collective_member member[SIM_WORKERS_MAX + 1];
    uint64_t sum_number, sum_void;
    bool state_hung;
    int64_t sum[SIM_SUM_COUNT];      /* of the last one that started */
    uint8_t summed[SIM_MICRO_MAX];   /* the checkers' own: what the last sum held */
    uint8_t speaker[SIM_EPOCHS_MAX]; /* and: one more than the rank whose words of this epoch were heard */
    bool over;                       /* nobody of it runs any more */
    bool bare;                       /* all who had the state are lost; who came in their places goes back */
    bool refused;                    /* somebody was asked for, and nobody came */
    uint32_t lonely_steps;           /* committed since somebody was lost, and nobody was asked for */
    reeve_time_ns lonely_ns;         /* when that began */
    int code;                        /* of its end */
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
    int64_t owner;          /* process that holds the run; 0: nobody */
    reeve_time_ns owner_ns; /* refreshed */
    reeve_time_ns faults_end_ns, disk_full_until_ns;
    uint32_t fail_next_write, fail_next_part, fail_next_sum, flip_next_sum;
    reeve_time_ns hang_next_sum_ns;
    uint64_t in_recovery; /* bit i: fault i waits for a recovery */
    uint64_t regroupings, evictions, replacements;
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
void sim_nothing(struct sim *s, void *arg, uint64_t number); /* what an event does that was called off */
/* Run events until one lies behind until_ns, the run is complete, or a promise is broken. False: no event is left. */
bool sim_run_until(struct sim *s, reeve_time_ns until_ns);
uint64_t sim_below(struct sim *s, uint64_t bound);
bool sim_chance(struct sim *s, uint32_t ppm);
reeve_time_ns sim_some_time(struct sim *s, reeve_time_ns most_ns); /* usually below; now and then ten times that */

/* ---- stacks (sim_fiber.c) ---- */
void sim_fiber_begin(struct sim_proc *p, void (*run)(struct sim_proc *));
void sim_fiber_enter(struct sim_proc *p); /* until it leaves, or ends */
void sim_fiber_leave(struct sim_proc *p); /* called by p itself */

/* ---- processes (sim_process.c) ---- */
/* Called by p: come back at this time, or earlier if something comes. Returns at once if p is dead. */
void sim_wait(struct sim_proc *p, reeve_time_ns at_ns);
bool sim_runs(const struct sim_proc *p);
void sim_stall(struct sim_proc *p, reeve_time_ns until_ns);
void sim_hang(struct sim_proc *p, reeve_time_ns until_ns);
void sim_end(struct sim_proc *p, bool clean); /* it leaves by itself */
void sim_abort(struct sim_launch *l);         /* the launcher ends it, soon */
bool sim_leads(const struct sim_proc *p);
struct sim_proc *sim_master(struct sim_launch *l);
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

/* ---- a rank (sim_rank.c): run/rank.c, from its first word to its last ---- */
void sim_rank_live(struct sim_proc *p);

/* ---- who is there (sim_members.c) ---- */
void sim_members_init(struct sim_proc *p);
void sim_process_replace(struct sim_proc *p); /* another process under its number; the one before is dead */
void sim_members_give_up(struct sim_proc *p);
void sim_members_excuse(struct sim_proc *gone);
void sim_members_look(struct sim_launch *l); /* somebody is gone: those who wait need not wait for it */
/* MPI takes p for dead from now on, whatever it is, and tells all others. */
void sim_members_lost(struct sim_proc *p, reeve_time_ns within_ns);

/* ---- the seams ---- */
void sim_net_init(struct sim_proc *p);
void sim_net_fini(struct sim_proc *p);
void sim_net_drop_all(struct sim *s);                   /* messages that are still on their way */
void sim_net_forget(struct sim_proc *p);                /* and those to p */
void sim_net_lost(struct sim_launch *l, uint32_t rank); /* tell the others */
void sim_collective_init(struct sim_proc *p);
void sim_collective_died(struct sim_proc *p);
reeve_compute *sim_compute_create(struct sim_proc *p);
bool sim_compute_has_state(const struct sim_proc *p); /* a model, of whatever step */
struct sim_disk *sim_disk_create(struct sim *s);
void sim_disk_destroy(struct sim_disk *d);
void sim_disk_power_cut(struct sim *s);
void sim_disk_host_dies(struct sim *s, const struct sim_proc *on); /* and with it what it had not synced */
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
    SIM_MIX_LOSS,    /* processes are lost, and nothing else happens */
    SIM_MIX_IN_JOB,  /* the same with all other faults */
    SIM_MIX_EVICT,   /* processes are lost, stand still or hang, on one host, and nothing else happens */
    SIM_MIX_REPLACE, /* losses, and other processes in the places of the lost ones */
    SIM_MIX_ALL,     /* every fault there is, with evictions and replacements */
    SIM_MIXES
};
const char *sim_mix_name(uint32_t mix);
void sim_plan_draw(uint64_t seed, uint32_t mix, struct sim_plan *out);
void sim_faults_begin(struct sim *s);
/* p has noticed a loss, and waits for the others; or they have come together. */
void sim_faults_recovery_begins(struct sim_proc *p);
void sim_faults_recovery_goes_on(struct sim_launch *l);
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
    uint64_t events, records, regroupings, evictions, replacements;
    reeve_time_ns simulated_ns;
};
void sim_run_plan(const struct sim_plan *plan, uint64_t without, enum sim_mutation mutation, struct sim_result *out);

#endif
