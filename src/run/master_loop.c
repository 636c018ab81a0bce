/* See master_loop.h. */
#include "run/master_loop.h"

#include <inttypes.h>
#include <string.h>

#include "base/absence.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "run/master_loop_state.h"

#define MESSAGES_PER_TURN_MAX 256
#define TICKS_PER_TURN_MAX 4096
#define HEARTBEAT_NS REEVE_SECOND_NS

/* ---- sending ---- */

reeve_status master_loop_flush_outbox(reeve_master_loop *l, uint32_t worker, struct reeve_error *err)
{
    struct outbox *o = &l->outbox[worker];
    if (o->bytes == 0) return REEVE_OK;
    size_t n = o->bytes;
    o->bytes = 0;
    return l->transport->ops->send(l->transport, worker, o->message, n, err);
}

/* What justifies the frames that wait must be durable before they leave. What fails here, send_all() tells. */
static void make_room(reeve_master_loop *l, uint32_t worker)
{
    struct reeve_error *err = &l->unsent_err;
    if (err->status == REEVE_OK) err->status = master_loop_make_epoch_durable(l, err);
    if (err->status == REEVE_OK) err->status = master_loop_flush_outbox(l, worker, err);
    l->outbox[worker].bytes = 0;
}

/* Put a frame behind the others for this worker; they leave after the turn's sync. */
void master_loop_put_frame(reeve_master_loop *l, uint32_t worker, const struct reeve_frame *frame)
{
    struct outbox *o = &l->outbox[worker];
    if (!o->listed) l->unsent[l->unsent_count++] = worker;
    o->listed = true;
    if (reeve_frame_push(o->message, sizeof(o->message), &o->bytes, frame, NULL)) return;
    /* A turn's words fill more than a message when a worker holds much that the journal does not know. */
    make_room(l, worker);
    bool fits = reeve_frame_push(o->message, sizeof(o->message), &o->bytes, frame, NULL);
    REEVE_ASSERT(fits);
}

static void put_outgoing(reeve_master_loop *l, const struct reeve_outgoing *out)
{
    if (out->to != 0) {
        master_loop_put_frame(l, out->to, &out->frame);
        return;
    }
    struct reeve_frame frame = out->frame;
    uint32_t part = 0;
    for (uint32_t w = 1; w <= l->config.workers; w++) {
        if (!reeve_master_worker_active(l->master, w)) continue;
        if (frame.kind == REEVE_FRAME_CHECKPOINT) frame.arg = part++; /* each its own part */
        master_loop_put_frame(l, w, &frame);
    }
}

reeve_status master_loop_send_all(reeve_master_loop *l, struct reeve_error *err)
{
    reeve_status st = l->unsent_err.status;
    if (st != REEVE_OK) {
        *err = l->unsent_err;
        l->unsent_err = (struct reeve_error){0};
    }
    while (l->unsent_count > 0 && st == REEVE_OK) {
        uint32_t w = l->unsent[--l->unsent_count];
        l->outbox[w].listed = false;
        st = master_loop_flush_outbox(l, w, err);
    }
    return st;
}

/* ---- effects ---- */

static reeve_status do_effect(reeve_master_loop *l, const struct reeve_master_input *in, const struct reeve_decision *d,
                              struct reeve_error *err)
{
    switch (d->effect) {
    case REEVE_EFFECT_NONE: break;
    case REEVE_EFFECT_BEGIN_CHECKPOINT: master_loop_begin_checkpoint(l, d->effect_step); break;
    case REEVE_EFFECT_ABANDON_CHECKPOINT:
        if (in->kind == REEVE_INPUT_FRAME) master_loop_tell_problem(l, in);
        master_loop_abandon_checkpoint(l, d->effect_step);
        break;
    case REEVE_EFFECT_COMMIT_CHECKPOINT: return master_loop_commit_checkpoint(l, err);
    case REEVE_EFFECT_RETAIN: l->retain_due = true; break; /* once the record of the new one cannot be lost */
    case REEVE_EFFECT_TEXT:
        (void)snprintf(l->text, sizeof(l->text), "%.*s", (int)in->frame->text_bytes, in->text);
        l->has_text = true;
        break;
    case REEVE_EFFECT_PROBLEM: master_loop_tell_problem(l, in); break;
    case REEVE_EFFECT_STALE:
        reeve_log(REEVE_LOG_DEBUG, "dropped a late %s of worker %u",
                  in->frame != NULL ? reeve_frame_name(in->frame->kind) : "word", in->worker);
        break;
    case REEVE_EFFECT_MALFORMED:
        reeve_log(REEVE_LOG_WARN, "dropped a frame of worker %u that makes no sense (kind %u)", in->worker,
                  in->frame != NULL ? in->frame->kind : 0u);
        break;
    }
    return REEVE_OK;
}

/* ---- the turn ---- */

/* An event was applied: whoever keeps something of what happens hears of it. */
static void note_event(reeve_master_loop *l, const struct reeve_event *ev, reeve_time_ns now_ns)
{
    reeve_report_event(l->report, l->master, ev, now_ns);
    reeve_deadline_event(&l->deadline, ev, now_ns);
    master_loop_watch_event(l, ev, now_ns);
    if (ev->kind == REEVE_EVENT_TASK_LEASED) reeve_start_record_joined(l->start);
    master_loop_tell_event(l, ev);
}

/* Carry a decision out: append and apply each event, keep its frames for after the sync. */
reeve_status master_loop_carry_out(reeve_master_loop *l, const struct reeve_master_input *in, struct reeve_decision *d,
                                   reeve_time_ns now_ns, struct reeve_error *err)
{
    reeve_journal_port *journal = reeve_journal_as_port(l->journal);
    reeve_status st = REEVE_OK;
    for (uint32_t i = 0; i < d->event_count && st == REEVE_OK; i++) {
        struct reeve_event *ev = &d->events[i];
        ev->epoch = l->epoch;
        if (ev->kind < REEVE_EVENT_VOLATILE) {
            st = journal->ops->append(journal, ev, err);
            l->dirty = true;
        }
        if (st == REEVE_OK) st = reeve_master_apply(l->master, ev, err);
        if (st == REEVE_OK) note_event(l, ev, now_ns);
    }
    for (uint32_t i = 0; i < d->frame_count && st == REEVE_OK; i++)
        put_outgoing(l, &d->frames[i]);
    if (st == REEVE_OK) st = do_effect(l, in, d, err);
    l->sync_due |= d->sync;
    return st;
}

reeve_status master_loop_give(reeve_master_loop *l, const struct reeve_master_input *in, reeve_time_ns now_ns,
                              struct reeve_error *err)
{
    struct reeve_decision d;
    reeve_master_decide(l->master, in, now_ns, &d);
    return master_loop_carry_out(l, in, &d, now_ns, err);
}

static reeve_status take_message(reeve_master_loop *l, uint32_t peer, size_t bytes, reeve_time_ns now_ns,
                                 struct reeve_error *err)
{
    size_t offset = 0;
    for (;;) {
        struct reeve_frame frame;
        struct reeve_master_input in = {.kind = REEVE_INPUT_FRAME, .worker = peer, .frame = &frame};
        _Bool end = false;
        if (reeve_frame_next(l->inbox, bytes, &offset, &frame, &in.text, &end) != REEVE_OK) {
            reeve_log(REEVE_LOG_WARN, "dropped a malformed message of %zu bytes from worker %u", bytes, peer);
            return REEVE_OK;
        }
        if (end) return REEVE_OK;
        master_loop_watch_word(l, peer, &frame, now_ns);
        reeve_status st = master_loop_give(l, &in, now_ns, err);
        if (st != REEVE_OK) return st;
        if (frame.kind == REEVE_FRAME_HELLO) {
            reeve_start_record_host(l->start, peer, in.text, frame.text_bytes);
            reeve_host_watch_joined(l->hosts, peer, in.text, frame.text_bytes);
        }
        if (frame.kind == REEVE_FRAME_APPLIED) {
            double figures[2];
            memcpy(figures, &frame.a, sizeof(figures));
            reeve_report_applied(l->report, frame.step, figures[0], figures[1]);
        }
    }
}

static reeve_status take_messages(reeve_master_loop *l, reeve_time_ns now_ns, bool *progress, struct reeve_error *err)
{
    for (int n = 0; n < MESSAGES_PER_TURN_MAX; n++) {
        uint32_t peer = 0;
        size_t bytes = 0;
        reeve_status st = l->transport->ops->poll(l->transport, &peer, l->inbox, &bytes, err);
        if (st == REEVE_OK && bytes > 0) st = take_message(l, peer, bytes, now_ns, err);
        if (st != REEVE_OK || bytes == 0) return st;
        *progress = true;
    }
    return REEVE_OK;
}

static reeve_status tick_all(reeve_master_loop *l, reeve_time_ns now_ns, bool *progress, struct reeve_error *err)
{
    const struct reeve_master_input tick = {.kind = REEVE_INPUT_TICK};
    for (int n = 0; n < TICKS_PER_TURN_MAX; n++) {
        struct reeve_decision d;
        reeve_master_decide(l->master, &tick, now_ns, &d);
        if (d.event_count == 0) return REEVE_OK;
        *progress = true;
        reeve_status st = master_loop_carry_out(l, &tick, &d, now_ns, err);
        if (st != REEVE_OK || d.yield) return st;
    }
    return REEVE_OK;
}

static void note_presence(reeve_master_loop *l, reeve_time_ns now_ns)
{
    if (reeve_absence(&l->turn_ns, now_ns, REEVE_ABSENCE_NS) > 0) l->present_ns = now_ns;
}

static void say_we_live(reeve_master_loop *l, reeve_time_ns now_ns)
{
    if (now_ns - l->heartbeat_ns < HEARTBEAT_NS) return;
    l->heartbeat_ns = now_ns;
    enum reeve_cause why = l->stop_sent ? l->deadline.cause : REEVE_CAUSE_NONE; /* a successor must know */
    struct reeve_frame alive = {.kind = REEVE_FRAME_HEARTBEAT, .epoch = l->epoch, .arg = (uint32_t)why};
    for (uint32_t w = 1; w <= l->config.workers; w++) { /* who has said goodbye may yet have to take this one's place */
        bool listens = l->config.regroups ? l->here[w] : reeve_master_worker_active(l->master, w);
        if (listens) master_loop_put_frame(l, w, &alive);
    }
}

static reeve_status make_durable(reeve_master_loop *l, bool always, struct reeve_error *err)
{
    if (!l->dirty) return REEVE_OK;
    uint32_t policy = l->config.job->journal.sync;
    bool sync = always || policy == REEVE_SYNC_ALWAYS || (policy == REEVE_SYNC_STEP && l->sync_due) || l->retain_due;
    l->dirty = l->sync_due = false;
    reeve_journal_port *journal = reeve_journal_as_port(l->journal);
    return sync ? journal->ops->sync(journal, err) : reeve_journal_flush(l->journal, err);
}

reeve_status master_loop_make_epoch_durable(reeve_master_loop *l, struct reeve_error *err)
{
    return make_durable(l, true, err);
}

reeve_status reeve_master_loop_turn(reeve_master_loop *l, reeve_time_ns now_ns, bool *progress, bool *ended,
                                    struct reeve_error *err)
{
    *ended = false;
    note_presence(l, now_ns);
    reeve_status st = take_messages(l, now_ns, progress, err);
    if (st == REEVE_OK) st = master_loop_take_checkpoint_end(l, now_ns, progress, err);
    if (st == REEVE_OK) st = master_loop_look_outside(l, now_ns, err);
    if (st == REEVE_OK) st = tick_all(l, now_ns, progress, err);
    say_we_live(l, now_ns);
    if (st == REEVE_OK) st = make_durable(l, false, err);
    if (st == REEVE_OK && l->retain_due) st = master_loop_retain(l, err);
    if (st == REEVE_OK) st = master_loop_send_all(l, err);
    if (st == REEVE_OK) st = master_loop_watch(l, now_ns, err);
    reeve_report_turn(l->report, l->master, now_ns);
    *ended = st == REEVE_OK && reeve_master_get_phase(l->master) == REEVE_PHASE_ENDED;
    return st;
}
