/* The state of a worker for one that has none: see compute.h, and state_share.c for the way that it goes. */
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "run/compute_state.h"
#include "run/lost.h"
#include "store/checkpoint.h"

static size_t tensor_bytes(const struct reeve_tensor *t)
{
    return sizeof(float) * (size_t)reeve_tensor_elements(t);
}

size_t reeve_compute_state_bytes(const reeve_compute *c)
{
    size_t bytes = 0;
    for (uint32_t i = 0; c->self != NULL && i < c->tensor_count; i++)
        bytes += tensor_bytes(&c->tensors[i]);
    return bytes;
}

/* The part of the row from `offset` on, tensor by tensor: out of them, or into them. */
static void copy(const reeve_compute *c, size_t offset, unsigned char *out, const unsigned char *in, size_t bytes)
{
    size_t begin = 0, done = 0;
    for (uint32_t i = 0; i < c->tensor_count && done < bytes; i++) {
        size_t size = tensor_bytes(&c->tensors[i]), end = begin + size, at = offset + done;
        if (at < end) {
            unsigned char *here = (unsigned char *)c->tensors[i].data + (at - begin);
            size_t n = end - at < bytes - done ? end - at : bytes - done;
            if (out != NULL) memcpy(out + done, here, n);
            else memcpy(here, in + done, n);
            done += n;
        }
        begin = end;
    }
    REEVE_ASSERT(done == bytes);
}

void reeve_compute_state_read(const reeve_compute *c, size_t offset, void *out, size_t bytes)
{
    compute_need_state(c);
    copy(c, offset, out, NULL, bytes);
}

void reeve_compute_state_write(reeve_compute *c, size_t offset, const void *in, size_t bytes)
{
    copy(c, offset, NULL, in, bytes);
}

struct reeve_digest reeve_compute_weights_digest(const reeve_compute *c)
{
    return reeve_weights_digest(c->tensors, c->tensor_count);
}

static reeve_status take_over(reeve_compute *c, const struct reeve_frame *command, struct reeve_digest *digest,
                              struct reeve_error *err)
{
    *digest = reeve_compute_weights_digest(c);
    if (memcmp(digest->bytes, &command->a, 8) != 0 || memcmp(digest->bytes + 8, &command->c, 8) != 0)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "the weights have another digest here than where they came from");
    return compute_state_restored(c, command, err);
}

void compute_share(reeve_compute *c, const struct reeve_frame *command)
{
    struct reeve_error err = {0};
    struct reeve_digest digest;
    bool there = command->b != 0;
    reeve_status st = there ? take_over(c, command, &digest, &err) : compute_open_workload(c, &err);
    if (st == REEVE_OK && there) {
        c->half_restored = false;
        compute_answer_ready(c, command, digest);
    }
    if (st == REEVE_OK) return;
    /* Before it was a part of anything: the others go on without it. */
    reeve_log(REEVE_LOG_ERROR, "take the place of a lost worker: %s; this process ends", err.text);
    reeve_end_as_lost();
}
