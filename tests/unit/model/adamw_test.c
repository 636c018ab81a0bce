/* AdamW against its definition in double: update, decay, schedule, clipping, and what it refuses. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fresh.h"
#include "model/adamw.h"

#define ROWS 37
#define COLUMNS 29
#define MATRIX (ROWS * COLUMNS)
#define PARAMS (MATRIX + COLUMNS)

static const struct reeve_adamw_config config = {.lr = 1e-2,
                                                 .min_lr = 1e-3,
                                                 .warmup = 4,
                                                 .decay_steps = 12,
                                                 .weight_decay = 0.3,
                                                 .beta1 = 0.9,
                                                 .beta2 = 0.95,
                                                 .eps = 1e-8,
                                                 .clip = 0.7};

struct fixture {
    float *params;
    struct reeve_tensor model[2]; /* a matrix, which decays, and a vector, which does not; the optimiser borrows them */
    reeve_adamw *adamw;
};

static void make(struct fixture *f, const struct reeve_adamw_config *c, uint32_t threads)
{
    struct reeve_error err = {0};
    f->params = fresh_floats(PARAMS, 1.0f);
    f->model[0] = (struct reeve_tensor){.name = "w.weight", .rank = 2, .shape = {ROWS, COLUMNS}, .data = f->params};
    f->model[1] = (struct reeve_tensor){.name = "w.bias", .rank = 1, .shape = {COLUMNS}, .data = f->params + MATRIX};
    if (reeve_adamw_create(c, f->model, 2, threads, &f->adamw, &err) != REEVE_OK) fail_msg("%s", err.text);
}

static void drop(struct fixture *f)
{
    reeve_adamw_destroy(f->adamw), free(f->params);
}

static double naive_rate(uint64_t step)
{
    if (step <= config.warmup) return config.lr * (double)step / (double)config.warmup;
    if (step >= config.decay_steps) return config.min_lr;
    double x = (double)(step - config.warmup) / (double)(config.decay_steps - config.warmup);
    return config.min_lr + (config.lr - config.min_lr) * 0.5 * (1.0 + cos(M_PI * x));
}

static void fifteen_steps_agree_with_the_definition(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, &config, 1);
    static double p[PARAMS], m[PARAMS], v[PARAMS];
    float grad[PARAMS];
    struct reeve_error err = {0};
    struct reeve_apply_info info;
    memset(m, 0, sizeof(m)), memset(v, 0, sizeof(v));
    for (int i = 0; i < PARAMS; i++)
        p[i] = f.params[i];
    for (uint64_t step = 1; step <= 15; step++) {
        double square = 0.0, lr = naive_rate(step), size = step % 3 == 0 ? 0.001 : 0.2;
        for (int i = 0; i < PARAMS; i++)
            grad[i] = fresh_float((float)size);
        for (int i = 0; i < PARAMS; i++)
            square += (double)grad[i] * grad[i];
        double norm = sqrt(square), scale = norm > config.clip ? config.clip / norm : 1.0;
        for (int i = 0; i < PARAMS; i++) {
            double g = grad[i] * scale;
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.95 * v[i] + 0.05 * g * g;
            double hat_m = m[i] / (1 - pow(0.9, (double)step)), hat_v = v[i] / (1 - pow(0.95, (double)step));
            p[i] -= lr * (i < MATRIX ? config.weight_decay * p[i] : 0.0) + lr * hat_m / (sqrt(hat_v) + config.eps);
        }
        assert_int_equal(reeve_adamw_step(f.adamw, grad, step, &info, &err), REEVE_OK);
        if (fabs(info.grad_norm - norm) > 1e-12 * norm) fail_msg("norm %.17g, expected %.17g", info.grad_norm, norm);
        if (fabs(info.learning_rate - lr) > 1e-15) fail_msg("rate %.17g, expected %.17g", info.learning_rate, lr);
        for (int i = 0; i < PARAMS; i++)
            if (!(fabs(f.params[i] - p[i]) <= 2e-6))
                fail_msg("step %d: %.9g, expected %.9g", (int)step, f.params[i], p[i]);
    }
    drop(&f);
}

static void learning_rate_warms_up_peaks_and_ends_exactly(void **state)
{
    (void)state;
    assert_true(reeve_adamw_learning_rate(&config, 1) == config.lr * 1.0 / 4.0);
    assert_true(reeve_adamw_learning_rate(&config, 4) == config.lr);
    assert_true(reeve_adamw_learning_rate(&config, 12) == config.min_lr);
    assert_true(reeve_adamw_learning_rate(&config, UINT64_MAX) == config.min_lr);
    assert_true(fabs(reeve_adamw_learning_rate(&config, 8) - 0.5 * (config.lr + config.min_lr)) < 1e-17);
    struct reeve_adamw_config c = config;
    c.decay_steps = 1000003;
    for (uint64_t step = 5; step < c.decay_steps; step += 997) {
        double x = (double)(step - 4) / (double)(c.decay_steps - 4);
        double expected = c.min_lr + (c.lr - c.min_lr) * 0.5 * (1.0 + cos(M_PI * x));
        if (fabs(reeve_adamw_learning_rate(&c, step) - expected) > 1e-15 * c.lr) fail_msg("step %d", (int)step);
    }
    c.warmup = 0, c.decay_steps = 10;
    assert_true(reeve_adamw_learning_rate(&c, 1) < c.lr && reeve_adamw_learning_rate(&c, 1) > 0.9 * c.lr);
    c.warmup = 10, c.decay_steps = 5; /* the job ends before the warm-up */
    assert_true(reeve_adamw_learning_rate(&c, 5) == c.lr * 5.0 / 10.0);
    assert_true(reeve_adamw_learning_rate(&c, 11) == c.min_lr);
}

static void same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    enum { N = 50001 };
    float *start = fresh_floats(N, 1.0f), *grad = fresh_floats(N, 1.0f), *kept = poisoned(N), *params = poisoned(N);
    for (uint32_t threads = 1; threads <= 3; threads++) {
        struct reeve_tensor model = {.name = "w", .rank = 1, .shape = {N}, .data = params};
        struct reeve_error err = {0};
        struct reeve_apply_info info;
        reeve_adamw *a = NULL;
        memcpy(params, start, N * sizeof(float));
        assert_int_equal(reeve_adamw_create(&config, &model, 1, threads, &a, &err), REEVE_OK);
        for (uint64_t step = 1; step <= 3; step++)
            assert_int_equal(reeve_adamw_step(a, grad, step, &info, &err), REEVE_OK);
        if (threads == 1) memcpy(kept, params, N * sizeof(float));
        assert_memory_equal(kept, params, N * sizeof(float));
        reeve_adamw_destroy(a);
    }
    free(start), free(grad), free(kept), free(params);
}

static void norm_of_any_length_agrees_with_naive(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        uint64_t n = round < 10 ? fresh_between(1, 40) : fresh_between(16000, 70000);
        float *x = fresh_floats(n, round % 2 == 0 ? 1e-20f : 1e18f);
        double *blocks = calloc(reeve_grad_norm_blocks(n), sizeof(double)), square = 0.0;
        for (uint64_t i = 0; i < n; i++)
            square += (double)x[i] * x[i];
        double got = reeve_grad_norm(x, n, 1, blocks);
        if (fabs(got - sqrt(square)) > 1e-12 * got) fail_msg("%.17g, expected %.17g", got, sqrt(square));
        assert_true(reeve_grad_norm(x, n, 3, blocks) == got);
        free(x), free(blocks);
    }
}

static void a_gradient_that_is_not_finite_changes_nothing(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        struct fixture f;
        make(&f, &config, 1);
        struct reeve_error err = {0};
        struct reeve_apply_info info = {.grad_norm = -1.0};
        uint32_t count;
        const struct reeve_tensor *moments = reeve_adamw_tensors(f.adamw, &count);
        float grad[PARAMS] = {0}, before[PARAMS], zero[MATRIX] = {0};
        memcpy(before, f.params, sizeof(before));
        grad[fresh_between(0, PARAMS - 1)] = bad[i];
        assert_int_equal(reeve_adamw_step(f.adamw, grad, 1, &info, &err), REEVE_JOB_DIVERGED);
        assert_memory_equal(before, f.params, sizeof(before));
        assert_memory_equal(moments[0].data, zero, sizeof(zero));
        assert_true(info.grad_norm == -1.0);
        grad[0] = 0.0f;
        assert_int_equal(reeve_adamw_step(f.adamw, grad, 0, &info, &err), REEVE_INPUT_INVALID);
        drop(&f);
    }
}

static void moments_are_named_placed_and_zero(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, &config, 1);
    uint32_t count;
    const struct reeve_tensor *t = reeve_adamw_tensors(f.adamw, &count);
    const char *names[] = {"exp_avg.w.weight", "exp_avg.w.bias", "exp_avg_sq.w.weight", "exp_avg_sq.w.bias"};
    assert_int_equal(count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_string_equal(t[i].name, names[i]);
        assert_int_equal(t[i].group, REEVE_TENSOR_OPTIMIZER);
        assert_int_equal((uintptr_t)t[i].data % 64, 0);
        assert_int_equal(t[i].rank, f.model[i % 2].rank);
        assert_memory_equal(t[i].shape, f.model[i % 2].shape, sizeof(t[i].shape));
        for (uint64_t e = 0; e < (i % 2 == 0 ? MATRIX : COLUMNS); e++)
            assert_true(t[i].data[e] == 0.0f);
    }
    struct reeve_tensor long_name = f.model[0];
    struct reeve_error err = {0};
    reeve_adamw *a = NULL;
    memset(long_name.name, 'x', sizeof(long_name.name) - 1);
    assert_int_equal(reeve_adamw_create(&config, &long_name, 1, 1, &a, &err), REEVE_INPUT_INVALID);
    drop(&f);
    reeve_adamw_destroy(NULL);
}

static void impossible_settings_are_refused_with_the_key(void **state)
{
    (void)state;
    struct {
        struct reeve_adamw_config c;
        const char *key;
    } bad[11];
    for (int i = 0; i < 11; i++)
        bad[i].c = config;
    bad[0].c.lr = -1.0, bad[0].key = "optimizer.lr";
    bad[1].c.lr = NAN, bad[1].key = "optimizer.lr";
    bad[2].c.min_lr = 1.0, bad[2].key = "optimizer.min_lr";
    bad[3].c.weight_decay = -0.1, bad[3].key = "optimizer.weight_decay";
    bad[4].c.beta1 = 1.0, bad[4].key = "optimizer.beta1";
    bad[5].c.beta2 = -0.1, bad[5].key = "optimizer.beta2";
    bad[6].c.eps = 0.0, bad[6].key = "optimizer.eps";
    bad[7].c.eps = 1e-60, bad[7].key = "optimizer.eps"; /* 0 in fp32 */
    bad[8].c.clip = -1.0, bad[8].key = "optimizer.clip";
    bad[9].c.clip = INFINITY, bad[9].key = "optimizer.clip";
    bad[10].c.beta2 = NAN, bad[10].key = "optimizer.beta2";
    for (int i = 0; i < 11; i++) {
        struct reeve_error err = {0};
        assert_int_equal(reeve_adamw_check(&bad[i].c, &err), REEVE_INPUT_INVALID);
        if (strstr(err.text, bad[i].key) == NULL) fail_msg("'%s' does not name %s", err.text, bad[i].key);
    }
}

int main(void)
{
    fresh_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fifteen_steps_agree_with_the_definition),
        cmocka_unit_test(learning_rate_warms_up_peaks_and_ends_exactly),
        cmocka_unit_test(same_bits_for_any_number_of_threads),
        cmocka_unit_test(norm_of_any_length_agrees_with_naive),
        cmocka_unit_test(a_gradient_that_is_not_finite_changes_nothing),
        cmocka_unit_test(moments_are_named_placed_and_zero),
        cmocka_unit_test(impossible_settings_are_refused_with_the_key),
    };
    return cmocka_run_group_tests_name("unit.model.adamw", tests, NULL, NULL);
}
