/* The only mutator of the master: one function per event. An event that cannot happen in the present state comes from a
 * damaged or foreign journal (or, live, from a bug) and is refused as STORE_CORRUPT. */
#include "core/master_change.h"

#include <string.h>

#include "base/error.h"
#include "core/master_list.h"
#include "core/master_pace.h"

reeve_status master_refuse(const struct reeve_event *ev, struct reeve_error *err, const char *why)
{
    return reeve_fail(err, REEVE_STORE_CORRUPT, "event %llu (%s, step %llu, task %u, worker %u, attempt %u): %s",
                      (unsigned long long)ev->lsn, reeve_event_name(ev->kind), (unsigned long long)ev->step, ev->task,
                      ev->worker, ev->attempt, why);
}

struct master_worker *master_known_worker(reeve_master *m, uint32_t worker)
{
    return worker >= 1 && worker <= m->config.workers_max ? &m->workers[worker] : NULL;
}

/* ---- workers ---- */

void master_update_hungry(reeve_master *m, uint32_t worker)
{
    struct master_worker *w = &m->workers[worker];
    bool hungry = w->state == WORKER_JOINED && w->leased < w->credit;
    if (hungry == w->hungry) return;
    w->hungry = hungry;
    if (hungry) {
        w->hungry_next = 0;
        w->hungry_prev = m->hungry_tail;
        if (m->hungry_tail != 0) m->workers[m->hungry_tail].hungry_next = worker;
        else m->hungry_head = worker;
        m->hungry_tail = worker;
    } else {
        if (w->hungry_prev != 0) m->workers[w->hungry_prev].hungry_next = w->hungry_next;
        else m->hungry_head = w->hungry_next;
        if (w->hungry_next != 0) m->workers[w->hungry_next].hungry_prev = w->hungry_prev;
        else m->hungry_tail = w->hungry_prev;
    }
}

/* Behind the others that have credit left: work goes round, one task at a time. */
void master_rotate_hungry(reeve_master *m, uint32_t worker)
{
    struct master_worker *w = &m->workers[worker];
    if (!w->hungry || m->hungry_tail == worker) return;
    uint32_t leased = w->leased;
    w->leased = w->credit;
    master_update_hungry(m, worker);
    w->leased = leased;
    master_update_hungry(m, worker);
}

uint32_t master_first_credit(const reeve_master *m)
{
    return m->config.tasks != NULL ? m->config.slots : m->config.credits;
}

static reeve_status apply_worker_joined(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    struct master_worker *w = master_known_worker(m, ev->worker);
    if (w == NULL || w->state != WORKER_ABSENT) return master_refuse(ev, err, "unknown worker, or joined twice");
    w->state = WORKER_JOINED;
    w->credit = master_first_credit(m);
    w->rejoined = w->settled = true; /* it holds nothing yet */
    m->joined++;
    master_update_hungry(m, ev->worker);
    return REEVE_OK;
}

/* ---- opening a run ---- */

/* Whatever was open belonged to processes that are gone. */
static void drop_all_tasks(reeve_master *m)
{
    for (uint32_t i = 0; i < reeve_queue_capacity(m->queue); i++) {
        const struct reeve_task *t = reeve_queue_task(m->queue, (reeve_task_id){i});
        if (t != NULL) (void)reeve_queue_cancel(m->queue, (reeve_task_id){i});
    }
    for (uint32_t i = 0; i < reeve_queue_capacity(m->queue); i++)
        if (reeve_queue_task(m->queue, (reeve_task_id){i}) != NULL) reeve_queue_retire(m->queue, (reeve_task_id){i});
    for (uint32_t s = 0; s < m->config.manifest->shard_count; s++) {
        m->shard_task[s] = MASTER_SHARD_UNKNOWN;
        m->shard_holder[s] = 0;
    }
    m->sample_task = UINT32_MAX;
    m->open_step = 0;
    m->open_count = m->computed = 0;
    m->aborts = 0;
    m->poisoned = UINT32_MAX;
}

static reeve_status apply_run_opened(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (ev->a != m->config.run_id || ev->b != m->config.manifest_digest64)
        return master_refuse(ev, err, "belongs to another run or manifest");
    if (ev->arg < 1 || ev->arg > m->config.workers_max) return master_refuse(ev, err, "number of workers out of range");
    if (ev->epoch <= m->term && m->runs > 0) return master_refuse(ev, err, "the journal's epoch does not grow");
    if (m->config.tasks != NULL) master_list_reopen(m);
    else drop_all_tasks(m);
    memset(m->workers, 0, sizeof(*m->workers) * ((size_t)m->config.workers_max + 1));
    m->joined = m->gone = m->rejoining = 0;
    m->hungry_head = m->hungry_tail = 0;
    m->pace_sum = m->pace_count = 0;
    m->expected = ev->arg;
    m->term = ev->epoch;
    m->epoch = m->first_epoch = ev->epoch > m->epoch ? ev->epoch : m->epoch + 1;
    m->opened_epoch = ev->epoch;
    m->reload = false;
    if (m->runs++ > 0) m->restarts++;
    m->phase = REEVE_PHASE_GATHER;
    m->stop_reason = m->dead_reason = REEVE_OK;
    m->ended = m->sampled = false;
    m->dead = 0; /* what died was dropped with the rest: it is added again, and gets another chance */
    m->save_asked = m->stopped = m->load_asked = false;
    memset(&m->ckpt, 0, sizeof(m->ckpt));
    return REEVE_OK;
}

/* What nobody has begun to stage was for steps that will come again later: it would be in the way of those that come now.
 * (Nothing is given out while weights are loaded, and what was before has been answered.) */
static void drop_waiting_staging(reeve_master *m)
{
    for (uint32_t i = 0; i < reeve_queue_capacity(m->queue); i++) {
        const struct reeve_task *t = reeve_queue_task(m->queue, (reeve_task_id){i});
        if (t == NULL || t->kind != REEVE_TASK_STAGE || t->state == REEVE_STATE_LEASED) continue;
        m->shard_task[t->key] = MASTER_SHARD_UNKNOWN;
        (void)reeve_queue_cancel(m->queue, (reeve_task_id){i});
        reeve_queue_retire(m->queue, (reeve_task_id){i});
    }
}

static reeve_status apply_run_resumed(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (ev->step > m->step) return master_refuse(ev, err, "resumed after a step that was never committed");
    if (m->open_step != 0) return master_refuse(ev, err, "resumed while a step is open");
    drop_waiting_staging(m);
    m->step = ev->step;
    while (m->checkpoint_count > 0 && m->checkpoints[m->checkpoint_count - 1].step > ev->step)
        m->checkpoint_count--;
    if (m->eval_step > ev->step) m->eval_step = m->checkpoint_eval_step <= ev->step ? m->checkpoint_eval_step : 0;
    m->refused_run = 0;
    m->ckpt.begun_step = 0; /* of a step that will be done again */
    return REEVE_OK;
}

/* ---- checkpoints ---- */

static reeve_status apply_ckpt_commit(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (ev->step > m->step) return master_refuse(ev, err, "a checkpoint of a step that was not committed");
    while (m->checkpoint_count > 0 && m->checkpoints[m->checkpoint_count - 1].step >= ev->step)
        m->checkpoint_count--;
    if (m->checkpoint_count == REEVE_CHECKPOINTS_MAX) {
        memmove(m->checkpoints, m->checkpoints + 1, sizeof(m->checkpoints[0]) * (REEVE_CHECKPOINTS_MAX - 1));
        m->checkpoint_count--;
    }
    m->checkpoints[m->checkpoint_count++] = (struct reeve_master_checkpoint){ev->step, ev->a, ev->b};
    m->checkpoint_seen = true;
    m->checkpoint_eval_step = m->eval_step <= ev->step ? m->eval_step : 0;
    m->ckpt.active = m->ckpt.committing = m->ckpt.handed = false;
    m->ckpt.failures = 0;
    return REEVE_OK;
}

static void apply_ckpt_begun(reeve_master *m, const struct reeve_event *ev)
{
    uint32_t failures = m->ckpt.failures;
    memset(&m->ckpt, 0, sizeof(m->ckpt));
    memset(m->part_there, 0, m->config.workers_max + 1);
    for (uint32_t w = 1; w <= m->config.workers_max; w++)
        m->workers[w].weighed = false;
    m->ckpt.active = true;
    m->ckpt.step = m->ckpt.begun_step = ev->step;
    m->ckpt.lsn = m->applied_lsn;
    m->ckpt.queue_digest = reeve_master_digest(m);
    m->ckpt.parts = ev->arg;
    m->ckpt.failures = failures;
    m->save_asked = false;
}

static void apply_ckpt_part(reeve_master *m, const struct reeve_event *ev)
{
    if (!m->ckpt.active || ev->step != m->ckpt.step || ev->arg >= m->ckpt.parts || m->part_there[ev->arg]) return;
    m->part_there[ev->arg] = 1;
    if (ev->attempt != REEVE_OK && m->ckpt.failed == REEVE_OK) m->ckpt.failed = (reeve_status)ev->attempt;
    m->parts[ev->arg] = (struct reeve_master_part){.file_bytes = ev->a, .digest = ev->b, .tensor_count = ev->task};
    if (++m->ckpt.there == m->ckpt.parts) m->ckpt.committing = true; /* each worker's weights came before its part */
}

static void apply_worker_weights(reeve_master *m, const struct reeve_event *ev)
{
    struct master_worker *w = &m->workers[ev->worker];
    if (!m->ckpt.active || ev->step != m->ckpt.step || w->weighed) return;
    w->weighed = true;
    w->weights[0] = m->ckpt.weights[0] = ev->a;
    w->weights[1] = m->ckpt.weights[1] = ev->b;
    m->ckpt.weighed++;
}

static reeve_status apply_ckpt_failed(reeve_master *m, const struct reeve_event *ev)
{
    if (m->ckpt.active && ev->step == m->ckpt.step) {
        m->ckpt.active = m->ckpt.committing = m->ckpt.handed = false;
        m->ckpt.failures++;
    }
    return REEVE_OK;
}

/* ---- the live part ---- */

static void apply_load_asked(reeve_master *m, const struct reeve_event *ev)
{
    m->phase = REEVE_PHASE_LOAD;
    m->load_asked = true;
    m->load_step = ev->step;
    m->load_answers = 0;
    m->reload = false;
    for (uint32_t w = 1; w <= m->config.workers_max; w++)
        m->workers[w].ready = m->workers[w].restore_failed = false;
}

static void apply_reduce_words(reeve_master *m, const struct reeve_event *ev)
{
    if (ev->kind == REEVE_EVENT_WORKER_REDUCED) {
        m->workers[ev->worker].reduced = true;
        m->workers[ev->worker].sum_digest = ev->a;
        m->sum_coverage = ev->b;
        m->sum_samples = ev->arg;
        m->reduced++;
    } else {
        m->sum_loss = (int64_t)ev->a;
        m->sum_tokens = ev->b;
        m->sum_members = ev->arg;
        m->sum_flagged = ev->attempt;
    }
}

static void apply_reducing(reeve_master *m)
{
    m->phase = m->phase == REEVE_PHASE_EVAL ? REEVE_PHASE_EVAL_REDUCE : REEVE_PHASE_REDUCE;
    m->reduced = 0;
    for (uint32_t w = 1; w <= m->config.workers_max; w++)
        m->workers[w].reduced = false;
}

static reeve_status apply_volatile(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    bool names_worker = ev->kind == REEVE_EVENT_HEARTBEAT || ev->kind == REEVE_EVENT_WORKER_READY ||
                        ev->kind == REEVE_EVENT_WORKER_REDUCED || ev->kind == REEVE_EVENT_WORKER_WEIGHTS ||
                        ev->kind == REEVE_EVENT_WORKER_GONE || ev->kind == REEVE_EVENT_RESTORE_FAILED ||
                        ev->kind == REEVE_EVENT_WORKER_TAINTED || ev->kind == REEVE_EVENT_WORKER_REJOINED ||
                        ev->kind == REEVE_EVENT_WORKER_SETTLED || ev->kind == REEVE_EVENT_WORKER_BARE;
    if (names_worker && master_known_worker(m, ev->worker) == NULL) return master_refuse(ev, err, "unknown worker");
    struct master_worker *w = names_worker ? &m->workers[ev->worker] : NULL;
    switch (ev->kind) {
    case REEVE_EVENT_HEARTBEAT: w->heard_ns = (reeve_time_ns)ev->a; break;
    case REEVE_EVENT_LOAD_ASKED: apply_load_asked(m, ev); break;
    case REEVE_EVENT_WORKER_READY:
        w->ready = true;
        w->weights[0] = ev->a;
        w->weights[1] = ev->b;
        m->load_answers++;
        break;
    case REEVE_EVENT_RESTORE_FAILED:
        w->restore_failed = true;
        m->load_answers++;
        reeve_master_reject_checkpoint(m, ev->step);
        break;
    case REEVE_EVENT_STEP_REDUCING: apply_reducing(m); break;
    case REEVE_EVENT_WORKER_REDUCED:
    case REEVE_EVENT_WORKER_LOSS: apply_reduce_words(m, ev); break;
    case REEVE_EVENT_CKPT_BEGUN: apply_ckpt_begun(m, ev); break;
    case REEVE_EVENT_CKPT_PART: apply_ckpt_part(m, ev); break;
    case REEVE_EVENT_WORKER_WEIGHTS: apply_worker_weights(m, ev); break;
    case REEVE_EVENT_CKPT_HANDED: m->ckpt.handed = true; break;
    case REEVE_EVENT_CKPT_SKIPPED:
        m->checkpoints_skipped++;
        m->ckpt.begun_step = ev->step;
        break;
    case REEVE_EVENT_STOP_ASKED:
        if (m->stop_reason == REEVE_OK || m->stop_reason == REEVE_JOB_STOPPED) m->stop_reason = (reeve_status)ev->arg;
        break;
    case REEVE_EVENT_SAVE_ASKED: m->save_asked = true; break;
    case REEVE_EVENT_PHASE: m->phase = (enum reeve_master_phase)ev->arg; break;
    case REEVE_EVENT_WORKER_GONE:
        if (w->state == WORKER_JOINED) {
            w->state = WORKER_GONE;
            master_pace_forget(m, ev->worker);
            m->gone++;
            m->rejoining -= !w->settled; /* it was draining already when the others were lost */
            w->settled = true;
            master_update_hungry(m, ev->worker);
        }
        break;
    case REEVE_EVENT_TASK_CONFIRMED: reeve_queue_confirm(m->queue, (reeve_task_id){ev->task}, m->epoch); break;
    case REEVE_EVENT_WORKER_TAINTED: w->tainted = true; break;
    case REEVE_EVENT_WORKER_REJOINED:
        w->rejoined = true;
        w->bare = false;
        if (ev->worker < m->settle_from) m->settle_from = ev->worker;
        m->reload |= ev->arg != 0;
        break;
    case REEVE_EVENT_WORKER_BARE: w->bare = true; break;
    case REEVE_EVENT_STATE_ASKED: m->sharing = true; break;
    case REEVE_EVENT_WORKER_SETTLED:
        w->settled = true;
        m->rejoining--;
        m->settle_from = ev->worker + 1; /* they settle in the order of their numbers */
        break;
    case REEVE_EVENT_TASK_WOKEN: (void)reeve_queue_wake(m->queue, (reeve_task_id){ev->task}); break;
    case REEVE_EVENT_LEASE_RENEWED:
        (void)reeve_queue_renew(m->queue, (reeve_task_id){ev->task}, (reeve_time_ns)ev->b);
        break;
    default: return master_refuse(ev, err, "unknown kind");
    }
    return REEVE_OK;
}

static reeve_status apply_durable(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (m->runs == 0 && ev->kind != REEVE_EVENT_RUN_OPENED) return master_refuse(ev, err, "before the run was opened");
    switch (ev->kind) {
    case REEVE_EVENT_RUN_OPENED: return apply_run_opened(m, ev, err);
    case REEVE_EVENT_RUN_RESUMED: return apply_run_resumed(m, ev, err);
    case REEVE_EVENT_WORKER_JOINED: return apply_worker_joined(m, ev, err);
    case REEVE_EVENT_WORKER_LOST: return master_apply_worker_lost(m, ev, err);
    case REEVE_EVENT_WORKER_CLEARED: return master_apply_worker_cleared(m, ev, err);
    case REEVE_EVENT_WORKER_REPLACED: return master_apply_worker_replaced(m, ev, err);
    case REEVE_EVENT_REGROUPED: return master_apply_regrouped(m, ev, err);
    case REEVE_EVENT_STEP_OPENED: return master_apply_step_opened(m, ev, err);
    case REEVE_EVENT_EVAL_OPENED: return master_apply_eval_opened(m, ev, err);
    case REEVE_EVENT_STEP_COMMITTED: return master_apply_step_committed(m, ev, err);
    case REEVE_EVENT_EVAL_COMMITTED: return master_apply_eval_committed(m, ev, err);
    case REEVE_EVENT_STEP_ABORTED: return master_apply_step_aborted(m, ev, err);
    case REEVE_EVENT_TASK_LEASED: return master_apply_task_leased(m, ev, err);
    case REEVE_EVENT_TASK_COMPUTED: return master_apply_task_computed(m, ev, err);
    case REEVE_EVENT_TASK_DONE: return master_apply_task_done(m, ev, err);
    case REEVE_EVENT_TASK_FAILED: return master_apply_task_failed(m, ev, err);
    case REEVE_EVENT_TASK_RELEASED: return master_apply_task_released(m, ev, err);
    case REEVE_EVENT_TASK_DEAD: return master_apply_task_dead(m, ev, err);
    case REEVE_EVENT_TASK_ADDED: return master_apply_task_added(m, ev, err);
    case REEVE_EVENT_TASK_CANCELLED: return master_apply_task_cancelled(m, ev, err);
    case REEVE_EVENT_TASKS_ADDED: return master_apply_tasks_added(m, ev, err);
    case REEVE_EVENT_TASKS_STARTED: return master_apply_tasks_started(m, ev, err);
    case REEVE_EVENT_CKPT_COMMIT: return apply_ckpt_commit(m, ev, err);
    case REEVE_EVENT_CKPT_FAILED: return apply_ckpt_failed(m, ev);
    case REEVE_EVENT_RUN_STOPPED:
        m->stopped = true;
        m->stop_reason = (reeve_status)ev->arg; /* known already, unless another master goes on from here */
        return REEVE_OK;
    case REEVE_EVENT_RUN_ENDED: m->ended = true; return REEVE_OK;
    case REEVE_EVENT_STEP_WEIGHTS:
    case REEVE_EVENT_SEGMENT_STAMP: return REEVE_OK; /* for the reader of the journal only */
    default: return master_refuse(ev, err, "unknown kind");
    }
}

reeve_status reeve_master_apply(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (ev->kind >= REEVE_EVENT_VOLATILE) return apply_volatile(m, ev, err);
    reeve_status st = apply_durable(m, ev, err);
    if (st == REEVE_OK) m->applied_lsn = ev->lsn;
    return st;
}
