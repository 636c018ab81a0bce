/* Two byte rings, one for each direction; a message is its length (u32) and its bytes. See loopback.h. */
#include "net/loopback.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define LINE_BYTES_MAX (8u << 20)
#define LINE_BYTES_FIRST (64u << 10)

/* One direction. Bytes wait in [taken, filled) of `bytes`; they move to the front when room is needed. */
struct line {
    unsigned char *bytes; /* (size,) owned */
    size_t size, taken, filled;
};

struct pair {
    struct line to[2]; /* by receiver */
    bool open[2];
};

struct loopback {
    struct reeve_transport base;
    struct pair *pair; /* shared by the two ends; the last one frees it */
    bool loss_told;
};

/* Make room for n more bytes: move what waits to the front, then grow. */
static reeve_status line_reserve(struct line *l, size_t n, struct reeve_error *err)
{
    if (l->filled + n <= l->size) return REEVE_OK;
    size_t waiting = l->filled - l->taken;
    if (waiting + n > LINE_BYTES_MAX)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "loopback: %zu bytes wait and are not taken; %zu more do not fit",
                          waiting, n);
    if (waiting + n <= l->size / 2) { /* moving costs at most as much as was sent since the last move */
        memmove(l->bytes, l->bytes + l->taken, waiting);
    } else {
        size_t size = l->size == 0 ? LINE_BYTES_FIRST : l->size;
        while (size < 2 * (waiting + n)) size *= 2;
        unsigned char *bytes = malloc(size);
        if (bytes == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "loopback: no memory for %zu bytes", size);
        if (waiting > 0) memcpy(bytes, l->bytes + l->taken, waiting);
        free(l->bytes);
        l->bytes = bytes;
        l->size = size;
    }
    l->taken = 0;
    l->filled = waiting;
    return REEVE_OK;
}

static reeve_status loopback_send(reeve_transport *t, uint32_t peer, const void *bytes, size_t n,
                                  struct reeve_error *err)
{
    struct loopback *l = (struct loopback *)t;
    if (peer >= 2 || peer == t->self)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "loopback: peer %u cannot send to peer %u", t->self, peer);
    if (n == 0 || n > REEVE_MESSAGE_BYTES_MAX)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "loopback: a message has 1 to %d bytes, not %zu",
                          REEVE_MESSAGE_BYTES_MAX, n);
    if (!l->pair->open[peer]) return reeve_fail(err, REEVE_WORKER_LOST, "loopback: peer %u is gone", peer);
    struct line *line = &l->pair->to[peer];
    uint32_t length = (uint32_t)n;
    reeve_status st = line_reserve(line, sizeof(length) + n, err);
    if (st != REEVE_OK) return st;
    memcpy(line->bytes + line->filled, &length, sizeof(length));
    memcpy(line->bytes + line->filled + sizeof(length), bytes, n);
    line->filled += sizeof(length) + n;
    return REEVE_OK;
}

static reeve_status loopback_poll(reeve_transport *t, uint32_t *peer, void *bytes, size_t *n, struct reeve_error *err)
{
    struct loopback *l = (struct loopback *)t;
    struct line *line = &l->pair->to[t->self];
    *n = 0;
    if (line->taken < line->filled) {
        uint32_t length = 0;
        memcpy(&length, line->bytes + line->taken, sizeof(length));
        memcpy(bytes, line->bytes + line->taken + sizeof(length), length);
        line->taken += sizeof(length) + length;
        if (line->taken == line->filled) line->taken = line->filled = 0;
        *peer = 1 - t->self;
        *n = length;
        return REEVE_OK;
    }
    if (l->pair->open[1 - t->self] || l->loss_told) return REEVE_OK;
    l->loss_told = true;
    *peer = 1 - t->self;
    return reeve_fail(err, REEVE_WORKER_LOST, "loopback: peer %u is gone", 1 - t->self);
}

static reeve_status loopback_flush(reeve_transport *t, reeve_time_ns deadline_ns, struct reeve_error *err)
{
    return REEVE_OK; /* a message is on its way as soon as it was copied */
}

static void loopback_destroy(reeve_transport *t)
{
    if (t == NULL) return;
    struct pair *pair = ((struct loopback *)t)->pair;
    pair->open[t->self] = false;
    free(t);
    if (pair->open[0] || pair->open[1]) return;
    free(pair->to[0].bytes);
    free(pair->to[1].bytes);
    free(pair);
}

static const struct reeve_transport_ops loopback_ops = {
    .send = loopback_send, .poll = loopback_poll, .flush = loopback_flush, .destroy = loopback_destroy};

reeve_status reeve_loopback_create(reeve_transport **master, reeve_transport **worker, struct reeve_error *err)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    struct loopback *end[2] = {calloc(1, sizeof(**end)), calloc(1, sizeof(**end))};
    if (pair == NULL || end[0] == NULL || end[1] == NULL) {
        free(pair);
        free(end[0]);
        free(end[1]);
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "loopback: out of memory");
    }
    for (uint32_t i = 0; i < 2; i++) {
        end[i]->base = (struct reeve_transport){.ops = &loopback_ops, .self = i, .size = 2};
        end[i]->pair = pair;
        pair->open[i] = true;
    }
    *master = &end[0]->base;
    *worker = &end[1]->base;
    return REEVE_OK;
}
