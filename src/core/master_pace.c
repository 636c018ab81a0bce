/* See master_pace.h. */
#include "core/master_pace.h"

#define PACE_UNIT                                                                                                      \
    ((uint64_t)1 << 40) /* a pace is micro-batches in so many ns: a whole number, so that sums are exact */

void master_pace_forget(reeve_master *m, uint32_t worker)
{
    struct master_worker *w = &m->workers[worker];
    if (w->pace == 0) return;
    m->pace_sum -= w->pace;
    m->pace_count--;
    w->pace = 0;
}

void master_pace_note(reeve_master *m, uint32_t worker, uint64_t task_ns)
{
    struct master_worker *w = &m->workers[worker];
    master_pace_forget(m, worker);
    w->pace = task_ns > 0 && task_ns < PACE_UNIT ? PACE_UNIT / task_ns : 1;
    m->pace_sum += w->pace;
    m->pace_count++;
}

bool master_pace_leaves(const reeve_master *m, uint32_t worker, const struct reeve_task *task)
{
    const struct master_worker *w = &m->workers[worker];
    if (task->kind != REEVE_TASK_GRADIENT && task->kind != REEVE_TASK_EVAL) return false;
    if (task->avoid != 0 || task->affinity == REEVE_AFFINITY_HARD) return false;
    if (w->pace == 0 || m->pace_count < 2) return false;
    uint64_t others = m->pace_count - 1, others_pace = m->pace_sum - w->pace;
    uint64_t theirs = (uint64_t)reeve_queue_count_kind(m->queue, (enum reeve_task_kind)task->kind, REEVE_STATE_READY) +
                      reeve_queue_count_kind(m->queue, (enum reeve_task_kind)task->kind, REEVE_STATE_LEASED);
    theirs = theirs > w->leased ? theirs - w->leased : 0;
    /* A task is done by one worker: the others need so many rounds, of their mean length, and this one its own. */
    uint64_t rounds = (theirs + others - 1) / others;
    return (unsigned __int128)rounds * others * w->pace < (unsigned __int128)(w->leased + 1) * others_pace;
}
