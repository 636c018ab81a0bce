/* The master's memory, its digest, and what others may read of it; thinking is in master_decide.c, changing in
 * master_apply*.c. */
#include "core/master.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "core/master_state.h"

/* Tasks that can exist at once: an open step or evaluation, the staging for it and for the step after, one sample. A micro-batch
 * waits for up to as many shards as it has samples; the batches of an evaluation, which are in the order of the manifest, wait for
 * a shard each, and once more for each shard. The plan bounds the tasks, what a lock may be the shards. */
static reeve_status create_queue(reeve_master *m, struct reeve_error *err)
{
    const struct reeve_master_config *c = &m->config;
    if (c->tasks != NULL) {
        const struct reeve_queue_limits list = {
            .tasks_max = c->tasks->task_count, .edges_max = c->tasks->after_count, .workers_max = c->workers_max};
        return reeve_queue_create(&list, &m->queue, err);
    }
    uint64_t staging = (uint64_t)m->open_max * c->micro_batch + c->global_batch;
    if (staging > c->manifest->shard_count) staging = c->manifest->shard_count;
    uint64_t tasks = m->open_max + staging + 16;
    uint64_t edges = (uint64_t)m->eval_batches + c->manifest->shard_count;
    if (edges < c->global_batch) edges = c->global_batch;
    if (tasks >= UINT32_MAX || edges >= UINT32_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID, "the manifest has %u shards, too many for one queue",
                          c->manifest->shard_count);
    struct reeve_queue_limits limits = {
        .tasks_max = (uint32_t)tasks,
        .edges_max = (uint32_t)edges,
        .workers_max = c->workers_max,
    };
    return reeve_queue_create(&limits, &m->queue, err);
}

/* What training needs besides: the open step, and who holds which shard. */
static reeve_status create_training(reeve_master *m, struct reeve_error *err)
{
    const struct reeve_master_config *c = &m->config;
    REEVE_ASSERT(c->micro_batch >= 1);
    m->micro_batches = reeve_plan_micro_batches(m->plan);
    m->eval_batches = reeve_plan_eval_batches(m->plan);
    m->open_max = m->micro_batches > m->eval_batches ? m->micro_batches : m->eval_batches;
    m->shard_task = malloc(sizeof(*m->shard_task) * c->manifest->shard_count);
    m->shard_holder = calloc(c->manifest->shard_count, sizeof(*m->shard_holder));
    m->open_tasks = calloc(m->open_max, sizeof(*m->open_tasks));
    m->samples = calloc(c->micro_batch, sizeof(*m->samples));
    if (!m->shard_task || !m->shard_holder || !m->open_tasks || !m->samples)
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "master for %u shards: out of memory", c->manifest->shard_count);
    for (uint32_t s = 0; s < c->manifest->shard_count; s++)
        m->shard_task[s] = MASTER_SHARD_UNKNOWN;
    return REEVE_OK;
}

reeve_status reeve_master_create(const struct reeve_master_config *config, reeve_plan *plan, reeve_master **out,
                                 struct reeve_error *err)
{
    REEVE_ASSERT(config->workers_max >= 1 && config->credits >= 1 && (plan == NULL) == (config->tasks != NULL));
    REEVE_ASSERT(config->tasks == NULL || (config->slots >= 1 && config->slots <= config->credits));
    reeve_master *m = calloc(1, sizeof(*m));
    if (m == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "master: out of memory");
    m->config = *config;
    m->plan = plan;
    m->sample_task = m->poisoned = UINT32_MAX;
    size_t workers = (size_t)config->workers_max + 1;
    m->workers = calloc(workers, sizeof(*m->workers));
    m->parts = calloc(workers, sizeof(*m->parts));
    m->part_there = calloc(workers, sizeof(*m->part_there));
    reeve_status st = REEVE_OK;
    if (!m->workers || !m->parts || !m->part_there)
        st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "master for %u workers: out of memory", config->workers_max);
    if (st == REEVE_OK && config->tasks == NULL) st = create_training(m, err);
    if (st == REEVE_OK) st = create_queue(m, err);
    if (st != REEVE_OK) {
        reeve_master_destroy(m);
        return st;
    }
    *out = m;
    return REEVE_OK;
}

void reeve_master_destroy(reeve_master *m)
{
    if (m == NULL) return;
    reeve_queue_destroy(m->queue);
    free(m->samples);
    free(m->open_tasks);
    free(m->shard_holder);
    free(m->shard_task);
    free(m->part_there);
    free(m->parts);
    free(m->workers);
    free(m);
}

uint64_t reeve_master_digest(const reeve_master *m)
{
    uint64_t words[] = {
        m->step,        m->open_step,
        m->open_count,  m->computed,
        m->refused_run, m->refused_steps,
        m->dead,        (uint64_t)m->loss,
        m->eval_step,   (uint64_t)m->eval_loss,
        m->eval_tokens, m->checkpoint_count,
        m->ended,       m->sampled,
        m->epoch,       m->runs,
        m->list_added,  m->list_started,
    };
    uint64_t sum = reeve_digest64(words, sizeof(words), 0);
    for (uint32_t i = 0; i < m->checkpoint_count; i++)
        sum = reeve_digest64(&m->checkpoints[i].step, 8, sum);
    return sum ^ reeve_queue_digest(m->queue);
}

enum reeve_master_phase reeve_master_get_phase(const reeve_master *m)
{
    return m->phase;
}

void reeve_master_get_status(const reeve_master *m, struct reeve_master_status *out)
{
    *out = (struct reeve_master_status){
        .phase = m->phase,
        .epoch = m->epoch,
        .opened_epoch = m->opened_epoch,
        .step = m->step,
        .last_checkpoint = m->checkpoint_count > 0 ? m->checkpoints[m->checkpoint_count - 1].step : 0,
        .workers = m->joined - m->gone,
        .workers_expected = m->expected,
        .ready = reeve_queue_count(m->queue, REEVE_STATE_READY) + reeve_queue_count(m->queue, REEVE_STATE_DELAYED),
        .leased = reeve_queue_count(m->queue, REEVE_STATE_LEASED),
        .blocked = reeve_queue_count(m->queue, REEVE_STATE_BLOCKED),
        .computed = m->computed,
        .dead = m->config.tasks != NULL ? reeve_queue_count(m->queue, REEVE_STATE_DEAD) : m->dead,
        .done = reeve_queue_count(m->queue, REEVE_STATE_DONE),
        .delayed = reeve_queue_count(m->queue, REEVE_STATE_DELAYED),
        .cancelled = reeve_queue_count(m->queue, REEVE_STATE_CANCELLED),
        .attempts_failed = m->attempts_failed,
        .tasks_total = m->config.tasks != NULL ? m->config.tasks->task_count : m->open_count,
        .loss = m->loss,
        .eval_step = m->eval_step,
        .eval_loss = m->eval_loss,
        .eval_tokens = m->eval_tokens,
        .refused_steps = m->refused_steps,
        .checkpoints_skipped = m->checkpoints_skipped,
        .restarts = m->restarts,
        .stop_reason = m->stop_reason,
        .ended = m->ended,
        .sampled = m->sampled,
    };
}

const struct reeve_task *reeve_master_task(const reeve_master *m, uint32_t task)
{
    return reeve_queue_task(m->queue, (reeve_task_id){task});
}

uint32_t reeve_master_checkpoints(const reeve_master *m, struct reeve_master_checkpoint *out, uint32_t max)
{
    uint32_t n = 0;
    for (uint32_t i = m->checkpoint_count; i-- > 0 && n < max;)
        out[n++] = m->checkpoints[i];
    return n;
}

void reeve_master_reject_checkpoint(reeve_master *m, uint64_t step)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->checkpoint_count; i++)
        if (m->checkpoints[i].step != step) m->checkpoints[kept++] = m->checkpoints[i];
    m->checkpoint_count = kept;
}

bool reeve_master_silence(const reeve_master *m, uint32_t worker, reeve_time_ns now_ns, reeve_time_ns since_ns,
                          reeve_time_ns *silence_ns)
{
    if (worker == 0 || worker > m->expected) return false;
    const struct master_worker *at = &m->workers[worker];
    *silence_ns = now_ns - (at->heard_ns > since_ns ? at->heard_ns : since_ns);
    return at->state == WORKER_JOINED || (at->state == WORKER_ABSENT && m->phase == REEVE_PHASE_GATHER);
}

uint32_t reeve_master_silent_worker(const reeve_master *m, reeve_time_ns now_ns, reeve_time_ns since_ns,
                                    reeve_time_ns *silence_ns)
{
    uint32_t worst = 0;
    *silence_ns = 0;
    for (uint32_t w = 1; w <= m->expected; w++) {
        reeve_time_ns silent = 0;
        bool awaited = reeve_master_silence(m, w, now_ns, since_ns, &silent);
        if (!awaited || (worst != 0 && silent <= *silence_ns)) continue;
        worst = w;
        *silence_ns = silent;
    }
    return worst;
}

bool reeve_master_worker_lost(const reeve_master *m, uint32_t worker)
{
    return worker >= 1 && worker <= m->config.workers_max && m->workers[worker].state == WORKER_LOST;
}

bool reeve_master_worker_active(const reeve_master *m, uint32_t worker)
{
    return worker >= 1 && worker <= m->config.workers_max && m->workers[worker].state == WORKER_JOINED;
}

void reeve_master_get_cut(const reeve_master *m, struct reeve_master_cut *out)
{
    *out = (struct reeve_master_cut){
        .step = m->ckpt.step,
        .lsn = m->ckpt.lsn,
        .queue_digest = m->ckpt.queue_digest,
        .weights = {m->ckpt.weights[0], m->ckpt.weights[1]},
        .parts = m->parts,
        .part_count = m->ckpt.parts,
    };
}

reeve_time_ns reeve_master_next_due(const reeve_master *m)
{
    return reeve_queue_next_due(m->queue);
}
