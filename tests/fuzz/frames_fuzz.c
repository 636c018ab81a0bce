/* Messages from anybody, and a master that decides on what is in them. The first byte of the input chooses:
 *   even  the rest is one message, walked and decided on frame by frame
 *   odd   the rest is a conversation: of each 12 bytes the first says what happens next. Workers answer what the master
 *         sent them, as they should or with some field changed, so that every phase of a run is reached
 * Whatever comes, the master's own events must be possible in its state, and replaying those that are durable must give
 * the same state as living through them. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "master.h"

#define EVENTS_MAX 8192
#define INBOX_MAX 256
#define STEP_BYTES 12u
#define TICKS_MAX 64

struct talk {
    reeve_master *m;
    struct reeve_event events[EVENTS_MAX];
    uint32_t event_count;
    struct reeve_frame inbox[FUZZ_WORKERS + 1][INBOX_MAX]; /* rings */
    uint32_t head[FUZZ_WORKERS + 1], count[FUZZ_WORKERS + 1];
    reeve_time_ns now_ns;
    uint64_t ckpt_step;
};

static void carry_out(struct talk *t, struct reeve_decision *d)
{
    struct reeve_error err = {0};
    for (uint32_t i = 0; i < d->event_count; i++) {
        struct reeve_event *ev = &d->events[i];
        ev->epoch = 1;
        if (ev->kind < REEVE_EVENT_VOLATILE && t->event_count < EVENTS_MAX) {
            ev->lsn = t->event_count + 1;
            t->events[t->event_count++] = *ev;
        }
        FUZZ_CHECK(reeve_master_apply(t->m, ev, &err) == REEVE_OK, "the master's own %s cannot happen: %s",
                   reeve_event_name(ev->kind), err.text);
    }
    for (uint32_t i = 0; i < d->frame_count; i++)
        for (uint32_t w = 1; w <= FUZZ_WORKERS; w++)
            if ((d->frames[i].to == 0 || d->frames[i].to == w) && t->count[w] < INBOX_MAX)
                t->inbox[w][(t->head[w] + t->count[w]++) % INBOX_MAX] = d->frames[i].frame;
    if (d->effect == REEVE_EFFECT_COMMIT_CHECKPOINT) t->ckpt_step = d->effect_step;
}

static void give(struct talk *t, const struct reeve_master_input *in)
{
    struct reeve_decision d;
    reeve_master_decide(t->m, in, t->now_ns, &d);
    carry_out(t, &d);
}

static void tick(struct talk *t)
{
    const struct reeve_master_input in = {.kind = REEVE_INPUT_TICK};
    for (int n = 0; n < TICKS_MAX; n++) {
        struct reeve_decision d;
        reeve_master_decide(t->m, &in, t->now_ns, &d);
        if (d.event_count == 0) return;
        carry_out(t, &d);
    }
}

static void hear_message(struct talk *t, uint32_t worker, const uint8_t *message, size_t bytes)
{
    size_t offset = 0;
    for (;;) {
        struct reeve_frame frame;
        struct reeve_master_input in = {.kind = REEVE_INPUT_FRAME, .worker = worker, .frame = &frame};
        _Bool end = false;
        size_t before = offset;
        if (reeve_frame_next(message, bytes, &offset, &frame, &in.text, &end) != REEVE_OK || end) return;
        FUZZ_CHECK(offset > before && offset <= bytes, "the walk of a message does not advance");
        FUZZ_CHECK(frame.text_bytes == 0 || ((const uint8_t *)in.text >= message &&
                                             (const uint8_t *)in.text + frame.text_bytes <= message + bytes),
                   "text beyond the message");
        give(t, &in);
    }
}

/* What a worker says to that. kind 0: nothing. */
static struct reeve_frame answer(const struct reeve_frame *f)
{
    struct reeve_frame r = {.epoch = 1, .step = f->step, .task = f->task, .attempt = f->attempt, .arg = f->arg};
    switch (f->kind) {
    case REEVE_FRAME_INIT:
    case REEVE_FRAME_RESTORE: r.kind = REEVE_FRAME_READY; break;
    case REEVE_FRAME_LEASE: r.kind = f->a % 2 == 0 ? REEVE_FRAME_COMPUTED : REEVE_FRAME_DONE; break;
    case REEVE_FRAME_REVOKE: r.kind = REEVE_FRAME_RELEASED; break;
    case REEVE_FRAME_REDUCE: r.kind = REEVE_FRAME_REDUCED; break;
    case REEVE_FRAME_APPLY: r.kind = REEVE_FRAME_APPLIED; break;
    case REEVE_FRAME_CHECKPOINT:
        r.kind = REEVE_FRAME_CKPT_PART;
        r.a = 1000;
        break;
    case REEVE_FRAME_DRAIN: r.kind = REEVE_FRAME_GOODBYE; break;
    default: break;
    }
    return r;
}

static void say(struct talk *t, uint32_t worker, const struct reeve_frame *frame)
{
    uint8_t message[256];
    size_t used = 0;
    if (reeve_frame_push(message, sizeof(message), &used, frame, "why")) hear_message(t, worker, message, used);
}

/* A field of the frame is changed by what the input says. */
static void twist(struct reeve_frame *f, const uint8_t *by)
{
    uint64_t value;
    memcpy(&value, by + 4, 8);
    switch (by[2] % 10) {
    case 0: f->kind = (uint16_t)(value % 48); break;
    case 1: f->task ^= (uint32_t)value; break;
    case 2: f->attempt ^= (uint32_t)value; break;
    case 3: f->arg ^= (uint32_t)value; break;
    case 4: f->step += value; break;
    case 5: f->a ^= value; break;
    case 6: f->b ^= value; break;
    case 7: f->c ^= value; break;
    case 8: f->d ^= value; break;
    default: f->epoch ^= (uint32_t)value; break;
    }
}

static void happen(struct talk *t, const uint8_t *by)
{
    uint32_t worker = 1 + by[1] % FUZZ_WORKERS;
    struct reeve_frame f = {.kind = REEVE_FRAME_HELLO, .worker = worker, .arg = 2};
    struct reeve_master_input in = {.worker = worker, .status = REEVE_JOB_STOPPED};
    uint64_t value;
    memcpy(&value, by + 4, 8);
    switch (by[0] % 10) {
    case 0: say(t, worker, &f); break;
    case 1: /* an answer as it should be; several */
    case 2:
    case 3:
        for (unsigned n = 1 + by[3] % 8; n > 0 && t->count[worker] > 0; n--, t->count[worker]--) {
            f = answer(&t->inbox[worker][t->head[worker]++ % INBOX_MAX]);
            if (f.kind != 0) say(t, worker, &f);
        }
        break;
    case 4: /* one that is not, or comes twice */
        if (t->count[worker] == 0) break;
        f = answer(&t->inbox[worker][t->head[worker] % INBOX_MAX]);
        twist(&f, by);
        say(t, worker, &f);
        break;
    case 5: t->now_ns += (reeve_time_ns)(value % 100000000000u); break;
    case 6:
        in.kind = by[2] % 2 == 0 ? REEVE_INPUT_STOP : REEVE_INPUT_SAVE;
        give(t, &in);
        break;
    case 7:
        in.kind = REEVE_INPUT_CKPT_DONE;
        in.step = by[2] % 4 == 0 ? value : t->ckpt_step;
        in.status = by[3] % 4 == 0 ? REEVE_STORE_WRITE : REEVE_OK;
        in.digest64 = value;
        give(t, &in);
        break;
    case 8: /* a weights digest, which nobody asks for by a frame of its own */
        f = (struct reeve_frame){.kind = REEVE_FRAME_WEIGHTS, .epoch = 1, .step = value % 13, .a = by[2] % 2};
        say(t, worker, &f);
        break;
    default:
        f = (struct reeve_frame){.kind = (uint16_t)(by[2] % 48), .epoch = 1, .arg = by[3], .step = value % 13};
        say(t, worker, &f);
        break;
    }
    tick(t);
}

static void check_replay(const struct talk *t)
{
    struct reeve_error err;
    if (t->event_count == EVENTS_MAX) return;
    reeve_master *again = fuzz_master_create();
    for (uint32_t i = 0; i < t->event_count; i++)
        FUZZ_CHECK(reeve_master_apply(again, &t->events[i], &err) == REEVE_OK, "a replay fails: %s", err.text);
    FUZZ_CHECK(reeve_master_digest(again) == reeve_master_digest(t->m), "a replay gives another state");
    reeve_master_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct talk t;
    if (size == 0) return 0;
    memset(&t, 0, sizeof(t));
    t.m = fuzz_master_create();
    t.now_ns = 1000000000;
    struct reeve_decision opening = {.event_count = 1, .events = {fuzz_master_opening()}};
    carry_out(&t, &opening);
    tick(&t);
    if (data[0] % 2 == 0) {
        hear_message(&t, 1, data + 1, size - 1);
        tick(&t);
    } else
        for (size_t at = 1; at + STEP_BYTES <= size; at += STEP_BYTES)
            happen(&t, data + at);
    check_replay(&t);
    reeve_master_destroy(t.m);
    return 0;
}
