/* See state_share.h. */
#include "run/state_share.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"

#define PIECE_BYTES ((size_t)4 << 20)

reeve_status reeve_state_share_begin(struct reeve_state_share *s, const struct reeve_frame *frame, uint32_t self,
                                     bool bare, struct reeve_error *err)
{
    reeve_state_share_end(s);
    s->in = calloc(1, PIECE_BYTES);
    s->out = malloc(PIECE_BYTES);
    if (s->in == NULL || s->out == NULL) {
        reeve_state_share_end(s);
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "no %zu MiB to share the state with a new worker",
                          2 * PIECE_BYTES >> 20);
    }
    s->active = true;
    s->frame = *frame;
    s->brings = frame->arg == self;
    s->takes = bare;
    return REEVE_OK;
}

void reeve_state_share_end(struct reeve_state_share *s)
{
    free(s->in);
    free(s->out);
    memset(s, 0, sizeof(*s));
}

static reeve_status begin_piece(struct reeve_state_share *s, const reeve_compute *c, reeve_collective *sum,
                                struct reeve_error *err)
{
    size_t left = s->bytes - s->offset;
    s->piece = left < PIECE_BYTES ? left : PIECE_BYTES;
    size_t words = (s->piece + 7) / 8;
    if (s->brings) {
        s->in[words - 1] = 0; /* what is behind the last byte */
        reeve_compute_state_read(c, s->offset, s->in, s->piece);
        s->digest = reeve_digest64(s->in, s->piece, s->digest);
    }
    s->summing = true;
    return sum->ops->begin_sum_i64(sum, s->in, s->out, words, err);
}

static reeve_status begin_last(struct reeve_state_share *s, const reeve_compute *c, reeve_collective *sum,
                               struct reeve_error *err)
{
    s->last = s->summing = true;
    if (s->brings) {
        struct reeve_digest weights = reeve_compute_weights_digest(c);
        memcpy(&s->in[0], &s->digest, 8);
        memcpy(&s->in[1], weights.bytes, 16);
    }
    return sum->ops->begin_sum_i64(sum, s->in, s->out, REEVE_SHARE_WORDS, err);
}

static void take_piece(struct reeve_state_share *s, reeve_compute *c)
{
    if (s->takes) {
        reeve_compute_state_write(c, s->offset, s->out, s->piece);
        s->digest = reeve_digest64(s->out, s->piece, s->digest);
    }
    s->offset += s->piece;
}

/* The whole of it is there: the compute thread makes it its own, and says so to the master. */
static reeve_status take_last(struct reeve_state_share *s, reeve_compute *c, struct reeve_error *err)
{
    if (!s->takes) return REEVE_OK;
    if (memcmp(&s->out[0], &s->digest, 8) != 0)
        return reeve_fail(err, REEVE_JOB_INTERNAL,
                          "the state of step %llu has another digest here than where it came from",
                          (unsigned long long)s->frame.step);
    struct reeve_frame f = s->frame;
    f.b = 1;
    memcpy(&f.a, &s->out[1], 8);
    memcpy(&f.c, &s->out[2], 8);
    if (reeve_compute_post(c, &f)) return REEVE_OK;
    return reeve_fail(err, REEVE_JOB_INTERNAL, "no room for another command");
}

/* Nothing changes the state from here on: the master gives no work before all have it. */
static reeve_status begin(struct reeve_state_share *s, const reeve_compute *c, struct reeve_error *err)
{
    s->begun = true;
    s->bytes = reeve_compute_state_bytes(c);
    return s->bytes > 0 ? REEVE_OK : reeve_fail(err, REEVE_JOB_INTERNAL, "no state to share: the workload is not open");
}

reeve_status reeve_state_share_turn(struct reeve_state_share *s, reeve_compute *c, reeve_collective *sum,
                                    bool *progress, bool *done, struct reeve_error *err)
{
    reeve_status st = REEVE_OK;
    bool summed = false;
    *done = false;
    if (!s->begun) {
        if (!reeve_compute_is_settled(c)) return REEVE_OK;
        st = begin(s, c, err);
    }
    if (st == REEVE_OK && s->summing) {
        st = sum->ops->test(sum, &summed, err);
        if (st != REEVE_OK || !summed) return st;
        s->summing = false;
        *done = s->last;
        if (s->last) st = take_last(s, c, err);
        else take_piece(s, c);
    }
    *progress = true;
    if (st != REEVE_OK || *done) return st;
    return s->offset < s->bytes ? begin_piece(s, c, sum, err) : begin_last(s, c, sum, err);
}
