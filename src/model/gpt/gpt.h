/* GPT-2 on the CPU in fp32: learned positions, layer norm before each part, causal attention, GELU in its tanh form,
 * tied output head, a bias everywhere, no dropout. The mathematics only: it knows nothing of jobs, ranks or files.
 *
 * Deterministic: for one build, one type of processor and one number of threads, the same arguments give the same bits,
 * whatever was computed before. Source: Radford et al. 2019, "Language models are unsupervised multitask learners". */
#ifndef REEVE_MODEL_GPT_GPT_H
#define REEVE_MODEL_GPT_GPT_H

#include <stdbool.h>
#include <stdint.h>

#include "reeve/workload.h"

/* Letters in this folder: L layers, H heads, C width, V vocab, T sequence, B batch. */
struct reeve_gpt_shape {
    uint32_t layers, heads, width, vocab;
    uint32_t sequence; /* longest T: rows of wpe */
    uint32_t batch;    /* largest B */
};

typedef struct reeve_gpt reeve_gpt;

/* Refuse a shape that makes no sense, or whose sizes a matrix product cannot express. INPUT_INVALID, naming the key. */
reeve_status reeve_gpt_check_shape(const struct reeve_gpt_shape *shape, struct reeve_error *err);

/* Bytes that create() will take for parameters and for workspace. False: more than 2^61. The shape was checked. */
bool reeve_gpt_bytes(const struct reeve_gpt_shape *shape, uint32_t threads, uint64_t *param_bytes,
                     uint64_t *workspace_bytes);

/* How many of `threads` (>= 1) a process can have here: at most the cores that it is bound to, since newer versions of
 * OpenBLAS take no more, and at most what OpenBLAS was built for. Fewer are other bits: who wants the same bits
 * refuses. Sets the calling thread's numbers of threads. */
uint32_t reeve_gpt_threads_possible(uint32_t threads);

/* Parameters from the seed alone: weights N(0, 0.02^2), those that end in a residual N(0, (0.02 / sqrt(2L))^2), biases
 * 0, norm weights 1. All memory that any call needs is taken and touched here. in   threads   >= 1; what a call uses,
 * and part of what the bits depend on INPUT_INVALID | JOB_NO_MEMORY */
reeve_status reeve_gpt_create(const struct reeve_gpt_shape *shape, uint64_t seed, uint32_t threads, reeve_gpt **out,
                              struct reeve_error *err);
void reeve_gpt_destroy(reeve_gpt *g); /* takes NULL */

/* The parameters, in the order of the gradient: wte.weight (V, C), wpe.weight (T, C), then for each layer l
 * h.l.ln_1, h.l.attn.c_attn (3C, C: q, k, v), h.l.attn.c_proj (C, C), h.l.ln_2, h.l.mlp.c_fc (4C, C), h.l.mlp.c_proj
 * (C, 4C), and last ln_f; each .weight before its .bias. Matrices are (out, in): y = x W^T + b.
 * Borrowed until destroy. */
const struct reeve_tensor *reeve_gpt_tensors(const reeve_gpt *g, uint32_t *count);
uint64_t reeve_gpt_param_count(const reeve_gpt *g); /* P */

/* Gradient of the mean loss over B*T tokens at the present parameters, and the sum of the loss.
 *   in   tokens    (B, T + 1) row-major; inputs [b][0..T), targets [b][1..T+1); B <= batch, T <= sequence
 *   out  grad      (P,) packed in the order of the tensors; fully overwritten
 *   out  loss_sum  nats, f64, over B*T tokens
 *   in   cancelled polled once a layer; may be NULL
 * INPUT_INVALID (B, T or a token out of range) | TASK_CANCELLED. On error grad holds anything. Allocates nothing. */
reeve_status reeve_gpt_gradient(reeve_gpt *g, const int32_t *tokens, uint32_t B, uint32_t T, float *grad,
                                double *loss_sum, bool (*cancelled)(void *), void *cancelled_arg,
                                struct reeve_error *err);

/* The loss alone; the same bits as gradient() gives. */
reeve_status reeve_gpt_evaluate(reeve_gpt *g, const int32_t *tokens, uint32_t B, uint32_t T, double *loss_sum,
                                struct reeve_error *err);

/* Continue a text: `take` gets each new token, and ends it by returning false.
 *   in   prompt       (prompt_count,) >= 1 tokens, of which the last T count
 *   in   temperature  0: the likeliest token (the lowest of equals); else it divides the logits; finite, >= 0
 * Deterministic in (parameters, prompt, seed, temperature). Earlier tokens are read from the keys and values that are
 * still there; when T tokens are full, the last half begins a new window.
 * INPUT_INVALID (a token, or temperature) | JOB_DIVERGED (logits are not finite) */
reeve_status reeve_gpt_generate(reeve_gpt *g, const int32_t *prompt, uint32_t prompt_count, uint32_t token_count,
                                uint64_t seed, double temperature, bool (*take)(void *arg, int32_t token),
                                void *take_arg, struct reeve_error *err);

#endif
