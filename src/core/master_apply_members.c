/* Changes of who is there. All three are durable: whoever folds the journal after this master knows what it knew. */
#include "core/master_change.h"

#include "base/error.h"
#include "core/master_pace.h"

/* What the worker held is READY again. running: so many of its leases may have cost it its life. Returns the oldest of
 * them; UINT32_MAX: none. */
static uint32_t take_back(reeve_master *m, uint32_t worker, uint32_t running)
{
    struct master_worker *w = &m->workers[worker];
    m->computed -= reeve_queue_held(m->queue, (reeve_worker_id){worker}) - w->leased;
    w->leased = 0;
    return reeve_queue_lose_worker(m->queue, (reeve_worker_id){worker}, running);
}

reeve_status master_apply_worker_lost(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    struct master_worker *w = master_known_worker(m, ev->worker);
    bool gone = w != NULL && w->state == WORKER_GONE;
    bool absent = w != NULL && w->state == WORKER_ABSENT && ev->worker <= m->expected;
    if (w == NULL || (w->state != WORKER_JOINED && !gone && !absent))
        return master_refuse(ev, err, "lost a worker that was not there");
    /* Also of one that said goodbye: that is not on record, so a replay finds it there. */
    uint32_t charged = absent ? UINT32_MAX : take_back(m, ev->worker, m->config.tasks != NULL ? m->config.slots : 1);
    if (w->state == WORKER_JOINED && !w->settled && w->bare) m->rejoining--; /* no regrouping follows */
    w->state = WORKER_LOST;
    master_pace_forget(m, ev->worker);
    m->joined += absent; /* nobody waits for it any longer */
    m->gone += !gone;
    master_update_hungry(m, ev->worker);
    for (uint32_t s = 0; m->config.tasks == NULL && s < m->config.manifest->shard_count; s++)
        if (m->shard_holder[s] == ev->worker) m->shard_holder[s] = 0;
    if (charged == UINT32_MAX || m->config.tasks != NULL) return REEVE_OK; /* a list puts it aside when it is its turn */
    if (reeve_queue_task(m->queue, (reeve_task_id){charged})->crashes >= m->config.crash_limit) m->poisoned = charged;
    return REEVE_OK;
}

/* It may do what the lost one did; what that one held was given to others long ago. No word of it is waited for, as one
 * is at the start: it is known to be there. */
reeve_status master_apply_worker_replaced(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    struct master_worker *w = master_known_worker(m, ev->worker);
    if (w == NULL || w->state != WORKER_LOST || ev->worker > m->expected)
        return master_refuse(ev, err, "replaced a worker that was not lost");
    m->gone--;
    w->state = WORKER_JOINED;
    w->credit = master_first_credit(m);
    w->rejoined = w->settled = false;
    master_update_hungry(m, ev->worker);
    return REEVE_OK;
}

reeve_status master_apply_worker_cleared(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    struct master_worker *w = master_known_worker(m, ev->worker);
    if (w == NULL || w->state != WORKER_JOINED) return master_refuse(ev, err, "cleared a worker that was not there");
    (void)take_back(m, ev->worker, 0);
    master_update_hungry(m, ev->worker);
    return REEVE_OK;
}

/* Nothing that was said before counts any more: what each worker holds is asked for again; a sum is begun again when
 * that is known, and so is a checkpoint whose parts were not yet all there. */
reeve_status master_apply_regrouped(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (ev->arg <= m->epoch) return master_refuse(ev, err, "membership epoch does not grow");
    m->epoch = ev->arg;
    m->term = ev->epoch;
    m->rejoining = 0;
    m->settle_from = 1;
    m->sharing = false;
    for (uint32_t w = 1; w <= m->config.workers_max; w++) {
        struct master_worker *at = &m->workers[w];
        at->tainted = at->rejoined = at->settled = at->reduced = at->bare = false;
        m->rejoining += at->state == WORKER_JOINED;
    }
    m->reduced = 0;
    if (m->phase == REEVE_PHASE_REDUCE) m->phase = REEVE_PHASE_TRAIN;
    if (m->phase == REEVE_PHASE_EVAL_REDUCE) m->phase = REEVE_PHASE_EVAL;
    if (m->phase == REEVE_PHASE_LOAD) m->phase = REEVE_PHASE_GATHER; /* and from there to LOAD again */
    bool abandoned = m->ckpt.active && !m->ckpt.handed;
    if (abandoned) m->ckpt.active = m->ckpt.committing = false;
    uint64_t last = m->checkpoint_count > 0 ? m->checkpoints[m->checkpoint_count - 1].step : 0;
    uint64_t due = m->config.checkpoint_every > 0 ? m->step - m->step % m->config.checkpoint_every : 0;
    if (abandoned || (due > last && !m->ckpt.active)) { /* it may have been asked for, and not due */
        m->save_asked = true;
        m->ckpt.begun_step = 0;
    }
    /* Their time was told by the clock of whoever was master then. */
    for (uint32_t i = 0; i < reeve_queue_capacity(m->queue); i++)
        (void)reeve_queue_wake(m->queue, (reeve_task_id){i});
    return REEVE_OK;
}
