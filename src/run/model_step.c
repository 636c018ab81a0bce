/* See model_step.h. */
#include "run/model_step.h"

#include "core/task.h"

bool reeve_model_step_fits(const struct reeve_model_step *m, const struct reeve_frame *word)
{
    switch (word->kind) {
    case REEVE_FRAME_LEASE:
    case REEVE_FRAME_REDUCE:
        if (word->a == REEVE_TASK_GRADIENT) return word->step == m->step + 1;
        return word->a != REEVE_TASK_EVAL || word->step == m->step;
    case REEVE_FRAME_APPLY: return word->step == m->step + 1 && word->step == m->summed;
    case REEVE_FRAME_CHECKPOINT: return word->step == m->step;
    case REEVE_FRAME_STATE: return word->step == m->step || m->step == REEVE_STEP_NONE;
    default: return true;
    }
}

void reeve_model_step_note(struct reeve_model_step *m, const struct reeve_frame *word)
{
    if (word->kind == REEVE_FRAME_INIT) m->step = 0;
    if (word->kind == REEVE_FRAME_RESTORE || word->kind == REEVE_FRAME_APPLY) m->step = word->step;
    bool ends_sum =
        word->kind == REEVE_FRAME_APPLY || word->kind == REEVE_FRAME_DISCARD || word->kind == REEVE_FRAME_REDUCE;
    if (ends_sum) m->summed = 0;
}
