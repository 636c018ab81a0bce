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

static void pass_for_new(struct sim_message *m, uint32_t epoch)
{
    unsigned char message[REEVE_MESSAGE_BYTES_MAX];
    size_t bytes = 0, offset = 0;
    struct reeve_frame f;
    const char *text;
    _Bool end;
    while (reeve_frame_next(m->data, m->bytes, &offset, &f, &text, &end) == REEVE_OK && !end) {
        f.epoch = epoch;
        (void)reeve_frame_push(message, sizeof(message), &bytes, &f, NULL);
    }
    memcpy(m->data, message, bytes);
    m->bytes = bytes;
}

static void deliver(struct sim *s, void *arg, uint64_t to)
{
    struct sim_message *m = arg;
    struct sim_proc *p = (struct sim_proc *)(uintptr_t)to;
    /* What belongs to a transport of before is lost with it; or comes late, when the new master has been heard. */
    bool leaks = s->plan.weather.leaks || s->mutation == SIM_MUTATE_OLD_WORD;
    bool late = leaks && m->group != p->group && p->group != 0 && p->heard_group == p->group;
    if (!p->alive || p->ended || (m->group != p->group && !late)) {
        free(m);
        return;
    }
    if (late) m->from = sim_leads(p) ? m->speaker : 0;
    if (late && s->mutation == SIM_MUTATE_OLD_WORD) pass_for_new(m, sim_master(p->launch)->epoch);
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
    m->from = sim_leads(from) ? 0 : from->rank;
    m->speaker = from->rank;
    m->group = from->group;
    m->bytes = n;
    memcpy(m->data, bytes, n);
    reeve_time_ns at_ns = s->now_ns + sim_some_time(s, s->plan.weather.delay_ns);
    reeve_time_ns cut_ns = l->cut_until_ns[sim_leads(from) ? to->rank : from->rank];
    if (at_ns < cut_ns) at_ns = cut_ns;
    if (in_order && at_ns < line->last_ns) at_ns = line->last_ns;
    if (at_ns > line->last_ns) line->last_ns = at_ns;
    sim_at(s, at_ns, deliver, m, (uint64_t)(uintptr_t)to);
}

/* The process that is this peer in p's group; NULL: it is known to be lost, or p has no group any more. */
static struct sim_proc *find_peer(struct sim_proc *p, uint32_t peer)
{
    uint32_t rank = peer == 0 ? p->leader : peer;
    bool here = !p->revoked && rank != p->rank && (p->members & ~p->lost & 1u << rank) != 0;
    return here ? &p->launch->proc[rank] : NULL;
}

static reeve_status net_send(reeve_transport *t, uint32_t peer, const void *bytes, size_t n, struct reeve_error *err)
{
    struct sim_proc *p = from_transport(t);
    const struct sim_weather *w = &p->sim->plan.weather;
    REEVE_ASSERT(n > 0 && n <= REEVE_MESSAGE_BYTES_MAX && peer < t->size);
    enum sim_seam_outcome seam = sim_seam(p, "send");
    if (seam == SIM_SEAM_DEAD || seam == SIM_SEAM_DIE_WITHIN) return reeve_fail(err, REEVE_JOB_INTERNAL, "dead");
    struct sim_proc *to = find_peer(p, peer);
    if (to == NULL) return reeve_fail(err, REEVE_WORKER_LOST, "peer %u is lost", peer);
    sim_check_words(p, to->rank, bytes, n);
    bool faults = p->sim->now_ns < p->sim->faults_end_ns;
    if (p->sim->mutation == SIM_MUTATE_TWO_HOLDERS && sim_leads(p))
        post(p, &p->launch->proc[1 + peer % p->launch->workers], bytes, n, true);
    if (to->alive && !(faults && sim_chance(p->sim, w->drop_ppm))) {
        post(p, to, bytes, n, !(faults && sim_chance(p->sim, w->reorder_ppm)));
        if (faults && sim_chance(p->sim, w->duplicate_ppm)) post(p, to, bytes, n, false);
    }
    return seam == SIM_SEAM_PASS ? REEVE_OK : reeve_fail(err, REEVE_JOB_INTERNAL, "dead");
}

static bool is_first_word(const struct sim_message *m)
{
    struct reeve_frame f = {0};
    size_t offset = 0;
    const char *text;
    _Bool end;
    return reeve_frame_next(m->data, m->bytes, &offset, &f, &text, &end) == REEVE_OK && f.kind == REEVE_FRAME_FIRST;
}

static reeve_status net_poll(reeve_transport *t, uint32_t *peer, void *bytes, size_t *n, struct reeve_error *err)
{
    struct sim_proc *p = from_transport(t);
    *n = 0;
    if (!p->alive) return reeve_fail(err, REEVE_JOB_INTERNAL, "dead");
    struct sim_message *m = p->inbox;
    if (m != NULL) {
        p->inbox = m->next;
        if (p->inbox == NULL) p->inbox_end = &p->inbox;
        *peer = m->from;
        *n = m->bytes;
        memcpy(bytes, m->data, m->bytes);
        if (m->group == p->group && !is_first_word(m)) p->heard_group = p->group;
        sim_check_heard(p, m->speaker, m->data, m->bytes);
        free(m);
        return REEVE_OK;
    }
    if (p->revoked) {
        *peer = UINT32_MAX;
        return reeve_fail(err, REEVE_WORKER_LOST, "revoked");
    }
    if (p->lost_untold == 0) return REEVE_OK;
    uint32_t rank = (uint32_t)__builtin_ctz(p->lost_untold);
    *peer = rank == p->leader ? 0 : rank;
    p->lost_untold &= p->lost_untold - 1;
    return reeve_fail(err, REEVE_WORKER_LOST, "rank %u is gone", rank);
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

void sim_net_forget(struct sim_proc *p)
{
    struct sim *s = p->sim;
    for (size_t i = 0; i < s->heap_count; i++) {
        if (s->heap[i].run != deliver || s->heap[i].number != (uintptr_t)p) continue;
        free(s->heap[i].arg);
        s->heap[i].run = sim_nothing;
    }
}

void sim_net_lost(struct sim_launch *l, uint32_t rank)
{
    for (uint32_t r = 0; r <= l->workers; r++) {
        struct sim_proc *p = &l->proc[r];
        if (r == rank || !sim_runs(p) || p->group == 0 || ((p->members & ~p->lost) >> rank & 1) == 0) continue;
        p->lost_untold |= 1u << rank;
        if (l->sim->plan.weather.in_job) p->lost |= 1u << rank;
        sim_turn_soon(p, l->sim->now_ns);
    }
}
