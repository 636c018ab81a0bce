/* Private to gpt_cuda: what a reeve_gpt_cuda holds, and the parts that its files call of each other. C and CUDA read it:
 * memory, waits, errors and cuBLAS are written in C, and what launches kernels in .cu. */
#ifndef REEVE_MODEL_GPT_CUDA_GPT_CUDA_STATE_H
#define REEVE_MODEL_GPT_CUDA_GPT_CUDA_STATE_H

#include <stddef.h>

#include <cuda_runtime_api.h>

#include "model/gpt/cuda/gpt_cuda.h"
#include "model/gpt/cuda/occurrences.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GPT_CUDA_LOGITS_BYTES ((uint64_t)8 << 30)     /* of logits at once: the rest comes in further blocks of rows */
#define GPT_CUDA_WORKSPACE_BYTES ((uint64_t)64 << 20) /* of cuBLAS; it may choose by it, so it is the same everywhere */
#define GPT_CUDA_MARGIN_BYTES ((uint64_t)512 << 20) /* code of kernels and what CUDA, cuBLAS and NCCL take beside us */
#define GPT_CUDA_SLOTS 2
#define GPT_CUDA_TENSOR_ALIGN 64u /* elements; TENSOR_ALIGN of kernels.cuh, for C */

/* What forward keeps of a layer for backward, T = bf16 or float; N = batch * sequence rows. */
struct gpt_cuda_layer {
    void *in;   /* (N, C) residual stream that enters; the next layer's `in` is what leaves */
    void *ln_1; /* (N, C) */
    void *qkv;  /* (N, 3C) */
    void *att;  /* (N, C) */
    void *mid;  /* (N, C) in + attention */
    void *ln_2; /* (N, C) */
    void *fc;   /* (N, 4C) before GELU */
    void *gelu; /* (N, 4C) after it */
    float *lse; /* (B, H, T) */
    float *mean_1, *rstd_1, *mean_2, *rstd_2; /* (N,) */
};

/* The tokens of a batch, and where each occurs: on the host in pinned memory, then on the device. */
struct gpt_cuda_slot {
    uint32_t B, T;   /* B 0: empty */
    int32_t *tokens; /* (B, T + 1) pinned */
    uint32_t *words; /* pinned; what gpt_occurrences_sort() makes */
    int32_t *tokens_device;
    uint32_t *words_device;
    struct gpt_occurrences where; /* into words_device */
    cudaEvent_t copied;           /* on the copy stream */
    cudaEvent_t read;             /* on the main stream: nothing that was launched reads it any more */
};

/* What comes back from the device. */
struct gpt_cuda_result {
    double loss_sum;
    unsigned long long flags[2];
    double square_sum;
    uint64_t digest;
};

struct gpt_cuda_matmul; /* matmul.c */
struct gpt_cuda_profile;

struct reeve_gpt_cuda {
    struct reeve_gpt_cuda_config config;
    size_t C, V_padded, rows_max; /* V_padded: rows of wte in the flat arrays, a multiple of TENSOR_ALIGN */
    size_t logit_rows;            /* rows of a block of logits */
    bool is_bf16;
    int unit_bits; /* of the exact sum; set by reeve_gpt_cuda_sum() */
    bool sum_made;
    char *device_name; /* owned */
    bool mirror_pinned;

    /* Flat arrays of `elements`; tensor i begins at offsets[i], a multiple of TENSOR_ALIGN; all between tensors is 0. */
    uint64_t elements;
    uint32_t tensor_count;        /* of the model; the list has as many moments twice behind */
    uint64_t *offsets;            /* (tensor_count,) owned */
    struct reeve_tensor *tensors; /* (3 * tensor_count,) owned; data points into the mirror */
    float *mirror;                /* (3, elements) owned, host: weights, m, v */

    void *arena; /* owned, device: all that follows */
    float *weights, *m, *v, *grad;
    void *working; /* bf16 weights; with fp32 the weights themselves */
    void *sum_in, *sum_out;
    uint8_t *decays;               /* (elements / TENSOR_ALIGN,) */
    struct gpt_cuda_layer *layers; /* (L + 1,) owned, host; of the last only `in` is set */
    void *ln_f;                    /* (N, C) */
    float *mean_f, *rstd_f;
    void *dres, *dsmall, *dbig; /* (N, C), (N, C), (N, 4C); forward uses dsmall as what a branch adds */
    void *logits;               /* (logit_rows, V_padded) */
    float *losses;              /* (N,) */
    float *scratch;
    struct gpt_cuda_result *result_device;
    void *workspace;

    struct gpt_cuda_result *result; /* owned, pinned */
    struct gpt_cuda_slot slots[GPT_CUDA_SLOTS];
    uint32_t slot;          /* that was last computed with */
    uint32_t *sort_scratch; /* (V + 1,) owned */
    int32_t *window;        /* (sequence + 1,) owned; of the text that is being continued */
    float *window_logits;   /* (V_padded,) owned, pinned */

    cudaStream_t stream, copy_stream, publish_stream;
    cudaEvent_t done;                 /* of the last begin() */
    cudaEvent_t waited;               /* of the wait in progress of the calling thread */
    cudaEvent_t state_ready;          /* main -> publish */
    cudaEvent_t published;            /* publish -> main, and whoever waits */
    struct gpt_cuda_matmul *matmul;   /* owned */
    struct gpt_cuda_profile *profile; /* NULL but in a benchmark */
    bool bias_in_product;             /* bias gradients by cuBLAS beside dW; a benchmark tries it */
};

/* ---- gpt_cuda_memory.c ---- */

/* Cut all device arrays of g out of `base` (NULL: only measure); *bytes is what they take. False: more than 2^61. */
bool gpt_cuda_carve(reeve_gpt_cuda *g, void *base, uint64_t *bytes);
/* Sizes and offsets of a shape; g->offsets must hold them, or be NULL. */
void gpt_cuda_layout(reeve_gpt_cuda *g);
reeve_status gpt_cuda_take_memory(reeve_gpt_cuda *g, struct reeve_error *err);
void gpt_cuda_give_back_memory(reeve_gpt_cuda *g);

/* ---- gpt_cuda_wait.c ---- */

/* JOB_DEVICE: "GPU 0: WHAT: CUDA's words". OK for cudaSuccess. */
reeve_status gpt_cuda_check(const reeve_gpt_cuda *g, cudaError_t status, const char *what, struct reeve_error *err);
/* Poll until the event has passed, with short sleeps. TASK_CANCELLED | JOB_DEVICE (it failed, or hangs) */
reeve_status gpt_cuda_wait(const reeve_gpt_cuda *g, cudaEvent_t event, const char *what, bool (*cancelled)(void *),
                           void *cancelled_arg, struct reeve_error *err);
/* Until all of the main stream is done. */
reeve_status gpt_cuda_drain(reeve_gpt_cuda *g, const char *what, struct reeve_error *err);

/* ---- gpt_cuda_tokens.c ---- */

/* A batch is one that the model takes. INPUT_INVALID */
reeve_status gpt_cuda_check_batch(const reeve_gpt_cuda *g, const int32_t *tokens, uint32_t B, uint32_t T,
                                  struct reeve_error *err);
/* The slot that has these tokens (already, or now): the main stream waits for them. It is g->slot from now on. */
reeve_status gpt_cuda_load(reeve_gpt_cuda *g, const int32_t *tokens, uint32_t B, uint32_t T, struct reeve_error *err);

/* ---- matmul.c: row-major products; which is which of cuBLAS's column-major letters is worked out there ---- */

enum gpt_cuda_product {
    GPT_CUDA_NT, /* out (M, N) = x (M, K) y (N, K)^T + bias (N,) */
    GPT_CUDA_NN, /* out (M, N) = x (M, K) y (K, N) */
    GPT_CUDA_TN, /* out (M, N) = x (K, M)^T y (K, N);  bias (M,) f32 out = sums of x over its rows */
};
struct gpt_cuda_product_call {
    enum gpt_cuda_product kind;
    size_t M, N, K;
    void *out;
    const void *x, *y;
    const void *bias; /* may be NULL */
    bool out_is_f32;  /* else of the model's type, as x and y are */
    bool add;         /* to what `out` holds */
};
reeve_status gpt_cuda_matmul_create(reeve_gpt_cuda *g, struct reeve_error *err);
void gpt_cuda_matmul_destroy(struct gpt_cuda_matmul *m); /* takes NULL */
reeve_status gpt_cuda_product(reeve_gpt_cuda *g, const struct gpt_cuda_product_call *call, struct reeve_error *err);

size_t gpt_cuda_scratch_floats(const struct reeve_gpt_shape *shape); /* that the greediest kernel needs */

/* ---- gpt_cuda_forward.cu, gpt_cuda_backward.cu, gpt_cuda_update.cu: launch on the main stream ---- */

size_t gpt_cuda_scratch_floats(const struct reeve_gpt_shape *shape); /* that the greediest kernel needs */

reeve_status gpt_cuda_forward(reeve_gpt_cuda *g, const struct gpt_cuda_slot *slot,
                              struct reeve_error *err); /* to ln_f */
/* Losses; with gradient also dsmall = gradient of ln_f, and wte's part of grad. */
reeve_status gpt_cuda_head(reeve_gpt_cuda *g, const struct gpt_cuda_slot *slot, bool gradient, struct reeve_error *err);
reeve_status gpt_cuda_backward(reeve_gpt_cuda *g, const struct gpt_cuda_slot *slot, struct reeve_error *err);
reeve_status gpt_cuda_add_to_sum(reeve_gpt_cuda *g, struct reeve_error *err);
reeve_status gpt_cuda_square_sum(reeve_gpt_cuda *g, double unit, double scale, struct reeve_error *err);
reeve_status gpt_cuda_update(reeve_gpt_cuda *g, double unit, double scale, const struct reeve_adamw_scalars *scalars,
                             struct reeve_error *err);
cudaError_t gpt_cuda_digest_sum(reeve_gpt_cuda *g);
cudaError_t gpt_cuda_round(reeve_gpt_cuda *g); /* weights -> working */

/* ---- gpt_cuda_profile.c ---- */

enum gpt_cuda_part {
    GPT_CUDA_PART_START,
    GPT_CUDA_PART_EMBED,
    GPT_CUDA_PART_NORM,
    GPT_CUDA_PART_MATMUL,
    GPT_CUDA_PART_ATTENTION,
    GPT_CUDA_PART_GELU,
    GPT_CUDA_PART_HEAD,
    GPT_CUDA_PART_LOSS,
    GPT_CUDA_PART_ATTENTION_BACKWARD,
    GPT_CUDA_PART_NORM_BACKWARD,
    GPT_CUDA_PART_GELU_BACKWARD,
    GPT_CUDA_PART_DX,
    GPT_CUDA_PART_DW,
    GPT_CUDA_PART_BIAS,
    GPT_CUDA_PART_HEAD_BACKWARD,
    GPT_CUDA_PART_EMBED_BACKWARD,
    GPT_CUDA_PART_SUM,
    GPT_CUDA_PART_UPDATE,
    GPT_CUDA_PARTS
};
/* Events from here on; then the milliseconds of each part since, START: what lay between. The GPU has done it all. */
reeve_status gpt_cuda_profile_begin(reeve_gpt_cuda *g, struct reeve_error *err);
reeve_status gpt_cuda_profile_read(reeve_gpt_cuda *g, double ms[GPT_CUDA_PARTS], struct reeve_error *err);
void gpt_cuda_profile_destroy(reeve_gpt_cuda *g);
/* What was launched since the last mark was this part. */
void gpt_cuda_mark_event(reeve_gpt_cuda *g, enum gpt_cuda_part part);
static inline void gpt_cuda_mark(reeve_gpt_cuda *g, enum gpt_cuda_part part)
{
    if (g->profile != NULL) gpt_cuda_mark_event(g, part);
}

#ifdef __cplusplus
}
#endif

#endif
