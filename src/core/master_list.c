/* What a run of a task list does next; see master_list.h. */
#include "core/master_list.h"

#include "base/clock.h"
#include "base/random.h"
#include "core/task_list.h"

#define RETRY_DOUBLINGS_MAX 6

static struct reeve_event *word_event(struct reeve_decision *d, uint16_t kind, const struct reeve_master_input *in)
{
    struct reeve_event *ev = master_add_event(d, kind);
    ev->task = in->frame->task;
    ev->worker = in->worker;
    ev->attempt = in->frame->attempt;
    ev->step = in->frame->b; /* when it ended, by the worker's wall clock */
    return ev;
}

/* The attempt failed: once more, later and elsewhere, or never again. */
static void decide_failed(const reeve_master *m, const struct reeve_master_input *in, const struct reeve_task *t,
                          reeve_time_ns now_ns, struct reeve_decision *d)
{
    reeve_status reason = (reeve_status)in->frame->arg;
    bool last = reason == REEVE_TASK_REJECTED || t->failures + 1u >= m->config.tasks->entries[t->key].attempts_max;
    struct reeve_event *ev = word_event(d, last ? REEVE_EVENT_TASK_DEAD : REEVE_EVENT_TASK_FAILED, in);
    ev->arg = (uint32_t)reason;
    ev->b = in->frame->a;
    d->effect = REEVE_EFFECT_PROBLEM;
    d->sync = true;
    if (last) {
        ev->a = t->kind;
        return;
    }
    uint32_t doublings = t->failures < RETRY_DOUBLINGS_MAX ? t->failures : RETRY_DOUBLINGS_MAX;
    reeve_time_ns delay = m->config.retry_ns << doublings;
    uint64_t jitter = reeve_random_below(m->config.seed, t->sequence, t->attempt, (uint64_t)delay / 2 + 1);
    ev->a = (uint64_t)(now_ns + delay + (reeve_time_ns)jitter);
}

void master_list_word(const reeve_master *m, const struct reeve_master_input *in, const struct reeve_task *t,
                      reeve_time_ns now_ns, struct reeve_decision *d)
{
    struct reeve_event *ev;
    switch (in->frame->kind) {
    case REEVE_FRAME_DONE:
        ev = word_event(d, REEVE_EVENT_TASK_DONE, in);
        ev->a = t->kind;
        ev->b = in->frame->a;
        d->sync = true;
        break;
    case REEVE_FRAME_RELEASED: ev = word_event(d, REEVE_EVENT_TASK_RELEASED, in); break;
    case REEVE_FRAME_FAILED: decide_failed(m, in, t, now_ns, d); break;
    default: d->effect = REEVE_EFFECT_MALFORMED; break;
    }
}

void master_list_stop(const reeve_master *m, struct reeve_decision *d)
{
    if (m->phase < REEVE_PHASE_DRAIN) master_add_frame(m, d, 0, REEVE_FRAME_WIND_DOWN)->arg = m->config.drain_s;
}

/* What ended; the rest is blocked, ready, delayed or leased. */
static uint32_t ended_count(const reeve_master *m)
{
    return reeve_queue_count(m->queue, REEVE_STATE_DONE) + reeve_queue_count(m->queue, REEVE_STATE_DEAD) +
           reeve_queue_count(m->queue, REEVE_STATE_CANCELLED);
}

/* True if tasks were still to be added or started. */
static bool decide_load(const reeve_master *m, struct reeve_decision *d)
{
    uint32_t total = m->config.tasks->task_count;
    bool adding = m->list_added < total;
    uint32_t from = adding ? m->list_added : m->list_started;
    if (from == total) return false;
    struct reeve_event *ev = master_add_event(d, adding ? REEVE_EVENT_TASKS_ADDED : REEVE_EVENT_TASKS_STARTED);
    ev->task = from;
    ev->arg = total - from < MASTER_LIST_CHUNK ? total - from : MASTER_LIST_CHUNK;
    d->yield = true;
    return true;
}

static void decide_lease(const reeve_master *m, reeve_time_ns now_ns, struct reeve_decision *d)
{
    uint32_t worker;
    reeve_task_id id;
    if (!master_pick(m, &worker, &id)) return;
    const struct reeve_task *t = reeve_queue_task(m->queue, id);
    if (t->crashes < m->config.crash_limit) {
        master_lease(m, worker, id, now_ns, d)->b = m->config.tasks->entries[t->key].time_limit_s;
        return;
    }
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_TASK_DEAD); /* wherever it ran, that worker was lost */
    ev->task = id.v;
    ev->attempt = t->attempt;
    ev->arg = REEVE_WORKER_LOST;
    ev->a = t->kind;
    d->sync = true;
}

void master_list_tick(const reeve_master *m, reeve_time_ns now_ns, struct reeve_decision *d)
{
    if (m->phase == REEVE_PHASE_DRAIN) {
        if (master_active_workers(m) == 0) master_add_event(d, REEVE_EVENT_PHASE)->arg = REEVE_PHASE_ENDED;
        return;
    }
    bool stopping = m->stop_reason != REEVE_OK;
    bool complete = m->list_started == m->config.tasks->task_count && ended_count(m) == m->config.tasks->task_count;
    if (m->phase == REEVE_PHASE_GATHER) { /* commands may be running already, if another master gave them out */
        bool running = reeve_queue_count(m->queue, REEVE_STATE_LEASED) > 0, all = m->joined == m->expected;
        if (stopping && !running && !all) return; /* who comes after the end would be told of it by nobody, and wait */
        if (stopping && !running) master_end_run(m, REEVE_EVENT_RUN_STOPPED, d);
        else if (stopping || all) master_add_event(d, REEVE_EVENT_PHASE)->arg = REEVE_PHASE_LIST;
        else (void)decide_load(m, d);
        return;
    }
    if (m->phase != REEVE_PHASE_LIST) return;
    if (complete) master_end_run(m, REEVE_EVENT_RUN_ENDED, d);
    else if (stopping && reeve_queue_count(m->queue, REEVE_STATE_LEASED) == 0)
        master_end_run(m, REEVE_EVENT_RUN_STOPPED, d);
    else if (!stopping && !decide_load(m, d)) decide_lease(m, now_ns, d);
}
