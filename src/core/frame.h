/* Frames: what master and workers say to each other. A message is a header and one or more frames back to back; the
 * reader trusts nothing in it. Byte layout: docs/format/frames.md. */
#ifndef REEVE_CORE_FRAME_H
#define REEVE_CORE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "reeve/ids.h"
#include "reeve/status.h"

#define REEVE_STEP_NONE UINT64_MAX /* of the weights of a worker that was just started, in the place of a lost one */
#define REEVE_FRAME_TEXT_MAX 4096
#define REEVE_FRAME_MAGIC 0x31565652u /* "RVV1" */

enum reeve_frame_kind {
    /* worker -> master */
    REEVE_FRAME_HELLO = 1,          /* arg: credits; a: host digest; text: host name */
    REEVE_FRAME_READY = 2,          /* step; a, b: weights digest: initialised or restored; c: ns that took */
    REEVE_FRAME_RESTORE_FAILED = 3, /* step; arg: status; text: why */
    REEVE_FRAME_COMPUTED = 4,       /* task, attempt, step; arg: micro-batch; a: compute ns */
    REEVE_FRAME_DONE = 5,           /* task, attempt; a: result word; b: wall clock ns (listed); text: result */
    REEVE_FRAME_FAILED = 6,         /* task, attempt, step; arg: status; a, b as DONE (listed); text: why */
    REEVE_FRAME_REDUCED = 7, /* step; task: samples; arg: members; attempt: non-finite + overflow elements, saturated;
                              * a: digest of the sum; b: coverage; c: loss; d: tokens */
    REEVE_FRAME_REDUCE_FAILED = 8,     /* step; arg: status; text */
    REEVE_FRAME_APPLIED = 9,           /* step; a: learning rate (f64 bits); b: grad norm (f64 bits); c: apply ns */
    REEVE_FRAME_WEIGHTS = 10,          /* step; a, b: weights digest */
    REEVE_FRAME_CKPT_PART = 11,        /* step; arg: part; a: file bytes; b: digest; c: tensors; d: write ns */
    REEVE_FRAME_CKPT_PART_FAILED = 12, /* step; arg: part; a: status; text */
    REEVE_FRAME_HEARTBEAT = 13, /* b: tasks waiting here; arg, a: what is computed, and for how long, ns
                                 * (core/eviction.h). Of a master, arg: why a stop was asked */
    REEVE_FRAME_GOODBYE = 14,          /* arg: status; text */
    REEVE_FRAME_RELEASED = 15,         /* task, attempt: not begun, or ended on request; b: wall clock ns */
    REEVE_FRAME_HOLDING = 20, /* task, attempt, step; arg: key; a: kind; b: sequence; c: 1: computed; d: compute ns */
    REEVE_FRAME_REJOIN = 21,  /* step: of the weights, REEVE_STEP_NONE: none; a: step whose whole sum is kept here, 0:
                               * none. Behind HOLDING */
    /* master -> worker */
    REEVE_FRAME_WELCOME = 32, /* worker: its id; arg: workers */
    REEVE_FRAME_INIT = 33,    /* step 0: start from the seed */
    REEVE_FRAME_RESTORE = 34, /* step; a: index digest, first 8 bytes */
    REEVE_FRAME_LEASE = 35,   /* task, attempt, step; arg: micro-batch, shard, batch, index; a: kind; b: time limit, s;
                               * c: sequence */
    REEVE_FRAME_REVOKE = 36,  /* task, attempt: give it back if not started */
    REEVE_FRAME_REDUCE = 37,  /* step; arg: members; a: kind (train or eval) */
    REEVE_FRAME_APPLY = 38,   /* step; a: micro-batches; flags by arg: 1 refused */
    REEVE_FRAME_DISCARD = 39, /* step: throw the accumulator away */
    REEVE_FRAME_CHECKPOINT = 40, /* step; arg: part; a: parts */
    REEVE_FRAME_DRAIN = 41,      /* finish what you write, say goodbye, end */
    REEVE_FRAME_WIND_DOWN = 42,  /* begin nothing more; what runs has arg seconds left, then it is ended and released */
    REEVE_FRAME_STATE = 43,      /* step; arg: the worker that brings its state of that step to those who have none */
    REEVE_FRAME_END = 52,        /* all said goodbye and the last word is written: leave (fault-tolerant jobs only) */
    REEVE_FRAME_FIRST = 53,      /* before all others. arg: 1 go on, 0 end; a: of the library; text: run folder */
};

struct reeve_frame {
    uint16_t kind;       /* enum reeve_frame_kind */
    uint16_t text_bytes; /* length of text that follows on the wire, 0..REEVE_FRAME_TEXT_MAX */
    uint32_t epoch;      /* membership epoch of the sender: older ones are dropped */
    uint32_t worker;
    uint32_t task;
    uint32_t attempt;
    uint32_t arg;
    uint64_t step;
    uint64_t a, b, c, d;
};
_Static_assert(sizeof(struct reeve_frame) == 64, "layout is part of wire format 1");

/* Append one frame (and its text) to a message under construction. *used starts at 0. False: no room. */
_Bool reeve_frame_push(void *message, size_t message_bytes_max, size_t *used, const struct reeve_frame *frame,
                       const char *text);

/* Walk a received message: *offset starts at 0; OK with *end set when it is over. *text points into the message (not
 * NUL-terminated, frame->text_bytes long). INPUT_INVALID: not a message of ours. */
reeve_status reeve_frame_next(const void *message, size_t message_bytes, size_t *offset, struct reeve_frame *frame,
                              const char **text, _Bool *end);

const char *reeve_frame_name(uint16_t kind);

#endif
