/* What the files of gpt_test share. */
#ifndef TESTS_GPU_GPT_CASES_H
#define TESTS_GPU_GPT_CASES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "model/adamw.h"
#include "model/gpt/cuda/gpt_cuda.h"
#include "model/gpt/gpt.h"

#define TOKENS_MAX 8192 /* of a batch */

extern uint64_t seed;
extern bool is_small;  /* for the double of a GPU */
extern uint64_t steps; /* of a training */
extern const struct reeve_adamw_config optimizer;

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

/* ---- training: a job of some steps of three micro-batches, alone; gpt_run.c ---- */

extern struct reeve_gpt_shape small;
enum { MICRO = 3 };

/* How a run differs from another without changing its bits. */
enum { IN_ORDER = 0, BACKWARDS = 1, PREFETCH = 2, PREFETCH_WRONG = 4, EVALUATE = 8, PUBLISH = 16 };

struct run {
    reeve_gpt_cuda *gpu;
    struct reeve_device_sum sum;
    bool exact;
};

struct run start_run(enum reeve_gpt_precision precision, bool exact);
/* The tokens of this micro-batch of this step, into `tokens`. */
struct reeve_batch batch_of(int32_t *tokens, uint64_t step, uint32_t micro);
/* One step; returns its loss a token. flags may be NULL. */
double run_step(const struct run *r, uint64_t step, unsigned how, struct reeve_device_result *flags);
void copy_sum(const struct run *r); /* in place of the sum over workers */
/* The state as it is now: a copy of all tensors; free(). */
float *take_state(const struct run *r, uint64_t *count);
/* Says where two states differ first; frees b. */
void check_same(const char *name, const float *a, float *b, uint64_t count);

/* ---- the cases ---- */

void check_gradients(void); /* gpt_gradient_cases.c */

void check_losses(enum reeve_gpt_precision precision, bool exact); /* gpt_training_cases.c */
void check_bits(enum reeve_gpt_precision precision, bool exact);
void check_restore(enum reeve_gpt_precision precision);

void check_nonfinite(bool exact); /* gpt_refusal_cases.c */
void check_refusals(void);
void check_memory(void);

void check_generate(void); /* gpt_text_cases.c */

#endif
