/* Joins the model on a GPU and the job behind the workload ABI; computes nothing itself. gradient() and apply() are there
 * for those who call them, through the host; the runtime takes the slots device_*. */
#include "workload/gpt_cuda_workload.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/gpt/cuda/gpt_cuda.h"
#include "workload/gpt_job.h"
#include "workload/gpt_shared.h"

struct gpt_cuda_workload {
    struct gpt_job job;
    reeve_gpt_cuda *model; /* owned */
    int32_t *prompt;       /* (T,) owned */
};

static void gpt_close(void *self)
{
    struct gpt_cuda_workload *w = self;
    if (w == NULL) return;
    free(w->prompt);
    reeve_gpt_cuda_destroy(w->model);
    free(w);
}

static reeve_status gpt_open(const struct reeve_workload_config *config, void **self, struct reeve_error *err)
{
    if (strcmp(config->device, "cuda") != 0)
        return reeve_fail(err, REEVE_JOB_DEVICE,
                          "gpt: device '%s': this one computes on GPUs; set resources.device to "
                          "cuda",
                          config->device);
    struct gpt_cuda_workload *w = calloc(1, sizeof(*w));
    if (w == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "gpt: out of memory");
    reeve_status st = gpt_job_parse(config, &w->job, err);
    if (st == REEVE_OK) {
        const struct reeve_gpt_cuda_config model = {.shape = w->job.shape,
                                                    .optimizer = w->job.optimizer,
                                                    .precision = w->job.precision == GPT_JOB_FP32 ? REEVE_GPT_FP32
                                                                                                  : REEVE_GPT_BF16,
                                                    .device = config->device_index,
                                                    .seed = config->seed,
                                                    .exact = w->job.exact};
        st = reeve_gpt_cuda_create(&model, &w->model, err);
    }
    if (st == REEVE_OK) {
        w->prompt = calloc(w->job.shape.sequence, sizeof(*w->prompt));
        if (w->prompt == NULL) st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "gpt: out of memory");
    }
    if (st != REEVE_OK) {
        gpt_close(w);
        return st;
    }
    *self = w;
    return REEVE_OK;
}

static void gpt_tensors(void *self, const struct reeve_tensor **list, uint32_t *count)
{
    const struct gpt_cuda_workload *w = self;
    *list = reeve_gpt_cuda_tensors(w->model, count);
}

static reeve_status gpt_gradient(void *self, const struct reeve_batch *batch, float *grad, double *loss_sum,
                                 bool (*cancelled)(void *), void *cancelled_arg, struct reeve_error *err)
{
    struct gpt_cuda_workload *w = self;
    return reeve_gpt_cuda_gradient(w->model, batch->tokens, batch->sample_count, batch->sequence, grad, loss_sum, err);
}

static reeve_status gpt_evaluate(void *self, const struct reeve_batch *batch, double *loss_sum, struct reeve_error *err)
{
    struct gpt_cuda_workload *w = self;
    return reeve_gpt_cuda_evaluate(w->model, batch->tokens, batch->sample_count, batch->sequence, loss_sum, err);
}

static reeve_status gpt_apply(void *self, float *grad_mean, uint64_t step, struct reeve_apply_info *info,
                              struct reeve_error *err)
{
    return reeve_fail(err, REEVE_JOB_INTERNAL,
                      "gpt: on a GPU a step is made from the sum that is there, not from one "
                      "on the host");
}

static reeve_status gpt_restored(void *self, uint64_t step, struct reeve_error *err)
{
    struct gpt_cuda_workload *w = self;
    uint32_t count = 0;
    const struct reeve_tensor *tensors = reeve_gpt_cuda_tensors(w->model, &count);
    reeve_status st = gpt_state_check(tensors, count, step, err);
    return st == REEVE_OK ? reeve_gpt_cuda_restored(w->model, err) : st;
}

static reeve_status continue_text(void *model, const int32_t *prompt, uint32_t prompt_count, uint32_t token_count,
                                  uint64_t seed, double temperature, bool (*take)(void *arg, int32_t token),
                                  void *take_arg, struct reeve_error *err)
{
    return reeve_gpt_cuda_generate(model, prompt, prompt_count, token_count, seed, temperature, take, take_arg, err);
}

static reeve_status gpt_generate(void *self, const char *prompt, uint32_t token_count, uint64_t seed,
                                 double temperature, char *text, size_t text_bytes_max, struct reeve_error *err)
{
    struct gpt_cuda_workload *w = self;
    const struct gpt_text_source source = {continue_text, w->model, &w->job.shape, w->prompt};
    return gpt_text_generate(&source, prompt, token_count, seed, temperature, text, text_bytes_max, err);
}

static reeve_status gpt_device_sum(void *self, int unit_bits, struct reeve_device_sum *out, struct reeve_error *err)
{
    struct gpt_cuda_workload *w = self;
    return reeve_gpt_cuda_sum(w->model, unit_bits, out, err);
}

static reeve_status gpt_device_begin(void *self, const struct reeve_batch *batch, struct reeve_error *err)
{
    struct gpt_cuda_workload *w = self;
    return reeve_gpt_cuda_begin(w->model, batch, err);
}

static reeve_status gpt_device_prefetch(void *self, const struct reeve_batch *batch, struct reeve_error *err)
{
    struct gpt_cuda_workload *w = self;
    return reeve_gpt_cuda_prefetch(w->model, batch, err);
}

static reeve_status gpt_device_end(void *self, struct reeve_device_result *out, bool (*cancelled)(void *),
                                   void *cancelled_arg, struct reeve_error *err)
{
    struct gpt_cuda_workload *w = self;
    return reeve_gpt_cuda_end(w->model, out, cancelled, cancelled_arg, err);
}

static reeve_status gpt_device_zero(void *self, struct reeve_error *err)
{
    struct gpt_cuda_workload *w = self;
    return reeve_gpt_cuda_zero(w->model, err);
}

static reeve_status gpt_device_digest(void *self, uint64_t *digest, struct reeve_error *err)
{
    struct gpt_cuda_workload *w = self;
    return reeve_gpt_cuda_digest(w->model, digest, err);
}

static reeve_status gpt_device_apply(void *self, double scale, uint64_t step, struct reeve_apply_info *info,
                                     struct reeve_error *err)
{
    struct gpt_cuda_workload *w = self;
    return reeve_gpt_cuda_apply(w->model, scale, step, info, err);
}

static reeve_status gpt_device_publish(void *self, struct reeve_error *err)
{
    struct gpt_cuda_workload *w = self;
    return reeve_gpt_cuda_publish(w->model, err);
}

static reeve_status gpt_device_published(void *self, struct reeve_error *err)
{
    struct gpt_cuda_workload *w = self;
    return reeve_gpt_cuda_published(w->model, err);
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
    .device_sum = gpt_device_sum,
    .device_begin = gpt_device_begin,
    .device_prefetch = gpt_device_prefetch,
    .device_end = gpt_device_end,
    .device_zero = gpt_device_zero,
    .device_digest = gpt_device_digest,
    .device_apply = gpt_device_apply,
    .device_publish = gpt_device_publish,
    .device_published = gpt_device_published,
};
