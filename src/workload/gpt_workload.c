/* workload: gpt. Joins the model, its optimiser and the job behind the workload ABI; computes nothing itself. */
#include "workload/gpt_workload.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "model/adamw.h"
#include "model/gpt/gpt.h"
#include "workload/gpt_job.h"
#include "workload/gpt_shared.h"

struct gpt_workload {
    struct gpt_job job;
    reeve_gpt *model;             /* owned */
    reeve_adamw *optimizer;       /* owned; reads the model's tensors */
    struct reeve_tensor *tensors; /* (tensor_count,) owned: the model's, then the optimiser's */
    uint32_t tensor_count;
    int32_t *prompt; /* (T,) owned */
};

/* Memory that is not there shows only when it is touched, as a process that the kernel kills: ask before. */
static reeve_status check_memory(const struct gpt_job *job, uint32_t threads, struct reeve_error *err)
{
    uint64_t param_bytes = 0, workspace_bytes = 0;
    bool counted = reeve_gpt_bytes(&job->shape, threads, &param_bytes, &workspace_bytes);
    double need_mib = (3.0 * (double)param_bytes + (double)workspace_bytes) / 1048576.0; /* with two moments */
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    double have_mib = pages > 0 && page_bytes > 0 ? (double)pages * (double)page_bytes / 1048576.0 : need_mib;
    if (counted && need_mib <= have_mib) return REEVE_OK;
    return reeve_fail(
        err, REEVE_INPUT_INVALID,
        "gpt: parameters, moments and workspace need %.0f MiB in each worker, this machine has %.0f MiB; lower "
        "train.micro_batch, data.sequence, model.width or model.layers",
        need_mib, have_mib);
}

/* A worker that has fewer cores than another would compute other bits, without a sound. */
static reeve_status check_threads(uint32_t threads, struct reeve_error *err)
{
    uint32_t possible = threads >= 1 ? reeve_gpt_threads_possible(threads) : 0;
    if (possible == threads) return REEVE_OK; /* 0 is refused by the model, with its range */
    return reeve_fail(
        err, REEVE_JOB_CONFIG,
        "gpt: resources.threads is %u, but this worker can have %u; lower it, or give each worker more cores "
        "(mpirun --bind-to none, or --map-by slot:PE=%u; srun --cpus-per-task=%u)",
        threads, possible, threads, threads);
}

static reeve_status list_tensors(struct gpt_workload *w, struct reeve_error *err)
{
    uint32_t model_count = 0, optimizer_count = 0;
    const struct reeve_tensor *model = reeve_gpt_tensors(w->model, &model_count);
    const struct reeve_tensor *optimizer = reeve_adamw_tensors(w->optimizer, &optimizer_count);
    w->tensor_count = model_count + optimizer_count;
    w->tensors = calloc(w->tensor_count, sizeof(*w->tensors));
    w->prompt = calloc(w->job.shape.sequence, sizeof(*w->prompt));
    if (w->tensors == NULL || w->prompt == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "gpt: out of memory");
    memcpy(w->tensors, model, model_count * sizeof(*model));
    memcpy(w->tensors + model_count, optimizer, optimizer_count * sizeof(*optimizer));
    return REEVE_OK;
}

static void gpt_close(void *self)
{
    struct gpt_workload *w = self;
    if (w == NULL) return;
    free(w->prompt);
    free(w->tensors);
    reeve_adamw_destroy(w->optimizer);
    reeve_gpt_destroy(w->model);
    free(w);
}

static reeve_status gpt_open(const struct reeve_workload_config *config, void **self, struct reeve_error *err)
{
    if (strcmp(config->device, "cpu") != 0)
        return reeve_fail(err, REEVE_JOB_DEVICE,
                          "gpt: device '%s': this program computes on CPUs; set resources.device to "
                          "cpu",
                          config->device);
    struct gpt_workload *w = calloc(1, sizeof(*w));
    if (w == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "gpt: out of memory");
    uint32_t model_count = 0;
    reeve_status st = gpt_job_parse(config, &w->job, err);
    if (st == REEVE_OK && w->job.precision == GPT_JOB_BF16)
        st = reeve_fail(err, REEVE_INPUT_INVALID,
                        "gpt: train.precision is bf16, which it has on GPUs only; set it to auto or fp32, or "
                        "resources.device to cuda");
    if (st == REEVE_OK) st = check_memory(&w->job, config->threads, err);
    if (st == REEVE_OK) st = check_threads(config->threads, err);
    if (st == REEVE_OK) st = reeve_gpt_create(&w->job.shape, config->seed, config->threads, &w->model, err);
    if (st == REEVE_OK) {
        const struct reeve_tensor *model = reeve_gpt_tensors(w->model, &model_count);
        st = reeve_adamw_create(&w->job.optimizer, model, model_count, config->threads, &w->optimizer, err);
    }
    if (st == REEVE_OK) st = list_tensors(w, err);
    if (st != REEVE_OK) {
        gpt_close(w);
        return st;
    }
    *self = w;
    return REEVE_OK;
}

static void gpt_tensors(void *self, const struct reeve_tensor **list, uint32_t *count)
{
    const struct gpt_workload *w = self;
    *list = w->tensors;
    *count = w->tensor_count;
}

static reeve_status gpt_gradient(void *self, const struct reeve_batch *batch, float *grad, double *loss_sum,
                                 bool (*cancelled)(void *), void *cancelled_arg, struct reeve_error *err)
{
    struct gpt_workload *w = self;
    return reeve_gpt_gradient(w->model, batch->tokens, batch->sample_count, batch->sequence, grad, loss_sum, cancelled,
                              cancelled_arg, err);
}

static reeve_status gpt_evaluate(void *self, const struct reeve_batch *batch, double *loss_sum, struct reeve_error *err)
{
    struct gpt_workload *w = self;
    return reeve_gpt_evaluate(w->model, batch->tokens, batch->sample_count, batch->sequence, loss_sum, err);
}

static reeve_status gpt_apply(void *self, float *grad_mean, uint64_t step, struct reeve_apply_info *info,
                              struct reeve_error *err)
{
    struct gpt_workload *w = self;
    return reeve_adamw_step(w->optimizer, grad_mean, step, info, err);
}

static reeve_status gpt_restored(void *self, uint64_t step, struct reeve_error *err)
{
    const struct gpt_workload *w = self;
    return gpt_state_check(w->tensors, w->tensor_count, step, err);
}

static reeve_status continue_text(void *model, const int32_t *prompt, uint32_t prompt_count, uint32_t token_count,
                                  uint64_t seed, double temperature, bool (*take)(void *arg, int32_t token),
                                  void *take_arg, struct reeve_error *err)
{
    return reeve_gpt_generate(model, prompt, prompt_count, token_count, seed, temperature, take, take_arg, err);
}

static reeve_status gpt_generate(void *self, const char *prompt, uint32_t token_count, uint64_t seed,
                                 double temperature, char *text, size_t text_bytes_max, struct reeve_error *err)
{
    struct gpt_workload *w = self;
    const struct gpt_text_source source = {continue_text, w->model, &w->job.shape, w->prompt};
    return gpt_text_generate(&source, prompt, token_count, seed, temperature, text, text_bytes_max, err);
}

const struct reeve_workload_ops reeve_gpt_workload = {
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
};
