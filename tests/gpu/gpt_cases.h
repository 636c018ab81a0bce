/* What the files of gpt_test share. */
#ifndef TESTS_GPU_GPT_CASES_H
#define TESTS_GPU_GPT_CASES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "model/gpt/cuda/gpt_cuda.h"
#include "model/gpt/gpt.h"

#define TOKENS_MAX 8192 /* of a batch */

extern uint64_t seed;
extern bool is_small; /* for the double of a GPU */

/* The line of a case. */
void verdict(bool good, const char *name, const char *figures);
/* What is no case of its own but must hold for any to go on. */
void must(reeve_status st, const struct reeve_error *err, const char *what);

uint64_t elements(const struct reeve_tensor *t);
const char *precision_name(enum reeve_gpt_precision p);
reeve_gpt_cuda *new_gpu(const struct reeve_gpt_shape *shape, enum reeve_gpt_precision precision, bool exact);
reeve_gpt *new_cpu(const struct reeve_gpt_shape *shape);
/* Values other than the first ones, which would hide much: biases are 0 there, and norms 1. The same on both sides. */
void make_values(reeve_gpt *cpu, reeve_gpt_cuda *gpu);
void make_tokens(int32_t *tokens, uint32_t B, uint32_t T, uint32_t V, uint64_t stream);

void check_gradients(void); /* gpt_gradient_cases.c */

#endif
