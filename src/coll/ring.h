/* The sum over hosts, by messages around a ring of one worker per host. Nothing waits.
 *
 * The array goes through in blocks of one piece for each position in the ring. A piece starts at the position with its
 * number and travels twice around: on the first lap everyone adds its own part, on the second everyone copies the
 * result. The message is the state: whoever receives a piece combines it, and sends the same buffer on. Each position
 * thus sends about twice the array, however many there are (Patarasuk and Yuan, "Bandwidth optimal all-reduce
 * algorithms", J. Parallel Distrib. Comput. 69, 2009), and all positions are busy with several pieces at a time.
 *
 * A message carries the number of its sum. One of an abandoned sum is received and thrown away; one of a sum that has
 * not started here yet waits. F32: the order of additions depends on the piece and on the positions, not on time. */
#ifndef REEVE_COLL_RING_H
#define REEVE_COLL_RING_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coll/add.h"
#include "reeve/ids.h"
#include "reeve/status.h"

struct ring_buffer;

struct ring {
    MPI_Comm comm; /* borrowed */
    int first_tag;
    uint32_t position, length;
    int left, right;                    /* ranks in comm */
    struct ring_buffer *buffers;        /* (RING_BUFFERS,) owned */
    unsigned posted_head, posted_count; /* ring of receives, oldest first */
    struct ring_buffer **posted;        /* (RING_BUFFERS,) owned */
    struct ring_buffer **sending;       /* (RING_BUFFERS,) owned; any order */
    unsigned sending_count;
    struct ring_buffer **spare; /* (RING_BUFFERS,) owned */
    unsigned spare_count;

    /* the sum in progress */
    uint32_t sum; /* 0: none */
    enum sum_type type;
    const unsigned char *src; /* borrowed; may be dst */
    unsigned char *dst;       /* borrowed */
    size_t count, block_count;
    size_t injected;   /* blocks that this position has started */
    uint64_t received; /* pieces of this sum */
};

/* ranks: (length,) the ring in order, as ranks of comm; position: this worker's. No message is sent. */
reeve_status ring_init(struct ring *r, MPI_Comm comm, int first_tag, const int *ranks, uint32_t position,
                       uint32_t length, struct reeve_error *err);
/* Sends that nobody takes are waited for until deadline_ns; then their memory stays with MPI. */
void ring_fini(struct ring *r, reeve_time_ns deadline_ns);

/* A sum that is not stepped any more is abandoned; the next one has a higher number. */
void ring_begin(struct ring *r, uint32_t sum, enum sum_type type, const void *src, void *dst, size_t count);
/* Handle what has arrived, at most a few pieces. *moved: bytes handled; 0: nothing can be done now. *done: finished,
 * and nothing of this position is still on its way. WORKER_LOST | JOB_INTERNAL. */
reeve_status ring_step(struct ring *r, size_t *moved, bool *done, struct reeve_error *err);

#endif
