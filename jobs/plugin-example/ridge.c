/* A workload of one's own: which byte comes next, from the two before it, by softmax regression with a ridge penalty.
 *
 *     logits(t) = last[x(t)] + before[x(t-1)] + bias                shape (V,)
 *     loss      = cross-entropy + ridge / 2 * (|last|^2 + |before|^2)   the penalty enters in apply()
 *
 * It needs the headers of Reeve and the C library, and nothing else. What makes it a workload: every function gives the
 * same bits for the same arguments. Sums run in one fixed order, nothing depends on time, thread or address, and it is
 * built without -ffast-math. Who computes which part, the sum over workers, files and restarts are Reeve's part. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reeve/workload.h"

enum { LAST, BEFORE, BIAS, MODEL_COUNT, TENSOR_COUNT = 2 * MODEL_COUNT };
#define VOCAB_MAX 1024u

struct ridge {
    uint32_t vocab; /* V */
    uint64_t elements[MODEL_COUNT];
    double rate, momentum, penalty;
    double *exps; /* (V,) of one position */
    struct reeve_tensor tensors[TENSOR_COUNT];
};

static reeve_status fail(struct reeve_error *err, reeve_status status, const char *text)
{
    err->status = status;
    (void)snprintf(err->text, sizeof(err->text), "%s", text);
    return status;
}

/* A number of the job. The text is JSON from Reeve, in which a quote within a string is \" and key names are unique
 * among the numbers wanted here; with more to read, use a JSON library. */
static double number(const char *json, const char *quoted_key, double otherwise)
{
    const char *at = strstr(json, quoted_key);
    return at != NULL ? strtod(at + strlen(quoted_key), NULL) : otherwise;
}

static void ridge_close(void *arg)
{
    struct ridge *r = arg;
    if (r == NULL) return;
    for (int i = 0; i < TENSOR_COUNT; i++)
        free(r->tensors[i].data);
    free(r->exps);
    free(r);
}

/* Zeros, 64-byte aligned, as Reeve asks. */
static float *make_zeros(uint64_t elements)
{
    size_t bytes = (size_t)(elements * sizeof(float) + 63) & ~(size_t)63;
    float *data = aligned_alloc(64, bytes);
    if (data != NULL) memset(data, 0, bytes);
    return data;
}

static int make_tensors(struct ridge *r)
{
    static const char *const names[TENSOR_COUNT] = {"last.weight",   "before.weight",   "bias",
                                                    "last.momentum", "before.momentum", "bias.momentum"};
    for (int i = 0; i < TENSOR_COUNT; i++) {
        struct reeve_tensor *t = &r->tensors[i];
        int model = i % MODEL_COUNT;
        (void)snprintf(t->name, sizeof(t->name), "%s", names[i]);
        t->group = i < MODEL_COUNT ? REEVE_TENSOR_MODEL : REEVE_TENSOR_OPTIMIZER;
        t->rank = model == BIAS ? 1 : 2;
        for (uint32_t d = 0; d < t->rank; d++)
            t->shape[d] = r->vocab;
        r->elements[model] = model == BIAS ? r->vocab : (uint64_t)r->vocab * r->vocab;
        t->data = make_zeros(r->elements[model]);
        if (t->data == NULL) return 0;
    }
    return 1;
}

static reeve_status ridge_open(const struct reeve_workload_config *config, void **self, struct reeve_error *err)
{
    if (config->vocab > VOCAB_MAX)
        return fail(err, REEVE_INPUT_INVALID, "expected at most 1024 tokens in the vocabulary: use `tokenizer: bytes`");
    struct ridge *r = calloc(1, sizeof(*r));
    if (r == NULL) return fail(err, REEVE_JOB_NO_MEMORY, "out of memory");
    r->vocab = config->vocab;
    r->rate = number(config->job_json, "\"lr\":", 1e-3);
    r->momentum = number(config->job_json, "\"beta1\":", 0.9);
    r->penalty = number(config->job_json, "\"weight_decay\":", 0.0);
    r->exps = calloc(r->vocab, sizeof(*r->exps));
    if (r->exps == NULL || !make_tensors(r)) {
        ridge_close(r);
        return fail(err, REEVE_JOB_NO_MEMORY, "out of memory");
    }
    *self = r;
    return REEVE_OK;
}

static void ridge_tensors(void *self, const struct reeve_tensor **list, uint32_t *count)
{
    struct ridge *r = self;
    *list = r->tensors;
    *count = TENSOR_COUNT;
}

/* Loss at position t of a sample; r->exps holds exp(logit - top) of each token then, and *sum their sum. */
static double predict(struct ridge *r, const int32_t *tokens, uint32_t t, double *sum)
{
    uint32_t v_count = r->vocab;
    const float *last = r->tensors[LAST].data + (size_t)tokens[t] * v_count;
    const float *before = t > 0 ? r->tensors[BEFORE].data + (size_t)tokens[t - 1] * v_count : NULL;
    const float *bias = r->tensors[BIAS].data;
    double top = -INFINITY, target = 0.0, total = 0.0;
    for (uint32_t v = 0; v < v_count; v++) {
        r->exps[v] = (double)last[v] + (before != NULL ? (double)before[v] : 0.0) + (double)bias[v];
        if (r->exps[v] > top) top = r->exps[v];
    }
    target = r->exps[tokens[t + 1]] - top;
    for (uint32_t v = 0; v < v_count; v++) {
        r->exps[v] = exp(r->exps[v] - top);
        total += r->exps[v];
    }
    *sum = total;
    return log(total) - target;
}

static reeve_status ridge_gradient(void *self, const struct reeve_batch *batch, float *grad, double *loss_sum,
                                   bool (*cancelled)(void *), void *cancelled_arg, struct reeve_error *err)
{
    struct ridge *r = self;
    uint32_t v_count = r->vocab, length = batch->sequence;
    float *to_last = grad, *to_before = to_last + r->elements[LAST], *to_bias = to_before + r->elements[BEFORE];
    double loss = 0.0, share = 1.0 / ((double)batch->sample_count * length);
    memset(grad, 0, (r->elements[LAST] + r->elements[BEFORE] + r->elements[BIAS]) * sizeof(*grad));
    for (uint32_t b = 0; b < batch->sample_count; b++) {
        const int32_t *tokens = batch->tokens + (size_t)b * (length + 1);
        if (cancelled != NULL && cancelled(cancelled_arg)) return fail(err, REEVE_TASK_CANCELLED, "cancelled");
        for (uint32_t t = 0; t < length; t++) {
            double sum = 0.0;
            loss += predict(r, tokens, t, &sum);
            float *last = to_last + (size_t)tokens[t] * v_count;
            float *before = t > 0 ? to_before + (size_t)tokens[t - 1] * v_count : NULL;
            for (uint32_t v = 0; v < v_count; v++) {
                float g = (float)(share * (r->exps[v] / sum - (v == (uint32_t)tokens[t + 1] ? 1.0 : 0.0)));
                last[v] += g;
                if (before != NULL) before[v] += g;
                to_bias[v] += g;
            }
        }
    }
    *loss_sum = loss;
    return REEVE_OK;
}

static reeve_status ridge_evaluate(void *self, const struct reeve_batch *batch, double *loss_sum,
                                   struct reeve_error *err)
{
    (void)err;
    double loss = 0.0, sum = 0.0;
    for (uint32_t b = 0; b < batch->sample_count; b++)
        for (uint32_t t = 0; t < batch->sequence; t++)
            loss += predict(self, batch->tokens + (size_t)b * (batch->sequence + 1), t, &sum);
    *loss_sum = loss;
    return REEVE_OK;
}

/* Momentum, with the gradient of the penalty on the weights, not on the bias. */
static reeve_status ridge_apply(void *self, float *grad_mean, uint64_t step, struct reeve_apply_info *info,
                                struct reeve_error *err)
{
    (void)step;
    (void)err;
    struct ridge *r = self;
    const float *grad = grad_mean;
    double square_sum = 0.0;
    for (int i = 0; i < MODEL_COUNT; i++) {
        float *weight = r->tensors[i].data, *speed = r->tensors[MODEL_COUNT + i].data;
        double penalty = i == BIAS ? 0.0 : r->penalty;
        for (uint64_t k = 0; k < r->elements[i]; k++) {
            square_sum += (double)grad[k] * grad[k];
            speed[k] = (float)(r->momentum * speed[k] + grad[k] + penalty * weight[k]);
            weight[k] = (float)(weight[k] - r->rate * speed[k]);
        }
        grad += r->elements[i];
    }
    info->grad_norm = sqrt(square_sum);
    info->learning_rate = r->rate;
    return REEVE_OK;
}

static const struct reeve_workload_ops ridge_ops = {
    .abi = REEVE_WORKLOAD_ABI,
    .size = sizeof(struct reeve_workload_ops),
    .name = "ridge",
    .open = ridge_open,
    .tensors = ridge_tensors,
    .gradient = ridge_gradient,
    .evaluate = ridge_evaluate,
    .apply = ridge_apply,
    .close = ridge_close,
    /* restored: nothing here is derived from the tensors. generate: it writes no text. */
};

const struct reeve_workload_ops *reeve_workload(void);
const struct reeve_workload_ops *reeve_workload(void)
{
    return &ridge_ops;
}
