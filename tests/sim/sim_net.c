/* The transport: messages between the processes of a launch, each at its own pace. Kept: a pair's messages arrive in
 * order, once, and whole, while both live. What is sent to the dead is lost, and so is what the dead had not sent.
 * A partition delays, as TCP does. The hostile weather alone breaks a pair's order, and drops and doubles messages. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "checkers.h"
#include "sim.h"

static struct sim_proc *from_transport(reeve_transport *t)
{
    return (struct sim_proc *)(void *)t;
}

static void put_inbox(struct sim_proc *p, struct sim_message *m)
{
    m->next = NULL;
    *p->inbox_end = m;
    p->inbox_end = &m->next;
}

static void deliver(struct sim *s, void *arg, uint64_t to)
{
    struct sim_message *m = arg;
    struct sim_proc *p = (struct sim_proc *)(uintptr_t)to;
    if (!p->alive || p->ended) {
        free(m);
        return;
    }
    put_inbox(p, m);
    sim_turn_soon(p, s->now_ns);
}

static void post(struct sim_proc *from, struct sim_proc *to, const void *bytes, size_t n, bool in_order)
{
    struct sim *s = from->sim;
    struct sim_launch *l = from->launch;
    struct sim_line *line = &l->line[from->rank][to->rank];
    struct sim_message *m = malloc(sizeof(*m) + n);
    REEVE_ASSERT(m != NULL);
    m->from = from->rank;
    m->bytes = n;
    memcpy(m->data, bytes, n);
    reeve_time_ns at_ns = s->now_ns + sim_some_time(s, s->plan.weather.delay_ns);
    reeve_time_ns cut_ns = l->cut_until_ns[from->rank == 0 ? to->rank : from->rank];
    if (at_ns < cut_ns) at_ns = cut_ns;
    if (in_order && at_ns < line->last_ns) at_ns = line->last_ns;
    if (at_ns > line->last_ns) line->last_ns = at_ns;
    sim_at(s, at_ns, deliver, m, (uint64_t)(uintptr_t)to);
}

static reeve_status net_send(reeve_transport *t, uint32_t peer, const void *bytes, size_t n, struct reeve_error *err)
{
    struct sim_proc *p = from_transport(t);
    const struct sim_weather *w = &p->sim->plan.weather;
    REEVE_ASSERT(n > 0 && n <= REEVE_MESSAGE_BYTES_MAX && peer < t->size);
    enum sim_seam_outcome seam = sim_seam(p, "send");
    if (seam == SIM_SEAM_DEAD || seam == SIM_SEAM_DIE_WITHIN) return reeve_fail(err, REEVE_JOB_INTERNAL, "dead");
    sim_check_words(p, peer, bytes, n);
    struct sim_proc *to = &p->launch->proc[peer];
    bool faults = p->sim->now_ns < p->sim->faults_end_ns;
    if (p->sim->mutation == SIM_MUTATE_TWO_HOLDERS && p->rank == 0)
        post(p, &p->launch->proc[1 + peer % p->launch->workers], bytes, n, true);
    if (to->alive && !(faults && sim_chance(p->sim, w->drop_ppm))) {
        post(p, to, bytes, n, !(faults && sim_chance(p->sim, w->reorder_ppm)));
        if (faults && sim_chance(p->sim, w->duplicate_ppm)) post(p, to, bytes, n, false);
    }
    return seam == SIM_SEAM_PASS ? REEVE_OK : reeve_fail(err, REEVE_JOB_INTERNAL, "dead");
}

static reeve_status net_poll(reeve_transport *t, uint32_t *peer, void *bytes, size_t *n, struct reeve_error *err)
{
    struct sim_proc *p = from_transport(t);
    *n = 0;
    struct sim_message *m = p->inbox;
    if (m != NULL) {
        p->inbox = m->next;
        if (p->inbox == NULL) p->inbox_end = &p->inbox;
        *peer = m->from;
        *n = m->bytes;
        memcpy(bytes, m->data, m->bytes);
        free(m);
        return REEVE_OK;
    }
    if (p->lost_untold == 0) return REEVE_OK;
    *peer = (uint32_t)__builtin_ctz(p->lost_untold);
    p->lost_untold &= p->lost_untold - 1;
    return reeve_fail(err, REEVE_WORKER_LOST, "rank %u is gone", *peer);
}

static reeve_status net_flush(reeve_transport *t, reeve_time_ns deadline_ns, struct reeve_error *err)
{
    (void)t, (void)deadline_ns, (void)err;
    return REEVE_OK;
}

static void net_destroy(reeve_transport *t)
{
    (void)t;
}

static const struct reeve_transport_ops net_ops = {
    .send = net_send, .poll = net_poll, .flush = net_flush, .destroy = net_destroy};

void sim_net_init(struct sim_proc *p)
{
    p->transport = (struct reeve_transport){.ops = &net_ops, .self = p->rank, .size = p->launch->workers + 1};
    p->inbox_end = &p->inbox;
}

void sim_net_fini(struct sim_proc *p)
{
    while (p->inbox != NULL) {
        struct sim_message *m = p->inbox;
        p->inbox = m->next;
        free(m);
    }
    p->inbox_end = &p->inbox;
}

void sim_net_drop_all(struct sim *s)
{
    for (size_t i = 0; i < s->heap_count; i++)
        if (s->heap[i].run == deliver) free(s->heap[i].arg);
}

void sim_net_lost(struct sim_launch *l, uint32_t rank)
{
    for (uint32_t r = 0; r <= l->workers; r++) {
        struct sim_proc *p = &l->proc[r];
        if (r == rank || !p->alive || p->ended) continue;
        p->lost_untold |= 1u << rank;
        sim_turn_soon(p, l->sim->now_ns);
    }
}
