/* The sum over one worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "coll/self.h"

static reeve_collective *create(void)
{
    reeve_collective *c = NULL;
    struct reeve_error err;
    assert_int_equal(reeve_coll_self_create(&c, &err), REEVE_OK);
    assert_int_equal(c->members, 1);
    assert_string_equal(c->name, "self");
    return c;
}

/* Returns how many steps it took; a sum that does not end fails. */
static int finish(reeve_collective *c)
{
    struct reeve_error err;
    bool done = false;
    int steps = 0;
    while (!done) {
        assert_true(++steps < 1000);
        assert_int_equal(c->ops->test(c, &done, &err), REEVE_OK);
    }
    assert_int_equal(c->ops->test(c, &done, &err), REEVE_OK);
    assert_false(done); /* done is told once */
    return steps;
}

static void self_sum_is_a_copy_for_every_size_and_type(void **state)
{
    static const size_t sizes[] = {0, 1, 7, 524287, 524288, 524289, 3000001};
    reeve_collective *c = create();
    struct reeve_error err;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        size_t n = sizes[s];
        int64_t *in = calloc(n + 1, 8), *out = calloc(n + 1, 8);
        assert_non_null(in);
        assert_non_null(out);
        for (size_t i = 0; i < n; i++) in[i] = (int64_t)(i * 0x9e3779b97f4a7c15u);
        out[n] = 42;
        assert_int_equal(c->ops->begin_sum_i64(c, in, out, n, &err), REEVE_OK);
        int steps = finish(c);
        assert_memory_equal(in, out, n * 8);
        assert_int_equal(out[n], 42);
        if (n == 3000001) assert_true(steps > 3); /* a long copy does not hold up the loop */
        memset(out, 0, n * 8);
        assert_int_equal(c->ops->begin_sum_f32(c, (float *)in, (float *)out, n, &err), REEVE_OK);
        finish(c);
        assert_memory_equal(in, out, n * 4);
        free(in);
        free(out);
    }
    c->ops->destroy(c);
}

static void self_sum_can_be_abandoned_and_another_begun(void **state)
{
    size_t n = 2000000;
    int64_t *in = calloc(n, 8), *out = calloc(n, 8), small_in = 3, small_out = 0;
    assert_non_null(in);
    assert_non_null(out);
    struct reeve_error err;
    bool done = false;
    reeve_collective *c = create();
    c->ops->abandon(c); /* nothing to abandon */
    assert_int_equal(c->ops->begin_sum_i64(c, in, out, n, &err), REEVE_OK);
    assert_int_equal(c->ops->begin_sum_i64(c, in, out, n, &err), REEVE_JOB_INTERNAL);
    assert_int_equal(c->ops->test(c, &done, &err), REEVE_OK);
    assert_false(done);
    c->ops->abandon(c);
    memset(out, 0x11, n * 8);
    assert_int_equal(c->ops->test(c, &done, &err), REEVE_OK);
    assert_false(done);
    assert_int_equal(c->ops->begin_sum_i64(c, &small_in, &small_out, 1, &err), REEVE_OK);
    finish(c);
    assert_int_equal(small_out, 3);
    for (size_t i = 0; i < n; i++) assert_true(out[i] == 0x1111111111111111); /* the abandoned one writes no more */
    c->ops->destroy(c);
    free(in);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(self_sum_is_a_copy_for_every_size_and_type),
        cmocka_unit_test(self_sum_can_be_abandoned_and_another_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
