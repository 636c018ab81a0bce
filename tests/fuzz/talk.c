/* See talk.h. */
#include "talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/audit.h"
#include "core/list_audit.h"
#include "fuzz.h"

#define TICKS_MAX 64

static void forget_messages(struct talk *t)
{
    memset(t->head, 0, sizeof(t->head));
    memset(t->count, 0, sizeof(t->count));
}

/* REEVE_FUZZ_TRACE=1: what a finding's input means. */
static void trace(const struct talk *t, const struct reeve_event *ev)
{
    if (getenv("REEVE_FUZZ_TRACE") == NULL) return;
    (void)fprintf(stderr, "%8.3f s, term %u: %s step %llu task %u worker %u attempt %u arg %u a %llx b %llx\n",
                  (double)t->now_ns * 1e-9, ev->epoch, reeve_event_name(ev->kind), (unsigned long long)ev->step,
                  ev->task, ev->worker, ev->attempt, ev->arg, (unsigned long long)ev->a, (unsigned long long)ev->b);
}

static void carry_out(struct talk *t, struct reeve_decision *d)
{
    struct reeve_error err = {0};
    for (uint32_t i = 0; i < d->event_count; i++) {
        struct reeve_event *ev = &d->events[i];
        ev->epoch = t->term;
        if (ev->kind < REEVE_EVENT_VOLATILE && t->event_count < TALK_EVENTS_MAX) {
            ev->lsn = t->event_count + 1;
            t->events[t->event_count++] = *ev;
        }
        trace(t, ev);
        FUZZ_CHECK(reeve_master_apply(t->m, ev, &err) == REEVE_OK, "the master's own %s cannot happen: %s",
                   reeve_event_name(ev->kind), err.text);
    }
    for (uint32_t i = 0; i < d->frame_count; i++)
        for (uint32_t w = 1; w <= FUZZ_WORKERS; w++)
            if ((d->frames[i].to == 0 || d->frames[i].to == w) && t->count[w] < TALK_INBOX_MAX)
                t->inbox[w][(t->head[w] + t->count[w]++) % TALK_INBOX_MAX] = d->frames[i].frame;
    if (d->effect == REEVE_EFFECT_COMMIT_CHECKPOINT) t->ckpt_step = d->effect_step;
}

void talk_give(struct talk *t, const struct reeve_master_input *in)
{
    struct reeve_decision d;
    reeve_master_decide(t->m, in, t->now_ns, &d);
    carry_out(t, &d);
}

void talk_tick(struct talk *t)
{
    const struct reeve_master_input in = {.kind = REEVE_INPUT_TICK};
    for (int n = 0; n < TICKS_MAX; n++) {
        struct reeve_decision d;
        reeve_master_decide(t->m, &in, t->now_ns, &d);
        if (d.event_count == 0) return;
        carry_out(t, &d);
    }
}

void talk_hear(struct talk *t, uint32_t worker, const uint8_t *message, size_t bytes)
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
        talk_give(t, &in);
    }
}

void talk_say(struct talk *t, uint32_t worker, struct reeve_frame frame, uint32_t epoch)
{
    uint8_t message[256];
    size_t used = 0;
    struct reeve_master_status s;
    reeve_master_get_status(t->m, &s);
    frame.epoch = epoch != 0 ? epoch : s.epoch;
    if (reeve_frame_push(message, sizeof(message), &used, &frame, "why")) talk_hear(t, worker, message, used);
}

bool talk_take(struct talk *t, uint32_t worker, struct reeve_frame *frame)
{
    if (t->count[worker] == 0) return false;
    *frame = t->inbox[worker][t->head[worker]++ % TALK_INBOX_MAX];
    t->count[worker]--;
    return true;
}

/* ---- masters come and go ---- */

static reeve_master *replayed(const struct talk *t)
{
    struct reeve_error err;
    reeve_master *m = fuzz_master_create(t->list);
    for (uint32_t i = 0; i < t->event_count; i++)
        FUZZ_CHECK(reeve_master_apply(m, &t->events[i], &err) == REEVE_OK, "a replay fails: %s", err.text);
    return m;
}

/* Also where the journal is full: then it is no longer the whole story, and nobody can come after this master. */
static bool succeed(struct talk *t)
{
    if (t->event_count == TALK_EVENTS_MAX) return false;
    reeve_master *next = replayed(t);
    reeve_master_destroy(t->m);
    t->m = next;
    t->term++;
    t->ckpt_step = 0;
    return true;
}

void talk_begin(struct talk *t, const struct reeve_task_list *list)
{
    memset(t, 0, sizeof(*t));
    t->list = list;
    t->m = fuzz_master_create(list);
    t->term = 1;
    t->now_ns = 1000000000;
    struct reeve_decision opening = {.event_count = 1, .events = {fuzz_master_opening(list)}};
    carry_out(t, &opening);
    talk_tick(t);
}

void talk_relaunch(struct talk *t)
{
    if (!succeed(t)) return;
    forget_messages(t);
    struct reeve_decision opening = {.event_count = 1, .events = {fuzz_master_opening(t->list)}};
    carry_out(t, &opening);
}

void talk_regroup(struct talk *t, uint32_t lost, uint32_t heir)
{
    struct reeve_master_status s;
    if (heir != 0 && ((lost >> heir & 1) != 0 || !reeve_master_worker_active(t->m, heir) || !succeed(t))) return;
    forget_messages(t); /* with the communicator that they travelled on */
    for (uint32_t w = 1; w <= FUZZ_WORKERS; w++) {
        struct reeve_master_input in = {.kind = REEVE_INPUT_WORKER_LOST, .worker = w, .status = REEVE_WORKER_LOST};
        if ((lost >> w & 1) != 0 || !reeve_master_worker_active(t->m, w)) talk_give(t, &in);
    }
    struct reeve_master_input in = {.kind = REEVE_INPUT_REGROUPED, .worker = heir};
    reeve_master_get_status(t->m, &s);
    if (s.phase != REEVE_PHASE_ENDED) talk_give(t, &in);
}

/* ---- the end ---- */

static void audit_training(const struct talk *t)
{
    struct reeve_audit_result r;
    struct reeve_error err;
    reeve_audit *a = NULL;
    FUZZ_CHECK(reeve_audit_create(fuzz_plan(), &a, &err) == REEVE_OK, "audit: %s", err.text);
    for (uint32_t i = 0; i < t->event_count; i++)
        FUZZ_CHECK(reeve_audit_event(a, &t->events[i], &err) == REEVE_OK, "audit: %s", err.text);
    FUZZ_CHECK(reeve_audit_finish(a, &r, &err) == REEVE_OK, "audit: %s", err.text);
    FUZZ_CHECK(r.exactly_once, "the master's own journal breaks a rule: %s", r.first_violation);
    reeve_audit_destroy(a);
}

static void audit_list(const struct talk *t)
{
    struct reeve_list_audit_result r;
    struct reeve_error err;
    reeve_list_audit *a = NULL;
    FUZZ_CHECK(reeve_list_audit_create(t->list, &a, &err) == REEVE_OK, "audit: %s", err.text);
    for (uint32_t i = 0; i < t->event_count; i++)
        reeve_list_audit_event(a, &t->events[i]);
    reeve_list_audit_finish(a, &r);
    FUZZ_CHECK(r.exactly_once, "the master's own journal breaks a rule: %s", r.first_violation);
    struct reeve_master_status s;
    reeve_master_get_status(t->m, &s);
    FUZZ_CHECK(!s.ended || r.complete, "ended, with tasks that have not");
    reeve_list_audit_destroy(a);
}

void talk_end(struct talk *t)
{
    if (t->event_count < TALK_EVENTS_MAX) {
        reeve_master *again = replayed(t);
        FUZZ_CHECK(reeve_master_digest(again) == reeve_master_digest(t->m), "a replay gives another state");
        reeve_master_destroy(again);
        if (t->list != NULL) audit_list(t);
        else audit_training(t);
    }
    reeve_master_destroy(t->m);
}
