/* GPT-2 as one would write it on a blackboard: double, no blocks, no caches, forward only. The twin of model/gpt. */
#ifndef REEVE_TESTS_UNIT_MODEL_NAIVE_GPT_H
#define REEVE_TESTS_UNIT_MODEL_NAIVE_GPT_H

#include "model/gpt/gpt.h"

/* params: (P,) packed in the order of the model's tensors. Logits (T, V) of tokens (T,). */
void naive_gpt_logits(const struct reeve_gpt_shape *shape, const double *params, const int32_t *tokens, uint32_t T,
                      double *logits);
/* Mean cross-entropy over tokens (B, T + 1). */
double naive_gpt_loss(const struct reeve_gpt_shape *shape, const double *params, const int32_t *tokens, uint32_t B,
                      uint32_t T);

#endif
