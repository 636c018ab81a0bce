/* Private to the MPI transport: its state, shared by mpi_transport.c (receiving, life) and mpi_sends.c (sending). */
#ifndef REEVE_NET_MPI_TRANSPORT_STATE_H
#define REEVE_NET_MPI_TRANSPORT_STATE_H

#include <mpi.h>
#include <stdbool.h>

#include "port/transport.h"

#define CONTROL_TAG 1
#define RECEIVE_COUNT 32u           /* posted at all times */
#define INBOX_BYTES_MAX ((size_t)64 << 20)
#define UNSENT_PER_PEER_MAX 1024u   /* messages; x 16 KiB is the memory that a deaf peer can cost */
#define SLOTS_PER_BLOCK 32u
#define NOBODY UINT32_MAX

struct message {
    struct message *next;
    uint32_t peer;
    size_t count;
    unsigned char bytes[];
};

/* One message on its way out. Slots come in blocks and are never moved: MPI reads from them. */
struct send_slot {
    struct send_slot *next_free;
    uint32_t rank;
    unsigned char bytes[REEVE_MESSAGE_BYTES_MAX];
};

struct send_block {
    struct send_block *next;
    struct send_slot slot[SLOTS_PER_BLOCK];
};

enum peer_state { PEER_HERE = 0, PEER_LOST_UNTOLD, PEER_LOST };

struct mpi_transport {
    struct reeve_transport base;
    MPI_Comm comm;      /* borrowed */
    uint32_t ranks;     /* of comm; base.size counts members, who may be fewer now */
    uint32_t *peer_of_rank; /* (ranks,) owned */
    uint32_t *rank_of_peer; /* (base.size,) owned; NOBODY: not here. All below goes by rank */
    uint8_t *lost;          /* (ranks,) owned; enum peer_state */
    uint32_t untold_count;

    MPI_Request receive[RECEIVE_COUNT]; /* ring, persistent */
    unsigned char *receive_bytes;       /* (RECEIVE_COUNT, MESSAGE_BYTES_MAX) owned */
    unsigned head, posted_count;

    struct message *inbox, **inbox_last; /* owned, oldest first */
    size_t inbox_bytes;
    unsigned char scratch[REEVE_MESSAGE_BYTES_MAX];

    struct send_block *blocks;      /* owned */
    struct send_slot *free_slots;
    MPI_Request *unsent;            /* (unsent_max,) owned; the first unsent_total are on their way */
    struct send_slot **unsent_slot; /* (unsent_max,) owned; beside unsent */
    size_t unsent_total, unsent_max;
    uint32_t *unsent_count; /* (ranks,) owned */
};

reeve_status transport_send(reeve_transport *base, uint32_t peer, const void *bytes, size_t n, struct reeve_error *err);
reeve_status transport_flush(reeve_transport *base, reeve_time_ns deadline_ns, struct reeve_error *err);
/* Take back the slots of sends that ended. Lost peers are noted; another error is returned. */
reeve_status transport_sends_reap(struct mpi_transport *t, struct reeve_error *err);
/* Give sends that never end a moment, then leave their memory to MPI. */
void transport_sends_destroy(struct mpi_transport *t);

/* Move what has arrived into the inbox, so that peers who wait for room can go on. */
reeve_status transport_fill_inbox(struct mpi_transport *t, struct reeve_error *err);
/* Note a loss; poll() will tell it. */
void transport_rank_lost(struct mpi_transport *t, uint32_t rank);

#endif
