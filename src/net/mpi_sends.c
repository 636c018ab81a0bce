/* The sending half of the MPI transport: each message is copied into a slot and sent without waiting.
 *
 * Short messages have left when MPI_Isend returns, and their slot is free again at once. Longer ones end when the peer
 * has posted a receive. Two peers that both wait for room would wait for ever if neither received meanwhile: whatever
 * waits here also fills the inbox. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/absence.h"
#include "base/clock.h"
#include "base/error.h"
#include "net/mpi_error.h"
#include "net/mpi_transport_state.h"

#define DEAF_PEER_NS (10 * REEVE_SECOND_NS)
#define DESTROY_NS REEVE_SECOND_NS

/* ---- slots ---- */

static reeve_status slot_take(struct mpi_transport *t, struct send_slot **out, struct reeve_error *err)
{
    if (t->free_slots == NULL) {
        struct send_block *b = malloc(sizeof(*b));
        if (b == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "MPI transport: no memory for more sends");
        b->next = t->blocks;
        t->blocks = b;
        for (unsigned i = 0; i < SLOTS_PER_BLOCK; i++) {
            b->slot[i].next_free = t->free_slots;
            t->free_slots = &b->slot[i];
        }
    }
    *out = t->free_slots;
    t->free_slots = (*out)->next_free;
    return REEVE_OK;
}

static void slot_give_back(struct mpi_transport *t, struct send_slot *slot)
{
    slot->next_free = t->free_slots;
    t->free_slots = slot;
}

static reeve_status reserve_unsent(struct mpi_transport *t, struct reeve_error *err)
{
    if (t->unsent_total < t->unsent_max) return REEVE_OK;
    size_t max = t->unsent_max == 0 ? 64 : 2 * t->unsent_max;
    MPI_Request *unsent = realloc(t->unsent, max * sizeof(MPI_Request));
    if (unsent != NULL) t->unsent = unsent;
    struct send_slot **slots = realloc(t->unsent_slot, max * sizeof(struct send_slot *));
    if (slots != NULL) t->unsent_slot = slots;
    if (unsent == NULL || slots == NULL)
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "MPI transport: no memory for %zu sends", max);
    t->unsent_max = max;
    return REEVE_OK;
}

/* ---- progress ---- */

reeve_status transport_sends_reap(struct mpi_transport *t, struct reeve_error *err)
{
    reeve_status st = REEVE_OK;
    size_t kept = 0;
    for (size_t i = 0; i < t->unsent_total; i++) {
        struct send_slot *slot = t->unsent_slot[i];
        int ended = 0;
        int rc = MPI_Test(&t->unsent[i], &ended, MPI_STATUS_IGNORE);
        if (rc != MPI_SUCCESS) {
            ended = 1;
            if (reeve_mpi_is_loss(rc)) transport_rank_lost(t, slot->rank);
            else if (st == REEVE_OK) st = reeve_mpi_fail(err, rc, "send to rank %u", slot->rank);
        }
        if (ended) {
            t->unsent_count[slot->rank]--;
            slot_give_back(t, slot);
            continue;
        }
        t->unsent[kept] = t->unsent[i];
        t->unsent_slot[kept++] = slot;
    }
    t->unsent_total = kept;
    return st;
}

static reeve_status move_along(struct mpi_transport *t, struct reeve_error *err)
{
    reeve_status st = transport_fill_inbox(t, err);
    if (st == REEVE_OK) st = transport_sends_reap(t, err);
    (void)sched_yield(); /* the peer that is to take our messages may need this core */
    return st;
}

static reeve_status wait_for_room(struct mpi_transport *t, uint32_t rank, struct reeve_error *err)
{
    if (t->unsent_count[rank] < UNSENT_PER_PEER_MAX) return REEVE_OK;
    reeve_time_ns looked_ns = reeve_clock_now(), deadline_ns = looked_ns + DEAF_PEER_NS;
    while (t->unsent_count[rank] >= UNSENT_PER_PEER_MAX) {
        reeve_status st = move_along(t, err);
        if (st != REEVE_OK) return st;
        reeve_time_ns now_ns = reeve_clock_now();
        deadline_ns += reeve_absence(&looked_ns, now_ns, REEVE_ABSENCE_NS);
        if (now_ns >= deadline_ns)
            return reeve_fail(err, REEVE_WORKER_LOST, "rank %u holds %u messages and has taken none for %d s", rank,
                              UNSENT_PER_PEER_MAX, (int)(DEAF_PEER_NS / REEVE_SECOND_NS));
    }
    return REEVE_OK;
}

/* ---- the port ---- */

static reeve_status check_send(const struct mpi_transport *t, uint32_t peer, size_t n, uint32_t *rank,
                               struct reeve_error *err)
{
    if (peer >= t->base.size || peer == t->base.self)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "peer %u cannot send to peer %u of %u", t->base.self, peer,
                          t->base.size);
    if (n == 0 || n > REEVE_MESSAGE_BYTES_MAX)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "a message has 1 to %d bytes, not %zu", REEVE_MESSAGE_BYTES_MAX, n);
    *rank = t->rank_of_peer[peer];
    if (*rank == NOBODY || t->lost[*rank] != PEER_HERE)
        return reeve_fail(err, REEVE_WORKER_LOST, "peer %u is lost", peer);
    return REEVE_OK;
}

reeve_status transport_send(reeve_transport *base, uint32_t peer, const void *bytes, size_t n, struct reeve_error *err)
{
    struct mpi_transport *t = (struct mpi_transport *)base;
    struct send_slot *slot = NULL;
    uint32_t rank = NOBODY;
    reeve_status st = check_send(t, peer, n, &rank, err);
    if (st == REEVE_OK) st = wait_for_room(t, rank, err);
    if (st == REEVE_OK) st = reserve_unsent(t, err);
    if (st == REEVE_OK) st = slot_take(t, &slot, err);
    if (st != REEVE_OK) return st;

    slot->rank = rank;
    memcpy(slot->bytes, bytes, n);
    MPI_Request request = MPI_REQUEST_NULL;
    int ended = 0;
    int rc = MPI_Isend(slot->bytes, (int)n, MPI_BYTE, (int)rank, CONTROL_TAG, t->comm, &request);
    if (rc == MPI_SUCCESS) rc = MPI_Test(&request, &ended, MPI_STATUS_IGNORE);
    if (rc != MPI_SUCCESS) {
        slot_give_back(t, slot);
        if (reeve_mpi_is_loss(rc)) transport_rank_lost(t, rank);
        return reeve_mpi_fail(err, rc, "send %zu bytes to rank %u", n, rank);
    }
    if (ended) {
        slot_give_back(t, slot);
        return REEVE_OK;
    }
    t->unsent[t->unsent_total] = request;
    t->unsent_slot[t->unsent_total++] = slot;
    t->unsent_count[rank]++;
    return REEVE_OK;
}

reeve_status transport_flush(reeve_transport *base, reeve_time_ns deadline_ns, struct reeve_error *err)
{
    struct mpi_transport *t = (struct mpi_transport *)base;
    for (;;) {
        reeve_status st = move_along(t, err);
        if (st != REEVE_OK || t->unsent_total == 0) return st;
        if (reeve_clock_now() >= deadline_ns)
            return reeve_fail(err, REEVE_JOB_DEADLINE, "%zu messages were not taken in time, the first by rank %u",
                              t->unsent_total, t->unsent_slot[0]->rank);
    }
}

void transport_sends_destroy(struct mpi_transport *t)
{
    struct reeve_error ignored;
    if (t->unsent_total > 0) (void)transport_flush(&t->base, reeve_clock_now() + DESTROY_NS, &ignored);
    (void)transport_sends_reap(t, &ignored); /* a revoked communicator ends them all, and the flush too early */
    bool all_left = t->unsent_total == 0;
    for (size_t i = 0; i < t->unsent_total; i++) (void)MPI_Request_free(&t->unsent[i]);
    while (all_left && t->blocks != NULL) { /* otherwise MPI may still read them: they stay until the process ends */
        struct send_block *b = t->blocks;
        t->blocks = b->next;
        free(b);
    }
    free(t->unsent);
    free(t->unsent_slot);
    free(t->unsent_count);
}
