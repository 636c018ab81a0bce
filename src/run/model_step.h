/* Where a worker's model stands, by the words of its master: of which step it is, and whether a word fits it. A word that does
 * not was lost before, or came twice, or too early; the transport promises that this cannot be, and nothing is computed on
 * other weights if it is. Pure; only the worker (run/worker.c) keeps one. */
#ifndef REEVE_RUN_MODEL_STEP_H
#define REEVE_RUN_MODEL_STEP_H

#include <stdbool.h>

#include "core/frame.h"

struct reeve_model_step {
    uint64_t step;   /* of the model, once what was posted is done; REEVE_STEP_NONE: there is none here yet */
    uint64_t summed; /* whose sum was reported, and is not over; 0: none */
};

bool reeve_model_step_fits(const struct reeve_model_step *m, const struct reeve_frame *word);
/* Where the model stands once this command is done. */
void reeve_model_step_note(struct reeve_model_step *m, const struct reeve_frame *word);

#endif
