/* The compute thread's work on a GPU: the gradient and its sum never leave it, and what the host has of a micro-batch are
 * the words beside it.
 *
 * A micro-batch is in the sum whole or not at all. Once it was begun nobody could say which, so whatever fails from then
 * on ends the process: the others lose a worker, whose micro-batches are computed again elsewhere.
 *
 * Two functions of the workload are called from other threads, as the ABI has it: device_published() by the writer of a
 * checkpoint, and device_digest() by the thread that adds up, while this one has nothing to do (touches_sums()). */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "core/task.h"
#include "run/compute_state.h"
#include "run/lost.h"
#include "workload/foreign.h"

static _Noreturn void end_process(const reeve_compute *c, const char *function, reeve_status st,
                                  const struct reeve_error *err)
{
    reeve_log(
        REEVE_LOG_ERROR,
        "workload %s, %s on GPU %u: %s; what it held is lost, so this process ends, and the run goes on without it",
        c->config.ops->name, function, c->config.device_index,
        err->text[0] != '\0' ? err->text : reeve_status_text(st));
    reeve_end_as_lost();
}

void compute_device_check(const reeve_compute *c, const char *function, reeve_status st, const struct reeve_error *err)
{
    if (c->config.cuda && st == REEVE_JOB_DEVICE) end_process(c, function, st, err);
}

reeve_status compute_device_open(reeve_compute *c, struct reeve_error *err)
{
    const struct reeve_workload_ops *ops = c->config.ops;
    bool fast = c->config.job->train.reduce == REEVE_REDUCE_FAST;
    uint32_t element = fast ? REEVE_DEVICE_F32 : REEVE_DEVICE_I64;
    struct reeve_device_sum sum = {0};
    reeve_status st = ops->device_sum(c->self, fast ? -1 : c->unit_bits, &sum, err);
    bool whole =
        sum.in != NULL && sum.out != NULL && sum.in != sum.out && sum.count >= c->param_count && sum.element == element;
    if (st == REEVE_OK && !whole)
        st = reeve_fail(err, REEVE_INPUT_INVALID,
                        "%llu elements of kind %u from %p to %p; expected at least %llu of kind %u in memory of their "
                        "own",
                        (unsigned long long)sum.count, sum.element, sum.in, sum.out, (unsigned long long)c->param_count,
                        element);
    if (st != REEVE_OK) return reeve_foreign_failure(ops, "device_sum", st, err);
    c->device = sum;
    return REEVE_OK;
}

reeve_status compute_device_fetch(reeve_compute *c, struct reeve_error *err)
{
    const struct reeve_workload_ops *ops = c->config.ops;
    compute_checkpoint_join(c);
    reeve_status st = ops->device_publish(c->self, err);
    if (st == REEVE_OK) st = ops->device_published(c->self, err);
    compute_device_check(c, "device_publish", st, err);
    return st == REEVE_OK ? REEVE_OK : reeve_foreign_failure(ops, "device_publish", st, err);
}

/* ---- a micro-batch ---- */

static struct reeve_batch batch_of(const reeve_compute *c, const struct reeve_frame *lease, const int32_t *tokens)
{
    const struct reeve_job *job = c->config.job;
    return (struct reeve_batch){.tokens = tokens,
                                .sample_count = job->train.micro_batch,
                                .sequence = job->data.sequence,
                                .step = lease->step,
                                .micro_batch = lease->arg,
                                .seed = job->seed};
}

/* Its tokens into c->tokens, unless they were read ahead. */
static reeve_status take_tokens(reeve_compute *c, const struct reeve_frame *lease, struct reeve_error *err)
{
    if (c->ahead.step == 0 || c->ahead.step != lease->step || c->ahead.micro != lease->arg)
        return compute_read_micro(c, lease, c->tokens, err);
    int32_t *read = c->ahead.tokens;
    c->ahead.tokens = c->tokens;
    c->tokens = read;
    c->ahead.step = 0;
    return REEVE_OK;
}

/* The lease that comes next, if it is of this step too. */
static bool peek_lease(reeve_compute *c, uint64_t step, struct reeve_frame *lease)
{
    pthread_mutex_lock(&c->lock);
    bool any = c->command_count > 0;
    if (any) *lease = c->commands[c->command_head];
    pthread_mutex_unlock(&c->lock);
    return any && lease->kind == REEVE_FRAME_LEASE && lease->a == REEVE_TASK_GRADIENT && lease->step == step;
}

/* While this micro-batch computes. What goes wrong with the next one's tokens is said when its turn comes. */
static void read_ahead(reeve_compute *c, uint64_t step)
{
    struct reeve_error err = {0};
    struct reeve_frame next;
    if (!peek_lease(c, step, &next)) return;
    c->ahead.step = 0;
    if (compute_read_micro(c, &next, c->ahead.tokens, &err) != REEVE_OK) return;
    c->ahead.step = next.step;
    c->ahead.micro = next.arg;
    struct reeve_batch batch = batch_of(c, &next, c->ahead.tokens);
    compute_device_check(c, "device_prefetch", c->config.ops->device_prefetch(c->self, &batch, &err), &err);
}

reeve_status compute_device_gradient(reeve_compute *c, const struct reeve_frame *command, struct reeve_error *err)
{
    const struct reeve_workload_ops *ops = c->config.ops;
    reeve_status st = take_tokens(c, command, err);
    if (st != REEVE_OK) return st;
    struct reeve_batch batch = batch_of(c, command, c->tokens);
    st = ops->device_begin(c->self, &batch, err);
    compute_device_check(c, "device_begin", st, err);
    if (st != REEVE_OK) return compute_failed_at(c, "device_begin", command, st, err);
    read_ahead(c, command->step);
    struct reeve_device_result result = {0};
    st = ops->device_end(c->self, &result, compute_is_cancelled, c, err);
    if (st == REEVE_TASK_CANCELLED && compute_is_cancelled(c))
        return compute_failed_at(c, "device_end", command, st, err);
    if (st != REEVE_OK) end_process(c, "device_end", st, err);
    struct reeve_exact_flags flags = {.nonfinite = result.nonfinite, .overflow = result.overflow};
    compute_count_micro(c, command, result.loss_sum, flags);
    return REEVE_OK;
}

void compute_device_zero(reeve_compute *c)
{
    struct reeve_error err = {0};
    reeve_status st = c->config.ops->device_zero(c->self, &err);
    if (st != REEVE_OK) end_process(c, "device_zero", st, &err);
}

reeve_status reeve_compute_device_digest(reeve_compute *c, uint64_t *digest, struct reeve_error *err)
{
    reeve_status st = c->config.ops->device_digest(c->self, digest, err);
    compute_device_check(c, "device_digest", st, err);
    return st == REEVE_OK ? REEVE_OK : reeve_foreign_failure(c->config.ops, "device_digest", st, err);
}
