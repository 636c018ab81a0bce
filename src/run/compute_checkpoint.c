/* A worker's part of a checkpoint: a copy at the step boundary on the compute thread, the writing on a thread of its
 * own, so that training waits for the copy only. With a GPU the copy is the one to the host, which the writer waits
 * for. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "run/compute_state.h"
#include "store/checkpoint.h"

static void answer_part_failed(reeve_compute *c, const struct reeve_frame *command, const struct reeve_error *err)
{
    struct reeve_frame f = {.kind = REEVE_FRAME_CKPT_PART_FAILED,
                            .epoch = command->epoch,
                            .arg = command->arg,
                            .step = command->step,
                            .a = (uint64_t)err->status};
    compute_answer(c, &f, err->text);
}

void compute_answer_weights(reeve_compute *c, const struct reeve_frame *command)
{
    struct reeve_digest digest = reeve_weights_digest(c->tensors, c->tensor_count);
    struct reeve_frame f = {.kind = REEVE_FRAME_WEIGHTS, .epoch = command->epoch, .step = command->step};
    memcpy(&f.a, digest.bytes, 8);
    memcpy(&f.b, digest.bytes + 8, 8);
    compute_answer(c, &f, NULL);
}

static reeve_status await_published(reeve_compute *c, const struct reeve_frame *command, struct reeve_error *err)
{
    reeve_status st = c->config.ops->device_published(c->self, err);
    compute_device_check(c, "device_published", st, err);
    if (st != REEVE_OK) return compute_failed_at(c, "device_published", command, st, err);
    compute_answer_weights(c, command);
    return REEVE_OK;
}

static void *write_main(void *arg)
{
    reeve_compute *c = arg;
    struct compute_stage *s = &c->stage;
    struct reeve_error err = {0};
    struct reeve_checkpoint_part part;
    struct reeve_frame command = s->frame;
    reeve_time_ns begin_ns = reeve_clock_now();
    reeve_status st = c->config.cuda ? await_published(c, &command, &err) : REEVE_OK;
    if (st == REEVE_OK)
        st = reeve_checkpoint_write_part(c->config.run_dir, command.step, command.epoch, command.arg, s->tensors,
                                         s->count, &part, &err);
    atomic_store(&s->busy, false);
    if (st != REEVE_OK) {
        err.status = st;
        answer_part_failed(c, &command, &err);
        return NULL;
    }
    struct reeve_frame f = {.kind = REEVE_FRAME_CKPT_PART,
                            .epoch = command.epoch,
                            .arg = command.arg,
                            .step = command.step,
                            .a = part.file_bytes,
                            .b = part.digest,
                            .c = part.tensor_count,
                            .d = (uint64_t)(reeve_clock_now() - begin_ns)};
    compute_answer(c, &f, NULL);
    return NULL;
}

void compute_checkpoint_join(reeve_compute *c)
{
    if (c->stage.started) pthread_join(c->stage.thread, NULL);
    c->stage.started = false;
}

/* The tensors of this part, where the workload has them. How many there are may change where it was opened anew. */
static reeve_status list_part(reeve_compute *c, uint32_t part, uint32_t parts, struct reeve_error *err)
{
    struct compute_stage *s = &c->stage;
    uint32_t *part_of = calloc(c->tensor_count, sizeof(*part_of));
    free(s->tensors);
    s->tensors = calloc(c->tensor_count, sizeof(*s->tensors));
    if (part_of == NULL || s->tensors == NULL) {
        free(part_of);
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "checkpoint: out of memory");
    }
    reeve_checkpoint_assign(c->tensors, c->tensor_count, parts, part_of);
    s->count = 0;
    for (uint32_t i = 0; i < c->tensor_count; i++)
        if (part_of[i] == part) s->tensors[s->count++] = c->tensors[i];
    free(part_of);
    return REEVE_OK;
}

/* Copy them into the staging memory. */
static reeve_status copy_part(reeve_compute *c, struct reeve_error *err)
{
    struct compute_stage *s = &c->stage;
    uint64_t elements = 0;
    for (uint32_t i = 0; i < s->count; i++)
        elements += reeve_tensor_elements(&s->tensors[i]);
    if (elements * sizeof(float) > s->bytes_max) {
        free(s->bytes);
        s->bytes_max = elements * sizeof(float);
        s->bytes = malloc(s->bytes_max);
        if (s->bytes == NULL) {
            s->bytes_max = 0;
            return reeve_fail(err, REEVE_JOB_NO_MEMORY, "checkpoint: no %.1f MB for a staging copy",
                              (double)elements * 4e-6);
        }
    }
    float *at = s->bytes;
    for (uint32_t i = 0; i < s->count; i++) {
        uint64_t n = reeve_tensor_elements(&s->tensors[i]);
        memcpy(at, s->tensors[i].data, n * sizeof(float));
        s->tensors[i].data = at;
        at += n;
    }
    return REEVE_OK;
}

/* On a GPU the copy to the host is started, and goes on beside the next step. */
static reeve_status publish(reeve_compute *c, const struct reeve_frame *command, struct reeve_error *err)
{
    reeve_status st = c->config.ops->device_publish(c->self, err);
    compute_device_check(c, "device_publish", st, err);
    return st == REEVE_OK ? REEVE_OK : compute_failed_at(c, "device_publish", command, st, err);
}

void compute_checkpoint(reeve_compute *c, const struct reeve_frame *command)
{
    struct reeve_error err = {0};
    reeve_status st = REEVE_OK;
    if (c->self == NULL || c->broken)
        st = reeve_fail(&err, REEVE_JOB_INTERNAL, "no state to save: the last optimiser step failed here");
    else if (atomic_load(&c->stage.busy) && c->stage.frame.epoch == command->epoch)
        st = reeve_fail(&err, REEVE_JOB_INTERNAL, "the part of step %llu is still being written",
                        (unsigned long long)c->stage.frame.step);
    if (st == REEVE_OK) {
        if (!c->config.cuda) compute_answer_weights(c, command);
        compute_checkpoint_join(c); /* where a regrouping gave the one before up, it may still be writing */
        st = list_part(c, command->arg, (uint32_t)command->a, &err);
        if (st == REEVE_OK) st = c->config.cuda ? publish(c, command, &err) : copy_part(c, &err);
    }
    if (st == REEVE_OK) {
        c->stage.frame = *command;
        atomic_store(&c->stage.busy, true);
        if (pthread_create(&c->stage.thread, NULL, write_main, c) == 0) {
            c->stage.started = true;
            return;
        }
        atomic_store(&c->stage.busy, false);
        st = reeve_fail(&err, REEVE_JOB_NO_MEMORY, "cannot start the writer thread");
    }
    err.status = st;
    answer_part_failed(c, command, &err);
}
