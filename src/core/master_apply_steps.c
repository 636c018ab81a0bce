/* How steps and evaluations open, commit and are thrown away, and which tasks they consist of. */
#include "core/master_change.h"

#include <string.h>

#include "base/error.h"

static reeve_status add_stage(reeve_master *m, uint32_t shard, bool now)
{
    if (m->shard_task[shard] != MASTER_SHARD_UNKNOWN) return REEVE_OK;
    int32_t own = m->config.manifest->shards[shard].priority;
    if (own > MASTER_SHARD_PRIORITY_MAX) own = MASTER_SHARD_PRIORITY_MAX;
    if (own < -MASTER_SHARD_PRIORITY_MAX) own = -MASTER_SHARD_PRIORITY_MAX;
    struct reeve_task_spec spec = {
        .kind = REEVE_TASK_STAGE,
        .key = shard,
        .step = m->open_step,
        .priority = (now ? MASTER_PRIORITY_NOW : MASTER_PRIORITY_AHEAD) + own,
    };
    reeve_task_id id;
    reeve_status st = reeve_queue_add(m->queue, &spec, &id);
    if (st != REEVE_OK) return st;
    reeve_queue_start(m->queue, id);
    m->shard_task[shard] = id.v;
    return REEVE_OK;
}

/* One gradient or evaluation task, behind the staging of every shard that it reads. */
static reeve_status add_compute_task(reeve_master *m, uint8_t kind, uint64_t step, uint32_t key, uint32_t samples,
                                     reeve_task_id *out)
{
    uint32_t holder = m->shard_holder[m->samples[0].shard.v];
    struct reeve_task_spec spec = {
        .kind = kind,
        .key = key,
        .step = step,
        .affinity = holder != 0 ? REEVE_AFFINITY_SOFT : REEVE_AFFINITY_NONE,
        .group = holder,
    };
    reeve_status st = reeve_queue_add(m->queue, &spec, out);
    for (uint32_t i = 0; i < samples && st == REEVE_OK; i++) {
        uint32_t shard = m->samples[i].shard.v;
        st = add_stage(m, shard, true);
        if (st == REEVE_OK && m->shard_task[shard] != MASTER_SHARD_STAGED)
            st = reeve_queue_after(m->queue, *out, (reeve_task_id){m->shard_task[shard]}, false);
    }
    if (st == REEVE_OK) reeve_queue_start(m->queue, *out);
    return st;
}

static void begin_open(reeve_master *m, uint64_t step, uint32_t count, enum reeve_master_phase phase)
{
    m->open_step = step;
    m->open_count = count;
    m->computed = 0;
    m->open_coverage = 0;
    m->open_samples = 0;
    m->phase = phase;
}

reeve_status master_apply_step_opened(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (m->open_step != 0 || ev->step != m->step + 1 || ev->arg != m->micro_batches)
        return master_refuse(ev, err, "a step is open already, or this is not the next");
    begin_open(m, ev->step, m->micro_batches, REEVE_PHASE_TRAIN);
    reeve_status st = REEVE_OK;
    for (uint32_t i = 0; i < m->micro_batches && st == REEVE_OK; i++) {
        st = reeve_plan_micro_batch(m->plan, ev->step, i, m->samples, err);
        if (st != REEVE_OK) return st;
        reeve_task_id id;
        st = add_compute_task(m, REEVE_TASK_GRADIENT, ev->step, i, m->config.micro_batch, &id);
        m->open_tasks[i] = id.v;
    }
    for (uint32_t i = 0; i < m->micro_batches && st == REEVE_OK;
         i++) { /* also after the last: how many steps there are may change */
        st = reeve_plan_micro_batch(m->plan, ev->step + 1, i, m->samples, err);
        for (uint32_t s = 0; s < m->config.micro_batch && st == REEVE_OK; s++)
            st = add_stage(m, m->samples[s].shard.v, false);
    }
    if (st != REEVE_OK)
        return reeve_fail(err, st, "open step %llu: %s", (unsigned long long)ev->step, reeve_status_text(st));
    m->open_coverage = reeve_plan_coverage_step(m->plan, ev->step);
    m->open_samples = m->config.global_batch;
    return REEVE_OK;
}

reeve_status master_apply_eval_opened(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (m->open_step != 0 || ev->step != m->step || ev->arg != m->eval_batches)
        return master_refuse(ev, err, "something is open already, or this is not the last step");
    begin_open(m, ev->step, m->eval_batches, REEVE_PHASE_EVAL);
    for (uint32_t i = 0; i < m->eval_batches; i++) {
        uint32_t count = 0;
        reeve_plan_eval_batch(m->plan, i, m->samples, &count);
        reeve_task_id id;
        reeve_status st = add_compute_task(m, REEVE_TASK_EVAL, ev->step, i, count, &id);
        if (st != REEVE_OK) return reeve_fail(err, st, "open evaluation: %s", reeve_status_text(st));
        m->open_tasks[i] = id.v;
        m->open_samples += count;
        m->open_coverage += reeve_plan_coverage_word(m->plan, REEVE_PLAN_EVAL_STEP(ev->step), i);
    }
    return REEVE_OK;
}

static void close_open(reeve_master *m)
{
    for (uint32_t i = 0; i < m->open_count; i++) {
        reeve_task_id id = {m->open_tasks[i]};
        const struct reeve_task *t = reeve_queue_task(m->queue, id);
        if (t->state == REEVE_STATE_LEASED) {
            m->workers[t->holder].leased--;
            master_update_hungry(m, t->holder);
        }
        if (t->state != REEVE_STATE_COMPUTED) (void)reeve_queue_cancel(m->queue, id);
        reeve_queue_retire(m->queue, id);
    }
    m->open_step = 0;
    m->open_count = m->computed = 0;
    m->poisoned = UINT32_MAX;
    m->phase = REEVE_PHASE_TRAIN;
}

reeve_status master_apply_step_committed(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (m->open_step != ev->step || ev->step != m->step + 1 || m->computed != m->open_count)
        return master_refuse(ev, err, "committed before every micro-batch was computed");
    if (ev->b != m->open_coverage || ev->arg != m->open_samples)
        return master_refuse(ev, err, "its coverage or its number of samples is not the plan's");
    close_open(m);
    m->aborts = 0;
    m->step = ev->step;
    m->loss = (int64_t)ev->a;
    bool refused = (ev->flags & REEVE_EVENT_FLAG_REFUSED) != 0;
    m->last_refused = refused;
    m->refused_run = refused ? m->refused_run + 1 : 0;
    m->refused_steps += refused;
    return REEVE_OK;
}

reeve_status master_apply_eval_committed(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (m->open_step != ev->step || ev->step != m->step || m->computed != m->open_count)
        return master_refuse(ev, err, "committed before every batch was computed");
    close_open(m);
    m->aborts = 0;
    m->eval_step = ev->step;
    m->eval_loss = (int64_t)ev->a;
    m->eval_tokens = ev->b;
    return REEVE_OK;
}

reeve_status master_apply_step_aborted(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    if (m->open_step == 0) return master_refuse(ev, err, "nothing is open");
    close_open(m);
    reeve_queue_sweep_edges(m->queue); /* some may have waited for a shard */
    m->aborts++;
    return REEVE_OK;
}
