/* Life of a model: is the shape possible, how much memory is that, take it, give it back. And the two calls that the
 * outside makes: gradient and loss. */
#include "model/gpt/gpt.h"

#include <cblas.h>
#include <limits.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/pages.h"
#include "model/gpt/gpt_state.h"
#include "model/gpt/kernels.h"

/* A range of memory that is only measured while `base` is NULL, and then cut in the same order. */
struct arena {
    float *base;
    uint64_t used; /* floats */
    bool overflow;
};

static float *carve(struct arena *a, uint64_t rows, uint64_t columns)
{
    uint64_t floats = 0, padded = 0;
    if (__builtin_mul_overflow(rows, columns, &floats) || floats > UINT64_MAX / 64 ||
        __builtin_add_overflow(a->used, (floats + GPT_ALIGN_FLOATS - 1) / GPT_ALIGN_FLOATS * GPT_ALIGN_FLOATS,
                               &padded) ||
        padded > (UINT64_C(1) << 59)) {
        a->overflow = true;
        return NULL;
    }
    float *at = a->base == NULL ? NULL : a->base + a->used;
    a->used = padded;
    return at;
}

static size_t logit_rows(const struct reeve_gpt_shape *s)
{
    size_t rows_max = GPT_LOGITS_MAX / s->vocab / GPT_ROWS_CHUNK * GPT_ROWS_CHUNK;
    if (rows_max < GPT_ROWS_CHUNK) rows_max = GPT_ROWS_CHUNK;
    size_t all = (size_t)s->batch * s->sequence, rows = gpt_even_rows(all, rows_max);
    return rows < all ? rows : all;
}

static void carve_layer(struct arena *a, const struct reeve_gpt_shape *s, struct gpt_layer *layer)
{
    uint64_t BT = (uint64_t)s->batch * s->sequence, C = s->width;
    layer->in = carve(a, BT, C);
    layer->ln_1 = carve(a, BT, C);
    layer->mean_1 = carve(a, BT, 1);
    layer->rstd_1 = carve(a, BT, 1);
    layer->qkv = carve(a, BT, 3 * C);
    layer->att = carve(a, BT, C);
    layer->mid = carve(a, BT, C);
    layer->ln_2 = carve(a, BT, C);
    layer->mean_2 = carve(a, BT, 1);
    layer->rstd_2 = carve(a, BT, 1);
    layer->fc = carve(a, BT, 4 * C);
    layer->gelu = carve(a, BT, 4 * C);
}

/* g->layers may be NULL while measuring. */
static void carve_workspace(struct arena *a, const struct reeve_gpt_shape *s, reeve_gpt *g)
{
    uint64_t BT = (uint64_t)s->batch * s->sequence, C = s->width;
    struct gpt_layer measured;
    for (uint32_t l = 0; l < s->layers; l++)
        carve_layer(a, s, g->layers == NULL ? &measured : &g->layers[l]);
    float *out = carve(a, BT, C);
    if (g->layers != NULL) g->layers[s->layers].in = out;
    g->ln_f = carve(a, BT, C);
    g->mean_f = carve(a, BT, 1);
    g->rstd_f = carve(a, BT, 1);
    g->dres = carve(a, BT, C);
    g->dsmall = carve(a, BT, C);
    g->dbig = carve(a, BT, 4 * C);
    g->logit_rows = logit_rows(s);
    g->logits = carve(a, g->logit_rows, s->vocab);
    g->scratch_floats =
        (gpt_attention_scratch(s->sequence) + GPT_ALIGN_FLOATS - 1) / GPT_ALIGN_FLOATS * GPT_ALIGN_FLOATS;
    g->scratch = carve(a, g->threads, g->scratch_floats);
}

/* The tensors' places in `params` (64-byte steps) and in the gradient (packed). g->tensors was described. */
static void place_params(struct arena *a, reeve_gpt *g)
{
    g->param_count = 0;
    for (uint32_t i = 0; i < g->tensor_count; i++) {
        uint64_t n = gpt_tensor_elements(&g->tensors[i]);
        g->tensors[i].data = carve(a, n, 1);
        g->grad_offset[i] = g->param_count;
        g->param_count += n;
    }
}

reeve_status reeve_gpt_check_shape(const struct reeve_gpt_shape *s, struct reeve_error *err)
{
    const struct {
        const char *key;
        uint64_t value, max;
    } one[] = {{"model.layers", s->layers, 4096},        {"model.heads", s->heads, 65536},
               {"model.width", s->width, 1u << 20},      {"vocabulary", s->vocab, 1u << 28},
               {"data.sequence", s->sequence, 1u << 24}, {"train.micro_batch", s->batch, 1u << 24}};
    for (size_t i = 0; i < sizeof(one) / sizeof(one[0]); i++)
        if (one[i].value < 1 || one[i].value > one[i].max)
            return reeve_fail(err, REEVE_INPUT_INVALID, "gpt: %s is %llu; expected 1 to %llu", one[i].key,
                              (unsigned long long)one[i].value, (unsigned long long)one[i].max);
    if (s->width % s->heads != 0)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "gpt: model.width %u is not a multiple of model.heads %u: each head takes width / heads",
                          s->width, s->heads);
    if ((uint64_t)s->batch * s->sequence > (uint64_t)INT_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "gpt: train.micro_batch %u times data.sequence %u is more than 2^31 - 1 tokens; lower one",
                          s->batch, s->sequence);
    return REEVE_OK;
}

bool reeve_gpt_bytes(const struct reeve_gpt_shape *s, uint32_t threads, uint64_t *param_bytes,
                     uint64_t *workspace_bytes)
{
    reeve_gpt g = {.threads = threads};
    struct arena params = {0}, work = {0};
    const uint64_t C = s->width;
    const uint64_t layer = 13 * C + 12 * C * C + LAYER_TENSORS * (uint64_t)GPT_ALIGN_FLOATS; /* 2^45 at most */
    (void)carve(&params, s->vocab, C);
    (void)carve(&params, s->sequence, C);
    (void)carve(&params, s->layers, layer);
    (void)carve(&params, 2 + GPT_ALIGN_FLOATS, C);
    carve_workspace(&work, s, &g);
    (void)carve(&work, (uint64_t)s->batch * s->sequence, 3); /* losses and window */
    *param_bytes = params.used * sizeof(float);
    *workspace_bytes = work.used * sizeof(float);
    return !params.overflow && !work.overflow;
}

/* On huge pages, and touched: a first step must not pay for the machine's page faults. */
static float *take_floats(uint64_t floats)
{
    float *block = floats == 0 ? NULL : reeve_pages_take(floats, sizeof(float));
    if (block != NULL) memset(block, 0, (size_t)floats * sizeof(float));
    return block;
}

static bool take_memory(reeve_gpt *g)
{
    const struct reeve_gpt_shape *s = &g->shape;
    g->tensors = calloc(g->tensor_count, sizeof(*g->tensors));
    g->grad_offset = calloc(g->tensor_count, sizeof(*g->grad_offset));
    g->layers = calloc((size_t)s->layers + 1, sizeof(*g->layers));
    g->losses = calloc((size_t)s->batch * s->sequence, sizeof(*g->losses));
    g->window = calloc(s->sequence, sizeof(*g->window));
    if (!g->tensors || !g->grad_offset || !g->layers || !g->losses || !g->window) return false;
    gpt_params_describe(s, g->tensors);
    struct arena params = {0}, workspace = {0};
    place_params(&params, g);
    carve_workspace(&workspace, s, g);
    if (params.overflow || workspace.overflow) return false;
    g->params_floats = params.used;
    g->workspace_floats = workspace.used;
    g->params = params.base = take_floats(g->params_floats);
    g->workspace = workspace.base = take_floats(g->workspace_floats);
    if (!g->params || !g->workspace) return false;
    params.used = workspace.used = 0;
    place_params(&params, g);
    carve_workspace(&workspace, s, g);
    return true;
}

reeve_status reeve_gpt_create(const struct reeve_gpt_shape *shape, uint64_t seed, uint32_t threads, reeve_gpt **out,
                              struct reeve_error *err)
{
    reeve_status st = reeve_gpt_check_shape(shape, err);
    if (st != REEVE_OK) return st;
    if (threads < 1 || threads > GPT_THREADS_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID, "gpt: resources.threads is %u; expected 1 to %d", threads,
                          GPT_THREADS_MAX);
    uint64_t param_bytes = 0, workspace_bytes = 0;
    if (!reeve_gpt_bytes(shape, threads, &param_bytes, &workspace_bytes))
        return reeve_fail(err, REEVE_JOB_NO_MEMORY,
                          "gpt: this model needs more memory than can be addressed; "
                          "lower model.width, model.layers or train.micro_batch");
    reeve_gpt *g = calloc(1, sizeof(*g));
    if (g != NULL) {
        g->shape = *shape;
        g->threads = threads;
        g->tensor_count = gpt_tensor_count(shape);
    }
    if (g == NULL || !take_memory(g)) {
        reeve_gpt_destroy(g);
        return reeve_fail(err, REEVE_JOB_NO_MEMORY,
                          "gpt: no memory for %.1f MiB of parameters and %.1f MiB of "
                          "workspace; lower train.micro_batch, data.sequence or the model",
                          (double)param_bytes / 1048576.0, (double)workspace_bytes / 1048576.0);
    }
    gpt_use_threads(g);
    gpt_params_init(g->tensors, g->tensor_count, shape->layers, seed, threads);
    *out = g;
    return REEVE_OK;
}

void reeve_gpt_destroy(reeve_gpt *g)
{
    if (g == NULL) return;
    free(g->window);
    free(g->losses);
    free(g->layers);
    reeve_pages_give_back(g->workspace, g->workspace_floats, sizeof(float));
    reeve_pages_give_back(g->params, g->params_floats, sizeof(float));
    free(g->grad_offset);
    free(g->tensors);
    free(g);
}

const struct reeve_tensor *reeve_gpt_tensors(const reeve_gpt *g, uint32_t *count)
{
    *count = g->tensor_count;
    return g->tensors;
}

uint64_t reeve_gpt_param_count(const reeve_gpt *g)
{
    return g->param_count;
}

/* Threads are a setting of the calling thread, and of OpenBLAS as a whole: another model may have changed them. */
static void use_threads(int threads)
{
    if (omp_get_dynamic()) omp_set_dynamic(0); /* fewer threads than asked for would be other bits */
    if (openblas_get_num_threads() != threads) openblas_set_num_threads(threads);
    if (omp_get_max_threads() != threads) omp_set_num_threads(threads);
}

void gpt_use_threads(const reeve_gpt *g)
{
    use_threads((int)g->threads);
}

uint32_t reeve_gpt_threads_possible(uint32_t threads)
{
    use_threads(threads < GPT_THREADS_MAX ? (int)threads : GPT_THREADS_MAX);
    uint32_t built_for = (uint32_t)openblas_get_num_threads(), cores = (uint32_t)omp_get_num_procs();
    uint32_t possible = built_for < cores ? built_for : cores;
    return possible < threads ? possible : threads;
}

static reeve_status check_batch(const reeve_gpt *g, const int32_t *tokens, uint32_t B, uint32_t T,
                                struct reeve_error *err)
{
    if (B < 1 || B > g->shape.batch || T < 1 || T > g->shape.sequence)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "gpt: batch of %u samples of %u tokens; expected 1 to %u of 1 to %u", B, T, g->shape.batch,
                          g->shape.sequence);
    for (size_t i = 0; i < (size_t)B * (T + (size_t)1); i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= g->shape.vocab)
            return reeve_fail(err, REEVE_INPUT_INVALID,
                              "gpt: token %d at position %zu of sample %zu; the vocabulary is 0 to %u", tokens[i],
                              i % (T + (size_t)1), i / (T + (size_t)1), g->shape.vocab - 1);
    return REEVE_OK;
}

reeve_status reeve_gpt_gradient(reeve_gpt *g, const int32_t *tokens, uint32_t B, uint32_t T, float *grad,
                                double *loss_sum, bool (*cancelled)(void *), void *cancelled_arg,
                                struct reeve_error *err)
{
    const struct gpt_cancel cancel = {cancelled, cancelled_arg};
    reeve_status st = check_batch(g, tokens, B, T, err);
    if (st != REEVE_OK) return st;
    gpt_use_threads(g);
    struct gpt_span span = {.B = B, .T = T, .begin = 0, .end = (size_t)B * T};
    double loss = 0.0;
    if (!gpt_forward(g, tokens, T + (size_t)1, span, &cancel) || !gpt_head(g, tokens, B, T, grad, &loss, &cancel) ||
        !gpt_backward(g, tokens, B, T, grad, &cancel))
        return reeve_fail(err, REEVE_TASK_CANCELLED, "gpt: gradient cancelled");
    *loss_sum = loss;
    return REEVE_OK;
}

reeve_status reeve_gpt_evaluate(reeve_gpt *g, const int32_t *tokens, uint32_t B, uint32_t T, double *loss_sum,
                                struct reeve_error *err)
{
    const struct gpt_cancel never = {0};
    reeve_status st = check_batch(g, tokens, B, T, err);
    if (st != REEVE_OK) return st;
    gpt_use_threads(g);
    struct gpt_span span = {.B = B, .T = T, .begin = 0, .end = (size_t)B * T};
    (void)gpt_forward(g, tokens, T + (size_t)1, span, &never);
    (void)gpt_head(g, tokens, B, T, NULL, loss_sum, &never);
    return REEVE_OK;
}
