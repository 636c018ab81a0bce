/* See eviction.h. */
#include "core/eviction.h"

#include "base/clock.h"
#include "core/task.h"

#define MEDIANS_OF_PATIENCE 10
#define FIRST_TIMES 10 /* that for the first of a kind in a process */
#define FIGURES_MIN 5u /* fewer are no measure of what needs none: one of them may have been a hang */
#define SPARSE_NS (REEVE_SECOND_NS / 2)
#define QUIET_NS (3 * REEVE_SECOND_NS)            /* a worker that says once a second that it lives is not silent yet */
#define FIGURE_NS_MAX (1000000 * REEVE_SECOND_NS) /* figures come over the wire */

const char *reeve_pace_name(enum reeve_pace pace)
{
    switch (pace) {
    case REEVE_PACE_WORD: return "a word";
    case REEVE_PACE_GRADIENT: return "the gradient of a micro-batch";
    case REEVE_PACE_EVAL: return "a batch of the evaluation";
    case REEVE_PACE_APPLY: return "the optimiser's step";
    case REEVE_PACE_LOAD: return "opening the workload";
    case REEVE_PACE_SUM: return "the sum over workers";
    case REEVE_PACE_STATE: return "the state for a new worker";
    case REEVE_PACE_OTHER: return "something else";
    case REEVE_PACE_NONE:
    case REEVE_PACES: break;
    }
    return "nothing";
}

enum reeve_pace reeve_pace_of(const struct reeve_frame *command)
{
    switch (command->kind) {
    case REEVE_FRAME_INIT:
    case REEVE_FRAME_RESTORE: return REEVE_PACE_LOAD;
    case REEVE_FRAME_APPLY: return REEVE_PACE_APPLY;
    case REEVE_FRAME_LEASE:
        if (command->a == REEVE_TASK_GRADIENT) return REEVE_PACE_GRADIENT;
        return command->a == REEVE_TASK_EVAL ? REEVE_PACE_EVAL : REEVE_PACE_OTHER;
    default: return REEVE_PACE_OTHER;
    }
}

void reeve_eviction_init(struct reeve_eviction *e, reeve_time_ns floor_ns)
{
    *e = (struct reeve_eviction){.floor_ns = floor_ns};
}

void reeve_eviction_measure(struct reeve_eviction *e, enum reeve_pace pace, reeve_time_ns took_ns)
{
    if (pace > REEVE_PACE_OTHER && pace < REEVE_PACES && took_ns > 0 && took_ns <= FIGURE_NS_MAX)
        reeve_recent_add(&e->took[pace], took_ns);
}

void reeve_eviction_heard(struct reeve_eviction *e, reeve_time_ns after_ns)
{
    if (after_ns >= SPARSE_NS) reeve_eviction_measure(e, REEVE_PACE_WORD, after_ns);
}

reeve_time_ns reeve_eviction_deadline(const struct reeve_eviction *e, enum reeve_pace pace, bool first)
{
    if (e->floor_ns == 0 || pace <= REEVE_PACE_OTHER || pace >= REEVE_PACES) return INT64_MAX;
    const struct reeve_recent *took = &e->took[pace == REEVE_PACE_STATE ? REEVE_PACE_SUM : pace];
    /* A word comes each second, and a state is moved in small pieces. */
    bool agreed = (pace == REEVE_PACE_WORD || pace == REEVE_PACE_STATE) && took->count < FIGURES_MIN;
    if (took->count == 0 && !agreed) return INT64_MAX;
    reeve_time_ns deadline_ns = agreed ? 0 : MEDIANS_OF_PATIENCE * reeve_recent_median(took);
    if (deadline_ns < e->floor_ns) deadline_ns = e->floor_ns;
    return first ? FIRST_TIMES * deadline_ns : deadline_ns;
}

#define FIRST_BIT 0x80000000u

void reeve_eviction_tell(struct reeve_frame *heartbeat, enum reeve_pace pace, bool first, reeve_time_ns lasts_ns)
{
    heartbeat->arg = (uint32_t)pace | (first ? FIRST_BIT : 0);
    heartbeat->a = (uint64_t)lasts_ns;
}

void reeve_eviction_hear(struct reeve_eviction_worker *w, const struct reeve_frame *word)
{
    uint32_t pace = word->kind == REEVE_FRAME_HEARTBEAT ? word->arg & ~FIRST_BIT : REEVE_PACE_NONE;
    w->heard = true;
    w->pace = pace < REEVE_PACES ? (enum reeve_pace)pace : REEVE_PACE_OTHER;
    w->first = (word->arg & FIRST_BIT) != 0;
    w->lasts_ns = word->a <= FIGURE_NS_MAX ? (reeve_time_ns)word->a : 0;
}

enum reeve_verdict reeve_eviction_judge(const struct reeve_eviction *e, const struct reeve_eviction_worker *w)
{
    if (!w->awaited) return REEVE_VERDICT_GOES_ON;
    if (w->silence_ns > reeve_eviction_deadline(e, REEVE_PACE_WORD, false))
        return w->heard ? REEVE_VERDICT_SILENT : REEVE_VERDICT_SILENT_IF_STOPPED;
    return w->lasts_ns > reeve_eviction_deadline(e, w->pace, w->first) ? REEVE_VERDICT_STUCK : REEVE_VERDICT_GOES_ON;
}

bool reeve_eviction_sum_is_stuck(const struct reeve_eviction *e, enum reeve_pace sum,
                                 const struct reeve_eviction_worker *workers, uint32_t count, reeve_time_ns sum_ns)
{
    if (sum_ns <= reeve_eviction_deadline(e, sum, false)) return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct reeve_eviction_worker *w = &workers[i];
        if (w->awaited && (!w->heard || w->silence_ns > QUIET_NS || w->pace != REEVE_PACE_NONE)) return false;
    }
    return true;
}
