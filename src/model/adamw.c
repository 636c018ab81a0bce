/* AdamW on packed gradients and padded tensors. An element's new value depends on its own old values, its gradient and
 * five scalars of the step, so threads may share the elements in any way. */
#include "model/adamw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/pages.h"
#include "model/vector.h"

#define NORM_BLOCK 16384u /* elements */
#define NORM_LANES 8
#define NORM_SUMS 4
#define UPDATE_CHUNK 4096u /* elements that a thread takes at once */
#define ALIGN_FLOATS 16u

struct reeve_adamw {
    struct reeve_adamw_config config;
    const struct reeve_tensor *model; /* (count,) borrowed */
    uint32_t count;
    uint32_t threads;
    uint64_t param_count;
    struct reeve_tensor *tensors; /* (2 * count,) owned; data points into moments */
    float *moments;               /* owned, on huge pages */
    uint64_t moment_floats;
    double *block_sums; /* owned */
};

static uint64_t padded(uint64_t n)
{
    return (n + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
}

reeve_status reeve_adamw_check(const struct reeve_adamw_config *c, struct reeve_error *err)
{
    const struct {
        const char *key;
        double value;
        bool good;
        const char *expected;
    } keys[] = {
        {"lr", c->lr, c->lr >= 0.0 && isfinite(c->lr), "0 or more"},
        {"min_lr", c->min_lr, c->min_lr >= 0.0 && c->min_lr <= c->lr, "0 to optimizer.lr"},
        {"weight_decay", c->weight_decay, c->weight_decay >= 0.0 && isfinite(c->weight_decay), "0 or more"},
        {"beta1", c->beta1, c->beta1 >= 0.0 && c->beta1 < 1.0, "0 or more, less than 1"},
        {"beta2", c->beta2, c->beta2 >= 0.0 && c->beta2 < 1.0, "0 or more, less than 1"},
        {"eps", c->eps, c->eps > 0.0 && isfinite(c->eps) && (float)c->eps > 0.0f, "more than 0, and not below 1e-44"},
        {"clip", c->clip, c->clip >= 0.0 && isfinite(c->clip), "0 (off) or more"}};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (!keys[i].good)
            return reeve_fail(err, REEVE_INPUT_INVALID, "optimizer.%s is %g; expected %s", keys[i].key, keys[i].value,
                              keys[i].expected);
    return REEVE_OK;
}

uint64_t reeve_adamw_floats(const struct reeve_tensor *model, uint32_t count)
{
    uint64_t floats = 0;
    for (uint32_t i = 0; i < count; i++)
        floats += 2 * padded(reeve_tensor_elements(&model[i]));
    return floats;
}

static reeve_status name_moments(reeve_adamw *a, struct reeve_error *err)
{
    float *at = a->moments;
    for (uint32_t half = 0; half < 2; half++)
        for (uint32_t i = 0; i < a->count; i++) {
            struct reeve_tensor *t = &a->tensors[half * a->count + i];
            *t = a->model[i];
            const char *prefix = half == 0 ? "exp_avg" : "exp_avg_sq";
            int n =
                snprintf(t->name, sizeof(t->name), "%s.%.*s", prefix, REEVE_TENSOR_NAME_BYTES - 12, a->model[i].name);
            if (n < 0 || (size_t)n != strlen(prefix) + 1 + strlen(a->model[i].name))
                return reeve_fail(err, REEVE_INPUT_INVALID, "adamw: the name of tensor %s is too long for its moments",
                                  a->model[i].name);
            t->group = REEVE_TENSOR_OPTIMIZER;
            t->data = at;
            at += padded(reeve_tensor_elements(t));
        }
    return REEVE_OK;
}

reeve_status reeve_adamw_create(const struct reeve_adamw_config *config, const struct reeve_tensor *model,
                                uint32_t count, uint32_t threads, reeve_adamw **out, struct reeve_error *err)
{
    reeve_status st = reeve_adamw_check(config, err);
    if (st != REEVE_OK) return st;
    reeve_adamw *a = calloc(1, sizeof(*a));
    if (a == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "adamw: out of memory");
    a->config = *config;
    a->model = model;
    a->count = count;
    a->threads = threads;
    for (uint32_t i = 0; i < count; i++)
        a->param_count += reeve_tensor_elements(&model[i]);
    a->moment_floats = reeve_adamw_floats(model, count);
    a->tensors = calloc(2 * (size_t)count, sizeof(*a->tensors));
    a->block_sums = calloc(reeve_grad_norm_blocks(a->param_count), sizeof(*a->block_sums));
    a->moments = reeve_pages_take(a->moment_floats, sizeof(float));
    if (a->tensors == NULL || a->block_sums == NULL || a->moments == NULL) {
        double mib = (double)a->moment_floats * sizeof(float) / 1048576.0;
        reeve_adamw_destroy(a);
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "adamw: no memory for %.1f MiB of moments", mib);
    }
    memset(a->moments, 0, a->moment_floats * sizeof(float)); /* touched: the first step must not wait for pages */
    st = name_moments(a, err);
    if (st != REEVE_OK) {
        reeve_adamw_destroy(a);
        return st;
    }
    *out = a;
    return REEVE_OK;
}

void reeve_adamw_destroy(reeve_adamw *a)
{
    if (a == NULL) return;
    free(a->block_sums);
    free(a->tensors);
    reeve_pages_give_back(a->moments, a->moment_floats, sizeof(float));
    free(a);
}

const struct reeve_tensor *reeve_adamw_tensors(const reeve_adamw *a, uint32_t *count)
{
    *count = 2 * a->count;
    return a->tensors;
}

/* (1 + cos(pi x)) / 2 for x in [0, 1], as (1 + sin(pi (1/2 - x))) / 2 by the Taylor series of sin to y^21: an error of
 * 1e-15 at most. Not cos(), whose last bit is another in another libm. */
static double half_cosine(double x)
{
    double y = 3.14159265358979323846 * (0.5 - x), square = y * y, sum = 0.0;
    for (int k = 21; k >= 3; k -= 2)
        sum = (sum + 1.0) * (-square / (double)(k * (k - 1)));
    return 0.5 + 0.5 * (y + y * sum);
}

double reeve_adamw_learning_rate(const struct reeve_adamw_config *c, uint64_t step)
{
    if (step <= c->warmup) return c->lr * (double)step / (double)c->warmup;
    if (step >= c->decay_steps) return c->min_lr;
    double done = (double)(step - c->warmup) / (double)(c->decay_steps - c->warmup);
    return c->min_lr + (c->lr - c->min_lr) * half_cosine(done);
}

uint64_t reeve_grad_norm_blocks(uint64_t n)
{
    return n / NORM_BLOCK + 1;
}

typedef float norm_floats __attribute__((vector_size(NORM_LANES * sizeof(float)), aligned(4), may_alias));
typedef double norm_lanes __attribute__((vector_size(NORM_LANES * sizeof(double))));

/* Four sums of 8 lanes side by side: one alone would wait for each addition to end. */
MODEL_KERNEL
static double block_sum(const float *x, uint64_t n)
{
    norm_lanes sum[NORM_SUMS] = {0};
    uint64_t i = 0;
    for (; i + NORM_SUMS * NORM_LANES <= n; i += NORM_SUMS * NORM_LANES)
        for (int s = 0; s < NORM_SUMS; s++) {
            norm_lanes v = __builtin_convertvector(*(const norm_floats *)(x + i + s * NORM_LANES), norm_lanes);
            sum[s] += v * v;
        }
    norm_lanes all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    double rest = 0.0;
    for (; i < n; i++)
        rest += (double)x[i] * (double)x[i];
    return (((all[0] + all[4]) + (all[2] + all[6])) + ((all[1] + all[5]) + (all[3] + all[7]))) + rest;
}

double reeve_grad_norm(const float *grad, uint64_t n, uint32_t threads, double *block_sums)
{
#pragma omp parallel for schedule(static) num_threads(threads)
    for (uint64_t at = 0; at < n; at += NORM_BLOCK)
        block_sums[at / NORM_BLOCK] = block_sum(grad + at, n - at < NORM_BLOCK ? n - at : NORM_BLOCK);
    double sum = 0.0;
    for (uint64_t at = 0; at < n; at += NORM_BLOCK)
        sum += block_sums[at / NORM_BLOCK];
    return sqrt(sum);
}

/* base^n by squaring: the same multiplications on every machine, which pow() does not promise */
static double power(double base, uint64_t n)
{
    double result = 1.0;
    for (; n > 0; n /= 2) {
        if (n % 2 == 1) result *= base;
        base *= base;
    }
    return result;
}

MODEL_KERNEL
static void update_elements(float *p, float *m, float *v, const float *grad, uint64_t n,
                            const struct reeve_adamw_scalars *step)
{
    const struct reeve_adamw_scalars u = *step;
#pragma omp simd
    for (uint64_t i = 0; i < n; i++) {
        float g = grad[i] * u.grad_scale;
        m[i] = u.beta1 * m[i] + u.one_less_beta1 * g;
        v[i] = u.beta2 * v[i] + u.one_less_beta2 * (g * g);
        p[i] = p[i] * u.keep - u.rate * m[i] / (sqrtf(v[i]) * u.root + u.eps);
    }
}

static void update_tensor(const reeve_adamw *a, uint32_t index, const float *grad, struct reeve_adamw_scalars u)
{
    const struct reeve_tensor *t = &a->model[index];
    float *m = a->tensors[index].data, *v = a->tensors[a->count + index].data;
    uint64_t n = reeve_tensor_elements(t);
    if (t->rank < 2) u.keep = 1.0f;
#pragma omp parallel for schedule(static) num_threads(a->threads) if (n > UPDATE_CHUNK)
    for (uint64_t at = 0; at < n; at += UPDATE_CHUNK)
        update_elements(t->data + at, m + at, v + at, grad + at, n - at < UPDATE_CHUNK ? n - at : UPDATE_CHUNK, &u);
}

reeve_status reeve_adamw_begin(const struct reeve_adamw_config *c, uint64_t step, double norm,
                               struct reeve_adamw_scalars *out, struct reeve_apply_info *info, struct reeve_error *err)
{
    if (step == 0) return reeve_fail(err, REEVE_INPUT_INVALID, "adamw: steps count from 1");
    if (!isfinite(norm))
        return reeve_fail(err, REEVE_JOB_DIVERGED,
                          "step %llu: the norm of the gradient is not finite; lower optimizer.lr or optimizer.clip",
                          (unsigned long long)step);
    double lr = reeve_adamw_learning_rate(c, step);
    *out = (struct reeve_adamw_scalars){
        .beta1 = (float)c->beta1,
        .one_less_beta1 = (float)(1.0 - c->beta1),
        .beta2 = (float)c->beta2,
        .one_less_beta2 = (float)(1.0 - c->beta2),
        .rate = (float)(lr / (1.0 - power(c->beta1, step))),
        .root = (float)(1.0 / sqrt(1.0 - power(c->beta2, step))),
        .eps = (float)c->eps,
        .keep = (float)(1.0 - lr * c->weight_decay),
        .grad_scale = c->clip > 0.0 && norm > c->clip ? (float)(c->clip / norm) : 1.0f,
    };
    *info = (struct reeve_apply_info){.grad_norm = norm, .learning_rate = lr};
    return REEVE_OK;
}

reeve_status reeve_adamw_step(reeve_adamw *a, const float *grad, uint64_t step, struct reeve_apply_info *info,
                              struct reeve_error *err)
{
    struct reeve_adamw_scalars u;
    double norm = reeve_grad_norm(grad, a->param_count, a->threads, a->block_sums);
    reeve_status st = reeve_adamw_begin(&a->config, step, norm, &u, info, err);
    if (st != REEVE_OK) return st;
    for (uint32_t i = 0; i < a->count; i++) {
        update_tensor(a, i, grad, u);
        grad += reeve_tensor_elements(&a->model[i]);
    }
    return REEVE_OK;
}
