/* A conversation of a master with three workers, for the targets `frames` and `list`: the workers, the journal (which
 * keeps everything) and the calls around decide and apply, as the master's loop makes them. Whatever is said, the
 * master's own events must be possible in its state, and replaying those that are durable must give the same state as
 * living through them. */
#ifndef REEVE_TEST_FUZZ_TALK_H
#define REEVE_TEST_FUZZ_TALK_H

#include "master.h"

#define TALK_EVENTS_MAX 8192
#define TALK_INBOX_MAX 256

struct talk {
    const struct reeve_task_list *list; /* borrowed; NULL: it trains */
    reeve_master *m;
    struct reeve_event events[TALK_EVENTS_MAX];
    uint32_t event_count;
    struct reeve_frame inbox[FUZZ_WORKERS + 1][TALK_INBOX_MAX]; /* rings */
    uint32_t head[FUZZ_WORKERS + 1], count[FUZZ_WORKERS + 1];
    reeve_time_ns now_ns;
    uint64_t ckpt_step;
    uint32_t term; /* of the journal: each master that opens it has a higher one */
};

/* A master that has opened the run, and waits for its workers. */
void talk_begin(struct talk *t, const struct reeve_task_list *list);
/* Replay against the living state; then nothing is left. */
void talk_end(struct talk *t);
/* Give an input; let the master do what it has to do until it rests. */
void talk_give(struct talk *t, const struct reeve_master_input *in);
void talk_tick(struct talk *t);
/* A message of a worker, walked frame by frame. */
void talk_hear(struct talk *t, uint32_t worker, const uint8_t *message, size_t bytes);
/* One frame of it; from 0: with the membership epoch of now. */
void talk_say(struct talk *t, uint32_t worker, struct reeve_frame frame, uint32_t epoch);
/* The oldest frame that the master sent it. False: there is none. */
bool talk_take(struct talk *t, uint32_t worker, struct reeve_frame *frame);

/* The master's process is gone, and all workers with it: another launch replays the journal. */
void talk_relaunch(struct talk *t);
/* These workers are lost (a bit each), and the others come together; heir: the survivor that is master from now on,
 * with what the journal says; 0: the master lives. */
void talk_regroup(struct talk *t, uint32_t lost, uint32_t heir);

#endif
