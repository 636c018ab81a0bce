/* All memory of a model on a GPU: one block of the device, cut into arrays, and pinned memory of the host. What is
 * measured without a GPU (reeve_gpt_cuda_bytes) is what is then taken, since the same lines do both. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/gpt/cuda/gpt_cuda_state.h"
#include "model/gpt/gpt_state.h"

#define DEVICE_ALIGN 256u
#define HOST_ALIGN 4096u

struct arena {
    char *base;
    uint64_t used;
    bool overflow;
};

static void *carve(struct arena *a, uint64_t count, uint64_t bytes_each)
{
    uint64_t bytes = 0, end = 0;
    if (__builtin_mul_overflow(count, bytes_each, &bytes) || bytes > (UINT64_C(1) << 61) ||
        __builtin_add_overflow(a->used, (bytes + DEVICE_ALIGN - 1) / DEVICE_ALIGN * DEVICE_ALIGN, &end) ||
        end > (UINT64_C(1) << 61)) {
        a->overflow = true;
        return NULL;
    }
    void *at = a->base == NULL ? NULL : a->base + a->used;
    a->used = end;
    return at;
}

/* Blocks as even as on the CPU, of whole chunks of rows, so that each begins on a good boundary. */
static size_t logit_rows(const reeve_gpt_cuda *g)
{
    size_t bytes_each = g->V_padded * (g->is_bf16 ? 2 : 4);
    size_t rows_max = (size_t)(GPT_CUDA_LOGITS_BYTES / bytes_each) / GPT_ROWS_CHUNK * GPT_ROWS_CHUNK;
    size_t rows = gpt_even_rows(g->rows_max, rows_max < GPT_ROWS_CHUNK ? GPT_ROWS_CHUNK : rows_max);
    return rows < g->rows_max ? rows : g->rows_max;
}

void gpt_cuda_layout(reeve_gpt_cuda *g)
{
    const struct reeve_gpt_shape *s = &g->config.shape;
    g->is_bf16 = g->config.precision == REEVE_GPT_BF16;
    g->C = s->width;
    g->V_padded = ((size_t)s->vocab + GPT_CUDA_TENSOR_ALIGN - 1) / GPT_CUDA_TENSOR_ALIGN * GPT_CUDA_TENSOR_ALIGN;
    g->rows_max = (size_t)s->batch * s->sequence;
    g->logit_rows = logit_rows(g);
    g->tensor_count = gpt_tensor_count(s);
    /* The sizes of the tensors, in their order: wte in its padded rows, wpe, the layers, ln_f. */
    const uint64_t C = g->C;
    const uint64_t layer[LAYER_TENSORS] = {C, C, 3 * C * C, 3 * C, C * C, C, C, C, 4 * C * C, 4 * C, 4 * C * C, C};
    uint64_t at = 0;
    for (uint32_t i = 0; i < g->tensor_count; i++) {
        uint64_t n = i == WTE                   ? g->V_padded * C
                     : i == WPE                 ? s->sequence * C
                     : i + 2 >= g->tensor_count ? C
                                                : layer[(i - FIRST_LAYER) % LAYER_TENSORS];
        if (g->offsets != NULL) g->offsets[i] = at;
        at += (n + GPT_CUDA_TENSOR_ALIGN - 1) / GPT_CUDA_TENSOR_ALIGN *
              GPT_CUDA_TENSOR_ALIGN; /* 2^60 at most: see reeve_gpt_check_shape() */
    }
    g->elements = at;
}

static void carve_layer(struct arena *a, const reeve_gpt_cuda *g, struct gpt_cuda_layer *layer, uint64_t each)
{
    const uint64_t N = g->rows_max, C = g->C;
    layer->in = carve(a, N * C, each);
    layer->ln_1 = carve(a, N * C, each);
    layer->qkv = carve(a, N * 3 * C, each);
    layer->att = carve(a, N * C, each);
    layer->mid = carve(a, N * C, each);
    layer->ln_2 = carve(a, N * C, each);
    layer->fc = carve(a, N * 4 * C, each);
    layer->gelu = carve(a, N * 4 * C, each);
    layer->lse = carve(a, N * g->config.shape.heads, sizeof(float));
    layer->mean_1 = carve(a, N, sizeof(float));
    layer->rstd_1 = carve(a, N, sizeof(float));
    layer->mean_2 = carve(a, N, sizeof(float));
    layer->rstd_2 = carve(a, N, sizeof(float));
}

static void carve_slot(struct arena *a, const reeve_gpt_cuda *g, struct gpt_cuda_slot *slot)
{
    slot->tokens_device = carve(a, g->rows_max + g->config.shape.batch, sizeof(int32_t));
    slot->words_device = carve(a, gpt_occurrences_words(g->rows_max), sizeof(uint32_t));
}

bool gpt_cuda_carve(reeve_gpt_cuda *g, void *base, uint64_t *bytes)
{
    const struct reeve_gpt_shape *s = &g->config.shape;
    const uint64_t n = g->elements, N = g->rows_max, C = g->C, each = g->is_bf16 ? 2 : 4;
    const uint64_t sum_each = g->config.exact ? sizeof(int64_t) : sizeof(float);
    struct arena a = {.base = base};
    struct gpt_cuda_layer measured;
    g->weights = carve(&a, n, sizeof(float));
    g->m = carve(&a, n, sizeof(float));
    g->v = carve(&a, n, sizeof(float));
    g->grad = carve(&a, n, sizeof(float));
    g->sum_in = carve(&a, n, sum_each);
    g->sum_out = carve(&a, n, sum_each);
    g->working = g->is_bf16 ? carve(&a, n, each) : g->weights;
    g->decays = carve(&a, n / GPT_CUDA_TENSOR_ALIGN, 1);
    for (uint32_t l = 0; l < s->layers; l++)
        carve_layer(&a, g, g->layers == NULL ? &measured : &g->layers[l], each);
    void *last = carve(&a, N * C, each);
    if (g->layers != NULL) g->layers[s->layers].in = last;
    g->ln_f = carve(&a, N * C, each);
    g->mean_f = carve(&a, N, sizeof(float));
    g->rstd_f = carve(&a, N, sizeof(float));
    g->dres = carve(&a, N * C, each);
    g->dsmall = carve(&a, N * C, each);
    g->dbig = carve(&a, N * 4 * C, each);
    /* at least two rows: one in fp32 for generate() */
    g->logits = carve(&a, g->logit_rows < 2 ? 2 : g->logit_rows, g->V_padded * each);
    g->losses = carve(&a, N, sizeof(float));
    g->scratch = carve(&a, gpt_cuda_scratch_floats(s), sizeof(float));
    for (uint32_t i = 0; i < GPT_CUDA_SLOTS; i++)
        carve_slot(&a, g, &g->slots[i]);
    g->result_device = carve(&a, 1, sizeof(*g->result_device));
    g->workspace = carve(&a, GPT_CUDA_WORKSPACE_BYTES, 1);
    *bytes = a.used;
    return !a.overflow;
}

bool reeve_gpt_cuda_bytes(const struct reeve_gpt_shape *shape, enum reeve_gpt_precision precision, bool exact,
                          uint64_t *bytes)
{
    reeve_gpt_cuda g = {.config = {.shape = *shape, .precision = precision, .exact = exact}};
    gpt_cuda_layout(&g);
    bool counted = gpt_cuda_carve(&g, NULL, bytes);
    *bytes += GPT_CUDA_MARGIN_BYTES;
    return counted;
}

/* The largest batch of this shape that needs no more than bytes_max; 0: not even one sample fits. */
static uint32_t batch_that_fits(const struct reeve_gpt_cuda_config *config, uint64_t bytes_max)
{
    struct reeve_gpt_shape shape = config->shape;
    uint32_t fits = 0, too_many = config->shape.batch;
    while (too_many - fits > 1) {
        uint64_t bytes = 0;
        shape.batch = fits + (too_many - fits) / 2;
        if (reeve_gpt_cuda_bytes(&shape, config->precision, config->exact, &bytes) && bytes <= bytes_max)
            fits = shape.batch;
        else too_many = shape.batch;
    }
    return fits;
}

/* What an idle GPU could not hold either is a bad job, which a restart cannot mend; what others hold may become free. */
static reeve_status refuse(const reeve_gpt_cuda *g, uint64_t need, uint64_t have, uint64_t all, struct reeve_error *err)
{
    const double GiB = 1024.0 * 1024.0 * 1024.0;
    char remedy[128];
    uint32_t fits = batch_that_fits(&g->config, have);
    if (fits > 0) (void)snprintf(remedy, sizeof(remedy), "train.micro_batch %u would fit", fits);
    else (void)snprintf(remedy, sizeof(remedy), "not even train.micro_batch 1 fits; lower data.sequence or the model");
    return reeve_fail(
        err, need > all ? REEVE_INPUT_INVALID : REEVE_JOB_NO_MEMORY,
        "GPU %u: the model with train.micro_batch %u needs %llu bytes (%.2f GiB), and %llu (%.2f GiB) are "
        "free; %s",
        g->config.device, g->config.shape.batch, (unsigned long long)need, (double)need / GiB, (unsigned long long)have,
        (double)have / GiB, remedy);
}

static reeve_status take_arena(reeve_gpt_cuda *g, struct reeve_error *err)
{
    uint64_t bytes = 0;
    size_t have = 0, all = 0;
    if (!gpt_cuda_carve(g, NULL, &bytes))
        return reeve_fail(err, REEVE_INPUT_INVALID, "gpt: this model needs more memory than can be addressed");
    reeve_status st = gpt_cuda_check(g, cudaMemGetInfo(&have, &all), "ask for its free memory", err);
    if (st != REEVE_OK) return st;
    if (bytes + GPT_CUDA_MARGIN_BYTES > have) return refuse(g, bytes + GPT_CUDA_MARGIN_BYTES, have, all, err);
    cudaError_t status = cudaMalloc(&g->arena, bytes);
    if (status == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError(); /* else the next launch would return it */
        return refuse(g, bytes + GPT_CUDA_MARGIN_BYTES, have, all, err);
    }
    st = gpt_cuda_check(g, status, "take its memory", err);
    if (st != REEVE_OK) return st;
    (void)gpt_cuda_carve(g, g->arena, &bytes);
    /* Between tensors all is 0, and stays it; activations begin as something finite. */
    return gpt_cuda_check(g, cudaMemsetAsync(g->arena, 0, bytes, g->stream), "clear its memory", err);
}

static void *take_pinned(size_t bytes)
{
    void *at = NULL;
    if (cudaHostAlloc(&at, bytes, cudaHostAllocPortable) == cudaSuccess) return at;
    (void)cudaGetLastError();
    return NULL;
}

/* Pinned, or, where so much cannot be pinned, plain: copies are slower then, and publish() waits for them. */
static reeve_status take_mirror(reeve_gpt_cuda *g, struct reeve_error *err)
{
    size_t bytes = (3 * (size_t)g->elements * sizeof(float) + HOST_ALIGN - 1) / HOST_ALIGN * HOST_ALIGN;
    g->mirror = take_pinned(bytes);
    g->mirror_pinned = g->mirror != NULL;
    if (g->mirror == NULL) g->mirror = aligned_alloc(HOST_ALIGN, bytes);
    if (g->mirror == NULL)
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "gpt: no memory on the host for %.1f MiB of weights and moments",
                          (double)bytes / 1048576.0);
    memset(g->mirror, 0, bytes);
    return REEVE_OK;
}

reeve_status gpt_cuda_take_memory(reeve_gpt_cuda *g, struct reeve_error *err)
{
    const struct reeve_gpt_shape *s = &g->config.shape;
    g->offsets = calloc(g->tensor_count, sizeof(*g->offsets));
    g->tensors = calloc(3 * (size_t)g->tensor_count, sizeof(*g->tensors));
    g->layers = calloc((size_t)s->layers + 1, sizeof(*g->layers));
    g->sort_scratch = calloc((size_t)s->vocab + 1, sizeof(*g->sort_scratch));
    g->window = calloc((size_t)s->sequence + 1, sizeof(*g->window));
    g->result = take_pinned(sizeof(*g->result));
    g->window_logits = take_pinned(g->V_padded * sizeof(float));
    bool taken = g->offsets && g->tensors && g->layers && g->sort_scratch && g->window && g->result && g->window_logits;
    if (!taken) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "gpt: no memory on the host");
    gpt_cuda_layout(g);
    reeve_status st = take_arena(g, err); /* before the tokens of a batch that it may refuse */
    if (st != REEVE_OK) return st;
    for (uint32_t i = 0; i < GPT_CUDA_SLOTS && taken; i++) {
        g->slots[i].tokens = take_pinned((g->rows_max + s->batch) * sizeof(int32_t));
        g->slots[i].words = take_pinned(gpt_occurrences_words(g->rows_max) * sizeof(uint32_t));
        taken = g->slots[i].tokens != NULL && g->slots[i].words != NULL;
    }
    if (!taken) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "gpt: no memory on the host for the tokens of a batch");
    return take_mirror(g, err);
}

void gpt_cuda_give_back_memory(reeve_gpt_cuda *g)
{
    if (g->arena != NULL) (void)cudaFree(g->arena);
    if (g->mirror_pinned) (void)cudaFreeHost(g->mirror);
    else free(g->mirror);
    for (uint32_t i = 0; i < GPT_CUDA_SLOTS; i++) {
        if (g->slots[i].tokens != NULL) (void)cudaFreeHost(g->slots[i].tokens);
        if (g->slots[i].words != NULL) (void)cudaFreeHost(g->slots[i].words);
    }
    if (g->window_logits != NULL) (void)cudaFreeHost(g->window_logits);
    if (g->result != NULL) (void)cudaFreeHost(g->result);
    free(g->window);
    free(g->sort_scratch);
    free(g->layers);
    free(g->tensors);
    free(g->offsets);
}
