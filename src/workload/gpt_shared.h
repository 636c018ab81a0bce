/* What workload gpt does alike on CPUs and on GPUs. */
#ifndef REEVE_WORKLOAD_GPT_SHARED_H
#define REEVE_WORKLOAD_GPT_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/gpt/gpt.h"
#include "reeve/workload.h"

/* A checkpoint may have been damaged in a way that its checksums do not see, or written by something else.
 * STORE_CORRUPT: a value is not finite, or a mean of squares is negative. */
reeve_status gpt_state_check(const struct reeve_tensor *tensors, uint32_t count, uint64_t step,
                             struct reeve_error *err);

/* A model that continues tokens, as reeve_gpt_generate() does. */
struct gpt_text_source {
    reeve_status (*generate)(void *model, const int32_t *prompt, uint32_t prompt_count, uint32_t token_count,
                             uint64_t seed, double temperature, bool (*take)(void *arg, int32_t token), void *take_arg,
                             struct reeve_error *err);
    void *model;
    const struct reeve_gpt_shape *shape;
    int32_t *prompt; /* (sequence,) scratch */
};
/* As the slot generate of reeve/workload.h. TASK_REJECTED: the prompt, the temperature, no room */
reeve_status gpt_text_generate(const struct gpt_text_source *source, const char *prompt, uint32_t token_count,
                               uint64_t seed, double temperature, char *text, size_t text_bytes_max,
                               struct reeve_error *err);

#endif
