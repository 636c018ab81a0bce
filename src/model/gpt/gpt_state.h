/* Private to the model: what a reeve_gpt holds, and the parts that its files call of each other. */
#ifndef REEVE_MODEL_GPT_GPT_STATE_H
#define REEVE_MODEL_GPT_GPT_STATE_H

#include <stddef.h>

#include "model/gpt/gpt.h"

#define GPT_ROWS_CHUNK 32    /* rows that a thread takes at once; results do not depend on it */
#define GPT_COLUMNS_CHUNK 64 /* the same for columns */
#define GPT_THREADS_MAX 1024
#define GPT_ALIGN_FLOATS 16              /* 64 bytes */
#define GPT_LOGITS_MAX ((size_t)1 << 24) /* floats of logits at once: 64 MiB */

/* Tensors of a layer, in their order; the whole list is wte, wpe, L times these, ln_f weight, ln_f bias. */
enum gpt_layer_tensor {
    LN_1_WEIGHT,
    LN_1_BIAS,
    ATTN_WEIGHT,
    ATTN_BIAS,
    ATTN_PROJ_WEIGHT,
    ATTN_PROJ_BIAS,
    LN_2_WEIGHT,
    LN_2_BIAS,
    FC_WEIGHT,
    FC_BIAS,
    PROJ_WEIGHT,
    PROJ_BIAS,
    LAYER_TENSORS
};
enum { WTE = 0, WPE = 1, FIRST_LAYER = 2 };

/* What forward keeps of a layer for backward. BT = batch * sequence rows. */
struct gpt_layer {
    float *in;                     /* (BT, C) what enters; the next layer's `in` is what leaves */
    float *ln_1, *mean_1, *rstd_1; /* (BT, C), (BT,), (BT,) */
    float *qkv;                    /* (BT, 3C) */
    float *att;                    /* (BT, C) heads side by side */
    float *mid;                    /* (BT, C) in + attention */
    float *ln_2, *mean_2, *rstd_2;
    float *fc;   /* (BT, 4C) before GELU */
    float *gelu; /* (BT, 4C) after it */
};

struct reeve_gpt {
    struct reeve_gpt_shape shape;
    uint32_t threads;
    uint32_t tensor_count;
    uint64_t param_count;         /* P */
    struct reeve_tensor *tensors; /* (tensor_count,) owned; data points into params */
    uint64_t *grad_offset;        /* (tensor_count,) owned; where each begins in the packed gradient */
    float *params;                /* owned; each tensor begins on 64 bytes */
    float *workspace;             /* owned; the arrays below but the last two point into it */
    uint64_t params_floats, workspace_floats;
    struct gpt_layer *layers;      /* (L + 1,) owned; of the last only `in` is set */
    float *ln_f, *mean_f, *rstd_f; /* (BT, C), (BT,), (BT,) */
    float *dres;                   /* (BT, C) gradient of the residual stream */
    float *dsmall;                 /* (BT, C) */
    float *dbig;                   /* (BT, 4C) */
    float *logits;                 /* (logit_rows, V) */
    size_t logit_rows;
    float *scratch; /* (threads, scratch_floats) for attention */
    size_t scratch_floats;
    double *losses;  /* (BT,) owned */
    int32_t *window; /* (T,) owned; tokens of the text that is being continued */
};

/* Rows [begin, end) of B sequences of T; begin > 0 only where B = 1 and the rows before are still there. */
struct gpt_span {
    size_t B, T, begin, end;
};

struct gpt_cancel {
    bool (*cancelled)(void *);
    void *arg;
};
static inline bool gpt_is_cancelled(const struct gpt_cancel *c)
{
    return c->cancelled != NULL && c->cancelled(c->arg);
}

static inline uint32_t gpt_layer_index(uint32_t layer, enum gpt_layer_tensor which)
{
    return FIRST_LAYER + layer * LAYER_TENSORS + (uint32_t)which;
}
static inline float *gpt_param(const reeve_gpt *g, uint32_t index)
{
    return g->tensors[index].data;
}

/* gpt_params.c: name, shape and offsets of each tensor (data stays NULL); the initial values. */
uint32_t gpt_tensor_count(const struct reeve_gpt_shape *shape);
uint64_t gpt_tensor_elements(const struct reeve_tensor *t);
void gpt_params_describe(const struct reeve_gpt_shape *shape, struct reeve_tensor *tensors);
void gpt_params_init(const struct reeve_tensor *tensors, uint32_t count, uint32_t layers, uint64_t seed,
                     uint32_t threads);

/* gpt_forward.c: fills all that backward reads, up to ln_f. False: cancelled. */
bool gpt_forward(reeve_gpt *g, const int32_t *tokens, size_t stride, struct gpt_span span,
                 const struct gpt_cancel *cancel);
/* gpt_loss.c: rows of a block where `all` are cut into as few blocks of at most rows_max as possible. They are even, but
 * for whole chunks of GPT_ROWS_CHUNK, since matrix products with few rows are slow. */
size_t gpt_even_rows(size_t all, size_t rows_max);
/* The loss of all rows of ln_f; with grad also dsmall = gradient of ln_f, and wte's gradient. False: cancelled. */
bool gpt_head(reeve_gpt *g, const int32_t *tokens, size_t B, size_t T, float *grad, double *loss_sum,
              const struct gpt_cancel *cancel);
/* gpt_backward.c: from dsmall to all other gradients. False: cancelled. */
bool gpt_backward(reeve_gpt *g, const int32_t *tokens, size_t B, size_t T, float *grad,
                  const struct gpt_cancel *cancel);
/* gpt_generate.c: continue a text with the logits (V,) that `next` gives for the last of the first `end` tokens of window
 * (sequence,); those before `begin` are as they were the last time. NULL from next: it failed, and worded err. */
typedef const float *(*gpt_next_logits)(void *model, const int32_t *window, size_t begin, size_t end,
                                        struct reeve_error *err);
struct gpt_continuation {
    const struct reeve_gpt_shape *shape;
    int32_t *window; /* (sequence,) */
    gpt_next_logits next;
    void *model;
};
reeve_status gpt_continue(const struct gpt_continuation *c, const int32_t *prompt, uint32_t prompt_count,
                          uint32_t token_count, uint64_t seed, double temperature,
                          bool (*take)(void *arg, int32_t token), void *take_arg, struct reeve_error *err);
/* gpt.c: this thread's OpenMP and OpenBLAS use g->threads from here on. */
void gpt_use_threads(const reeve_gpt *g);

#endif
