/* The whole model against its naive twin: loss, gradients by finite differences in double, and generated text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fresh.h"
#include "naive_gpt.h"

struct fixture {
    struct reeve_gpt_shape shape;
    reeve_gpt *g;
    uint64_t P;
    double *params; /* (P,) the same numbers as the model's */
    int32_t *tokens;
};

static reeve_gpt *create(const struct reeve_gpt_shape *shape, uint64_t seed, uint32_t threads)
{
    struct reeve_error err = {0};
    reeve_gpt *g = NULL;
    if (reeve_gpt_create(shape, seed, threads, &g, &err) != REEVE_OK) fail_msg("%s", err.text);
    return g;
}

/* A model with large random parameters: with the small ones of a fresh model attention is nearly uniform. */
static struct fixture make(struct reeve_gpt_shape shape, uint32_t threads)
{
    struct fixture f = {.shape = shape, .g = create(&shape, 1, threads)};
    uint32_t count;
    const struct reeve_tensor *list = reeve_gpt_tensors(f.g, &count);
    f.P = reeve_gpt_param_count(f.g);
    f.params = calloc(f.P, sizeof(double));
    f.tokens = calloc(shape.batch * (shape.sequence + 1), sizeof(int32_t));
    for (uint64_t i = 0, at = 0; i < count; i++)
        for (uint64_t e = 0; e < reeve_tensor_elements(&list[i]); e++) {
            int is_norm = strstr(list[i].name, "ln_") != NULL && strstr(list[i].name, "weight") != NULL;
            list[i].data[e] = (is_norm ? 1.0f : 0.0f) + fresh_float(0.5f);
            f.params[at++] = list[i].data[e];
        }
    for (uint32_t i = 0; i < shape.batch * (shape.sequence + 1); i++)
        f.tokens[i] = (int32_t)fresh_between(0, shape.vocab - 1);
    return f;
}

static void drop(struct fixture *f)
{
    reeve_gpt_destroy(f->g), free(f->params), free(f->tokens);
}

static struct reeve_gpt_shape fresh_shape(void)
{
    uint32_t heads = fresh_between(1, 3);
    return (struct reeve_gpt_shape){.layers = fresh_between(1, 3),
                                    .heads = heads,
                                    .width = heads * fresh_between(8, 13),
                                    .vocab = fresh_between(2, 40),
                                    .sequence = fresh_between(2, 12),
                                    .batch = fresh_between(1, 3)};
}

static void loss_agrees_with_naive_also_for_smaller_batches(void **state)
{
    (void)state;
    for (int round = 0; round < 8; round++) {
        struct fixture f = make(fresh_shape(), 1 + (uint32_t)round % 2);
        struct reeve_error err = {0};
        uint32_t B = fresh_between(1, f.shape.batch), T = fresh_between(1, f.shape.sequence);
        double expected = naive_gpt_loss(&f.shape, f.params, f.tokens, B, T), got = NAN;
        assert_int_equal(reeve_gpt_evaluate(f.g, f.tokens, B, T, &got, &err), REEVE_OK);
        got /= (double)B * T;
        if (!(fabs(got - expected) <= 1e-5 * expected)) fail_msg("loss %.9g, expected %.9g", got, expected);
        drop(&f);
    }
}

/* Goal: backward is the slope of forward. Method: central differences of the naive loss in double, for some coordinates
 * of every tensor; the error is measured against the largest slope of that tensor (norms of width 8 amplify rounding).
 */
static void gradient_agrees_with_finite_differences(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) {
        struct fixture f = make(fresh_shape(), 1 + (uint32_t)round % 3);
        struct reeve_error err = {0};
        uint32_t count, B = f.shape.batch, T = f.shape.sequence - (uint32_t)round % 2;
        const struct reeve_tensor *list = reeve_gpt_tensors(f.g, &count);
        float *grad = poisoned(f.P);
        double loss = NAN;
        assert_int_equal(reeve_gpt_gradient(f.g, f.tokens, B, T, grad, &loss, NULL, NULL, &err), REEVE_OK);
        assert_true(is_intact(grad, f.P));
        uint64_t at = 0;
        for (uint32_t i = 0; i < count; at += reeve_tensor_elements(&list[i]), i++) {
            double size = 1e-5;
            for (uint64_t e = 0; e < reeve_tensor_elements(&list[i]); e++) {
                assert_true(isfinite(grad[at + e]));
                size = fabsf(grad[at + e]) > size ? fabsf(grad[at + e]) : size;
            }
            for (int k = 0; k < 6; k++) {
                uint64_t p = at + fresh_u64() % reeve_tensor_elements(&list[i]);
                double keep = f.params[p], h = 1e-5;
                f.params[p] = keep + h;
                double slope = naive_gpt_loss(&f.shape, f.params, f.tokens, B, T);
                f.params[p] = keep - h;
                slope = (slope - naive_gpt_loss(&f.shape, f.params, f.tokens, B, T)) / (2 * h);
                f.params[p] = keep;
                if (!(fabs(grad[p] - slope) <= 2e-4 * size))
                    fail_msg("%s, element %llu: %.9g, expected %.9g (largest %.3g)", list[i].name,
                             (unsigned long long)(p - at), (double)grad[p], slope, size);
            }
        }
        free(grad);
        drop(&f);
    }
}

static void initial_values_are_those_of_gpt2_and_come_from_the_seed_alone(void **state)
{
    (void)state;
    struct reeve_gpt_shape shape = {.layers = 2, .heads = 2, .width = 64, .vocab = 100, .sequence = 32, .batch = 1};
    reeve_gpt *a = create(&shape, 7, 1), *b = create(&shape, 7, 3), *c = create(&shape, 8, 1);
    uint32_t count;
    const struct reeve_tensor *x = reeve_gpt_tensors(a, &count), *y = reeve_gpt_tensors(b, &count),
                              *z = reeve_gpt_tensors(c, &count);
    assert_int_equal(count, 2 + 2 * 12 + 2);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t n = reeve_tensor_elements(&x[i]);
        double square = 0.0;
        for (uint64_t e = 0; e < n; e++)
            square += (double)x[i].data[e] * x[i].data[e] / (double)n;
        double expected = strstr(x[i].name, ".bias") ? 0.0 : x[i].rank == 1 ? 1.0 : 0.02;
        if (x[i].rank == 2 && strstr(x[i].name, "c_proj")) expected = 0.02 / sqrt(4.0);
        if (fabs(sqrt(square) - expected) > 0.05 * expected) fail_msg("%s: deviation %g", x[i].name, sqrt(square));
        assert_int_equal((uintptr_t)x[i].data % 64, 0);
        assert_int_equal(x[i].group, REEVE_TENSOR_MODEL);
        assert_memory_equal(x[i].data, y[i].data, n * sizeof(float));
        if (x[i].rank == 2) assert_memory_not_equal(x[i].data, z[i].data, n * sizeof(float));
    }
    for (uint32_t i = 2; i < 2 + 12; i++) /* the layers begin with other numbers, each tensor with its own */
        if (x[i].rank == 2)
            assert_memory_not_equal(x[i].data, x[i + 12].data, reeve_tensor_elements(&x[i]) * sizeof(float));
    reeve_gpt_destroy(a), reeve_gpt_destroy(b), reeve_gpt_destroy(c);
}

struct text {
    int32_t tokens[64];
    uint32_t count, max;
};

static bool take(void *arg, int32_t token)
{
    struct text *t = arg;
    if (t->count == t->max) return false;
    t->tokens[t->count++] = token;
    return true;
}

/* The likeliest token behind `tokens` by the naive model, and by how much it leads. */
static int32_t naive_next(const struct fixture *f, const int32_t *tokens, uint32_t T, double *lead)
{
    double *logits = calloc((size_t)T * f->shape.vocab, sizeof(double)),
           *last = logits + (size_t)(T - 1) * f->shape.vocab;
    naive_gpt_logits(&f->shape, f->params, tokens, T, logits);
    uint32_t best = 0;
    for (uint32_t v = 1; v < f->shape.vocab; v++)
        best = last[v] > last[best] ? v : best;
    *lead = INFINITY;
    for (uint32_t v = 0; v < f->shape.vocab; v++)
        if (v != best && last[best] - last[v] < *lead) *lead = last[best] - last[v];
    free(logits);
    return (int32_t)best;
}

/* Goal: reading old keys and values, and moving the window, gives what computing it all again gives. Method: follow the
 * documented window with the naive model; where two tokens are as likely, the rest proves nothing. */
static void generated_tokens_are_those_of_the_naive_model(void **state)
{
    (void)state;
    for (int round = 0; round < 6; round++) {
        struct fixture f = make(fresh_shape(), 1);
        uint32_t T = f.shape.sequence, prompt = fresh_between(1, T + 1), from = prompt > T ? prompt - T : 0,
                 n = prompt - from;
        struct text got = {.max = 40};
        struct reeve_error err = {0};
        int32_t window[64];
        memcpy(window, f.tokens + from, n * sizeof(*window));
        assert_int_equal(reeve_gpt_generate(f.g, f.tokens, prompt, 40, 1, 0.0, take, &got, &err), REEVE_OK);
        assert_int_equal(got.count, 40);
        for (uint32_t i = 0; i < 40; i++) {
            double lead;
            int32_t expected = naive_next(&f, window, n, &lead);
            if (lead < 1e-4) break;
            assert_int_equal(got.tokens[i], expected);
            if (n == T) {
                memmove(window, window + (T - T / 2), T / 2 * sizeof(*window));
                n = T / 2;
            }
            window[n++] = expected;
        }
        drop(&f);
    }
}

static void generation_depends_on_seed_and_temperature_and_on_nothing_before(void **state)
{
    (void)state;
    struct reeve_gpt_shape shape = {.layers = 2, .heads = 2, .width = 16, .vocab = 50, .sequence = 8, .batch = 2};
    struct fixture f = make(shape, 1);
    struct text a = {.max = 30}, b = {.max = 30}, c = {.max = 30}, d = {.max = 5};
    struct reeve_error err = {0};
    double loss;
    assert_int_equal(reeve_gpt_generate(f.g, f.tokens, 3, 30, 5, 0.8, take, &a, &err), REEVE_OK);
    assert_int_equal(reeve_gpt_evaluate(f.g, f.tokens, 2, 8, &loss, &err), REEVE_OK);
    assert_int_equal(reeve_gpt_generate(f.g, f.tokens, 3, 30, 5, 0.8, take, &b, &err), REEVE_OK);
    assert_int_equal(reeve_gpt_generate(f.g, f.tokens, 3, 30, 6, 0.8, take, &c, &err), REEVE_OK);
    assert_int_equal(reeve_gpt_generate(f.g, f.tokens, 3, 30, 5, 0.8, take, &d, &err), REEVE_OK);
    assert_int_equal(a.count, 30);
    assert_memory_equal(a.tokens, b.tokens, sizeof(a.tokens[0]) * 30);
    assert_memory_not_equal(a.tokens, c.tokens, sizeof(a.tokens[0]) * 30);
    assert_int_equal(d.count, 5); /* ended by take */
    assert_memory_equal(a.tokens, d.tokens, sizeof(a.tokens[0]) * 5);
    assert_int_equal(reeve_gpt_generate(f.g, f.tokens, 0, 1, 5, 0.8, take, &d, &err), REEVE_INPUT_INVALID);
    assert_int_equal(reeve_gpt_generate(f.g, f.tokens, 3, 1, 5, -1.0, take, &d, &err), REEVE_INPUT_INVALID);
    assert_int_equal(reeve_gpt_generate(f.g, f.tokens, 3, 1, 5, NAN, take, &d, &err), REEVE_INPUT_INVALID);
    uint32_t count;
    reeve_gpt_tensors(f.g, &count)[count - 1].data[0] = NAN;
    assert_int_equal(reeve_gpt_generate(f.g, f.tokens, 3, 1, 5, 1.0, take, &d, &err), REEVE_JOB_DIVERGED);
    drop(&f);
}

/* Method: draw first tokens with many seeds, and compare how often each comes with its probability. */
static void temperature_one_draws_tokens_as_often_as_they_are_likely(void **state)
{
    (void)state;
    enum { DRAWS = 4000 };
    struct reeve_gpt_shape shape = {.layers = 1, .heads = 1, .width = 8, .vocab = 5, .sequence = 4, .batch = 1};
    struct fixture f = make(shape, 1);
    double logits[4 * 5], sum = 0.0, seen[5] = {0};
    struct reeve_error err = {0};
    naive_gpt_logits(&shape, f.params, f.tokens, 2, logits);
    for (int v = 0; v < 5; v++)
        sum += exp(logits[5 + v]);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        struct text t = {.max = 1};
        assert_int_equal(reeve_gpt_generate(f.g, f.tokens, 2, 1, seed, 1.0, take, &t, &err), REEVE_OK);
        seen[t.tokens[0]] += 1.0 / DRAWS;
    }
    for (int v = 0; v < 5; v++) { /* five standard deviations */
        double p = exp(logits[5 + v]) / sum;
        if (fabs(seen[v] - p) > 5.0 * sqrt(p * (1.0 - p) / DRAWS) + 1e-3) fail_msg("token %d: %g of %g", v, seen[v], p);
    }
    drop(&f);
}

static bool cancel_after(void *arg)
{
    int *polls = arg;
    return (*polls)-- == 0;
}

static void gradient_can_be_cancelled_at_each_poll_and_then_computes_the_same(void **state)
{
    (void)state;
    struct reeve_gpt_shape shape = {.layers = 3, .heads = 1, .width = 8, .vocab = 9, .sequence = 5, .batch = 2};
    struct fixture f = make(shape, 1);
    struct reeve_error err = {0};
    float *first = poisoned(f.P), *again = poisoned(f.P);
    double loss, same, untouched = 1.5;
    assert_int_equal(reeve_gpt_gradient(f.g, f.tokens, 2, 5, first, &loss, NULL, NULL, &err), REEVE_OK);
    for (int polls = 0; polls < 7; polls++) { /* three layers forward, the head, three backward */
        int left = polls;
        assert_int_equal(reeve_gpt_gradient(f.g, f.tokens, 2, 5, again, &untouched, cancel_after, &left, &err),
                         REEVE_TASK_CANCELLED);
        assert_true(untouched == 1.5);
    }
    assert_int_equal(reeve_gpt_gradient(f.g, f.tokens, 2, 5, again, &same, NULL, NULL, &err), REEVE_OK);
    assert_memory_equal(first, again, f.P * sizeof(float));
    assert_true(loss == same);
    free(first), free(again);
    drop(&f);
}

/* Goal: the loss and its gradient do not depend on how many rows of logits there is room for. Method: a vocabulary so
 * large that two samples take two blocks, the second short; each sample alone takes one. */
static void logits_in_several_blocks_agree_with_one_block(void **state)
{
    (void)state;
    struct reeve_gpt_shape shape = {.layers = 1, .heads = 1, .width = 4, .vocab = 520000, .sequence = 17, .batch = 2};
    struct fixture f = make(shape, 2);
    struct reeve_error err = {0};
    float *both = poisoned(f.P), *one = poisoned(f.P);
    double *mean = calloc(f.P, sizeof(double)), loss = NAN, loss_one = NAN, sum = 0.0;
    assert_int_equal(reeve_gpt_gradient(f.g, f.tokens, 2, 17, both, &loss, NULL, NULL, &err), REEVE_OK);
    for (size_t b = 0; b < 2; b++) {
        const int32_t *sample = f.tokens + b * 18;
        assert_int_equal(reeve_gpt_gradient(f.g, sample, 1, 17, one, &loss_one, NULL, NULL, &err), REEVE_OK);
        sum += loss_one;
        for (uint64_t i = 0; i < f.P; i++)
            mean[i] += 0.5 * (double)one[i];
    }
    assert_true(fabs(loss - sum) <= 1e-6 * sum);
    assert_true(worst_of(both, mean, f.P, 0.0) <= 1e-5);
    free(both), free(one), free(mean);
    drop(&f);
}

static void a_batch_that_does_not_fit_is_refused_with_its_place(void **state)
{
    (void)state;
    struct reeve_gpt_shape shape = {.layers = 1, .heads = 1, .width = 4, .vocab = 9, .sequence = 5, .batch = 2};
    struct fixture f = make(shape, 1);
    struct reeve_error err = {0};
    double loss;
    assert_int_equal(reeve_gpt_evaluate(f.g, f.tokens, 3, 5, &loss, &err), REEVE_INPUT_INVALID);
    assert_int_equal(reeve_gpt_evaluate(f.g, f.tokens, 0, 5, &loss, &err), REEVE_INPUT_INVALID);
    assert_int_equal(reeve_gpt_evaluate(f.g, f.tokens, 1, 6, &loss, &err), REEVE_INPUT_INVALID);
    assert_int_equal(reeve_gpt_evaluate(f.g, f.tokens, 1, 0, &loss, &err), REEVE_INPUT_INVALID);
    f.tokens[6 + 4] = 9;
    assert_int_equal(reeve_gpt_evaluate(f.g, f.tokens, 2, 5, &loss, &err), REEVE_INPUT_INVALID);
    assert_non_null(strstr(err.text, "token 9 at position 4 of sample 1"));
    f.tokens[6 + 4] = -1;
    assert_int_equal(reeve_gpt_evaluate(f.g, f.tokens, 2, 5, &loss, &err), REEVE_INPUT_INVALID);
    drop(&f);
}

static void impossible_shapes_are_refused_with_the_key(void **state)
{
    (void)state;
    const struct reeve_gpt_shape good = {.layers = 2, .heads = 2, .width = 8, .vocab = 9, .sequence = 5, .batch = 2};
    struct {
        struct reeve_gpt_shape shape;
        const char *key;
    } bad[8];
    for (int i = 0; i < 8; i++)
        bad[i].shape = good;
    bad[0].shape.layers = 0, bad[0].key = "model.layers";
    bad[1].shape.heads = 0, bad[1].key = "model.heads";
    bad[2].shape.width = 0, bad[2].key = "model.width";
    bad[3].shape.width = 9, bad[3].key = "not a multiple of model.heads";
    bad[4].shape.vocab = 0, bad[4].key = "vocabulary";
    bad[5].shape.sequence = 0, bad[5].key = "data.sequence";
    bad[6].shape.batch = 0, bad[6].key = "train.micro_batch";
    bad[7].shape.batch = 1u << 20, bad[7].shape.sequence = 1u << 20, bad[7].key = "2^31 - 1";
    for (int i = 0; i < 8; i++) {
        struct reeve_error err = {0};
        reeve_gpt *g = (reeve_gpt *)&err;
        assert_int_equal(reeve_gpt_create(&bad[i].shape, 1, 1, &g, &err), REEVE_INPUT_INVALID);
        if (strstr(err.text, bad[i].key) == NULL) fail_msg("'%s' does not name %s", err.text, bad[i].key);
        assert_ptr_equal(g, &err);
    }
    struct reeve_error err = {0};
    reeve_gpt *g = NULL;
    assert_int_equal(reeve_gpt_create(&good, 1, 0, &g, &err), REEVE_INPUT_INVALID);
    struct reeve_gpt_shape huge = {
        .layers = 4096, .heads = 1, .width = 1u << 20, .vocab = 1u << 28, .sequence = 127, .batch = 1u << 24};
    assert_int_equal(reeve_gpt_create(&huge, 1, 1, &g, &err), REEVE_JOB_NO_MEMORY);
    reeve_gpt_destroy(NULL);
}

static void bytes_foreseen_are_at_least_those_of_the_parameters(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct reeve_gpt_shape shape = fresh_shape();
        reeve_gpt *g = create(&shape, 1, 1);
        uint64_t params = 0, workspace = 0;
        assert_true(reeve_gpt_bytes(&shape, 1, &params, &workspace));
        assert_true(params >= reeve_gpt_param_count(g) * sizeof(float));
        assert_true(workspace >=
                    (uint64_t)shape.batch * shape.sequence * shape.width * shape.layers * 16 * sizeof(float));
        reeve_gpt_destroy(g);
    }
}

int main(void)
{
    fresh_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_agrees_with_naive_also_for_smaller_batches),
        cmocka_unit_test(gradient_agrees_with_finite_differences),
        cmocka_unit_test(initial_values_are_those_of_gpt2_and_come_from_the_seed_alone),
        cmocka_unit_test(generated_tokens_are_those_of_the_naive_model),
        cmocka_unit_test(generation_depends_on_seed_and_temperature_and_on_nothing_before),
        cmocka_unit_test(temperature_one_draws_tokens_as_often_as_they_are_likely),
        cmocka_unit_test(gradient_can_be_cancelled_at_each_poll_and_then_computes_the_same),
        cmocka_unit_test(logits_in_several_blocks_agree_with_one_block),
        cmocka_unit_test(a_batch_that_does_not_fit_is_refused_with_its_place),
        cmocka_unit_test(impossible_shapes_are_refused_with_the_key),
        cmocka_unit_test(bytes_foreseen_are_at_least_those_of_the_parameters),
    };
    return cmocka_run_group_tests_name("unit.model.gpt", tests, NULL, NULL);
}
