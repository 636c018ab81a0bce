/* Attention of one head against a naive twin in double: several blocks of rows, heads side by side, rows computed late.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fresh.h"
#include "model/gpt/kernels.h"

struct fixture {
    size_t T, C, D, h;
    float *qkv, *dout, *scratch; /* (T, 3C), (T, C) */
    double *p, *out, *dqkv;      /* (T, T), (T, D), (T, 3D): naive */
};

/* Naive probabilities: row t over keys 0..t. */
static void naive_probabilities(struct fixture *f)
{
    const float *q = f->qkv + f->h * f->D, *k = q + f->C;
    for (size_t t = 0; t < f->T; t++) {
        double max = -INFINITY, sum = 0.0, *p = f->p + t * f->T;
        for (size_t u = 0; u <= t; u++) {
            p[u] = 0.0;
            for (size_t d = 0; d < f->D; d++)
                p[u] += (double)q[t * 3 * f->C + d] * k[u * 3 * f->C + d];
            p[u] /= sqrt((double)f->D);
            max = p[u] > max ? p[u] : max;
        }
        for (size_t u = 0; u <= t; u++)
            sum += p[u] = exp(p[u] - max);
        for (size_t u = 0; u <= t; u++)
            p[u] /= sum;
    }
}

static void naive_attention(struct fixture *f)
{
    const float *q = f->qkv + f->h * f->D, *k = q + f->C, *v = q + 2 * f->C, *dout = f->dout + f->h * f->D;
    size_t D = f->D, w = 3 * f->C;
    naive_probabilities(f);
    for (size_t t = 0; t < f->T; t++) {
        const double *p = f->p + t * f->T;
        double dot = 0.0;
        for (size_t u = 0; u <= t; u++)
            for (size_t d = 0; d < D; d++) {
                f->out[t * D + d] += p[u] * v[u * w + d];
                dot += p[u] * dout[t * f->C + d] * v[u * w + d];
            }
        for (size_t u = 0; u <= t; u++) {
            double dp = 0.0;
            for (size_t d = 0; d < D; d++)
                dp += (double)dout[t * f->C + d] * v[u * w + d];
            double ds = p[u] * (dp - dot) / sqrt((double)D);
            for (size_t d = 0; d < D; d++) {
                f->dqkv[t * 3 * D + d] += ds * k[u * w + d];
                f->dqkv[u * 3 * D + D + d] += ds * q[t * w + d];
                f->dqkv[u * 3 * D + 2 * D + d] += p[u] * dout[t * f->C + d];
            }
        }
    }
}

static struct fixture make(size_t T, size_t heads, size_t D)
{
    struct fixture f = {.T = T, .C = heads * D, .D = D, .h = fresh_between(0, (uint32_t)heads - 1)};
    f.qkv = fresh_floats(T * 3 * f.C, 1.5f);
    f.dout = fresh_floats(T * f.C, 1.0f);
    f.scratch = poisoned(gpt_attention_scratch(T));
    f.p = calloc(T * T, 8);
    f.out = calloc(T * D, 8);
    f.dqkv = calloc(T * 3 * D, 8);
    naive_attention(&f);
    return f;
}

static void drop(struct fixture *f)
{
    free(f->qkv), free(f->dout), free(f->scratch), free(f->p), free(f->out), free(f->dqkv);
}

/* Columns [from, from + D) of x (T, width) against expected (T, ld) from its column `at`; the other columns untouched.
 */
static void expect_columns(const char *what, const float *x, size_t T, size_t width, size_t from, size_t D,
                           const double *expected, size_t ld, size_t at)
{
    double wrong = 0.0, size = 1e-30;
    for (size_t t = 0; t < T; t++)
        for (size_t d = 0; d < D; d++) {
            double e = expected[t * ld + at + d], off = fabs((double)x[t * width + from + d] - e);
            if (!(off <= 1e300)) fail_msg("%s: row %zu is not written", what, t);
            wrong = off > wrong ? off : wrong;
            size = fabs(e) > size ? fabs(e) : size;
        }
    if (!(wrong <= 2e-5 * size)) fail_msg("%s, T %zu, D %zu: off by %.3g of %.3g", what, T, D, wrong, size);
}

static void attention_agrees_with_naive_and_touches_only_its_head(void **state)
{
    (void)state;
    for (int round = 0; round < 12; round++) {
        size_t T = round < 6 ? fresh_between(1, 70) : fresh_between(60, 200);
        struct fixture f = make(T, fresh_between(1, 4), fresh_between(2, 40));
        size_t C = f.C, D = f.D, mine = f.h * D;
        float *out = poisoned(T * C), *dqkv = poisoned(T * 3 * C);
        gpt_attention_forward(out + mine, f.qkv + mine, 0, T, C, D, f.scratch);
        gpt_attention_backward(dqkv + mine, f.dout + mine, f.qkv + mine, T, C, D, f.scratch);
        expect_columns("out", out, T, C, mine, D, f.out, D, 0);
        for (size_t part = 0; part < 3; part++)
            expect_columns(part == 0   ? "dq"
                           : part == 1 ? "dk"
                                       : "dv",
                           dqkv, T, 3 * C, part * C + mine, D, f.dqkv, 3 * D, part * D);
        for (size_t i = 0; i < T * 3 * C; i++)
            assert_true((i % C >= mine && i % C < mine + D) != !!isnan(dqkv[i]));
        assert_true(is_intact(out, T * C) && is_intact(dqkv, T * 3 * C));
        assert_true(is_intact(f.scratch, gpt_attention_scratch(T)));
        free(out), free(dqkv);
        drop(&f);
    }
}

/* Method: rows one after another, as when a text grows, with keys behind them that are not there yet. */
static void rows_computed_later_agree_with_all_at_once(void **state)
{
    (void)state;
    size_t T = fresh_between(65, 140), D = fresh_between(2, 20), first = fresh_between(1, 64);
    struct fixture f = make(T, 1, D);
    float *out = poisoned(T * D), *partial = poisoned(T * 3 * D);
    for (size_t t = 0; t < T; t++) {
        memcpy(partial + t * 3 * D, f.qkv + t * 3 * D, 3 * D * sizeof(float));
        if (t + 1 == first) gpt_attention_forward(out, partial, 0, first, D, D, f.scratch);
        if (t >= first) gpt_attention_forward(out, partial, t, t + 1, D, D, f.scratch);
    }
    expect_columns("out", out, T, D, 0, D, f.out, D, 0);
    free(out), free(partial);
    drop(&f);
}

int main(void)
{
    fresh_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_agrees_with_naive_and_touches_only_its_head),
        cmocka_unit_test(rows_computed_later_agree_with_all_at_once),
    };
    return cmocka_run_group_tests_name("unit.model.attention", tests, NULL, NULL);
}
