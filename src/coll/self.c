/* A worker alone: its sum is its own part, copied a chunk at a time so that test() stays short. See self.h. */
#include "coll/self.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define CHUNK_BYTES ((size_t)4 << 20)

struct self {
    struct reeve_collective base;
    const unsigned char *in; /* borrowed until done */
    unsigned char *out;      /* borrowed until done */
    size_t bytes, copied;
    bool active;
};

static reeve_status begin(struct self *s, const void *in, void *out, size_t bytes, struct reeve_error *err)
{
    if (s->active) return reeve_fail(err, REEVE_JOB_INTERNAL, "a sum was begun before the one in progress ended");
    s->in = in;
    s->out = out;
    s->bytes = bytes;
    s->copied = 0;
    s->active = true;
    return REEVE_OK;
}

static reeve_status begin_i64(reeve_collective *c, const int64_t *in, int64_t *out, size_t n, struct reeve_error *err)
{
    return begin((struct self *)c, in, out, n * sizeof(*in), err);
}

static reeve_status begin_f32(reeve_collective *c, const float *in, float *out, size_t n, struct reeve_error *err)
{
    return begin((struct self *)c, in, out, n * sizeof(*in), err);
}

static reeve_status test(reeve_collective *c, bool *done, struct reeve_error *err)
{
    struct self *s = (struct self *)c;
    *done = false;
    if (!s->active) return REEVE_OK;
    size_t bytes = s->bytes - s->copied < CHUNK_BYTES ? s->bytes - s->copied : CHUNK_BYTES;
    if (bytes > 0) memcpy(s->out + s->copied, s->in + s->copied, bytes);
    s->copied += bytes;
    s->active = s->copied < s->bytes;
    *done = !s->active;
    return REEVE_OK;
}

static void abandon(reeve_collective *c)
{
    ((struct self *)c)->active = false;
}

static void destroy(reeve_collective *c)
{
    free(c);
}

static const struct reeve_collective_ops self_ops = {
    .begin_sum_i64 = begin_i64, .begin_sum_f32 = begin_f32, .test = test, .abandon = abandon, .destroy = destroy};

reeve_status reeve_coll_self_create(reeve_collective **out, struct reeve_error *err)
{
    struct self *s = calloc(1, sizeof(*s));
    if (s == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "the sum over one worker: out of memory");
    s->base = (struct reeve_collective){.ops = &self_ops, .name = "self", .members = 1};
    *out = &s->base;
    return REEVE_OK;
}
