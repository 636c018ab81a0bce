/* What the events of a task change: the queue, the credit of the worker that holds it, and what its end means to
 * the run. */
#include "core/master_change.h"
#include "core/master_list.h"
#include "core/master_pace.h"

reeve_status master_apply_task_leased(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    struct master_worker *w = master_known_worker(m, ev->worker);
    reeve_task_id id = {ev->task};
    const struct reeve_task *t = reeve_queue_task(m->queue, id);
    if (w == NULL || w->state != WORKER_JOINED || t == NULL || t->kind != ev->a || (uint32_t)t->key != ev->arg)
        return master_refuse(ev, err, "no such task or worker");
    if (t->state == REEVE_STATE_DELAYED) (void)reeve_queue_wake(m->queue, id); /* its TASK_WOKEN was volatile */
    if (reeve_queue_lease(m->queue, id, (reeve_worker_id){ev->worker}, ev->attempt, (reeve_time_ns)ev->b) != REEVE_OK)
        return master_refuse(ev, err, "the task is not ready, or this is not its next attempt");
    w->leased++;
    master_update_hungry(m, ev->worker);
    master_rotate_hungry(m, ev->worker);
    return REEVE_OK;
}

/* Common to all ends of a lease: the worker has a credit back. */
static void lease_ended(reeve_master *m, uint32_t worker)
{
    m->workers[worker].leased--;
    master_update_hungry(m, worker);
}

reeve_status master_apply_task_computed(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (reeve_queue_compute(m->queue, (reeve_task_id){ev->task}, (reeve_worker_id){ev->worker}, ev->attempt) !=
        REEVE_OK)
        return master_refuse(ev, err, "not under this lease");
    m->computed++;
    master_pace_note(m, ev->worker, ev->a);
    lease_ended(m, ev->worker);
    return REEVE_OK;
}

reeve_status master_apply_task_done(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    reeve_task_id id = {ev->task};
    const struct reeve_task *t = reeve_queue_task(m->queue, id);
    uint64_t key = t != NULL ? t->key : 0;
    uint8_t kind = t != NULL ? t->kind : 0;
    if (reeve_queue_done(m->queue, id, (reeve_worker_id){ev->worker}, ev->attempt) != REEVE_OK)
        return master_refuse(ev, err, "not under this lease");
    if (kind == REEVE_TASK_STAGE) {
        m->shard_task[key] = MASTER_SHARD_STAGED;
        m->shard_holder[key] = ev->worker;
    }
    if (kind == REEVE_TASK_GENERATE) m->sampled = true;
    if (reeve_task_is_listed(kind)) master_list_set_credit(m, ev->worker, true, ev->b);
    else reeve_queue_retire(m->queue, id);
    lease_ended(m, ev->worker);
    return REEVE_OK;
}

reeve_status master_apply_task_failed(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (reeve_queue_fail(m->queue, (reeve_task_id){ev->task}, (reeve_worker_id){ev->worker}, ev->attempt,
                         (reeve_time_ns)ev->a) != REEVE_OK)
        return master_refuse(ev, err, "not under this lease");
    if (m->config.tasks != NULL) master_list_set_credit(m, ev->worker, false, ev->b);
    m->attempts_failed++;
    lease_ended(m, ev->worker);
    return REEVE_OK;
}

reeve_status master_apply_task_released(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (reeve_queue_release(m->queue, (reeve_task_id){ev->task}, (reeve_worker_id){ev->worker}, ev->attempt) !=
        REEVE_OK)
        return master_refuse(ev, err, "not under this lease");
    if (m->config.tasks != NULL) master_list_set_credit(m, ev->worker, false, 0);
    lease_ended(m, ev->worker);
    return REEVE_OK;
}

reeve_status master_apply_task_dead(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    reeve_task_id id = {ev->task};
    const struct reeve_task *t = reeve_queue_task(m->queue, id);
    if (t == NULL || t->kind != ev->a) return master_refuse(ev, err, "no such task");
    uint32_t holder = t->state == REEVE_STATE_LEASED ? t->holder : 0;
    uint8_t kind = t->kind;
    uint64_t key = t->key;
    if (reeve_queue_kill(m->queue, id) != REEVE_OK) return master_refuse(ev, err, "the task has ended already");
    m->dead++;
    if (holder != 0) m->attempts_failed++;
    if (holder != 0 && m->config.tasks != NULL) master_list_set_credit(m, holder, false, 0);
    if (id.v == m->poisoned) m->poisoned = UINT32_MAX;
    if (holder != 0) lease_ended(m, holder);
    if (reeve_task_is_listed(kind)) return REEVE_OK; /* the others go on without it */
    if (kind == REEVE_TASK_STAGE) m->shard_task[key] = MASTER_SHARD_UNKNOWN;
    if (kind == REEVE_TASK_GENERATE) m->sampled = true; /* there will be no text; the dead task is on record */
    if (kind != REEVE_TASK_GENERATE && m->dead_reason == REEVE_OK) m->dead_reason = (reeve_status)ev->arg;
    if (kind == REEVE_TASK_STAGE || kind == REEVE_TASK_GENERATE) reeve_queue_retire(m->queue, id);
    return REEVE_OK;
}

reeve_status master_apply_task_added(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (ev->a != REEVE_TASK_GENERATE || m->sample_task != UINT32_MAX)
        return master_refuse(ev, err, "cannot be added here");
    struct reeve_task_spec spec = {.kind = (uint8_t)ev->a, .key = ev->b, .priority = (int32_t)ev->arg, .step = m->step};
    reeve_task_id id;
    if (reeve_queue_add(m->queue, &spec, &id) != REEVE_OK || id.v != ev->task)
        return master_refuse(ev, err, "another slot of the queue is free");
    reeve_queue_start(m->queue, id);
    m->sample_task = id.v;
    return REEVE_OK;
}
