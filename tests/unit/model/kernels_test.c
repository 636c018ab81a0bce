/* Kernels of model/gpt: each gives what a naive twin in double gives, on fresh inputs of awkward sizes, and writes all
 * of its output and nothing else. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fresh.h"
#include "model/gpt/kernels.h"
#include "model/vector.h"

static void expect_close(const char *what, const float *got, const double *expected, size_t n, double floor,
                         double limit)
{
    double worst = worst_of(got, expected, n, floor);
    if (!(worst <= limit)) fail_msg("%s of %zu: off by %.3g, at most %.3g", what, n, worst, limit);
    if (!is_intact(got, n)) fail_msg("%s of %zu: wrote behind its end", what, n);
}

static double ulps(float got, double expected)
{
    float rounded = (float)expected;
    double unit = (double)nextafterf(fabsf(rounded), INFINITY) - (double)fabsf(rounded);
    return fabs((double)got - expected) / unit;
}

static void exponential_is_within_two_units_in_the_last_place(void **state)
{
    (void)state;
    double worst = 0.0;
    for (int i = 0; i < 400000; i++) {
        float x = i < 200000 ? fresh_float(87.0f) : fresh_float(2.0f);
        double u = ulps(model_expf(x), exp((double)x));
        if (u > worst) worst = u;
        if (!(u <= 2.0)) fail_msg("e^%.9g is %.9g: %.2f units off", (double)x, (double)model_expf(x), u);
    }
    printf("worst: %.2f units\n", worst);
    assert_true(model_expf(0.0f) == 1.0f);
}

static void exponential_keeps_infinities_and_not_a_numbers(void **state)
{
    (void)state;
    assert_true(isinf(model_expf(INFINITY)) && isinf(model_expf(89.0f)));
    assert_true(model_expf(-INFINITY) == 0.0f && model_expf(-88.0f) == 0.0f && model_expf(-1e30f) == 0.0f);
    assert_true(isnan(model_expf(NAN)));
}

/* x (1 + tanh u) / 2, as x / (1 + e^-2u): where tanh u is near -1, even doubles lose their digits in the sum. */
static double gelu(double x)
{
    double u = sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x);
    return x / (1.0 + exp(-2.0 * u));
}

static void gelu_agrees_with_its_definition_and_its_slope(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        size_t n = fresh_between(1, 300);
        float *x = fresh_floats(n, round % 2 == 0 ? 6.0f : 30.0f), *y = poisoned(n), *dy = fresh_floats(n, 1.0f);
        double *forward = calloc(n, sizeof(double)), *backward = calloc(n, sizeof(double));
        dy[n] = 12345.0f;
        for (size_t i = 0; i < n; i++) {
            double v = x[i], h = 1e-5;
            forward[i] = gelu(v);
            backward[i] = (double)dy[i] * (gelu(v + h) - gelu(v - h)) / (2 * h);
        }
        gpt_gelu_forward(y, x, n);
        gpt_gelu_backward(dy, x, n);
        expect_close("gelu", y, forward, n, 0.0, 1e-6);
        expect_close("gelu backward", dy, backward, n, 0.0, 4e-6);
        free(x), free(y), free(dy), free(forward), free(backward);
    }
}

static void gelu_of_huge_values_is_their_limit_and_of_nan_is_nan(void **state)
{
    (void)state;
    float x[5] = {1e38f, -1e38f, INFINITY, -INFINITY, NAN}, y[5], dy[5] = {1.0f, 1.0f, 1.0f, 1.0f, 1.0f};
    gpt_gelu_forward(y, x, 5);
    gpt_gelu_backward(dy, x, 5);
    assert_true(y[0] == 1e38f && fabsf(y[1]) < 1e-30f && isinf(y[2]) && fabsf(y[3]) < 1e-30f && isnan(y[4]));
    assert_true(dy[0] == 1.0f && fabsf(dy[1]) < 1e-30f && dy[2] == 1.0f && fabsf(dy[3]) < 1e-30f && isnan(dy[4]));
}

/* Naive layer norm of one row: y, and what backward needs. */
static void naive_norm(const float *x, size_t C, double *mean, double *rstd)
{
    double m = 0.0, v = 0.0;
    for (size_t c = 0; c < C; c++)
        m += x[c];
    m /= (double)C;
    for (size_t c = 0; c < C; c++)
        v += (x[c] - m) * (x[c] - m);
    *mean = m;
    *rstd = 1.0 / sqrt(v / (double)C + 1e-5);
}

static void layernorm_forward_and_backward_agree_with_naive(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        size_t rows = fresh_between(1, 150), C = fresh_between(round % 3 == 0 ? 20 : 1, 90), n = rows * C;
        float *x = fresh_floats(n, 2.0f), *w = fresh_floats(C, 1.0f), *b = fresh_floats(C, 1.0f),
              *dy = fresh_floats(n, 1.0f);
        float *y = poisoned(n), *mean = poisoned(rows), *rstd = poisoned(rows), *dx = fresh_floats(n, 0.5f);
        float *dw = poisoned(C), *db = poisoned(C);
        double *ey = calloc(n, 8), *edx = calloc(n, 8), *edw = calloc(C, 8), *edb = calloc(C, 8);
        dx[n] = 12345.0f;
        if (round % 3 == 0) /* a large mean, which one pass would drown in */
            for (size_t i = 0; i < n; i++)
                x[i] += 300.0f;
        double rstd_max = 0.0;
        for (size_t r = 0; r < rows; r++) {
            double m, s, plain = 0.0, along = 0.0;
            naive_norm(x + r * C, C, &m, &s);
            rstd_max = s > rstd_max ? s : rstd_max;
            for (size_t c = 0; c < C; c++) {
                double hat = (x[r * C + c] - m) * s, g = (double)dy[r * C + c] * w[c];
                ey[r * C + c] = hat * w[c] + b[c];
                edw[c] += dy[r * C + c] * hat;
                edb[c] += dy[r * C + c];
                plain += g / (double)C;
                along += g * hat / (double)C;
            }
            for (size_t c = 0; c < C; c++)
                edx[r * C + c] =
                    dx[r * C + c] + s * ((double)dy[r * C + c] * w[c] - plain - (x[r * C + c] - m) * s * along);
        }
        size_t cut = fresh_between(0, (uint32_t)C);
        double limit = round % 3 == 0 ? 2e-3 : 2e-5; /* 300 has five digits fewer behind the point */
        gpt_layernorm_forward(y, mean, rstd, x, w, b, rows, C);
        gpt_layernorm_backward_input(dx, dy, x, mean, rstd, w, rows, C);
        gpt_layernorm_backward_params(dw, db, dy, x, mean, rstd, rows, C, 0, cut);
        gpt_layernorm_backward_params(dw, db, dy, x, mean, rstd, rows, C, cut, C);
        if (C > 1) { /* of one column all deviations are 0: nothing but rounding is left of the gradients */
            expect_close("layernorm", y, ey, n, 0.0, limit);
            expect_close("layernorm dx", dx, edx, n, rstd_max, limit);
            expect_close("layernorm dweight", dw, edw, C, 0.0, limit);
        }
        expect_close("layernorm dbias", db, edb, C, 0.0, limit);
        assert_true(is_intact(mean, rows) && is_intact(rstd, rows));
        free(x), free(w), free(b), free(dy), free(y), free(mean), free(rstd), free(dx), free(dw), free(db);
        free(ey), free(edx), free(edw), free(edb);
    }
}

static void sums_over_rows_agree_with_naive_wherever_the_columns_are_cut(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        size_t rows = fresh_between(1, 300), n = fresh_between(1, 200), cut = fresh_between(0, (uint32_t)n);
        float *x = fresh_floats(rows * n, 1.0f), *out = poisoned(n), *whole = poisoned(n);
        double *expected = calloc(n, 8);
        for (size_t i = 0; i < rows * n; i++)
            expected[i % n] += x[i];
        gpt_columns_sum(out, x, rows, n, 0, cut);
        gpt_columns_sum(out, x, rows, n, cut, n);
        gpt_columns_sum(whole, x, rows, n, 0, n);
        expect_close("columns", out, expected, n, 0.0, 1e-5);
        assert_memory_equal(out, whole, n * sizeof(float));
        free(x), free(out), free(whole), free(expected);
    }
}

static void rows_fill_and_add_write_each_row(void **state)
{
    (void)state;
    size_t rows = fresh_between(1, 9), n = fresh_between(1, 70);
    float *x = fresh_floats(rows * n, 1.0f), *bias = fresh_floats(n, 1.0f), *filled = poisoned(rows * n),
          *added = poisoned(rows * n);
    gpt_rows_fill(filled, bias, rows, n);
    gpt_rows_add(added, x, bias, rows, n);
    for (size_t i = 0; i < rows * n; i++) {
        assert_true(filled[i] == bias[i % n]);
        assert_true(added[i] == x[i] + bias[i % n]);
    }
    assert_true(is_intact(filled, rows * n) && is_intact(added, rows * n));
    free(x), free(bias), free(filled), free(added);
}

static void embedding_and_its_gradient_agree_with_naive(void **state)
{
    (void)state;
    size_t B = fresh_between(1, 4), T = fresh_between(1, 20), C = fresh_between(1, 70), V = fresh_between(1, 9);
    size_t cut = fresh_between(0, (uint32_t)C);
    int32_t *tokens = calloc(B * (T + 1), sizeof(*tokens));
    for (size_t i = 0; i < B * (T + 1); i++)
        tokens[i] = (int32_t)fresh_between(0, (uint32_t)V - 1);
    float *wte = fresh_floats(V * C, 1.0f), *wpe = fresh_floats(T * C, 1.0f), *x = poisoned(B * T * C);
    float *dx = fresh_floats(B * T * C, 1.0f), *dwte = fresh_floats(V * C, 1.0f), *dwpe = poisoned(T * C);
    double *ewte = calloc(V * C, 8), *ewpe = calloc(T * C, 8);
    dwte[V * C] = 12345.0f;
    for (size_t i = 0; i < V * C; i++)
        ewte[i] = dwte[i];
    for (size_t r = 0; r < B * T; r++)
        for (size_t c = 0; c < C; c++) {
            ewte[(size_t)tokens[r / T * (T + 1) + r % T] * C + c] += dx[r * C + c];
            ewpe[r % T * C + c] += dx[r * C + c];
        }
    gpt_embed_forward(x, tokens, T + 1, T, wte, wpe, C, 0, B * T);
    for (size_t r = 0; r < B * T; r++)
        for (size_t c = 0; c < C; c++)
            assert_true(x[r * C + c] == wte[(size_t)tokens[r / T * (T + 1) + r % T] * C + c] + wpe[r % T * C + c]);
    gpt_embed_backward(dwte, dwpe, dx, tokens, T + 1, B, T, C, 0, cut);
    gpt_embed_backward(dwte, dwpe, dx, tokens, T + 1, B, T, C, cut, C);
    expect_close("dwte", dwte, ewte, V * C, 0.0, 1e-5);
    expect_close("dwpe", dwpe, ewpe, T * C, 0.0, 1e-5);
    free(tokens), free(wte), free(wpe), free(x), free(dx), free(dwte), free(dwpe), free(ewte), free(ewpe);
}

static double naive_log_sum(const float *x, size_t n)
{
    double max = x[0], sum = 0.0;
    for (size_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < n; i++)
        sum += exp(x[i] - max);
    return max + log(sum);
}

static void loss_and_gradient_of_a_row_agree_with_naive(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        size_t V = fresh_between(1, 400), target = fresh_between(0, (uint32_t)V - 1);
        float size = round % 5 == 0 ? 80.0f : 4.0f, scale = 1.0f / (float)fresh_between(1, 99);
        float *logits = fresh_floats(V, size), *same = poisoned(V);
        logits[V] = 12345.0f;
        memcpy(same, logits, V * sizeof(float));
        double log_sum = naive_log_sum(logits, V), loss = log_sum - logits[target], *expected = calloc(V, 8);
        for (size_t i = 0; i < V; i++)
            expected[i] = scale * (exp(logits[i] - log_sum) - (i == target ? 1.0 : 0.0));
        double got = gpt_loss_row_gradient(logits, V, target, scale), alone = gpt_loss_row(same, V, target);
        assert_true(got == alone);
        if (!(fabs(got - loss) <= 2e-6 * (1.0 + loss))) fail_msg("loss %.9g, expected %.9g", got, loss);
        if (V > 1) expect_close("gradient of the logits", logits, expected, V, scale, 5e-6);
        free(logits), free(same), free(expected);
    }
}

static void softmax_and_its_slope_agree_with_naive(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        size_t n = fresh_between(1, 200), width = n + fresh_between(0, 70);
        float *p = fresh_floats(width, 5.0f), *dp = fresh_floats(width, 1.0f), scale = 0.25f;
        p[width] = dp[width] = 12345.0f;
        double log_sum = naive_log_sum(p, n), dot = 0.0, p_max = 0.0, *ep = calloc(width, 8), *edp = calloc(width, 8);
        for (size_t i = 0; i < n; i++)
            ep[i] = exp(p[i] - log_sum);
        for (size_t i = 0; i < n; i++)
            dot += ep[i] * dp[i], p_max = ep[i] > p_max ? ep[i] : p_max;
        for (size_t i = 0; i < n; i++)
            edp[i] = scale * ep[i] * (dp[i] - dot);
        gpt_softmax_row(p, n, width);
        gpt_softmax_row_backward(dp, p, n, width, scale);
        expect_close("softmax", p, ep, width, 0.0, 3e-6);
        if (n > 1) expect_close("softmax backward", dp, edp, width, scale * p_max, 1e-5);
        for (size_t i = n; i < width; i++)
            assert_true(p[i] == 0.0f && dp[i] == 0.0f);
        free(p), free(dp), free(ep), free(edp);
    }
}

static void not_a_number_comes_through_softmax_and_loss(void **state)
{
    (void)state;
    for (size_t at = 0; at < 40; at++) {
        float x[40], y[40];
        for (int i = 0; i < 40; i++)
            x[i] = y[i] = fresh_float(1.0f);
        x[at] = y[at] = NAN;
        assert_true(isnan(gpt_loss_row_gradient(x, 40, 7, 1.0f)));
        gpt_softmax_row(y, 40, 40);
        assert_true(isnan(y[0]) && isnan(y[39]));
    }
}

int main(void)
{
    fresh_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exponential_is_within_two_units_in_the_last_place),
        cmocka_unit_test(exponential_keeps_infinities_and_not_a_numbers),
        cmocka_unit_test(gelu_agrees_with_its_definition_and_its_slope),
        cmocka_unit_test(gelu_of_huge_values_is_their_limit_and_of_nan_is_nan),
        cmocka_unit_test(layernorm_forward_and_backward_agree_with_naive),
        cmocka_unit_test(sums_over_rows_agree_with_naive_wherever_the_columns_are_cut),
        cmocka_unit_test(rows_fill_and_add_write_each_row),
        cmocka_unit_test(embedding_and_its_gradient_agree_with_naive),
        cmocka_unit_test(loss_and_gradient_of_a_row_agree_with_naive),
        cmocka_unit_test(softmax_and_its_slope_agree_with_naive),
        cmocka_unit_test(not_a_number_comes_through_softmax_and_loss),
    };
    return cmocka_run_group_tests_name("unit.model.kernels", tests, NULL, NULL);
}
