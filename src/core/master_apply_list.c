/* What the events of a run of a task list change; see master_list.h. */
#include "core/master_change.h"
#include "core/master_list.h"
#include "core/task_list.h"

/* The next so many tasks of the list, and not more than there are. */
static bool is_next(const reeve_master *m, const struct reeve_event *ev, uint32_t from)
{
    return m->config.tasks != NULL && ev->task == from && ev->arg >= 1 && ev->arg <= MASTER_LIST_CHUNK &&
           ev->arg <= m->config.tasks->task_count - from;
}

reeve_status master_apply_tasks_added(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (!is_next(m, ev, m->list_added)) return master_refuse(ev, err, "not the next tasks of the list");
    for (uint32_t i = ev->task; i < ev->task + ev->arg; i++) {
        const struct reeve_task_entry *e = &m->config.tasks->entries[i];
        struct reeve_task_spec spec = {.kind = e->kind, .key = i, .priority = e->priority};
        reeve_task_id id;
        reeve_status st = reeve_queue_add(m->queue, &spec, &id);
        if (st != REEVE_OK || id.v != i) return master_refuse(ev, err, "another slot of the queue is free");
    }
    m->list_added += ev->arg;
    return REEVE_OK;
}

reeve_status master_apply_tasks_started(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (!is_next(m, ev, m->list_started) || m->list_added < m->config.tasks->task_count)
        return master_refuse(ev, err, "not the next tasks of the list, or not all are added");
    const struct reeve_task_list *l = m->config.tasks;
    for (uint32_t i = ev->task; i < ev->task + ev->arg; i++) {
        for (uint32_t a = l->entries[i].first_after; a < l->entries[i + 1].first_after; a++) {
            reeve_task_id before = {l->afters[a] & ~REEVE_TASK_AFTER_ANY};
            bool any = (l->afters[a] & REEVE_TASK_AFTER_ANY) != 0;
            if (reeve_queue_after(m->queue, (reeve_task_id){i}, before, any) != REEVE_OK)
                return master_refuse(ev, err, "its dependencies do not fit");
        }
        reeve_queue_start(m->queue, (reeve_task_id){i});
    }
    m->list_started += ev->arg;
    return REEVE_OK;
}

reeve_status master_apply_task_cancelled(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    const struct reeve_task *t = reeve_queue_task(m->queue, (reeve_task_id){ev->task});
    if (t == NULL || !reeve_task_is_listed(t->kind)) return master_refuse(ev, err, "no such task");
    uint32_t holder = t->state == REEVE_STATE_LEASED ? t->holder : 0;
    if (reeve_queue_cancel(m->queue, (reeve_task_id){ev->task}) != REEVE_OK)
        return master_refuse(ev, err, "the task has ended already");
    if (holder != 0) {
        m->workers[holder].leased--;
        master_update_hungry(m, holder);
    }
    return REEVE_OK;
}

void master_list_reopen(reeve_master *m)
{
    for (uint32_t w = 1; w <= m->config.workers_max; w++)
        reeve_queue_lose_worker(m->queue, (reeve_worker_id){w}, 0);
    reeve_task_id id;
    while (reeve_queue_due(m->queue, INT64_MAX, &id))
        (void)reeve_queue_wake(m->queue, id); /* its time was that of another machine's clock, perhaps */
}

void master_list_set_credit(reeve_master *m, uint32_t worker, bool done, uint64_t result)
{
    struct master_worker *w = &m->workers[worker];
    uint64_t us = reeve_task_result_us(result);
    if (!done || us >= MASTER_LIST_LONG_US) w->credit = m->config.slots;
    else if (us < MASTER_LIST_SHORT_US)
        w->credit = 2 * w->credit < m->config.credits ? 2 * w->credit : m->config.credits;
}
