/* What the compute thread does with each command: initialise, restore, compute, apply, discard. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "core/task.h"
#include "run/compute_state.h"
#include "run/initial_weights.h"
#include "run/lost.h"
#include "store/checkpoint.h"
#include "workload/foreign.h"

bool compute_is_cancelled(void *compute)
{
    reeve_compute *c = compute;
    return atomic_load_explicit(&c->stopping, memory_order_relaxed);
}

/* An answer to `command`: same task, attempt, step, arg and epoch. */
static struct reeve_frame answer_to(const struct reeve_frame *command, uint16_t kind)
{
    struct reeve_frame f = {.kind = kind,
                            .epoch = command->epoch,
                            .task = command->task,
                            .attempt = command->attempt,
                            .arg = command->arg,
                            .step = command->step};
    return f;
}

static void answer_failure(reeve_compute *c, const struct reeve_frame *command, uint16_t kind,
                           const struct reeve_error *err)
{
    struct reeve_frame f = answer_to(command, kind);
    f.arg = (uint32_t)err->status;
    compute_answer(c, &f, err->text);
}

static void *aligned_zeros(size_t bytes)
{
    size_t rounded = (bytes + 63u) & ~(size_t)63u;
    void *p = aligned_alloc(64, rounded == 0 ? 64 : rounded);
    if (p != NULL) memset(p, 0, rounded); /* also faults the pages in before the first step is timed */
    return p;
}

void compute_free_sums(reeve_compute *c)
{
    if (c->config.cuda ||
        c->config.job->train.reduce == REEVE_REDUCE_FAST) { /* otherwise they lie within acc and sum */
        free(c->words_in);
        free(c->words_out);
    }
    free(c->fast_acc);
    free(c->fast_sum);
    free(c->acc);
    free(c->sum);
    free(c->grad);
    c->words_in = c->words_out = c->acc = c->sum = NULL;
    c->fast_acc = c->fast_sum = c->grad = NULL;
}

static reeve_status allocate_sums(reeve_compute *c, struct reeve_error *err)
{
    size_t p = c->param_count;
    bool cuda = c->config.cuda, fast = !cuda && c->config.job->train.reduce == REEVE_REDUCE_FAST;
    if (!cuda) c->grad = aligned_zeros(p * sizeof(float));
    if (cuda) {
        c->words_in = aligned_zeros(REEVE_SUM_WORDS * sizeof(int64_t));
        c->words_out = aligned_zeros(REEVE_SUM_WORDS * sizeof(int64_t));
    } else if (fast) {
        c->fast_acc = aligned_zeros(p * sizeof(float));
        c->fast_sum = aligned_zeros(p * sizeof(float));
        c->words_in = aligned_zeros(REEVE_SUM_WORDS * sizeof(int64_t));
        c->words_out = aligned_zeros(REEVE_SUM_WORDS * sizeof(int64_t));
    } else {
        c->acc = aligned_zeros((p + REEVE_SUM_WORDS) * sizeof(int64_t));
        c->sum = aligned_zeros((p + REEVE_SUM_WORDS) * sizeof(int64_t));
        c->words_in = c->acc == NULL ? NULL : c->acc + p;
        c->words_out = c->sum == NULL ? NULL : c->sum + p;
    }
    bool all = (cuda || c->grad != NULL) && c->words_in != NULL && c->words_out != NULL;
    if (fast) all = all && c->fast_acc != NULL && c->fast_sum != NULL;
    if (all) return REEVE_OK;
    compute_free_sums(c);
    return reeve_fail(err, REEVE_JOB_NO_MEMORY, "gradient sums of %zu parameters need %.1f GB", p, (double)p * 20e-9);
}

reeve_status compute_failed_at(reeve_compute *c, const char *function, const struct reeve_frame *command,
                               reeve_status st, struct reeve_error *err)
{
    char where[96];
    if (command->kind == REEVE_FRAME_LEASE)
        (void)snprintf(where, sizeof(where), "%s of step %llu, batch %u", function, (unsigned long long)command->step,
                       command->arg);
    else (void)snprintf(where, sizeof(where), "%s of step %llu", function, (unsigned long long)command->step);
    return reeve_foreign_failure(c->config.ops, where, st, err);
}

/* Open the workload (once), size what depends on its parameters. */
reeve_status compute_open_workload(reeve_compute *c, struct reeve_error *err)
{
    if (c->self != NULL) return REEVE_OK;
    const struct reeve_job *job = c->config.job;
    struct reeve_workload_config config = {
        .job_json = c->config.job_json,
        .seed = job->seed,
        .vocab = c->config.manifest->vocab,
        .sequence = job->data.sequence,
        .micro_batch = job->train.micro_batch,
        .steps = job->train.steps,
        .threads = job->resources.threads,
        .device = c->config.cuda ? "cuda" : "cpu",
        .device_index = c->config.device_index,
    };
    reeve_status st = c->config.ops->open(&config, &c->self, err);
    if (st != REEVE_OK) return reeve_foreign_failure(c->config.ops, "open", st, err);
    c->config.ops->tensors(c->self, &c->tensors, &c->tensor_count);
    uint64_t param_count = 0;
    st = reeve_foreign_tensors(c->tensors, c->tensor_count, &param_count, err);
    if (st == REEVE_OK && c->words_out != NULL && param_count != c->param_count)
        st = reeve_fail(err, REEVE_INPUT_INVALID, "%llu parameters, and %llu when it was opened before",
                        (unsigned long long)param_count, (unsigned long long)c->param_count);
    if (st != REEVE_OK) st = reeve_foreign_failure(c->config.ops, "tensors", st, err);
    else c->param_count = param_count;
    if (st == REEVE_OK && c->words_out == NULL) st = allocate_sums(c, err);
    if (st == REEVE_OK && c->config.cuda) st = compute_device_open(c, err);
    if (st != REEVE_OK) compute_close_workload(c); /* so that the next try begins anew */
    return st;
}

void compute_close_workload(reeve_compute *c)
{
    if (c->config.cuda) compute_checkpoint_join(c); /* it may still be writing from the workload's memory */
    c->device = (struct reeve_device_sum){0};
    if (c->self != NULL) c->config.ops->close(c->self);
    c->self = NULL;
    c->half_restored = false; /* the next one is opened whole */
}

void compute_need_state(const reeve_compute *c)
{
    if (!c->half_restored) return;
    reeve_log(REEVE_LOG_ERROR, "asked to go on with a state that could not be restored; this process ends");
    reeve_end_as_lost();
}

void compute_answer_ready(reeve_compute *c, const struct reeve_frame *command, struct reeve_digest digest)
{
    struct reeve_frame f = answer_to(command, REEVE_FRAME_READY);
    memcpy(&f.a, digest.bytes, 8);
    memcpy(&f.b, digest.bytes + 8, 8);
    f.c = (uint64_t)(reeve_clock_now() - c->hand.since_ns);
    compute_answer(c, &f, NULL);
}

/* Back from the GPU come the weights that were brought to it. */
static reeve_status check_on_device(reeve_compute *c, struct reeve_digest expected, struct reeve_error *err)
{
    reeve_status st = compute_device_fetch(c, err);
    if (st != REEVE_OK || reeve_digest_equal(reeve_weights_digest(c->tensors, c->tensor_count), expected)) return st;
    return reeve_fail(err, REEVE_JOB_INTERNAL, "workload %s: the GPU holds other weights than restored() was given",
                      c->config.ops->name);
}

reeve_status compute_state_restored(reeve_compute *c, const struct reeve_frame *command, struct reeve_error *err)
{
    if (c->config.ops->restored == NULL) return REEVE_OK;
    reeve_status st = c->config.ops->restored(c->self, command->step, err);
    compute_device_check(c, "restored", st, err);
    return st == REEVE_OK ? REEVE_OK : compute_failed_at(c, "restored", command, st, err);
}

/* The weights of another run over those of the seed; the optimizer stays as it was opened, and with a GPU fetched. */
static reeve_status load_initial(reeve_compute *c, const struct reeve_frame *command, struct reeve_error *err)
{
    uint32_t model_count = 0; /* all of the model first */
    while (model_count < c->tensor_count && c->tensors[model_count].group == REEVE_TENSOR_MODEL)
        model_count++;
    c->half_restored = true;
    reeve_status st = reeve_initial_weights_read(c->config.run_dir, c->config.job, c->tensors, model_count, err);
    struct reeve_digest digest = reeve_weights_digest(c->tensors, c->tensor_count);
    if (st == REEVE_OK) st = compute_state_restored(c, command, err);
    if (st == REEVE_OK && c->config.cuda) st = check_on_device(c, digest, err);
    c->half_restored = st != REEVE_OK;
    return st;
}

static void execute_init(reeve_compute *c, const struct reeve_frame *command)
{
    struct reeve_error err = {0};
    bool from_others = c->config.job->model.init_from[0] != '\0';
    compute_close_workload(c); /* a restore that failed may have left it half overwritten */
    reeve_status st = compute_open_workload(c, &err);
    if (st == REEVE_OK && c->config.cuda) st = compute_device_fetch(c, &err);
    if (st == REEVE_OK && from_others) st = load_initial(c, command, &err);
    if (st != REEVE_OK) answer_failure(c, command, REEVE_FRAME_REDUCE_FAILED, &err);
    else compute_answer_ready(c, command, reeve_weights_digest(c->tensors, c->tensor_count));
}

static reeve_status restore(reeve_compute *c, const struct reeve_frame *command, struct reeve_digest *digest,
                            struct reeve_error *err)
{
    reeve_status st = compute_open_workload(c, err);
    if (st != REEVE_OK) return st;
    if (c->config.cuda) compute_checkpoint_join(c); /* it reads what is overwritten now */
    reeve_checkpoint *ckpt = NULL;
    st = reeve_checkpoint_open(c->config.run_dir, command->step, &command->a, &ckpt, err);
    if (st != REEVE_OK) return st;
    c->half_restored = true;
    st = reeve_checkpoint_read(ckpt, c->tensors, c->tensor_count, err);
    *digest = reeve_weights_digest(c->tensors, c->tensor_count);
    if (st == REEVE_OK && !reeve_digest_equal(*digest, reeve_checkpoint_meta(ckpt)->weights_digest))
        st = reeve_fail(err, REEVE_STORE_CORRUPT,
                        "checkpoint of step %llu: its weights have another digest than its index says",
                        (unsigned long long)command->step);
    reeve_checkpoint_close(ckpt);
    if (st == REEVE_OK) st = compute_state_restored(c, command, err);
    if (st == REEVE_OK && c->config.cuda) st = check_on_device(c, *digest, err);
    c->half_restored = st != REEVE_OK;
    return st;
}

static void execute_restore(reeve_compute *c, const struct reeve_frame *command)
{
    struct reeve_error err = {0};
    struct reeve_digest digest;
    if (restore(c, command, &digest, &err) != REEVE_OK) answer_failure(c, command, REEVE_FRAME_RESTORE_FAILED, &err);
    else compute_answer_ready(c, command, digest);
}

#define READ_ROUNDS 3

/* Read the samples of a batch: tokens (count, T + 1). */
static reeve_status read_tokens(reeve_compute *c, uint32_t count, int32_t *tokens, struct reeve_error *err)
{
    uint32_t sequence = c->config.job->data.sequence;
    for (int round = 0; round < READ_ROUNDS; round++) {
        for (uint32_t i = 0; i < count; i++) {
            reeve_status st =
                reeve_shard_read(c->shards, &c->samples[i], sequence, tokens + (size_t)i * (sequence + 1u), err);
            if (st != REEVE_OK) return st;
        }
        if (reeve_shards_still_verified(c->shards)) return REEVE_OK;
    }
    return reeve_fail(
        err, REEVE_INPUT_CHANGED,
        "the shards of a micro-batch are changed again and again while they are read; nothing may write to "
        "them during a run");
}

static void count_words(int64_t *words, uint32_t samples, uint64_t coverage, int64_t loss, uint64_t tokens,
                        struct reeve_exact_flags flags)
{
    words[REEVE_SUM_SAMPLES] += samples;
    words[REEVE_SUM_COVERAGE] = (int64_t)((uint64_t)words[REEVE_SUM_COVERAGE] + coverage);
    words[REEVE_SUM_LOSS] += loss;
    words[REEVE_SUM_TOKENS] += (int64_t)tokens;
    words[REEVE_SUM_NONFINITE] += (int64_t)flags.nonfinite;
    words[REEVE_SUM_OVERFLOW] += (int64_t)flags.overflow;
}

reeve_status compute_read_micro(reeve_compute *c, const struct reeve_frame *command, int32_t *tokens,
                                struct reeve_error *err)
{
    uint32_t micro = command->arg;
    if (command->step == 0 || micro >= reeve_plan_micro_batches(c->plan))
        return reeve_fail(err, REEVE_TASK_REJECTED, "lease of micro-batch %u of step %llu: no such thing", micro,
                          (unsigned long long)command->step);
    reeve_status st = reeve_plan_micro_batch(c->plan, command->step, micro, c->samples, err);
    return st == REEVE_OK ? read_tokens(c, c->config.job->train.micro_batch, tokens, err) : st;
}

void compute_count_micro(reeve_compute *c, const struct reeve_frame *command, double loss_sum,
                         struct reeve_exact_flags flags)
{
    const struct reeve_job *job = c->config.job;
    int64_t loss = reeve_exact_loss(loss_sum, &flags);
    count_words(c->words_in, job->train.micro_batch, reeve_plan_coverage_word(c->plan, command->step, command->arg),
                loss, (uint64_t)job->train.micro_batch * job->data.sequence, flags);
}

static reeve_status run_gradient(reeve_compute *c, const struct reeve_frame *command, struct reeve_error *err)
{
    const struct reeve_job *job = c->config.job;
    reeve_status st = compute_read_micro(c, command, c->tokens, err);
    if (st != REEVE_OK) return st;
    struct reeve_batch batch = {.tokens = c->tokens,
                                .sample_count = job->train.micro_batch,
                                .sequence = job->data.sequence,
                                .step = command->step,
                                .micro_batch = command->arg,
                                .seed = job->seed};
    double loss_sum = 0.0;
    st = c->config.ops->gradient(c->self, &batch, c->grad, &loss_sum, compute_is_cancelled, c, err);
    if (st != REEVE_OK) return compute_failed_at(c, "gradient", command, st, err);
    /* From here on nothing can fail: a micro-batch is added whole or not at all. */
    struct reeve_exact_flags flags = {0};
    if (c->fast_acc != NULL) reeve_fast_add(c->fast_acc, c->grad, c->param_count, &flags);
    else reeve_exact_add(c->acc, c->grad, c->param_count, c->unit_bits, &flags);
    compute_count_micro(c, command, loss_sum, flags);
    return REEVE_OK;
}

static reeve_status run_eval(reeve_compute *c, const struct reeve_frame *command, struct reeve_error *err)
{
    if (command->arg >= reeve_plan_eval_batches(c->plan))
        return reeve_fail(err, REEVE_TASK_REJECTED, "lease of evaluation batch %u: no such thing", command->arg);
    uint32_t count = 0;
    reeve_plan_eval_batch(c->plan, command->arg, c->samples, &count);
    reeve_status st = read_tokens(c, count, c->tokens, err);
    if (st != REEVE_OK) return st;
    struct reeve_batch batch = {.tokens = c->tokens,
                                .sample_count = count,
                                .sequence = c->config.job->data.sequence,
                                .micro_batch = command->arg,
                                .seed = c->config.job->seed};
    double loss_sum = 0.0;
    st = c->config.ops->evaluate(c->self, &batch, &loss_sum, err);
    compute_device_check(c, "evaluate", st, err);
    if (st != REEVE_OK) return compute_failed_at(c, "evaluate", command, st, err);
    struct reeve_exact_flags flags = {0};
    int64_t loss = reeve_exact_loss(loss_sum, &flags);
    count_words(c->eval_in, count, reeve_plan_coverage_word(c->plan, REEVE_PLAN_EVAL_STEP(command->step), command->arg),
                loss, (uint64_t)count * batch.sequence, flags);
    return REEVE_OK;
}

static reeve_status run_generate(reeve_compute *c, char *text, size_t text_bytes_max, struct reeve_error *err)
{
    const struct reeve_job *job = c->config.job;
    if (c->config.ops->generate == NULL)
        return reeve_fail(err, REEVE_TASK_REJECTED, "workload %s cannot generate text; set sample.tokens to 0",
                          c->config.ops->name);
    reeve_status st = c->config.ops->generate(c->self, job->sample.prompt, job->sample.tokens, job->seed,
                                              job->sample.temperature, text, text_bytes_max, err);
    compute_device_check(c, "generate", st, err);
    return st;
}

static void execute_lease(reeve_compute *c, const struct reeve_frame *command)
{
    struct reeve_error err = {0};
    char text[REEVE_FRAME_TEXT_MAX + 1] = "";
    reeve_time_ns begin_ns = reeve_clock_now();
    reeve_status st;
    bool summed = command->a == REEVE_TASK_GRADIENT || command->a == REEVE_TASK_EVAL;
    if (c->self == NULL) st = reeve_fail(&err, REEVE_TASK_FAILED, "leased a task before the model was there");
    else if (command->a == REEVE_TASK_GRADIENT && c->config.cuda) st = compute_device_gradient(c, command, &err);
    else if (command->a == REEVE_TASK_GRADIENT) st = run_gradient(c, command, &err);
    else if (command->a == REEVE_TASK_EVAL) st = run_eval(c, command, &err);
    else if (command->a == REEVE_TASK_STAGE && command->arg < c->config.manifest->shard_count)
        st = reeve_shard_stage(c->shards, (reeve_shard_id){command->arg}, &err);
    else if (command->a == REEVE_TASK_GENERATE) st = run_generate(c, text, sizeof(text), &err);
    else st = reeve_fail(&err, REEVE_TASK_REJECTED, "unknown kind of task %llu", (unsigned long long)command->a);
    if (st != REEVE_OK) {
        err.status = st;
        answer_failure(c, command, REEVE_FRAME_FAILED, &err);
        return;
    }
    struct reeve_frame f = answer_to(command, summed ? REEVE_FRAME_COMPUTED : REEVE_FRAME_DONE);
    f.a = (uint64_t)(reeve_clock_now() - (summed ? c->hand.since_ns : begin_ns));
    compute_answer(c, &f, text);
}

static void zero_sums(reeve_compute *c)
{
    if (c->fast_acc != NULL) memset(c->fast_acc, 0, c->param_count * sizeof(float));
    if (c->acc != NULL) memset(c->acc, 0, c->param_count * sizeof(int64_t));
    if (c->words_in != NULL) memset(c->words_in, 0, REEVE_SUM_WORDS * sizeof(int64_t));
    if (c->device.count > 0) compute_device_zero(c);
    memset(c->eval_in, 0, sizeof(c->eval_in));
}

static reeve_status apply(reeve_compute *c, uint64_t step, struct reeve_apply_info *info, struct reeve_error *err)
{
    double scale = 1.0 / (double)reeve_plan_micro_batches(c->plan);
    if (c->config.cuda) return c->config.ops->device_apply(c->self, scale, step, info, err);
    if (c->fast_acc != NULL)
        for (uint64_t i = 0; i < c->param_count; i++)
            c->grad[i] = (float)((double)c->fast_sum[i] * scale);
    else reeve_exact_mean(c->grad, c->sum, c->param_count, c->unit_bits, scale);
    return c->config.ops->apply(c->self, c->grad, step, info, err);
}

static void execute_apply(reeve_compute *c, const struct reeve_frame *command)
{
    struct reeve_error err = {0};
    struct reeve_apply_info info = {0};
    bool refused = command->arg != 0;
    reeve_status st = refused ? REEVE_OK : apply(c, command->step, &info, &err);
    compute_device_check(c, "apply", st, &err);
    if (st != REEVE_OK) st = compute_failed_at(c, "apply", command, st, &err);
    zero_sums(c);
    if (st != REEVE_OK) {
        c->broken = true;
        err.status = st;
        answer_failure(c, command, REEVE_FRAME_REDUCE_FAILED, &err);
        return;
    }
    struct reeve_frame f = answer_to(command, REEVE_FRAME_APPLIED);
    memcpy(&f.a, &info.learning_rate, 8);
    memcpy(&f.b, &info.grad_norm, 8);
    f.c = (uint64_t)(reeve_clock_now() - c->hand.since_ns);
    compute_answer(c, &f, NULL);
}

void compute_execute(reeve_compute *c, const struct reeve_frame *command)
{
    bool uses_state = command->kind == REEVE_FRAME_LEASE || command->kind == REEVE_FRAME_APPLY ||
                      command->kind == REEVE_FRAME_CHECKPOINT;
    if (uses_state) compute_need_state(c);
    switch (command->kind) {
    case REEVE_FRAME_INIT: execute_init(c, command); break;
    case REEVE_FRAME_RESTORE: execute_restore(c, command); break;
    case REEVE_FRAME_LEASE: execute_lease(c, command); break;
    case REEVE_FRAME_APPLY: execute_apply(c, command); break;
    case REEVE_FRAME_DISCARD: zero_sums(c); break;
    case REEVE_FRAME_CHECKPOINT: compute_checkpoint(c, command); break;
    case REEVE_FRAME_STATE: compute_share(c, command); break;
    default: REEVE_ASSERT(!"a command that the worker does not post");
    }
}
