/* See joined_transport.h. */
#include "run/joined_transport.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"

#define NEAR_PEER 1u

struct joined {
    reeve_transport base;
    reeve_transport *far, *near; /* borrowed */
    uint32_t own;
    bool far_first; /* who is asked first changes, so that neither is kept waiting */
};

static reeve_status joined_send(reeve_transport *t, uint32_t peer, const void *bytes, size_t n, struct reeve_error *err)
{
    struct joined *j = (struct joined *)t;
    if (peer == j->own) return j->near->ops->send(j->near, NEAR_PEER, bytes, n, err);
    return j->far->ops->send(j->far, peer, bytes, n, err);
}

static reeve_status poll_near(struct joined *j, uint32_t *peer, void *bytes, size_t *n, struct reeve_error *err)
{
    reeve_status st = j->near->ops->poll(j->near, peer, bytes, n, err);
    *peer = j->own;
    return st;
}

static reeve_status joined_poll(reeve_transport *t, uint32_t *peer, void *bytes, size_t *n, struct reeve_error *err)
{
    struct joined *j = (struct joined *)t;
    reeve_status st = REEVE_OK;
    *n = 0;
    j->far_first = !j->far_first;
    if (!j->far_first) st = poll_near(j, peer, bytes, n, err);
    if (st == REEVE_OK && *n == 0) st = j->far->ops->poll(j->far, peer, bytes, n, err);
    if (st == REEVE_OK && *n == 0 && j->far_first) st = poll_near(j, peer, bytes, n, err);
    return st;
}

static reeve_status joined_flush(reeve_transport *t, reeve_time_ns deadline_ns, struct reeve_error *err)
{
    struct joined *j = (struct joined *)t;
    return j->far->ops->flush(j->far, deadline_ns, err);
}

static void joined_destroy(reeve_transport *t)
{
    free(t);
}

static const struct reeve_transport_ops joined_ops = {
    .send = joined_send, .poll = joined_poll, .flush = joined_flush, .destroy = joined_destroy};

reeve_status reeve_joined_transport_create(reeve_transport *far, reeve_transport *near, uint32_t own,
                                           reeve_transport **out, struct reeve_error *err)
{
    struct joined *j = calloc(1, sizeof(*j));
    if (j == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "transport of a new master: out of memory");
    j->base = (reeve_transport){.ops = &joined_ops, .self = 0, .size = far->size};
    j->far = far;
    j->near = near;
    j->own = own;
    *out = &j->base;
    return REEVE_OK;
}
