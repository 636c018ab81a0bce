/* How many control messages of 64 bytes go through the transport: mpirun -n 2 bench-messages [MESSAGES [AHEAD]]
 *
 * Rank 0 keeps AHEAD messages on their way to each other rank, which returns every one: what a master with credits does.
 * Beside it the same with MPI_Send, MPI_Iprobe and MPI_Recv, which is what the transport's ring of posted receives was
 * chosen over. Waits spin, so give each rank a core. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "net/mpi_session.h"
#include "net/mpi_transport.h"

#define MESSAGE_BYTES 64
#define PROBE_TAG 7
#define CLOSE_NS (30 * REEVE_SECOND_NS)

struct line {
    struct reeve_mpi_session *session;
    reeve_transport *transport; /* NULL: probe and receive */
    MPI_Comm comm;
};

static void stop(const char *what)
{
    (void)fprintf(stderr, "bench-messages: %s\n", what);
    reeve_mpi_session_abort(REEVE_EXIT_INTERNAL);
}

static void send_to(struct line *l, uint32_t peer, const void *bytes)
{
    struct reeve_error err = {.text = ""};
    if (l->transport != NULL) {
        if (l->transport->ops->send(l->transport, peer, bytes, MESSAGE_BYTES, &err) != REEVE_OK) stop(err.text);
    } else if (MPI_Send(bytes, MESSAGE_BYTES, MPI_BYTE, (int)peer, PROBE_TAG, l->comm) != MPI_SUCCESS) {
        stop("MPI_Send failed");
    }
}

static uint32_t wait_for(struct line *l, unsigned char *bytes)
{
    struct reeve_error err = {.text = ""};
    uint32_t peer = 0;
    size_t n = 0;
    while (l->transport != NULL && n == 0)
        if (l->transport->ops->poll(l->transport, &peer, bytes, &n, &err) != REEVE_OK) stop(err.text);
    if (l->transport != NULL) return peer;
    MPI_Status status;
    for (int there = 0; !there;)
        if (MPI_Iprobe(MPI_ANY_SOURCE, PROBE_TAG, l->comm, &there, &status) != MPI_SUCCESS) stop("MPI_Iprobe failed");
    if (MPI_Recv(bytes, MESSAGE_BYTES, MPI_BYTE, status.MPI_SOURCE, PROBE_TAG, l->comm, &status) != MPI_SUCCESS)
        stop("MPI_Recv failed");
    return (uint32_t)status.MPI_SOURCE;
}

static void run_first(struct line *l, uint32_t each, uint32_t ahead)
{
    static unsigned char bytes[REEVE_MESSAGE_BYTES_MAX];
    uint32_t peers = l->session->size - 1;
    uint32_t *left = calloc(l->session->size, sizeof(*left));
    if (left == NULL) stop("out of memory");
    for (uint32_t p = 1; p <= peers; p++) {
        left[p] = each - ahead;
        for (uint32_t i = 0; i < ahead; i++) send_to(l, p, bytes);
    }
    for (uint64_t i = 0; i < (uint64_t)each * peers; i++) {
        uint32_t p = wait_for(l, bytes);
        if (left[p] == 0) continue;
        left[p]--;
        send_to(l, p, bytes);
    }
    free(left);
}

static void run(struct line *l, const char *name, uint32_t each, uint32_t ahead)
{
    static unsigned char bytes[REEVE_MESSAGE_BYTES_MAX];
    (void)MPI_Barrier(l->comm);
    reeve_time_ns start_ns = reeve_clock_now();
    if (l->session->rank == 0) run_first(l, each, ahead);
    else
        for (uint32_t i = 0; i < each; i++) send_to(l, wait_for(l, bytes), bytes);
    double us = (double)(reeve_clock_now() - start_ns) / 1e3;
    double count = (double)each * (l->session->size - 1);
    if (l->session->rank == 0)
        (void)printf("%-24s %u ahead: %8.3f us there and back, %6.2f M/s\n", name, ahead, us / count, count / us);
    (void)fflush(stdout);
    (void)MPI_Barrier(l->comm);
}

int main(int argc, char **argv)
{
    struct reeve_mpi_session session;
    struct reeve_error err = {.text = ""};
    if (reeve_mpi_session_open(&argc, &argv, &session, &err) != REEVE_OK) {
        (void)fprintf(stderr, "bench-messages: %s\n", err.text);
        return REEVE_EXIT_UNAVAILABLE;
    }
    if (session.size < 2) stop("start it on two ranks or more");
    uint32_t each = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 500000;
    uint32_t many = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 8;
    if (many < 1 || each < many) stop("MESSAGES must be at least AHEAD, and AHEAD 1");
    struct line probe = {.session = &session, .comm = MPI_Comm_f2c(session.control)}, transport = probe;
    for (int round = 0; round < 2; round++) {
        run(&probe, "probe and receive", each, 1);
        run(&probe, "probe and receive", each, many);
        if (reeve_mpi_transport_create(&session, &transport.transport, &err) != REEVE_OK) stop(err.text);
        run(&transport, "transport", each, 1);
        run(&transport, "transport", each, many);
        transport.transport->ops->destroy(transport.transport);
    }
    (void)reeve_mpi_session_close(&session, reeve_clock_now() + CLOSE_NS, REEVE_EXIT_DONE);
    return REEVE_EXIT_DONE;
}
