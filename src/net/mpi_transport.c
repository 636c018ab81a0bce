/* Control messages over MPI; see mpi_transport.h. Receiving is here, sending in mpi_sends.c.
 *
 * A ring of persistent receives from any source is always posted, so a message lands in our memory, not in MPI's queue
 * of unexpected ones. MPI matches messages to receives of one tag in the order of posting, and the ring is emptied in
 * that order: that keeps the order for each pair of peers. Only the head is tested: MPI_Test of a finished request does
 * not even enter MPI's progress engine, which makes this cheaper than a probe and a receive for each message
 * (benchmarks/messages.c). */
#include "net/mpi_transport.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "net/mpi_error.h"
#include "net/mpi_transport_state.h"

#if defined(OPEN_MPI) || defined(MPICH)
#include <mpi-ext.h>
#endif

/* ---- lost peers ---- */

void transport_rank_lost(struct mpi_transport *t, uint32_t rank)
{
    if (rank >= t->ranks || t->lost[rank] != PEER_HERE) return;
    t->lost[rank] = PEER_LOST_UNTOLD;
    t->untold_count++;
}

/* Ask MPI who failed, and acknowledge it, so that receives from any source go on with those who are left. */
static void learn_of_losses(struct mpi_transport *t)
{
#ifdef MPIX_ERR_PROC_FAILED
    MPI_Group failed = MPI_GROUP_NULL, all = MPI_GROUP_NULL;
    int count = 0;
    if (MPIX_Comm_failure_ack(t->comm) != MPI_SUCCESS) return;
    if (MPIX_Comm_failure_get_acked(t->comm, &failed) != MPI_SUCCESS) return;
    if (MPI_Comm_group(t->comm, &all) == MPI_SUCCESS && MPI_Group_size(failed, &count) == MPI_SUCCESS) {
        for (int i = 0; i < count; i++) {
            int rank = MPI_UNDEFINED;
            if (MPI_Group_translate_ranks(failed, 1, &i, all, &rank) == MPI_SUCCESS && rank != MPI_UNDEFINED)
                transport_rank_lost(t, (uint32_t)rank);
        }
    }
    if (all != MPI_GROUP_NULL) (void)MPI_Group_free(&all);
    (void)MPI_Group_free(&failed);
#endif
}

static reeve_status tell_loss(struct mpi_transport *t, uint32_t *peer, struct reeve_error *err)
{
    for (uint32_t r = 0; r < t->ranks; r++) {
        if (t->lost[r] != PEER_LOST_UNTOLD) continue;
        t->lost[r] = PEER_LOST;
        t->untold_count--;
        *peer = t->peer_of_rank[r];
        return reeve_fail(err, REEVE_WORKER_LOST, "MPI: rank %u is lost", r);
    }
    return REEVE_OK;
}

/* ---- receives ---- */

static unsigned char *receive_bytes(struct mpi_transport *t, unsigned i)
{
    return t->receive_bytes + (size_t)i * REEVE_MESSAGE_BYTES_MAX;
}

/* Post receive i, behind those that are posted. MPI drops a request, persistent or not, that failed with a lost peer.
 * */
static reeve_status post_receive(struct mpi_transport *t, unsigned i, struct reeve_error *err)
{
    int rc = MPI_SUCCESS;
    if (t->receive[i] == MPI_REQUEST_NULL)
        rc = MPI_Recv_init(receive_bytes(t, i), REEVE_MESSAGE_BYTES_MAX, MPI_BYTE, MPI_ANY_SOURCE, CONTROL_TAG, t->comm,
                           &t->receive[i]);
    if (rc == MPI_SUCCESS) rc = MPI_Start(&t->receive[i]);
    return rc == MPI_SUCCESS ? REEVE_OK : reeve_mpi_fail(err, rc, "post receive %u", i);
}

/* The head was handled: it goes to the end of the ring. */
static reeve_status repost_head(struct mpi_transport *t, struct reeve_error *err)
{
    unsigned i = t->head;
    t->head = (i + 1) % RECEIVE_COUNT;
    return post_receive(t, i, err);
}

/* A receive ended in an error: sort out what it means for the transport as a whole. */
static reeve_status receive_failed(struct mpi_transport *t, int rc, const MPI_Status *status, struct reeve_error *err)
{
    if (reeve_mpi_is_loss_pending(rc)) { /* the request is still good */
        learn_of_losses(t);
        return REEVE_OK;
    }
    if (!reeve_mpi_is_loss(rc)) return reeve_mpi_fail(err, rc, "receive from any rank");
    learn_of_losses(t);
    if (status->MPI_SOURCE >= 0) transport_rank_lost(t, (uint32_t)status->MPI_SOURCE);
    return repost_head(t, err); /* this message was lost with its sender */
}

/* A receive that was once told to be pending because of a loss may report that again when it ends (Open MPI 5.0 leaves
 * the old code in the request). The message is there then, and must not be dropped. */
static bool has_come_after_all(struct mpi_transport *t, int rc, int there, const MPI_Status *status)
{
    if (!reeve_mpi_is_loss_pending(rc) || !there || status->MPI_SOURCE < 0) return false;
    learn_of_losses(t);
    return true;
}

/* The message at the head of the ring into `bytes`, if it is there; *n = 0 if not. */
static reeve_status take_head(struct mpi_transport *t, uint32_t *peer, void *bytes, size_t *n, struct reeve_error *err)
{
    int there = 0, count = 0;
    MPI_Status status = {.MPI_SOURCE = MPI_UNDEFINED};
    *n = 0;
    int rc = MPI_Test(&t->receive[t->head], &there, &status);
    if (rc != MPI_SUCCESS && !has_come_after_all(t, rc, there, &status)) return receive_failed(t, rc, &status, err);
    if (!there) return REEVE_OK;
    rc = MPI_Get_count(&status, MPI_BYTE, &count);
    if (rc != MPI_SUCCESS) return reeve_mpi_fail(err, rc, "length of a message from rank %d", status.MPI_SOURCE);
    if (status.MPI_SOURCE < 0) /* of no request: posting this receive failed, which was told then */
        return reeve_fail(err, REEVE_JOB_INTERNAL, "MPI: receive %u was not posted", t->head);
    REEVE_ASSERT(count >= 0 && count <= REEVE_MESSAGE_BYTES_MAX);
    memcpy(bytes, receive_bytes(t, t->head), (size_t)count);
    *peer = t->peer_of_rank[status.MPI_SOURCE];
    *n = (size_t)count;
    return repost_head(t, err);
}

/* ---- the inbox: what came while a send or a flush waited ---- */

reeve_status transport_fill_inbox(struct mpi_transport *t, struct reeve_error *err)
{
    while (t->inbox_bytes < INBOX_BYTES_MAX) {
        uint32_t peer = 0;
        size_t n = 0;
        reeve_status st = take_head(t, &peer, t->scratch, &n, err);
        if (st != REEVE_OK || n == 0) return st;
        struct message *m = malloc(sizeof(*m) + n);
        if (m == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "no memory for a message of %zu bytes", n);
        *m = (struct message){.peer = peer, .count = n};
        memcpy(m->bytes, t->scratch, n);
        *t->inbox_last = m;
        t->inbox_last = &m->next;
        t->inbox_bytes += n;
    }
    return REEVE_OK;
}

static void take_inbox(struct mpi_transport *t, uint32_t *peer, void *bytes, size_t *n)
{
    struct message *m = t->inbox;
    memcpy(bytes, m->bytes, m->count);
    *peer = m->peer;
    *n = m->count;
    t->inbox = m->next;
    if (t->inbox == NULL) t->inbox_last = &t->inbox;
    t->inbox_bytes -= m->count;
    free(m);
}

static reeve_status transport_poll(reeve_transport *base, uint32_t *peer, void *bytes, size_t *n,
                                   struct reeve_error *err)
{
    struct mpi_transport *t = (struct mpi_transport *)base;
    *n = 0;
    *peer = NOBODY;
    if (t->inbox != NULL) {
        take_inbox(t, peer, bytes, n);
        return REEVE_OK;
    }
    reeve_status st = take_head(t, peer, bytes, n, err);
    if (st != REEVE_OK || *n > 0) return st;
    st = transport_sends_reap(t, err);
    if (st == REEVE_OK && t->untold_count > 0) st = tell_loss(t, peer, err);
    return st;
}

/* ---- life ---- */

/* Cancelling a receive ends here, without the peer's help. */
static void cancel_receives(struct mpi_transport *t)
{
    for (unsigned i = 0; i < t->posted_count; i++) {
        if (t->receive[i] == MPI_REQUEST_NULL) continue;
        (void)MPI_Cancel(&t->receive[i]);
        (void)MPI_Wait(&t->receive[i], MPI_STATUS_IGNORE);
        if (t->receive[i] != MPI_REQUEST_NULL) (void)MPI_Request_free(&t->receive[i]);
    }
}

static void transport_destroy(reeve_transport *base)
{
    struct mpi_transport *t = (struct mpi_transport *)base;
    if (t == NULL) return;
    transport_sends_destroy(t); /* first: whoever waits for sends to end goes on receiving */
    cancel_receives(t);
    while (t->inbox != NULL) {
        struct message *m = t->inbox;
        t->inbox = m->next;
        free(m);
    }
    free(t->receive_bytes);
    free(t->peer_of_rank);
    free(t->rank_of_peer);
    free(t->lost);
    free(t);
}

static const struct reeve_transport_ops transport_ops = {
    .send = transport_send, .poll = transport_poll, .flush = transport_flush, .destroy = transport_destroy};

static reeve_status post_receives(struct mpi_transport *t, struct reeve_error *err)
{
    reeve_status st = REEVE_OK;
    for (unsigned i = 0; i < RECEIVE_COUNT; i++) t->receive[i] = MPI_REQUEST_NULL;
    for (unsigned i = 0; i < RECEIVE_COUNT && st == REEVE_OK; i++) {
        st = post_receive(t, i, err);
        if (st == REEVE_OK) t->posted_count = i + 1;
    }
    return st;
}

/* Rank 0 is peer 0, whoever that is now. */
static void name_peers(struct mpi_transport *t, const struct reeve_mpi_session *session)
{
    for (uint32_t p = 0; p < t->base.size; p++)
        t->rank_of_peer[p] = NOBODY;
    for (uint32_t r = 0; r < t->ranks; r++) {
        t->peer_of_rank[r] = r == 0 ? 0 : session->members[r];
        t->rank_of_peer[t->peer_of_rank[r]] = r;
    }
}

reeve_status reeve_mpi_transport_create(const struct reeve_mpi_session *session, reeve_transport **out,
                                        struct reeve_error *err)
{
    struct mpi_transport *t = calloc(1, sizeof(*t));
    if (t == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "MPI transport: out of memory");
    t->base = (struct reeve_transport){
        .ops = &transport_ops, .self = session->rank == 0 ? 0 : session->member, .size = session->member_count};
    t->comm = MPI_Comm_f2c(session->control);
    t->ranks = session->size;
    t->inbox_last = &t->inbox;
    t->receive_bytes = malloc((size_t)RECEIVE_COUNT * REEVE_MESSAGE_BYTES_MAX);
    t->lost = calloc(t->ranks, sizeof(*t->lost));
    t->unsent_count = calloc(t->ranks, sizeof(*t->unsent_count));
    t->peer_of_rank = calloc(t->ranks, sizeof(*t->peer_of_rank));
    t->rank_of_peer = calloc(t->base.size, sizeof(*t->rank_of_peer));
    reeve_status st = REEVE_OK;
    if (t->receive_bytes == NULL || t->lost == NULL || t->unsent_count == NULL || t->peer_of_rank == NULL ||
        t->rank_of_peer == NULL)
        st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "MPI transport: out of memory for %u peers", session->size);
    if (st == REEVE_OK) name_peers(t, session);
    if (st == REEVE_OK) st = post_receives(t, err);
    if (st != REEVE_OK) {
        transport_destroy(&t->base);
        return st;
    }
    *out = &t->base;
    return REEVE_OK;
}
