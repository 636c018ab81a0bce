/* The table of tensors: names, shapes and order, which are part of the checkpoint; and the initial values. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "model/gpt/gpt_state.h"

#define INIT_STDDEV 0.02
#define INIT_STREAM (UINT64_C(0x677074) << 32) /* "gpt": no other use of the seed has streams here */

uint32_t gpt_tensor_count(const struct reeve_gpt_shape *shape)
{
    return FIRST_LAYER + shape->layers * LAYER_TENSORS + 2;
}

uint64_t gpt_tensor_elements(const struct reeve_tensor *t)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

static void describe(struct reeve_tensor *t, const char *name, uint64_t out, uint64_t in)
{
    memset(t, 0, sizeof(*t));
    (void)snprintf(t->name, sizeof(t->name), "%s", name);
    t->group = REEVE_TENSOR_MODEL;
    t->rank = in == 0 ? 1 : 2;
    t->shape[0] = out;
    t->shape[1] = in;
}

void gpt_params_describe(const struct reeve_gpt_shape *shape, struct reeve_tensor *tensors)
{
    const uint64_t C = shape->width;
    const struct {
        const char *name;
        uint64_t out, in; /* in 0: a vector */
    } layer[LAYER_TENSORS] = {
        [LN_1_WEIGHT] = {"ln_1.weight", C, 0},
        [LN_1_BIAS] = {"ln_1.bias", C, 0},
        [ATTN_WEIGHT] = {"attn.c_attn.weight", 3 * C, C},
        [ATTN_BIAS] = {"attn.c_attn.bias", 3 * C, 0},
        [ATTN_PROJ_WEIGHT] = {"attn.c_proj.weight", C, C},
        [ATTN_PROJ_BIAS] = {"attn.c_proj.bias", C, 0},
        [LN_2_WEIGHT] = {"ln_2.weight", C, 0},
        [LN_2_BIAS] = {"ln_2.bias", C, 0},
        [FC_WEIGHT] = {"mlp.c_fc.weight", 4 * C, C},
        [FC_BIAS] = {"mlp.c_fc.bias", 4 * C, 0},
        [PROJ_WEIGHT] = {"mlp.c_proj.weight", C, 4 * C},
        [PROJ_BIAS] = {"mlp.c_proj.bias", C, 0},
    };
    describe(&tensors[WTE], "wte.weight", shape->vocab, C);
    describe(&tensors[WPE], "wpe.weight", shape->sequence, C);
    for (uint32_t l = 0; l < shape->layers; l++)
        for (uint32_t i = 0; i < LAYER_TENSORS; i++) {
            char name[REEVE_TENSOR_NAME_BYTES];
            (void)snprintf(name, sizeof(name), "h.%u.%s", l, layer[i].name);
            describe(&tensors[FIRST_LAYER + l * LAYER_TENSORS + i], name, layer[i].out, layer[i].in);
        }
    uint32_t last = FIRST_LAYER + shape->layers * LAYER_TENSORS;
    describe(&tensors[last], "ln_f.weight", C, 0);
    describe(&tensors[last + 1], "ln_f.bias", C, 0);
}

/* wte, wpe and matrices: random, keyed by (seed, index of the tensor) only; norm weights 1; biases 0 */
static void init_tensor(const struct reeve_tensor *t, uint32_t index, uint32_t layers, uint64_t seed)
{
    uint64_t n = gpt_tensor_elements(t);
    const char *end = strrchr(t->name, '.');
    if (t->rank == 2) {
        bool residual = strstr(t->name, "c_proj") != NULL;
        double stddev = residual ? INIT_STDDEV / sqrt(2.0 * layers) : INIT_STDDEV;
        reeve_random_normal_f32(seed, INIT_STREAM | index, t->data, n, (float)stddev);
    } else {
        float value = strcmp(end, ".weight") == 0 ? 1.0f : 0.0f;
        for (uint64_t i = 0; i < n; i++)
            t->data[i] = value;
    }
}

void gpt_params_init(const struct reeve_tensor *tensors, uint32_t count, uint32_t layers, uint64_t seed,
                     uint32_t threads)
{
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (uint32_t i = 0; i < count; i++)
        init_tensor(&tensors[i], i, layers, seed);
}
