/* Workload gpt with the functions of a GPU, on the host: what the runtime does with a GPU, where there is none. It stands
 * in the place of workload/gpt_cuda_workload.c. The sums are memory of the double of CUDA (tests/nccl/double); the
 * mathematics is the CPU's own, so a run must come to the bits of the same run on CPUs. A call that
 * include/reeve/workload.h does not allow ends the process with a word (exit 99).
 *
 * REEVE_DEVICE_FAULT=FUNCTION:STEP:FILE  that function fails as a GPU does, once, from that step on: FILE says that it did;
 *                                        with `nan` for a function one element of one gradient is none
 * REEVE_DEVICE_COUNTS=FILE               at the end a line is added: micro-batches, and those brought ahead */
#include "workload/gpt_cuda_workload.h"

#include <cuda_runtime_api.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/error.h"
#include "core/exact_sum.h"
#include "workload/gpt_workload.h"

#define EXIT_FORBIDDEN 99
#define COPY_NS 20000000 /* a copy to the host takes a while: long enough for the next step to begin */

struct gpt {
    void *inner;                      /* owned: the workload on the CPU; its tensors stand for the GPU's memory */
    const struct reeve_tensor *there; /* (count,) borrowed from inner */
    struct reeve_tensor *here;        /* (count,) owned, with data of their own */
    uint32_t count;
    uint64_t params;
    int unit_bits;
    struct reeve_device_sum sum; /* owned memory of the device */
    float *grad;                 /* (params,) owned */
    void *part, *whole;          /* of the sum, owned: as sum.in and sum.out, in aligned memory of the host */
    int32_t *tokens, *ahead;     /* of one micro-batch, owned */
    size_t token_count;
    struct reeve_batch batch; /* begun */
    bool begun;
    uint64_t ahead_step, step;
    uint32_t ahead_micro;
    unsigned long long begun_count, ahead_count;
    pthread_t caller, copier;
    bool copier_started;
    pthread_mutex_t lock;
    pthread_cond_t copied;
    bool copying, awaited; /* under lock; awaited: published() was called since the last publish */
    atomic_int inside;     /* calls that exclude each other */
};

static _Noreturn void forbid(const char *what)
{
    (void)fprintf(stderr, "device double: %s\n", what);
    _exit(EXIT_FORBIDDEN);
}

/* Every call but device_published() is alone; all but that and device_digest() come from one thread. */
static void enter(struct gpt *g, bool any_thread)
{
    if (!any_thread && !pthread_equal(g->caller, pthread_self())) forbid("a call from another thread");
    if (atomic_fetch_add(&g->inside, 1) != 0) forbid("two calls at once");
}

static void leave(struct gpt *g)
{
    (void)atomic_fetch_sub(&g->inside, 1);
}

static reeve_status fault(const char *function, uint64_t step, struct reeve_error *err)
{
    const char *wish = getenv("REEVE_DEVICE_FAULT");
    char name[32], file[256];
    unsigned long long at = 0;
    if (wish == NULL || sscanf(wish, "%31[^:]:%llu:%255s", name, &at, file) != 3) return REEVE_OK;
    if (strcmp(name, function) != 0 || step < at) return REEVE_OK;
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return REEVE_OK;
    (void)close(fd);
    return reeve_fail(err, REEVE_JOB_DEVICE, "an illegal memory access was encountered");
}

static size_t elements(const struct reeve_tensor *t)
{
    size_t n = 1;
    for (uint32_t r = 0; r < t->rank; r++)
        n *= t->shape[r];
    return n;
}

static void *memory(size_t bytes)
{
    size_t rounded = (bytes + 63u) & ~(size_t)63u;
    void *p = aligned_alloc(64, rounded);
    if (p == NULL) forbid("out of memory");
    memset(p, 0x7e, rounded); /* nobody may rely on zeros */
    return p;
}

static reeve_status gpt_open(const struct reeve_workload_config *config, void **self, struct reeve_error *err)
{
    struct reeve_workload_config inner = *config;
    if (strcmp(config->device, "cuda") != 0) forbid("opened for another device");
    inner.device = "cpu";
    struct gpt *g = calloc(1, sizeof(*g));
    if (g == NULL) forbid("out of memory");
    reeve_status st = reeve_gpt_workload.open(&inner, &g->inner, err);
    if (st != REEVE_OK) {
        free(g);
        return st;
    }
    reeve_gpt_workload.tensors(g->inner, &g->there, &g->count);
    g->here = calloc(g->count, sizeof(*g->here));
    if (g->here == NULL) forbid("out of memory");
    for (uint32_t i = 0; i < g->count; i++) {
        g->here[i] = g->there[i];
        g->here[i].data = memory(elements(&g->there[i]) * sizeof(float));
        if (g->there[i].group == REEVE_TENSOR_MODEL) g->params += elements(&g->there[i]);
    }
    g->grad = memory(g->params * sizeof(float));
    g->token_count = (size_t)config->micro_batch * (config->sequence + 1u);
    g->tokens = memory(g->token_count * sizeof(int32_t));
    g->ahead = memory(g->token_count * sizeof(int32_t));
    g->caller = pthread_self();
    g->awaited = true;
    (void)pthread_mutex_init(&g->lock, NULL);
    (void)pthread_cond_init(&g->copied, NULL);
    *self = g;
    return REEVE_OK;
}

static void gpt_tensors(void *self, const struct reeve_tensor **list, uint32_t *count)
{
    struct gpt *g = self;
    *list = g->here;
    *count = g->count;
}

static reeve_status gpt_gradient(void *self, const struct reeve_batch *batch, float *grad, double *loss_sum,
                                 bool (*cancelled)(void *), void *cancelled_arg, struct reeve_error *err)
{
    forbid("gradient(), but the device is cuda");
}

static reeve_status gpt_apply(void *self, float *grad_mean, uint64_t step, struct reeve_apply_info *info,
                              struct reeve_error *err)
{
    forbid("apply(), but the device is cuda");
}

static reeve_status gpt_evaluate(void *self, const struct reeve_batch *batch, double *loss_sum, struct reeve_error *err)
{
    struct gpt *g = self;
    enter(g, false);
    if (g->begun) forbid("evaluate() while a micro-batch is under way");
    reeve_status st = reeve_gpt_workload.evaluate(g->inner, batch, loss_sum, err);
    leave(g);
    return st;
}

static reeve_status gpt_generate(void *self, const char *prompt, uint32_t token_count, uint64_t seed,
                                 double temperature, char *text, size_t text_bytes_max, struct reeve_error *err)
{
    struct gpt *g = self;
    enter(g, false);
    reeve_status st =
        reeve_gpt_workload.generate(g->inner, prompt, token_count, seed, temperature, text, text_bytes_max, err);
    leave(g);
    return st;
}

/* ---- the copy to the host ---- */

static void *copy_main(void *arg)
{
    struct gpt *g = arg;
    const struct timespec pause = {.tv_nsec = COPY_NS};
    for (uint32_t i = 0; i < g->count; i++)
        memset(g->here[i].data, 0x7e, elements(&g->here[i]) * sizeof(float)); /* half a copy is no state */
    (void)nanosleep(&pause, NULL);
    for (uint32_t i = 0; i < g->count; i++)
        memcpy(g->here[i].data, g->there[i].data, elements(&g->here[i]) * sizeof(float));
    (void)pthread_mutex_lock(&g->lock);
    g->copying = false;
    (void)pthread_cond_broadcast(&g->copied);
    (void)pthread_mutex_unlock(&g->lock);
    return NULL;
}

static void await_copy(struct gpt *g, bool published)
{
    (void)pthread_mutex_lock(&g->lock);
    while (g->copying)
        (void)pthread_cond_wait(&g->copied, &g->lock);
    if (published) g->awaited = true;
    (void)pthread_mutex_unlock(&g->lock);
}

static void join_copier(struct gpt *g)
{
    if (g->copier_started) (void)pthread_join(g->copier, NULL);
    g->copier_started = false;
}

static reeve_status gpt_publish(void *self, struct reeve_error *err)
{
    struct gpt *g = self;
    enter(g, false);
    if (g->begun) forbid("device_publish() while a micro-batch is under way");
    if (!g->awaited) forbid("device_publish() before the last one was waited for");
    reeve_status st = fault("publish", g->step, err);
    if (st == REEVE_OK) {
        join_copier(g);
        g->awaited = false;
        g->copying = true;
        if (pthread_create(&g->copier, NULL, copy_main, g) != 0) forbid("no thread");
        g->copier_started = true;
    }
    leave(g);
    return st;
}

static reeve_status gpt_published(void *self, struct reeve_error *err)
{
    struct gpt *g = self;
    reeve_status st = fault("published", g->step, err);
    if (st == REEVE_OK) await_copy(g, true);
    return st;
}

static reeve_status gpt_restored(void *self, uint64_t step, struct reeve_error *err)
{
    struct gpt *g = self;
    enter(g, false);
    await_copy(g, false);
    for (uint32_t i = 0; i < g->count; i++)
        memcpy(g->there[i].data, g->here[i].data, elements(&g->here[i]) * sizeof(float));
    g->step = step;
    reeve_status st = REEVE_OK;
    if (reeve_gpt_workload.restored != NULL) st = reeve_gpt_workload.restored(g->inner, step, err);
    leave(g);
    return st;
}

/* ---- the sum ---- */

static size_t element_bytes(const struct gpt *g)
{
    return g->sum.element == REEVE_DEVICE_I64 ? sizeof(int64_t) : sizeof(float);
}

static void put_part(struct gpt *g)
{
    if (cudaMemcpy(g->sum.in, g->part, g->sum.count * element_bytes(g), cudaMemcpyHostToDevice) != cudaSuccess)
        forbid("a copy to the device failed");
}

static void get_whole(struct gpt *g)
{
    if (cudaMemcpy(g->whole, g->sum.out, g->sum.count * element_bytes(g), cudaMemcpyDeviceToHost) != cudaSuccess)
        forbid("a copy from the device failed");
}

static reeve_status gpt_sum(void *self, int unit_bits, struct reeve_device_sum *out, struct reeve_error *err)
{
    struct gpt *g = self;
    enter(g, false);
    if (g->sum.in != NULL) forbid("device_sum() twice");
    g->unit_bits = unit_bits;
    g->sum.count = g->params + 7; /* some that stay 0 */
    g->sum.element = unit_bits >= 0 ? REEVE_DEVICE_I64 : REEVE_DEVICE_F32;
    size_t bytes = g->sum.count * element_bytes(g);
    if (cudaMalloc(&g->sum.in, bytes) != cudaSuccess || cudaMalloc(&g->sum.out, bytes) != cudaSuccess)
        forbid("no memory on the device");
    g->part = memory(bytes);
    g->whole = memory(bytes);
    memset(g->part, 0, bytes);
    put_part(g);
    *out = g->sum;
    leave(g);
    return REEVE_OK;
}

static reeve_status gpt_begin(void *self, const struct reeve_batch *batch, struct reeve_error *err)
{
    struct gpt *g = self;
    enter(g, false);
    if (g->begun) forbid("device_begin() twice");
    reeve_status st = fault("begin", batch->step, err);
    if (st == REEVE_OK) {
        if (batch->step == g->ahead_step && batch->micro_batch == g->ahead_micro) {
            if (memcmp(batch->tokens, g->ahead, g->token_count * sizeof(int32_t)) != 0)
                forbid("other tokens than those brought ahead");
            g->ahead_count++;
        }
        g->ahead_step = 0;
        memcpy(g->tokens, batch->tokens, g->token_count * sizeof(int32_t));
        g->batch = *batch;
        g->batch.tokens = g->tokens;
        g->step = batch->step;
        g->begun = true;
        g->begun_count++;
    }
    leave(g);
    return st;
}

static reeve_status gpt_prefetch(void *self, const struct reeve_batch *batch, struct reeve_error *err)
{
    struct gpt *g = self;
    enter(g, false);
    if (!g->begun) forbid("device_prefetch() with no micro-batch under way");
    memcpy(g->ahead, batch->tokens, g->token_count * sizeof(int32_t));
    g->ahead_step = batch->step;
    g->ahead_micro = batch->micro_batch;
    leave(g);
    return fault("prefetch", batch->step, err);
}

static reeve_status gpt_end(void *self, struct reeve_device_result *out, bool (*cancelled)(void *), void *cancelled_arg,
                            struct reeve_error *err)
{
    struct gpt *g = self;
    enter(g, false);
    if (!g->begun) forbid("device_end() with no micro-batch under way");
    g->begun = false;
    *out = (struct reeve_device_result){0};
    reeve_status st = fault("end", g->batch.step, err);
    if (st == REEVE_OK)
        st = reeve_gpt_workload.gradient(g->inner, &g->batch, g->grad, &out->loss_sum, cancelled, cancelled_arg, err);
    if (st == REEVE_OK && fault("nan", g->batch.step, NULL) != REEVE_OK) g->grad[g->params / 2] = NAN;
    struct reeve_exact_flags flags = {0};
    if (st == REEVE_OK && g->unit_bits >= 0) reeve_exact_add(g->part, g->grad, g->params, g->unit_bits, &flags);
    else if (st == REEVE_OK) reeve_fast_add(g->part, g->grad, g->params, &flags);
    out->nonfinite = flags.nonfinite;
    out->overflow = flags.overflow;
    put_part(g);
    leave(g);
    return st;
}

static reeve_status gpt_zero(void *self, struct reeve_error *err)
{
    struct gpt *g = self;
    enter(g, false);
    if (g->begun) forbid("device_zero() while a micro-batch is under way");
    memset(g->part, 0, g->sum.count * element_bytes(g));
    put_part(g);
    leave(g);
    return fault("zero", g->step, err);
}

static reeve_status gpt_digest(void *self, uint64_t *digest, struct reeve_error *err)
{
    struct gpt *g = self;
    enter(g, true);
    get_whole(g);
    *digest = reeve_digest64(g->whole, g->sum.count * element_bytes(g), 0);
    leave(g);
    return fault("digest", g->step, err);
}

static reeve_status gpt_device_apply(void *self, double scale, uint64_t step, struct reeve_apply_info *info,
                                     struct reeve_error *err)
{
    struct gpt *g = self;
    enter(g, false);
    if (g->begun) forbid("device_apply() while a micro-batch is under way");
    await_copy(g, false);
    reeve_status st = fault("apply", step, err);
    get_whole(g);
    if (g->unit_bits >= 0) reeve_exact_mean(g->grad, g->whole, g->params, g->unit_bits, scale);
    else
        for (uint64_t i = 0; i < g->params; i++)
            g->grad[i] = (float)((double)((const float *)g->whole)[i] * scale);
    if (st == REEVE_OK) st = reeve_gpt_workload.apply(g->inner, g->grad, step, info, err);
    memset(g->whole, 0x7e, g->sum.count * element_bytes(g)); /* the next sum must write all of it */
    if (cudaMemcpy(g->sum.out, g->whole, g->sum.count * element_bytes(g), cudaMemcpyHostToDevice) != cudaSuccess)
        forbid("a copy to the device failed");
    g->step = step;
    leave(g);
    return st;
}

static void tell_counts(const struct gpt *g)
{
    const char *path = getenv("REEVE_DEVICE_COUNTS");
    FILE *f = path != NULL ? fopen(path, "ae") : NULL;
    if (f == NULL) return;
    (void)fprintf(f, "%llu %llu\n", g->begun_count, g->ahead_count);
    (void)fclose(f);
}

static void gpt_close(void *self)
{
    struct gpt *g = self;
    if (g == NULL) return;
    enter(g, false);
    await_copy(g, false);
    join_copier(g);
    tell_counts(g);
    reeve_gpt_workload.close(g->inner);
    for (uint32_t i = 0; i < g->count; i++)
        free(g->here[i].data);
    free(g->here);
    (void)cudaFree(g->sum.in);
    (void)cudaFree(g->sum.out);
    free(g->part);
    free(g->whole);
    free(g->grad);
    free(g->tokens);
    free(g->ahead);
    (void)pthread_cond_destroy(&g->copied);
    (void)pthread_mutex_destroy(&g->lock);
    free(g);
}

const struct reeve_workload_ops reeve_gpt_cuda_workload = {
    .abi = REEVE_WORKLOAD_ABI,
    .size = sizeof(struct reeve_workload_ops),
    .name = "gpt",
    .open = gpt_open,
    .tensors = gpt_tensors,
    .gradient = gpt_gradient,
    .evaluate = gpt_evaluate,
    .apply = gpt_apply,
    .restored = gpt_restored,
    .generate = gpt_generate,
    .close = gpt_close,
    .device_sum = gpt_sum,
    .device_begin = gpt_begin,
    .device_prefetch = gpt_prefetch,
    .device_end = gpt_end,
    .device_zero = gpt_zero,
    .device_digest = gpt_digest,
    .device_apply = gpt_device_apply,
    .device_publish = gpt_publish,
    .device_published = gpt_published,
};
