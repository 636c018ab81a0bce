/* The same arguments give the same bits: whatever was computed before, in whatever memory, in another process's order.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cblas.h>
#include <cmocka.h>
#include <omp.h>

#include "fresh.h"
#include "model/adamw.h"
#include "model/gpt/gpt.h"
#include "model/gpt/kernels.h"

/* Large enough that OpenBLAS shares its products among threads, and odd. */
static const struct reeve_gpt_shape shape = {
    .layers = 2, .heads = 3, .width = 66, .vocab = 257, .sequence = 75, .batch = 3};

static reeve_gpt *create(uint32_t threads)
{
    struct reeve_error err = {0};
    reeve_gpt *g = NULL;
    if (reeve_gpt_create(&shape, 11, threads, &g, &err) != REEVE_OK) fail_msg("%s", err.text);
    return g;
}

static int32_t *make_tokens(void)
{
    int32_t *tokens = calloc(shape.batch * (shape.sequence + 1), sizeof(*tokens));
    if (tokens == NULL) abort();
    for (uint32_t i = 0; i < shape.batch * (shape.sequence + 1); i++)
        tokens[i] = (int32_t)fresh_between(0, shape.vocab - 1);
    return tokens;
}

static double gradient(reeve_gpt *g, const int32_t *tokens, uint32_t B, uint32_t T, float *grad)
{
    struct reeve_error err = {0};
    double loss = NAN;
    if (reeve_gpt_gradient(g, tokens, B, T, grad, &loss, NULL, NULL, &err) != REEVE_OK) fail_msg("%s", err.text);
    return loss;
}

/* Method: between two equal calls compute other batches, fewer samples, shorter sequences, and a text. */
static bool take(void *arg, int32_t token)
{
    return arg != NULL && token >= 0;
}

static void gradient_does_not_depend_on_what_was_computed_before(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        reeve_gpt *g = create(threads);
        int32_t *tokens = make_tokens(), *other = make_tokens();
        uint64_t P = reeve_gpt_param_count(g);
        float *first = poisoned(P), *again = poisoned(P);
        struct reeve_error err = {0};
        double alone = NAN, loss = gradient(g, tokens, 3, 75, first);
        (void)gradient(g, other, 2, 75, again);
        (void)gradient(g, other, 1, 33, again);
        assert_int_equal(reeve_gpt_generate(g, other, 5, 20, 1, 1.0, take, &err, &err), REEVE_OK);
        memset(again, 0xff, P * sizeof(float));
        assert_true(gradient(g, tokens, 3, 75, again) == loss);
        assert_memory_equal(first, again, P * sizeof(float));
        assert_int_equal(reeve_gpt_evaluate(g, tokens, 3, 75, &alone, &err), REEVE_OK);
        assert_true(alone == loss);
        free(tokens), free(other), free(first), free(again);
        reeve_gpt_destroy(g);
    }
}

/* Method: another model in between, with another number of threads, whose settings must not stay. */
static void two_models_with_other_threads_do_not_disturb_each_other(void **state)
{
    (void)state;
    reeve_gpt *one = create(1), *two = create(2), *fresh = NULL;
    int32_t *tokens = make_tokens();
    uint64_t P = reeve_gpt_param_count(one);
    float *a = poisoned(P), *b = poisoned(P);
    double loss = gradient(one, tokens, 3, 75, a);
    (void)gradient(two, tokens, 3, 75, b);
    assert_true(gradient(one, tokens, 3, 75, b) == loss);
    assert_memory_equal(a, b, P * sizeof(float));
    (void)gradient(two, tokens, 3, 75, a);
    fresh = create(2);
    (void)gradient(fresh, tokens, 3, 75, b);
    assert_memory_equal(a, b, P * sizeof(float));
    free(tokens), free(a), free(b);
    reeve_gpt_destroy(one), reeve_gpt_destroy(two), reeve_gpt_destroy(fresh);
}

/* Goal: the threads that were asked for, not those that the process happens to have set. */
static void each_call_uses_the_threads_of_its_model(void **state)
{
    (void)state;
    int32_t *tokens = make_tokens();
    for (uint32_t threads = 1; threads <= 3; threads++) {
        reeve_gpt *g = create(threads);
        float *grad = poisoned(reeve_gpt_param_count(g));
        /* Newer versions of OpenBLAS take no more than there are cores, and tell OpenMP so. */
        uint32_t least = reeve_gpt_threads_possible(threads);
        openblas_set_num_threads(5);
        omp_set_num_threads(4);
        omp_set_dynamic(1);
        (void)gradient(g, tokens, 3, 75, grad);
        assert_in_range(openblas_get_num_threads(), least, threads);
        assert_in_range(omp_get_max_threads(), least, threads);
        assert_int_equal(omp_get_dynamic(), 0);
        free(grad);
        reeve_gpt_destroy(g);
    }
    free(tokens);
}

/* Method: the same call with the gradient at each of 16 addresses modulo 64 bytes, and models at other addresses. */
static void bits_do_not_depend_on_where_memory_lies(void **state)
{
    (void)state;
    reeve_gpt *g = create(1);
    int32_t *tokens = make_tokens();
    uint64_t P = reeve_gpt_param_count(g);
    float *first = poisoned(P), *room = poisoned(P + 16);
    void *hole[8];
    (void)gradient(g, tokens, 3, 75, first);
    for (int i = 0; i < 8; i++) {
        (void)gradient(g, tokens, 3, 75, room + 2 * i + 1);
        assert_memory_equal(first, room + 2 * i + 1, P * sizeof(float));
        hole[i] = malloc(fresh_between(1, 100000));
        reeve_gpt_destroy(g);
        g = create(1);
    }
    for (int i = 0; i < 8; i++)
        free(hole[i]);
    free(tokens), free(first), free(room);
    reeve_gpt_destroy(g);
}

/* Goal: kernels that sum do not peel for alignment. Method: the same rows at each of 16 addresses. */
static void kernels_give_the_same_bits_at_each_address(void **state)
{
    (void)state;
    enum { C = 77, ROWS = 5, N = C * ROWS };
    float *x = fresh_floats(N, 3.0f), *w = fresh_floats(C, 1.0f), *room = poisoned(3 * N + 64);
    float first[N], mean[ROWS], rstd[ROWS], first_mean[ROWS];
    double first_loss = 0.0;
    for (size_t shift = 0; shift < 16; shift++) {
        float *in = room + shift, *out = room + N + 2 * shift;
        memcpy(in, x, N * sizeof(float));
        gpt_layernorm_forward(out, mean, rstd, in, w, w, ROWS, C);
        double loss = gpt_loss_row_gradient(in, N, 3, 0.5f);
        if (shift == 0) {
            memcpy(first, out, sizeof(first));
            memcpy(first_mean, mean, sizeof(mean));
            first_loss = loss;
        }
        assert_memory_equal(out, first, sizeof(first));
        assert_memory_equal(mean, first_mean, sizeof(mean));
        assert_true(loss == first_loss);
    }
    free(x), free(w), free(room);
}

/* Goal: a NaN anywhere in the parameters shows in the gradient, where the runtime looks for it. */
static void a_not_a_number_in_any_tensor_reaches_the_gradient(void **state)
{
    (void)state;
    reeve_gpt *g = create(1);
    int32_t *tokens = make_tokens();
    uint32_t count;
    uint64_t P = reeve_gpt_param_count(g);
    float *grad = poisoned(P);
    const struct reeve_tensor *list = reeve_gpt_tensors(g, &count);
    for (uint32_t i = 0; i < count; i++) {
        float keep = list[i].data[0];
        tokens[0] = 0; /* so that row 0 of wte is read */
        list[i].data[0] = NAN;
        (void)gradient(g, tokens, 3, 75, grad);
        list[i].data[0] = keep;
        uint64_t found = 0;
        for (uint64_t e = 0; e < P; e++)
            found += !isfinite(grad[e]);
        if (found == 0) fail_msg("NaN in %s left no trace", list[i].name);
    }
    free(tokens), free(grad);
    reeve_gpt_destroy(g);
}

int main(void)
{
    fresh_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_does_not_depend_on_what_was_computed_before),
        cmocka_unit_test(two_models_with_other_threads_do_not_disturb_each_other),
        cmocka_unit_test(each_call_uses_the_threads_of_its_model),
        cmocka_unit_test(bits_do_not_depend_on_where_memory_lies),
        cmocka_unit_test(kernels_give_the_same_bits_at_each_address),
        cmocka_unit_test(a_not_a_number_in_any_tensor_reaches_the_gradient),
    };
    return cmocka_run_group_tests_name("unit.model.same_bits", tests, NULL, NULL);
}
