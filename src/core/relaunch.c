/* See relaunch.h. */
#include "core/relaunch.h"

#include "base/clock.h"
#include "core/task.h"
#include "reeve/status.h"

#define WAIT_FIRST_NS (500 * REEVE_MILLISECOND_NS)

void reeve_relaunch_init(struct reeve_relaunch *r, const struct reeve_relaunch_policy *policy,
                         const struct reeve_relaunch_end *before)
{
    *r = (struct reeve_relaunch){.policy = *policy,
                                 .best_step = before->step,
                                 .best_checkpoint = before->checkpoint,
                                 .best_tasks = before->tasks_done};
}

/* Staging a shard is done again by each launch. */
static bool is_work(uint64_t task_kind)
{
    return task_kind != REEVE_TASK_STAGE;
}

void reeve_relaunch_event(struct reeve_relaunch_end *end, uint32_t epoch_before, const struct reeve_event *ev)
{
    switch (ev->kind) {
    case REEVE_EVENT_RUN_OPENED:
        end->began = ev->epoch > epoch_before;
        end->trained = false;
        end->open_step = 0;
        break;
    case REEVE_EVENT_RUN_RESUMED: end->step = ev->step; break;
    case REEVE_EVENT_STEP_OPENED:
        end->trained = end->began;
        end->open_step = ev->step;
        break;
    case REEVE_EVENT_STEP_COMMITTED:
        end->step = ev->step;
        end->open_step = 0;
        break;
    case REEVE_EVENT_STEP_ABORTED: end->open_step = 0; break;
    case REEVE_EVENT_CKPT_COMMIT: end->checkpoint = ev->step; break;
    case REEVE_EVENT_TASK_DONE:
        if (is_work(ev->a)) end->tasks_done++;
        break;
    default: break;
    }
}

/* Without a last word a process was lost; 70 covers a worker that fell silent. What the other codes name (bad input, no
 * permission, a full disk ...) would be there again after a restart. 75 is a stop that somebody asked for, and all is saved,
 * whoever was lost while the others left: what mpirun sends to the survivors of a loss asks a watched rank for nothing
 * (run/stop_signals.h). */
static bool may_go_away(const struct reeve_relaunch_end *end)
{
    return end->last_word < 0 || end->last_word == REEVE_EXIT_INTERNAL;
}

static void take_note(struct reeve_relaunch *r, const struct reeve_relaunch_end *end)
{
    bool progress = end->step > r->best_step || end->checkpoint > r->best_checkpoint || end->tasks_done > r->best_tasks;
    if (end->step > r->best_step) r->best_step = end->step;
    if (end->checkpoint > r->best_checkpoint) r->best_checkpoint = end->checkpoint;
    if (end->tasks_done > r->best_tasks) r->best_tasks = end->tasks_done;
    if (progress) r->in_a_row = 0;
    r->launches++;
    if (!end->trained || end->host_lost) return; /* that says nothing about any step */
    if (end->open_step == 0) { /* lost between two steps, or in an evaluation */
        r->died_there = 0;
        r->died_in = 0;
        return;
    }
    r->died_there = end->open_step == r->died_in ? r->died_there + 1 : 1;
    r->died_in = end->open_step;
}

/* 0.5 s after progress; doubled with each restart that brought none. */
static reeve_time_ns wait_before(const struct reeve_relaunch *r)
{
    reeve_time_ns wait = WAIT_FIRST_NS;
    for (uint32_t i = 0; i < r->in_a_row && wait < r->policy.wait_max_ns; i++)
        wait *= 2;
    return wait < r->policy.wait_max_ns ? wait : r->policy.wait_max_ns;
}

struct reeve_relaunch_verdict reeve_relaunch_judge(struct reeve_relaunch *r, const struct reeve_relaunch_end *end)
{
    struct reeve_relaunch_verdict v = {.kind = REEVE_RELAUNCH_AGAIN};
    bool first = r->launches == 0;
    take_note(r, end);
    if (!may_go_away(end)) v.kind = REEVE_RELAUNCH_OVER;
    else if (r->policy.restarts_max == 0) v.kind = REEVE_RELAUNCH_NEVER;
    else if (first && !end->began && !end->lost) v.kind = REEVE_RELAUNCH_NO_START;
    else if (r->died_in != 0 && r->died_there >= r->policy.crash_limit) v.kind = REEVE_RELAUNCH_POISON;
    else if (r->in_a_row >= r->policy.restarts_max) v.kind = REEVE_RELAUNCH_FRUITLESS;
    if (v.kind != REEVE_RELAUNCH_AGAIN) return v;
    v.wait_ns = wait_before(r);
    r->in_a_row++;
    return v;
}
