/* Workload gpt through the ABI, as the runtime uses it: open, train, save, restore, continue, generate. */
#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "workload/registry.h"

#define JOB "{\"name\": \"x\", \"model\": {\"layers\": 2, \"heads\": 2, \"width\": 24}, \"optimizer\": {\"lr\": 1e-2}}"
#define T 16
#define B 3

static const struct reeve_workload_ops *ops;

static struct reeve_workload_config config_of(const char *json)
{
    return (struct reeve_workload_config){.job_json = json,
                                          .seed = 5,
                                          .vocab = 256,
                                          .sequence = T,
                                          .micro_batch = B,
                                          .steps = 10,
                                          .threads = 1,
                                          .device = "cpu"};
}

static void *open_job(const char *json)
{
    struct reeve_workload_config config = config_of(json);
    struct reeve_error err = {0};
    void *self = NULL;
    if (ops->open(&config, &self, &err) != REEVE_OK) fail_msg("%s", err.text);
    return self;
}

static uint64_t elements(const struct reeve_tensor *t)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

static uint64_t total(void *self, bool model_only)
{
    const struct reeve_tensor *list;
    uint32_t count;
    uint64_t n = 0;
    ops->tensors(self, &list, &count);
    for (uint32_t i = 0; i < count; i++)
        if (!model_only || list[i].group == REEVE_TENSOR_MODEL) n += elements(&list[i]);
    return n;
}

/* All tensors one after another into `out`, or back */
static void copy_state(void *self, float *saved, bool restore)
{
    const struct reeve_tensor *list;
    uint32_t count;
    ops->tensors(self, &list, &count);
    for (uint32_t i = 0; i < count; saved += elements(&list[i]), i++)
        if (restore) memcpy(list[i].data, saved, elements(&list[i]) * sizeof(float));
        else memcpy(saved, list[i].data, elements(&list[i]) * sizeof(float));
}

static double train(void *self, uint64_t from, uint64_t to)
{
    uint64_t P = total(self, true);
    float *grad = aligned_alloc(64, (P * sizeof(float) + 63) / 64 * 64);
    assert_non_null(grad);
    int32_t tokens[B * (T + 1)];
    struct reeve_error err = {0};
    double loss = 0.0;
    for (uint64_t step = from; step <= to; step++) {
        for (int i = 0; i < B * (T + 1); i++)
            tokens[i] = 'a' + (int32_t)((unsigned)i * 7 + step) % 5;
        struct reeve_batch batch = {.tokens = tokens, .sample_count = B, .sequence = T, .step = step, .seed = 5};
        struct reeve_apply_info info;
        assert_int_equal(ops->gradient(self, &batch, grad, &loss, NULL, NULL, &err), REEVE_OK);
        assert_int_equal(ops->apply(self, grad, step, &info, &err), REEVE_OK);
        assert_true(info.grad_norm > 0.0 && info.learning_rate > 0.0);
    }
    free(grad);
    return loss / (B * T);
}

static void the_registry_knows_gpt_and_nothing_else(void **state)
{
    (void)state;
    assert_ptr_equal(reeve_workload_find("gpt"), ops);
    assert_ptr_equal(reeve_workload_at(0), ops);
    assert_null(reeve_workload_at(1));
    assert_null(reeve_workload_find("gp"));
    assert_null(reeve_workload_find(""));
    assert_int_equal(ops->abi, REEVE_WORKLOAD_ABI);
    assert_int_equal(ops->size, sizeof(*ops));
}

static void tensors_are_aligned_unique_and_the_model_comes_first(void **state)
{
    (void)state;
    void *self = open_job(JOB);
    const struct reeve_tensor *list, *again;
    uint32_t count, same;
    ops->tensors(self, &list, &count);
    ops->tensors(self, &again, &same);
    assert_ptr_equal(list, again);
    assert_int_equal(count, 3 * (2 + 2 * 12 + 2));
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal((uintptr_t)list[i].data % 64, 0);
        assert_int_equal(list[i].group, i < count / 3 ? REEVE_TENSOR_MODEL : REEVE_TENSOR_OPTIMIZER);
        assert_int_equal(strspn(list[i].name, "abcdefghijklmnopqrstuvwxyz0123456789_."), strlen(list[i].name));
        for (uint32_t k = 0; k < i; k++) {
            assert_string_not_equal(list[i].name, list[k].name);
            assert_true(list[i].data >= list[k].data + elements(&list[k]) ||
                        list[k].data >= list[i].data + elements(&list[i]));
        }
    }
    assert_string_equal(list[2].name, "h.0.ln_1.weight");
    assert_string_equal(list[count - 1].name, "exp_avg_sq.ln_f.bias");
    ops->close(self);
}

static void training_lowers_the_loss(void **state)
{
    (void)state;
    void *self = open_job(JOB);
    double first = train(self, 1, 1);
    assert_true(fabs(first - log(256.0)) < 0.1); /* a fresh model finds all bytes equally likely */
    assert_true(train(self, 2, 60) < 0.6 * first);
    ops->close(self);
}

/* Method: ten steps; and four, state saved, another instance overwritten with it, six more. */
static void a_restored_state_continues_to_the_same_bits(void **state)
{
    (void)state;
    void *whole = open_job(JOB), *first = open_job(JOB), *second = NULL;
    uint64_t n = total(whole, false);
    float *a = malloc(n * sizeof(float)), *b = malloc(n * sizeof(float));
    struct reeve_error err = {0};
    double loss = train(whole, 1, 10);
    (void)train(first, 1, 4);
    copy_state(first, a, false);
    ops->close(first);
    second = open_job("{\"model\": {\"layers\": 2, \"heads\": 2, \"width\": 24}, \"optimizer\": {\"lr\": 0.01, "
                      "\"kind\": \"adamw\"}}");
    (void)train(second, 1, 2);
    copy_state(second, a, true);
    assert_int_equal(ops->restored(second, 4, &err), REEVE_OK);
    assert_true(train(second, 5, 10) == loss);
    copy_state(whole, a, false);
    copy_state(second, b, false);
    assert_memory_equal(a, b, n * sizeof(float));
    free(a), free(b);
    ops->close(whole);
    ops->close(second);
}

static void a_restored_state_that_is_no_state_is_refused(void **state)
{
    (void)state;
    void *self = open_job(JOB);
    const struct reeve_tensor *list;
    uint32_t count;
    ops->tensors(self, &list, &count);
    struct {
        uint32_t tensor;
        float value;
    } bad[] = {{0, NAN}, {count / 3, INFINITY}, {count - 1, -1.0f}, {count - 1, -NAN}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct reeve_error err = {0};
        float *last = &list[bad[i].tensor].data[elements(&list[bad[i].tensor]) - 1], keep = *last;
        *last = bad[i].value;
        assert_int_equal(ops->restored(self, 4, &err), REEVE_STORE_CORRUPT);
        assert_non_null(strstr(err.text, list[bad[i].tensor].name));
        *last = keep;
        assert_int_equal(ops->restored(self, 4, &err), REEVE_OK);
    }
    ops->close(self);
}

static void seed_decides_the_initial_state(void **state)
{
    (void)state;
    struct reeve_workload_config config = config_of(JOB);
    struct reeve_error err = {0};
    void *one = open_job(JOB), *same = open_job(JOB), *other = NULL;
    config.seed = 6;
    assert_int_equal(ops->open(&config, &other, &err), REEVE_OK);
    uint64_t n = total(one, false);
    float *a = malloc(n * sizeof(float)), *b = malloc(n * sizeof(float)), *c = malloc(n * sizeof(float));
    copy_state(one, a, false), copy_state(same, b, false), copy_state(other, c, false);
    assert_memory_equal(a, b, n * sizeof(float));
    assert_memory_not_equal(a, c, n * sizeof(float));
    free(a), free(b), free(c);
    ops->close(one), ops->close(same), ops->close(other);
}

static void a_job_that_cannot_be_is_refused_with_the_key(void **state)
{
    (void)state;
#define MODEL "\"model\": {\"layers\": 2, \"heads\": 2, \"width\": 24}"
    const struct {
        const char *json, *says;
    } bad[] = {{"", "JSON"},
               {"{\"model\": ", "JSON"},
               {"[]", "model.layers"},
               {"{}", "model.layers"},
               {"{\"model\": {\"layers\": 2, \"heads\": 2}}", "model.width"},
               {"{\"model\": {\"layers\": \"2\", \"heads\": 2, \"width\": 24}}", "model.layers"},
               {"{\"model\": {\"layers\": 2.5, \"heads\": 2, \"width\": 24}}", "model.layers"},
               {"{\"model\": {\"layers\": -2, \"heads\": 2, \"width\": 24}}", "model.layers"},
               {"{\"model\": {\"layers\": 5000000000, \"heads\": 2, \"width\": 24}}", "model.layers"},
               {"{\"model\": {\"layers\": 0, \"heads\": 2, \"width\": 24}}", "model.layers"},
               {"{\"model\": {\"layers\": 2, \"heads\": 5, \"width\": 24}}", "multiple of model.heads"},
               {"{" MODEL "}", "optimizer.lr"},
               {"{" MODEL ", \"optimizer\": {\"kind\": \"sgd\", \"lr\": 1}}", "optimizer.kind"},
               {"{" MODEL ", \"optimizer\": {\"lr\": true}}", "optimizer.lr"},
               {"{" MODEL ", \"optimizer\": {\"lr\": -1}}", "optimizer.lr"},
               {"{" MODEL ", \"optimizer\": {\"lr\": 1e-3, \"min_lr\": 1}}", "optimizer.min_lr"},
               {"{" MODEL ", \"optimizer\": {\"lr\": 1e-3, \"beta2\": 1}}", "optimizer.beta2"},
               {"{" MODEL ", \"optimizer\": {\"lr\": 1e-3, \"warmup\": -1}}", "optimizer.warmup"}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct reeve_workload_config config = config_of(bad[i].json);
        struct reeve_error err = {0};
        void *self = &err;
        assert_int_equal(ops->open(&config, &self, &err), REEVE_INPUT_INVALID);
        if (strstr(err.text, bad[i].says) == NULL) fail_msg("'%s' does not say %s", err.text, bad[i].says);
        assert_ptr_equal(self, &err);
    }
    struct reeve_workload_config config = config_of(JOB);
    struct reeve_error err = {0};
    void *self = NULL;
    config.device = "cuda";
    assert_int_equal(ops->open(&config, &self, &err), REEVE_JOB_DEVICE);
    config = config_of("{\"model\": {\"layers\": 96, \"heads\": 96, \"width\": 122880}, \"optimizer\": {\"lr\": 1}}");
    assert_int_equal(ops->open(&config, &self, &err), REEVE_INPUT_INVALID); /* a restart does not mend it */
    assert_non_null(strstr(err.text, "MiB"));
    assert_null(self);
    ops->close(NULL);
}

/* Goal: a worker on too few cores ends, instead of computing other bits than the rest. Method: 1,000 threads, which is
 * more than OpenBLAS is built for; and two, while this process is bound to one core, as mpirun may do. */
static void more_threads_than_there_can_be_are_refused(void **state)
{
    (void)state;
    struct reeve_workload_config config = config_of(JOB);
    struct reeve_error err = {0};
    void *self = NULL;
    config.threads = 1000;
    assert_int_equal(ops->open(&config, &self, &err), REEVE_JOB_CONFIG);
    assert_non_null(strstr(err.text, "resources.threads is 1000"));
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    CPU_ZERO(&one);
    for (int core = 0; core < CPU_SETSIZE && CPU_COUNT(&one) == 0; core++)
        if (CPU_ISSET(core, &all)) CPU_SET(core, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    config.threads = 2;
    reeve_status bound = ops->open(&config, &self, &err);
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
    assert_int_equal(bound, REEVE_JOB_CONFIG);
    assert_non_null(strstr(err.text, "can have 1"));
    config.threads = 0;
    assert_int_equal(ops->open(&config, &self, &err), REEVE_INPUT_INVALID);
    assert_null(self);
    config.threads = 1;
    assert_int_equal(ops->open(&config, &self, &err), REEVE_OK);
    ops->close(self);
}

static void generated_text_begins_with_the_prompt_and_fits(void **state)
{
    (void)state;
    void *self = open_job(JOB);
    struct reeve_error err = {0};
    char text[64], same[64], tiny[6];
    assert_int_equal(ops->generate(self, "The \x1b", 20, 1, 1.0, text, sizeof(text), &err), REEVE_OK);
    assert_int_equal(strncmp(text, "The ?", 5), 0);
    assert_true(strlen(text) > 5 && strlen(text) <= 25);
    assert_int_equal(ops->generate(self, "The \x1b", 20, 1, 1.0, same, sizeof(same), &err), REEVE_OK);
    assert_string_equal(text, same);
    assert_int_equal(ops->generate(self, "", 1000, 1, 1.0, text, sizeof(text), &err), REEVE_OK);
    assert_true(strlen(text) < sizeof(text));
    assert_int_equal(
        ops->generate(self, "The long prompt of more than sixteen bytes", 5, 1, 0.0, tiny, sizeof(tiny), &err),
        REEVE_OK);
    assert_string_equal(tiny, "The l");
    assert_int_equal(ops->generate(self, "x", 5, 1, NAN, text, sizeof(text), &err), REEVE_TASK_REJECTED);
    assert_int_equal(ops->generate(self, "x", 5, 1, -0.5, text, sizeof(text), &err), REEVE_TASK_REJECTED);
    assert_int_equal(ops->generate(self, "x", 5, 1, 1.0, text, 0, &err), REEVE_TASK_REJECTED);
    ops->close(self);
}

static void other_vocabularies_are_written_as_numbers(void **state)
{
    (void)state;
    struct reeve_workload_config config = config_of(JOB);
    struct reeve_error err = {0};
    void *self = NULL;
    char text[200];
    config.vocab = 1000;
    assert_int_equal(ops->open(&config, &self, &err), REEVE_OK);
    assert_int_equal(ops->generate(self, "999 3", 4, 1, 1.0, text, sizeof(text), &err), REEVE_OK);
    unsigned numbers[6];
    assert_int_equal(
        sscanf(text, "%u %u %u %u %u %u", numbers, numbers + 1, numbers + 2, numbers + 3, numbers + 4, numbers + 5), 6);
    assert_true(numbers[0] == 999 && numbers[1] == 3 && numbers[5] < 1000);
    assert_int_equal(ops->generate(self, "The ", 4, 1, 1.0, text, sizeof(text), &err), REEVE_TASK_REJECTED);
    ops->close(self);
}

int main(void)
{
    ops = reeve_workload_find("gpt");
    if (ops == NULL) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_registry_knows_gpt_and_nothing_else),
        cmocka_unit_test(tensors_are_aligned_unique_and_the_model_comes_first),
        cmocka_unit_test(training_lowers_the_loss),
        cmocka_unit_test(a_restored_state_continues_to_the_same_bits),
        cmocka_unit_test(a_restored_state_that_is_no_state_is_refused),
        cmocka_unit_test(seed_decides_the_initial_state),
        cmocka_unit_test(a_job_that_cannot_be_is_refused_with_the_key),
        cmocka_unit_test(more_threads_than_there_can_be_are_refused),
        cmocka_unit_test(generated_text_begins_with_the_prompt_and_fits),
        cmocka_unit_test(other_vocabularies_are_written_as_numbers),
    };
    return cmocka_run_group_tests_name("unit.workload.gpt", tests, NULL, NULL);
}
