/* golden.gpt: forward, loss, every gradient tensor and 20 steps of AdamW agree with PyTorch, through the workload ABI.
 * make_golden.py wrote the numbers and says what they are. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "workload/registry.h"

#define SHAPES 3
#define STEPS 20
#define TENSORS_MAX 64
#define PARAM_STREAM 1u
#define TOKEN_STREAM 1000u

struct golden {
    char name[32];
    unsigned layers, heads, width, sequence, batch, vocab;
    double loss, grad_norm, param_norm, steps[STEPS];
    unsigned tensor_count;
    struct {
        char name[64];
        unsigned long elements;
        double norm;
    } tensors[TENSORS_MAX];
    float *grad;
    uint64_t grad_count;
};

static struct golden golden[SHAPES];

/* The same integers as in make_golden.py. */
static uint32_t mix(uint32_t stream, uint32_t index)
{
    uint32_t x = index * 2654435761u + stream * 2246822519u + 374761393u;
    x = (x ^ (x >> 16)) * 0x7FEB352Du;
    x = (x ^ (x >> 16)) * 0x846CA68Bu;
    return x ^ (x >> 15);
}

static void fill_parameters(const struct reeve_tensor *list, uint32_t count)
{
    for (uint32_t i = 0; i < count && list[i].group == REEVE_TENSOR_MODEL; i++)
        for (uint32_t e = 0; e < reeve_tensor_elements(&list[i]); e++) {
            float value = (float)(mix(PARAM_STREAM + i, e) >> 8) / 8388608.0f - 1.0f;
            if (list[i].rank == 2) list[i].data[e] = 0.25f * value;
            else if (strstr(list[i].name, ".bias") != NULL) list[i].data[e] = 0.125f * value;
            else list[i].data[e] = 1.0f + 0.25f * value;
        }
}

static void fill_tokens(int32_t *tokens, const struct golden *g, uint32_t step)
{
    for (uint32_t i = 0; i < g->batch * (g->sequence + 1); i++)
        tokens[i] = (int32_t)(mix(TOKEN_STREAM + step, i) % g->vocab);
}

static void *open_workload(const struct golden *g)
{
    char json[512];
    (void)snprintf(json, sizeof(json),
                   "{\"model\": {\"layers\": %u, \"heads\": %u, \"width\": %u}, \"optimizer\": {\"kind\": \"adamw\", "
                   "\"lr\": 1e-2, \"min_lr\": 1e-3, \"warmup\": 5, \"decay_steps\": 16, \"weight_decay\": 0.1, "
                   "\"beta1\": 0.9, \"beta2\": 0.95, \"eps\": 1e-8, \"clip\": 0.5}}",
                   g->layers, g->heads, g->width);
    struct reeve_workload_config config = {.job_json = json,
                                           .seed = 1,
                                           .vocab = g->vocab,
                                           .sequence = g->sequence,
                                           .micro_batch = g->batch,
                                           .steps = STEPS,
                                           .threads = 1,
                                           .device = "cpu"};
    struct reeve_error err = {0};
    void *self = NULL;
    if (reeve_workload_find("gpt")->open(&config, &self, &err) != REEVE_OK) fail_msg("%s", err.text);
    const struct reeve_tensor *list;
    uint32_t count;
    reeve_workload_find("gpt")->tensors(self, &list, &count);
    fill_parameters(list, count);
    assert_int_equal(reeve_workload_find("gpt")->restored(self, 0, &err), REEVE_OK);
    return self;
}

static double gradient(void *self, const struct golden *g, uint32_t step, float *grad)
{
    int32_t *tokens = calloc(g->batch * (g->sequence + 1), sizeof(*tokens));
    assert_non_null(tokens);
    fill_tokens(tokens, g, step);
    struct reeve_batch batch = {.tokens = tokens, .sample_count = g->batch, .sequence = g->sequence, .step = step};
    struct reeve_error err = {0};
    double loss_sum = 0.0;
    if (reeve_workload_find("gpt")->gradient(self, &batch, grad, &loss_sum, NULL, NULL, &err) != REEVE_OK)
        fail_msg("%s", err.text);
    free(tokens);
    return loss_sum / (g->batch * g->sequence);
}

static void expect_near(const char *shape, const char *what, double got, double expected, double relative)
{
    if (!(fabs(got - expected) <= relative * fabs(expected)))
        fail_msg("%s: %s is %.9g, PyTorch says %.9g", shape, what, got, expected);
}

/* Method: norm of the difference over norm, for each tensor of each shape. */
static void every_gradient_tensor_agrees_with_pytorch(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++) {
        const struct golden *g = &golden[s];
        void *self = open_workload(g);
        const struct reeve_tensor *list;
        uint32_t count;
        reeve_workload_find("gpt")->tensors(self, &list, &count);
        float *grad = malloc(g->grad_count * sizeof(float));
        assert_non_null(grad);
        memset(grad, 0xff, g->grad_count * sizeof(float)); /* NaN: an element that is not written is found */
        expect_near(g->name, "loss", gradient(self, g, 1, grad), g->loss, 1e-4);
        uint64_t at = 0;
        assert_int_equal(count, 3 * g->tensor_count);
        for (uint32_t i = 0; i < g->tensor_count; i++) {
            double wrong = 0.0, size = 0.0;
            assert_string_equal(list[i].name, g->tensors[i].name);
            assert_int_equal(reeve_tensor_elements(&list[i]), g->tensors[i].elements);
            for (uint64_t e = 0; e < g->tensors[i].elements; e++, at++) {
                wrong += pow((double)grad[at] - (double)g->grad[at], 2);
                size += pow((double)grad[at], 2);
            }
            if (!(sqrt(wrong) <= 1e-4 * g->tensors[i].norm))
                fail_msg("%s: gradient of %s is off by %.3g of its norm", g->name, list[i].name,
                         sqrt(wrong) / g->tensors[i].norm);
            expect_near(g->name, list[i].name, sqrt(size), g->tensors[i].norm, 1e-4);
        }
        assert_int_equal(at, g->grad_count);
        free(grad);
        reeve_workload_find("gpt")->close(self);
    }
}

static void twenty_steps_of_loss_agree_with_pytorch(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++) {
        const struct golden *g = &golden[s];
        void *self = open_workload(g);
        float *grad = malloc(g->grad_count * sizeof(float));
        assert_non_null(grad);
        struct reeve_error err = {0};
        struct reeve_apply_info info;
        for (uint32_t step = 1; step <= STEPS; step++) {
            char what[32];
            (void)snprintf(what, sizeof(what), "loss of step %u", step);
            expect_near(g->name, what, gradient(self, g, 1 + (step - 1) % 2, grad), g->steps[step - 1], 1e-3);
            assert_int_equal(reeve_workload_find("gpt")->apply(self, grad, step, &info, &err), REEVE_OK);
            if (step == 1) expect_near(g->name, "norm of the gradient", info.grad_norm, g->grad_norm, 1e-4);
        }
        const struct reeve_tensor *list;
        uint32_t count;
        double sum = 0.0;
        reeve_workload_find("gpt")->tensors(self, &list, &count);
        for (uint32_t i = 0; i < g->tensor_count; i++)
            for (uint64_t e = 0; e < reeve_tensor_elements(&list[i]); e++)
                sum += pow((double)list[i].data[e], 2);
        expect_near(g->name, "norm of the parameters", sqrt(sum), g->param_norm, 1e-4);
        free(grad);
        reeve_workload_find("gpt")->close(self);
    }
}

static void read_gradient(const char *folder, struct golden *g)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/gpt_%.31s.bin", folder, g->name);
    for (unsigned i = 0; i < g->tensor_count; i++)
        g->grad_count += g->tensors[i].elements;
    g->grad = malloc(g->grad_count * sizeof(float));
    FILE *file = fopen(path, "rb");
    if (file == NULL || g->grad == NULL || fread(g->grad, sizeof(float), g->grad_count, file) != g->grad_count ||
        fgetc(file) != EOF) {
        fprintf(stderr, "%s: cannot read %llu floats and no more\n", path, (unsigned long long)g->grad_count);
        exit(1);
    }
    (void)fclose(file);
}

/* One word tells what follows; see make_golden.py. False: the file is not what it was. */
static int read_line(FILE *file, const char *word, struct golden *g)
{
    if (strcmp(word, "loss") == 0) return fscanf(file, "%lf", &g->loss) == 1;
    if (strcmp(word, "grad_norm") == 0) return fscanf(file, "%lf", &g->grad_norm) == 1;
    if (strcmp(word, "param_norm") == 0) return fscanf(file, "%lf", &g->param_norm) == 1;
    if (strcmp(word, "tensor") == 0) {
        unsigned i = g->tensor_count++;
        return i < TENSORS_MAX &&
               fscanf(file, "%63s %lu %lf", g->tensors[i].name, &g->tensors[i].elements, &g->tensors[i].norm) == 3;
    }
    if (strcmp(word, "steps") != 0) return 0;
    for (int i = 0; i < STEPS; i++)
        if (fscanf(file, "%lf", &g->steps[i]) != 1) return 0;
    return 1;
}

static void read_golden(const char *folder)
{
    char path[4096], word[32];
    (void)snprintf(path, sizeof(path), "%s/gpt.txt", folder);
    FILE *file = fopen(path, "r");
    int shape = -1, good = file != NULL && fscanf(file, "%*[^\n]") == 0;
    while (good && fscanf(file, "%31s", word) == 1) {
        if (strcmp(word, "shape") == 0) {
            good = ++shape < SHAPES;
            struct golden *g = good ? &golden[shape] : golden;
            good = good && fscanf(file, "%31s %u %u %u %u %u %u", g->name, &g->layers, &g->heads, &g->width,
                                  &g->sequence, &g->batch, &g->vocab) == 7;
        } else {
            good = shape >= 0 && read_line(file, word, &golden[shape]);
        }
    }
    if (!good || shape != SHAPES - 1) {
        fprintf(stderr, "%s: missing, or not as make_golden.py writes it\n", path);
        exit(1);
    }
    (void)fclose(file);
    for (int s = 0; s < SHAPES; s++)
        read_gradient(folder, &golden[s]);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 64;
    }
    read_golden(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gradient_tensor_agrees_with_pytorch),
        cmocka_unit_test(twenty_steps_of_loss_agree_with_pytorch),
    };
    int failed = cmocka_run_group_tests_name("golden.gpt", tests, NULL, NULL);
    for (int s = 0; s < SHAPES; s++)
        free(golden[s].grad);
    return failed;
}
