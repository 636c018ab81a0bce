/* Life of a model on a GPU: is there one that will do, its memory, streams and first values; and the end of all that. */
#include "model/gpt/cuda/gpt_cuda.h"

#include <cublasLt.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/watchdog.h"
#include "model/gpt/cuda/gpt_cuda_state.h"
#include "model/gpt/gpt_state.h"

#define CAPABILITY_MAJOR_MIN 8               /* bf16 on tensor cores */
#define CLOSE_NS_MAX (120 * REEVE_SECOND_NS) /* to end its work and give its memory back: it hangs */
#define BF16_WIDTH_MULTIPLE 8u               /* 16 bytes: how cuBLAS wants the rows of a bf16 matrix to begin */

static reeve_status check_config(const struct reeve_gpt_cuda_config *c, struct reeve_error *err)
{
    reeve_status st = reeve_gpt_check_shape(&c->shape, err);
    if (st == REEVE_OK) st = reeve_adamw_check(&c->optimizer, err);
    if (st != REEVE_OK) return st;
    if (c->precision == REEVE_GPT_BF16 && c->shape.width % BF16_WIDTH_MULTIPLE != 0)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "gpt: model.width %u is not a multiple of %u, which bf16 needs; set train.precision to fp32",
                          c->shape.width, BF16_WIDTH_MULTIPLE);
    if (c->shape.width / c->shape.heads > 256)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "gpt: model.width / model.heads is %u; on a GPU a head has 256 elements at most",
                          c->shape.width / c->shape.heads);
    return REEVE_OK;
}

/* Also the first call of CUDA: where there is no GPU or no driver, its words say which. */
static reeve_status find_device(reeve_gpt_cuda *g, struct reeve_error *err)
{
    int count = 0;
    struct cudaDeviceProp properties;
    cudaError_t e = cudaGetDeviceCount(&count);
    if (e != cudaSuccess || count == 0)
        return reeve_fail(err, REEVE_JOB_DEVICE, "no GPU: CUDA says: %s",
                          e != cudaSuccess ? cudaGetErrorString(e) : "no devices");
    if (g->config.device >= (uint32_t)count)
        return reeve_fail(err, REEVE_JOB_DEVICE, "GPU %u: there is none of this number; this machine has %d (0 to %d)",
                          g->config.device, count, count - 1);
    reeve_status st = gpt_cuda_check(g, cudaSetDevice((int)g->config.device), "use it", err);
    if (st == REEVE_OK)
        st = gpt_cuda_check(g, cudaGetDeviceProperties(&properties, (int)g->config.device), "ask what it is", err);
    if (st != REEVE_OK) return st;
    if (properties.major < CAPABILITY_MAJOR_MIN)
        return reeve_fail(err, REEVE_JOB_DEVICE,
                          "GPU %u: %s has compute capability %d.%d; %d.0 (A100) or later is needed", g->config.device,
                          properties.name, properties.major, properties.minor, CAPABILITY_MAJOR_MIN);
    g->device_name = strdup(properties.name);
    return g->device_name != NULL ? REEVE_OK : reeve_fail(err, REEVE_JOB_NO_MEMORY, "gpt: out of memory");
}

/* Streams that do not wait for the default stream, and events that only say whether they have passed. */
static reeve_status make_streams(reeve_gpt_cuda *g, struct reeve_error *err)
{
    cudaStream_t *streams[] = {&g->stream, &g->copy_stream, &g->publish_stream};
    cudaEvent_t *events[] = {
        &g->done,          &g->waited,          &g->state_ready,  &g->published, &g->slots[0].copied,
        &g->slots[0].read, &g->slots[1].copied, &g->slots[1].read};
    cudaError_t e = cudaSuccess;
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]) && e == cudaSuccess; i++)
        e = cudaStreamCreateWithFlags(streams[i], cudaStreamNonBlocking);
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]) && e == cudaSuccess; i++)
        e = cudaEventCreateWithFlags(events[i], cudaEventDisableTiming);
    return gpt_cuda_check(g, e, "make streams", err);
}

static void destroy_streams(reeve_gpt_cuda *g)
{
    cudaStream_t streams[] = {g->stream, g->copy_stream, g->publish_stream};
    cudaEvent_t events[] = {g->done,          g->waited,          g->state_ready,  g->published, g->slots[0].copied,
                            g->slots[0].read, g->slots[1].copied, g->slots[1].read};
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++)
        if (streams[i] != NULL) (void)cudaStreamSynchronize(streams[i]);
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        if (events[i] != NULL) (void)cudaEventDestroy(events[i]);
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++)
        if (streams[i] != NULL) (void)cudaStreamDestroy(streams[i]);
}

/* The model's tensors in the mirror, then both moments, with the names that the CPU's optimiser gives them. */
static reeve_status name_tensors(reeve_gpt_cuda *g, struct reeve_error *err)
{
    static const char *const prefix[] = {"", "exp_avg.", "exp_avg_sq."};
    const uint32_t n = g->tensor_count;
    gpt_params_describe(&g->config.shape, g->tensors);
    for (uint32_t part = 0; part < 3; part++)
        for (uint32_t i = 0; i < n; i++) {
            struct reeve_tensor *t = &g->tensors[part * n + i];
            const struct reeve_tensor model = g->tensors[i];
            *t = model;
            int length =
                snprintf(t->name, sizeof(t->name), "%s%.*s", prefix[part], REEVE_TENSOR_NAME_BYTES - 12, model.name);
            if (length < 0 || (size_t)length != strlen(prefix[part]) + strlen(model.name))
                return reeve_fail(err, REEVE_INPUT_INVALID, "gpt: the name of tensor %s is too long for its moments",
                                  model.name);
            t->group = part == 0 ? REEVE_TENSOR_MODEL : REEVE_TENSOR_OPTIMIZER;
            t->data = g->mirror + part * g->elements + g->offsets[i];
        }
    return REEVE_OK;
}

static reeve_status upload_decays(reeve_gpt_cuda *g, struct reeve_error *err)
{
    const size_t blocks = (size_t)(g->elements / GPT_CUDA_TENSOR_ALIGN);
    uint8_t *decays = calloc(blocks, 1);
    if (decays == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "gpt: out of memory");
    for (uint32_t i = 0; i < g->tensor_count; i++) {
        uint64_t end = i + 1 < g->tensor_count ? g->offsets[i + 1] : g->elements;
        if (g->tensors[i].rank < 2) continue;
        memset(decays + g->offsets[i] / GPT_CUDA_TENSOR_ALIGN, 1,
               (size_t)((end - g->offsets[i]) / GPT_CUDA_TENSOR_ALIGN));
    }
    cudaError_t e = cudaMemcpyAsync(g->decays, decays, blocks, cudaMemcpyHostToDevice, g->stream);
    reeve_status st = gpt_cuda_check(g, e, "copy a table", err);
    if (st == REEVE_OK) st = gpt_cuda_drain(g, "copy a table", err);
    free(decays);
    return st;
}

static reeve_status start(reeve_gpt_cuda *g, struct reeve_error *err)
{
    const struct reeve_gpt_cuda_config *c = &g->config;
    gpt_cuda_layout(g);
    reeve_status st = find_device(g, err);
    if (st == REEVE_OK) st = make_streams(g, err);
    if (st == REEVE_OK) st = gpt_cuda_take_memory(g, err);
    if (st == REEVE_OK) st = name_tensors(g, err);
    if (st == REEVE_OK) st = upload_decays(g, err);
    if (st == REEVE_OK) st = gpt_cuda_matmul_create(g, err);
    if (st != REEVE_OK) return st;
    /* Values do not depend on how many threads make them. */
    gpt_params_init(g->tensors, g->tensor_count, c->shape.layers, c->seed, (uint32_t)omp_get_max_threads());
    return reeve_gpt_cuda_restored(g, err);
}

reeve_status reeve_gpt_cuda_create(const struct reeve_gpt_cuda_config *config, reeve_gpt_cuda **out,
                                   struct reeve_error *err)
{
    reeve_status st = check_config(config, err);
    if (st != REEVE_OK) return st;
    reeve_gpt_cuda *g = calloc(1, sizeof(*g));
    if (g == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "gpt: out of memory");
    g->config = *config;
    st = start(g, err);
    if (st != REEVE_OK) {
        reeve_gpt_cuda_destroy(g);
        return st;
    }
    *out = g;
    return REEVE_OK;
}

/* All of it waits for the GPU, and nothing of it can be given up. */
void reeve_gpt_cuda_destroy(reeve_gpt_cuda *g)
{
    if (g == NULL) return;
    struct reeve_watchdog watchdog;
    bool watched = reeve_watchdog_start(&watchdog, reeve_clock_now() + CLOSE_NS_MAX, REEVE_WATCHDOG_KILL,
                                        "a GPU does not end its work");
    /* Not one that find_device() refused: CUDA would give its error to whoever launches the next kernel. */
    if (g->device_name != NULL) (void)cudaSetDevice((int)g->config.device);
    destroy_streams(g);
    gpt_cuda_matmul_destroy(g->matmul);
    gpt_cuda_profile_destroy(g);
    gpt_cuda_give_back_memory(g);
    if (watched) reeve_watchdog_stop(&watchdog);
    free(g->device_name);
    free(g);
}

const struct reeve_tensor *reeve_gpt_cuda_tensors(const reeve_gpt_cuda *g, uint32_t *count)
{
    *count = 3 * g->tensor_count;
    return g->tensors;
}

void reeve_gpt_cuda_describe(const reeve_gpt_cuda *g, char *text, size_t text_bytes_max)
{
    const size_t v = cublasLtGetVersion(); /* 13.1.2 is 130102 */
    (void)snprintf(text, text_bytes_max, "%s, cuBLAS %zu.%zu.%zu, %s%s", g->device_name, v / 10000, v / 100 % 100,
                   v % 100, g->is_bf16 ? "bf16" : "fp32", g->mirror_pinned ? "" : ", host memory not pinned");
}
