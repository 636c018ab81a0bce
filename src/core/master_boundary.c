/* Between two steps: evaluate, save, stop, end, or open the next. Nothing is open here, so what is saved is a whole
 * step, and whoever stops here has lost nothing. */
#include "core/master_decision.h"

static void open_step(const reeve_master *m, struct reeve_decision *d)
{
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_STEP_OPENED);
    ev->step = m->step + 1;
    ev->arg = m->micro_batches;
    ev->a = m->step * m->config.global_batch;
    ev->b = m->config.global_batch;
}

static void begin_checkpoint(const reeve_master *m, struct reeve_decision *d)
{
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_CKPT_BEGUN);
    ev->step = m->step;
    ev->arg = master_active_workers(m);
    d->effect = REEVE_EFFECT_BEGIN_CHECKPOINT;
    d->effect_step = m->step;
    struct reeve_frame *f = master_add_frame(m, d, 0, REEVE_FRAME_CHECKPOINT);
    f->step = m->step;
    f->a = master_active_workers(m);
}

void master_end_run(const reeve_master *m, uint16_t kind, struct reeve_decision *d)
{
    struct reeve_event *ev = master_add_event(d, kind);
    bool list = m->config.tasks != NULL;
    uint32_t dead = list ? reeve_queue_count(m->queue, REEVE_STATE_DEAD) : m->dead;
    ev->step = list ? reeve_queue_count(m->queue, REEVE_STATE_DONE) : m->step;
    ev->arg = kind == REEVE_EVENT_RUN_ENDED ? dead : (uint32_t)m->stop_reason;
    master_add_event(d, REEVE_EVENT_PHASE)->arg = REEVE_PHASE_DRAIN;
    (void)master_add_frame(m, d, 0, REEVE_FRAME_DRAIN);
    d->sync = true;
}

static void add_sample(const reeve_master *m, struct reeve_decision *d)
{
    struct reeve_event *ev = master_add_event(d, REEVE_EVENT_TASK_ADDED);
    ev->a = REEVE_TASK_GENERATE;
    ev->task = reeve_queue_next_free(m->queue);
}

/* True if nothing is left to wait for: the newest state is on disk, or cannot be brought there. */
static bool decide_last_checkpoint(const reeve_master *m, struct reeve_decision *d)
{
    uint64_t last = m->checkpoint_count > 0 ? m->checkpoints[m->checkpoint_count - 1].step : 0;
    if (m->ckpt.active) return false;
    if (last == m->step || m->step == 0) return true;
    if (m->ckpt.failures >= MASTER_CKPT_FAILURES_MAX) {
        if (m->stop_reason == REEVE_OK || m->stop_reason == REEVE_JOB_STOPPED)
            master_add_event(d, REEVE_EVENT_STOP_ASKED)->arg = REEVE_STORE_WRITE;
        return d->event_count == 0;
    }
    begin_checkpoint(m, d);
    return false;
}

static bool checkpoint_due(const reeve_master *m)
{
    if (m->step == 0 || m->ckpt.begun_step == m->step) return false;
    if (m->checkpoint_count > 0 && m->checkpoints[m->checkpoint_count - 1].step == m->step) return false;
    return m->save_asked || (m->config.checkpoint_every > 0 && m->step % m->config.checkpoint_every == 0);
}

void master_decide_boundary(const reeve_master *m, struct reeve_decision *d)
{
    bool last = m->step >= m->config.steps;
    if (m->config.stop_at > 0 && m->step >= m->config.stop_at && m->stop_reason == REEVE_OK && !last) {
        master_add_event(d, REEVE_EVENT_STOP_ASKED)->arg = REEVE_JOB_STOPPED;
        return;
    }
    if (m->stop_reason != REEVE_OK && !(last && m->stop_reason == REEVE_JOB_STOPPED)) {
        if (decide_last_checkpoint(m, d)) master_end_run(m, REEVE_EVENT_RUN_STOPPED, d);
        return;
    }
    bool eval_due = m->eval_batches > 0 && m->step > 0 && m->eval_step != m->step &&
                    (last || (m->config.eval_every > 0 && m->step % m->config.eval_every == 0));
    if (eval_due) {
        struct reeve_event *ev = master_add_event(d, REEVE_EVENT_EVAL_OPENED);
        ev->step = m->step;
        ev->arg = m->eval_batches;
        return;
    }
    if (last) {
        if (!decide_last_checkpoint(m, d)) return;
        if (m->config.sample_tokens > 0 && !m->sampled) {
            if (m->sample_task == UINT32_MAX) add_sample(m, d);
            return;
        }
        master_end_run(m, REEVE_EVENT_RUN_ENDED, d);
        return;
    }
    if (m->ckpt.failures >= MASTER_CKPT_FAILURES_MAX) {
        master_add_event(d, REEVE_EVENT_STOP_ASKED)->arg = REEVE_STORE_WRITE;
        return;
    }
    if (checkpoint_due(m)) {
        if (!m->ckpt.active) {
            begin_checkpoint(m, d);
            return;
        }
        /* The one before is still being written: never queue behind it; say so and go on. */
        master_add_event(d, REEVE_EVENT_CKPT_SKIPPED)->step = m->step;
        return;
    }
    open_step(m, d);
}
