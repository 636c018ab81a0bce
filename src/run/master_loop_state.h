/* Private to the master's loop: its state, shared by master_loop.c (the turn), master_loop_life.c (how it begins and ends),
 * master_loop_save.c (checkpoints), master_loop_outside.c (who asks for something), master_loop_tell.c (what people hear of
 * it), master_loop_members.c (who is there) and master_loop_watch.c (who hangs). */
#ifndef REEVE_RUN_MASTER_LOOP_STATE_H
#define REEVE_RUN_MASTER_LOOP_STATE_H

#include "core/eviction.h"
#include "run/master_loop.h"
#include "run/checkpointer.h"
#include "run/deadline.h"
#include "run/host_watch.h"
#include "run/replacement.h"
#include "run/start_record.h"
#include "store/journal.h"

#define OUTBOX_BYTES REEVE_MESSAGE_BYTES_MAX

struct outbox {
    size_t bytes;
    bool listed; /* in `unsent` */
    unsigned char message[OUTBOX_BYTES];
};

struct reeve_master_loop {
    struct reeve_master_loop_config config;
    struct reeve_recovered *recovered; /* borrowed */
    reeve_master *master;              /* borrowed from recovered */
    reeve_transport *transport;        /* borrowed */
    reeve_journal *journal;            /* owned */
    reeve_checkpointer *checkpointer;  /* owned */
    reeve_report *report;              /* owned */
    reeve_start_record *start;         /* owned */
    reeve_host_watch *hosts;           /* owned */
    struct reeve_deadline deadline;
    struct reeve_replacement replacement;
    struct outbox *outbox;             /* (workers + 1,) owned */
    uint32_t *unsent;                  /* (workers + 1,) owned; the first unsent_count have frames waiting, or had */
    uint32_t unsent_count;
    struct reeve_error unsent_err;     /* of a message that had to leave before the turn's end */
    bool *here;                        /* (workers + 1,) owned; not lost, whether they have joined or not */
    uint32_t epoch;                    /* membership epoch: of every frame */
    uint32_t ckpt_epoch;               /* in which the checkpoint under way was begun: part of its folder's name */
    bool sync_due, dirty, retain_due, stop_sent, skip_told;
    int signals_seen;
    reeve_time_ns looked_ns, heartbeat_ns, silence_ns;
    reeve_time_ns turn_ns, present_ns;   /* of the last turn; since when turns have come without a long gap */
    uint32_t silent_named;               /* the worker whose silence was already told; 0: none */
    struct reeve_eviction eviction;      /* what was measured in this process */
    struct reeve_eviction_worker *seen;  /* (workers + 1,) owned; by worker, as of its last word */
    reeve_time_ns sum_began_ns;          /* the sum under way; 0: there is none */
    reeve_time_ns state_moved_ns;        /* the state for a new worker was last seen to move; 0: none is brought */
    uint32_t sums_stuck;                 /* times in a row that nobody could be blamed for one */
    char put_out[128];                   /* who was put out last, and why; "": nobody was */
    struct reeve_error problem;          /* the last failure that a worker worded */
    char text[REEVE_FRAME_TEXT_MAX + 1]; /* sampled from the model */
    bool has_text;
    unsigned char inbox[REEVE_MESSAGE_BYTES_MAX];
};

/* Let the master think about one input, and carry its decision out; or only the latter. */
reeve_status master_loop_give(reeve_master_loop *l, const struct reeve_master_input *in, reeve_time_ns now_ns,
                              struct reeve_error *err);
reeve_status master_loop_carry_out(reeve_master_loop *l, const struct reeve_master_input *in, struct reeve_decision *d,
                                   reeve_time_ns now_ns, struct reeve_error *err);
/* Whatever journal.sync says: who may speak, and for which epoch, must outlive a host. */
reeve_status master_loop_make_epoch_durable(reeve_master_loop *l, struct reeve_error *err);
/* A frame behind the others for this worker; one worker's frames leave; all do. */
void master_loop_put_frame(reeve_master_loop *l, uint32_t worker, const struct reeve_frame *frame);
reeve_status master_loop_flush_outbox(reeve_master_loop *l, uint32_t worker, struct reeve_error *err);
reeve_status master_loop_send_all(reeve_master_loop *l, struct reeve_error *err);

/* Ask the master to stop, once; why: for people. Do so, or save, if anybody outside wants it. */
reeve_status master_loop_ask_stop(reeve_master_loop *l, const char *why, reeve_time_ns now_ns, struct reeve_error *err);
reeve_status master_loop_look_outside(reeve_master_loop *l, reeve_time_ns now_ns, struct reeve_error *err);
/* The run has ended: the file STOP has done its work, or came too late, and shall not stop the next start. */
void master_loop_remove_stop(const reeve_master_loop *l);

/* Checkpoints: the master's effects, and the end of the one under way, when it comes. Retention is due once the record of
 * the newest cannot be lost. */
void master_loop_begin_checkpoint(reeve_master_loop *l, uint64_t step);
void master_loop_abandon_checkpoint(reeve_master_loop *l, uint64_t step);
reeve_status master_loop_commit_checkpoint(reeve_master_loop *l, struct reeve_error *err);
reeve_status master_loop_take_checkpoint_end(reeve_master_loop *l, reeve_time_ns now_ns, bool *progress,
                                             struct reeve_error *err);
reeve_status master_loop_retain(reeve_master_loop *l, struct reeve_error *err);

/* What people hear of an event that was applied; of what a worker worded, which may be why the run ends. */
void master_loop_tell_event(reeve_master_loop *l, const struct reeve_event *ev);
void master_loop_tell_problem(reeve_master_loop *l, const struct reeve_master_input *in);

/* A word of a worker is about to be given to the master; an event was applied; the ranks have come together. */
void master_loop_watch_word(reeve_master_loop *l, uint32_t worker, const struct reeve_frame *word, reeve_time_ns now_ns);
void master_loop_watch_event(reeve_master_loop *l, const struct reeve_event *ev, reeve_time_ns now_ns);
void master_loop_watch_regrouped(reeve_master_loop *l);
/* Once a second: is a worker silent, or stuck? WORKER_LOST: regroup. JOB_DEADLINE: give up. */
reeve_status master_loop_watch(reeve_master_loop *l, reeve_time_ns now_ns, struct reeve_error *err);

#endif
