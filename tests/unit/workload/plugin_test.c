/* What comes from a workload outside is checked before it is used: its table, its tensors, its errors. */
#include "workload/plugin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "workload/foreign.h"

#define REFUSED(words, call)                                                                                           \
    do {                                                                                                               \
        struct reeve_error err = {0};                                                                                  \
        assert_int_equal(call, REEVE_INPUT_INVALID);                                                                   \
        assert_int_equal(err.status, REEVE_INPUT_INVALID);                                                             \
        if (strstr(err.text, words) == NULL) fail_msg("'%s' is not in '%s'", words, err.text);                         \
    } while (0)

static _Alignas(64) float numbers[64];

static reeve_status fake_open(const struct reeve_workload_config *config, void **self, struct reeve_error *err)
{
    return REEVE_OK;
}
static void fake_tensors(void *self, const struct reeve_tensor **list, uint32_t *count) {}
static reeve_status fake_gradient(void *self, const struct reeve_batch *batch, float *grad, double *loss_sum,
                                  bool (*cancelled)(void *), void *arg, struct reeve_error *err)
{
    return REEVE_OK;
}
static reeve_status fake_evaluate(void *self, const struct reeve_batch *batch, double *loss, struct reeve_error *err)
{
    return REEVE_OK;
}
static reeve_status fake_apply(void *self, float *grad, uint64_t step, struct reeve_apply_info *info,
                               struct reeve_error *err)
{
    return REEVE_OK;
}
static void fake_close(void *self) {}

/* The table as a later minor version would have it: one slot more. */
struct table {
    struct reeve_workload_ops ops;
    void (*later)(void);
};

static struct table good_table(void)
{
    return (struct table){.ops = {.abi = REEVE_WORKLOAD_ABI,
                                  .size = sizeof(struct reeve_workload_ops),
                                  .name = "fake",
                                  .open = fake_open,
                                  .tensors = fake_tensors,
                                  .gradient = fake_gradient,
                                  .evaluate = fake_evaluate,
                                  .apply = fake_apply,
                                  .close = fake_close}};
}

static void plugin_table_of_this_major_is_taken(void **state)
{
    struct reeve_error err = {0};
    struct table t = good_table();
    struct reeve_workload_ops ops;
    for (uint32_t minor = 0; minor < 3; minor++) {
        memset(&ops, 0xee, sizeof(ops));
        t.ops.abi = (REEVE_WORKLOAD_ABI_MAJOR << 16) + minor;
        t.ops.size = minor == 0 ? sizeof(t.ops) : sizeof(t);
        assert_int_equal(reeve_plugin_check("x.so", &t.ops, &ops, &err), REEVE_OK);
        assert_string_equal(ops.name, "fake");
        assert_ptr_equal(ops.close, fake_close);
        assert_null(ops.generate);
        assert_null(ops.restored);
    }
}

static reeve_status fake_restored(void *self, uint64_t step, struct reeve_error *err)
{
    return REEVE_OK;
}
static reeve_status fake_device_sum(void *self, int unit_bits, struct reeve_device_sum *out, struct reeve_error *err)
{
    return REEVE_OK;
}
static reeve_status fake_begin(void *self, const struct reeve_batch *batch, struct reeve_error *err)
{
    return REEVE_OK;
}
static reeve_status fake_end(void *self, struct reeve_device_result *out, bool (*cancelled)(void *), void *arg,
                             struct reeve_error *err)
{
    return REEVE_OK;
}
static reeve_status fake_plain(void *self, struct reeve_error *err)
{
    return REEVE_OK;
}
static reeve_status fake_digest(void *self, uint64_t *digest, struct reeve_error *err)
{
    return REEVE_OK;
}
static reeve_status fake_device_apply(void *self, double scale, uint64_t step, struct reeve_apply_info *info,
                                      struct reeve_error *err)
{
    return REEVE_OK;
}

static struct table device_table(void)
{
    struct table t = good_table();
    t.ops.restored = fake_restored;
    t.ops.device_sum = fake_device_sum;
    t.ops.device_begin = t.ops.device_prefetch = fake_begin;
    t.ops.device_end = fake_end;
    t.ops.device_zero = t.ops.device_publish = t.ops.device_published = fake_plain;
    t.ops.device_digest = fake_digest;
    t.ops.device_apply = fake_device_apply;
    return t;
}

static void plugin_table_of_1_0_ends_before_the_device(void **state)
{ /* Goal: nothing behind the smaller struct is read. Method: what stands there would be taken for functions. */
    struct reeve_error err = {0};
    struct table t = device_table();
    struct reeve_workload_ops ops;
    t.ops.abi = (REEVE_WORKLOAD_ABI_MAJOR << 16) + 0;
    t.ops.size = offsetof(struct reeve_workload_ops, device_sum);
    assert_int_equal(reeve_plugin_check("x.so", &t.ops, &ops, &err), REEVE_OK);
    assert_ptr_equal(ops.close, fake_close);
    assert_null(ops.device_sum);
    assert_null(ops.device_published);
    assert_false(reeve_workload_has_device(&ops));
}

static void plugin_device_functions_come_all_or_none(void **state)
{
    struct reeve_error none = {0};
    struct table t = device_table();
    struct reeve_workload_ops ops;
    assert_int_equal(reeve_plugin_check("x.so", &t.ops, &ops, &none), REEVE_OK);
    assert_true(reeve_workload_has_device(&ops));
    for (size_t at = offsetof(struct reeve_workload_ops, device_sum); at < sizeof(ops); at += sizeof(void (*)(void))) {
        t = device_table();
        memset((char *)&t.ops + at, 0, sizeof(void (*)(void)));
        REFUSED("or no device_*() at all", reeve_plugin_check("x.so", &t.ops, &ops, &err));
        struct table one = good_table();
        memset((char *)&one.ops + at, 0x11, sizeof(void (*)(void)));
        REFUSED("or no device_*() at all", reeve_plugin_check("x.so", &one.ops, &ops, &err));
    }
    t = device_table();
    t.ops.restored = NULL;
    REFUSED("has device_sum() and no restored()", reeve_plugin_check("x.so", &t.ops, &ops, &err));
}

static void plugin_table_is_refused_with_the_reason(void **state)
{
    static char long_name[80];
    struct reeve_workload_ops ops;
    struct table t = good_table();
    REFUSED("gave NULL", reeve_plugin_check("x.so", NULL, &ops, &err));
    t.ops.abi = (REEVE_WORKLOAD_ABI_MAJOR + 1) << 16;
    t.ops.size = 0; /* of another major nothing else is believed */
    REFUSED("built for workload ABI 2.0; expected 1.x", reeve_plugin_check("x.so", &t.ops, &ops, &err));
    t = good_table();
    t.ops.size = offsetof(struct reeve_workload_ops, close);
    REFUSED("expected at least", reeve_plugin_check("x.so", &t.ops, &ops, &err));
    t = good_table();
    memset(long_name, 'a', sizeof(long_name)); /* and no NUL */
    const char *const names[] = {NULL, "", "Fake", "a b", "a\n", long_name};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        t.ops.name = names[i];
        REFUSED("expected 1 to 63 characters", reeve_plugin_check("x.so", &t.ops, &ops, &err));
    }
    t.ops.name = "exec";
    REFUSED("is a built-in workload", reeve_plugin_check("x.so", &t.ops, &ops, &err));
    const struct {
        size_t offset;
        const char *words;
    } slots[] = {{offsetof(struct reeve_workload_ops, open), "no open()"},
                 {offsetof(struct reeve_workload_ops, tensors), "no tensors()"},
                 {offsetof(struct reeve_workload_ops, gradient), "no gradient()"},
                 {offsetof(struct reeve_workload_ops, evaluate), "no evaluate()"},
                 {offsetof(struct reeve_workload_ops, apply), "no apply()"},
                 {offsetof(struct reeve_workload_ops, close), "no close()"}};
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        t = good_table();
        memset((char *)&t.ops + slots[i].offset, 0, sizeof(void (*)(void)));
        REFUSED(slots[i].words, reeve_plugin_check("x.so", &t.ops, &ops, &err));
    }
}

static struct reeve_tensor tensor(const char *name, uint32_t group, uint64_t rows, uint64_t columns)
{
    struct reeve_tensor t = {.group = group, .rank = 2, .shape = {rows, columns}, .data = numbers};
    strncpy(t.name, name, sizeof(t.name) - 1);
    return t;
}

static void foreign_tensors_are_counted(void **state)
{
    struct reeve_error err = {0};
    uint64_t params = 0;
    struct reeve_tensor list[] = {tensor("b", 0, 3, 5), tensor("a", 0, 1, 2), tensor("a", 1, 7, 7)};
    list[1].rank = 4;
    list[1].shape[2] = list[1].shape[3] = 3;
    assert_int_equal(reeve_foreign_tensors(list, 3, &params, &err), REEVE_OK);
    assert_int_equal(params, 15 + 18);
}

static void foreign_tensors_are_refused_with_the_place(void **state)
{
    uint64_t params = 99;
    struct reeve_tensor list[2];
#define REFUSED_WITH(words, change)                                                                                    \
    do {                                                                                                               \
        list[0] = tensor("a", 0, 2, 2);                                                                                \
        list[1] = tensor("b", 0, 2, 2);                                                                                \
        change;                                                                                                        \
        REFUSED(words, reeve_foreign_tensors(list, 2, &params, &err));                                                 \
    } while (0)
    REFUSED("a list of 2 tensors at NULL", reeve_foreign_tensors(NULL, 2, &params, &err));
    REFUSED("a list of 0 tensors", reeve_foreign_tensors(list, 0, &params, &err));
    REFUSED("a list of 4294967295 tensors", reeve_foreign_tensors(list, UINT32_MAX, &params, &err));
    REFUSED_WITH("tensor 'a' is there twice", list[1].name[0] = 'a');
    REFUSED_WITH("tensor 2 of 2 ('B'): expected a name", list[1].name[0] = 'B');
    REFUSED_WITH("expected a name", list[1].name[0] = '\0');
    REFUSED_WITH("expected a name", strcpy(list[1].name, "."));
    REFUSED_WITH("expected a name", memset(list[1].name, 'x', sizeof(list[1].name)));
    REFUSED_WITH("expected group 0 (model) or 1", list[1].group = 2);
    REFUSED_WITH("before the optimizer's", list[0].group = 1);
    REFUSED_WITH("none of the model", list[0].group = list[1].group = 1);
    REFUSED_WITH("('b'): its data is NULL", list[1].data = NULL);
    REFUSED_WITH("multiple of 64 bytes", list[1].data = numbers + 1);
    REFUSED_WITH("expected rank 1 to 4", list[1].rank = 0);
    REFUSED_WITH("expected rank 1 to 4", list[1].rank = 5);
    REFUSED_WITH("a shape without zeros", list[1].shape[1] = 0);
    REFUSED_WITH("unused entries 0", list[1].shape[2] = 4);
    REFUSED_WITH("at most 2^40 elements", list[1].shape[0] = list[1].shape[1] = (uint64_t)1 << 32);
    REFUSED_WITH("more than 2^40 elements", list[1].shape[0] = (uint64_t)1 << 39);
    assert_int_equal(params, 99);
}

static void foreign_failure_is_one_line_with_its_place(void **state)
{
    const struct reeve_workload_ops ops = {.name = "fake"};
    struct reeve_error err = {.text = "two\nlines"};
    assert_int_equal(reeve_foreign_failure(&ops, "apply of step 3", REEVE_JOB_NO_MEMORY, &err), REEVE_JOB_NO_MEMORY);
    assert_string_equal(err.text, "workload fake, apply of step 3: two lines");
    err = (struct reeve_error){0};
    assert_int_equal(reeve_foreign_failure(&ops, "open", REEVE_TASK_FAILED, &err), REEVE_TASK_FAILED);
    assert_string_equal(err.text, "workload fake, open: task failed");
    assert_int_equal(err.status, REEVE_TASK_FAILED);
    /* Reeve's own words are not a workload's to say. */
    const int strangers[] = {REEVE_JOB_STOPPED, REEVE_WORKER_LOST, REEVE_STORE_CORRUPT, 12345, -1};
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        memset(err.text, 'x', sizeof(err.text)); /* and no NUL */
        assert_int_equal(reeve_foreign_failure(&ops, "open", (reeve_status)strangers[i], &err), REEVE_TASK_REJECTED);
        assert_non_null(strstr(err.text, "which is no status of a workload: xxx"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plugin_table_of_this_major_is_taken),
        cmocka_unit_test(plugin_table_of_1_0_ends_before_the_device),
        cmocka_unit_test(plugin_device_functions_come_all_or_none),
        cmocka_unit_test(plugin_table_is_refused_with_the_reason),
        cmocka_unit_test(foreign_tensors_are_counted),
        cmocka_unit_test(foreign_tensors_are_refused_with_the_place),
        cmocka_unit_test(foreign_failure_is_one_line_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
