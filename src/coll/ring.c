/* Pieces around a ring; see ring.h.
 *
 * Why it cannot lock up: a position starts block b only when it has received all of block b - WINDOW, so at most
 * 2 * WINDOW blocks are on their way at once, each with one message per position. There are more buffers than that, so
 * somewhere in the ring a receive is posted, and the message before it can move. */
#include "coll/ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "coll/border.h"
#include "coll/tags.h"

#define PIECE_BYTES ((size_t)128 << 10)
#define WINDOW 4u
#define RING_BUFFERS (2 * WINDOW + 4)
#define RECEIVES_MAX (WINDOW + 2)
#define PIECES_PER_STEP_MAX 16

struct piece_header {
    uint32_t sum, hop; /* hop: 0 when it leaves its first position */
    uint64_t block;
    uint32_t piece, type;
};
_Static_assert(sizeof(struct piece_header) == 24, "no padding goes over the wire");

#define HEADER_BYTES 64u /* keeps the numbers aligned */

struct ring_buffer {
    MPI_Request request;
    unsigned char *bytes; /* (HEADER_BYTES + PIECE_BYTES,) owned */
};

/* ---- buffers ---- */

static struct piece_header header_of(const struct ring_buffer *b)
{
    struct piece_header h;
    memcpy(&h, b->bytes, sizeof(h));
    return h;
}

static reeve_status post_receive(struct ring *r, struct ring_buffer *b, struct reeve_error *err)
{
    int rc = MPI_Irecv(b->bytes, HEADER_BYTES + PIECE_BYTES, MPI_BYTE, r->left, r->first_tag + COLL_TAG_RING, r->comm,
                       &b->request);
    if (rc != MPI_SUCCESS) {
        r->spare[r->spare_count++] = b;
        return coll_fail(err, rc, "receive from the left");
    }
    r->posted[(r->posted_head + r->posted_count++) % RING_BUFFERS] = b;
    return REEVE_OK;
}

/* A buffer is free: receive into it, or keep it to start a piece with. */
static reeve_status release(struct ring *r, struct ring_buffer *b, struct reeve_error *err)
{
    if (r->posted_count < RECEIVES_MAX) return post_receive(r, b, err);
    r->spare[r->spare_count++] = b;
    return REEVE_OK;
}

static reeve_status send_buffer(struct ring *r, struct ring_buffer *b, size_t bytes, struct reeve_error *err)
{
    int rc = MPI_Isend(b->bytes, (int)(HEADER_BYTES + bytes), MPI_BYTE, r->right, r->first_tag + COLL_TAG_RING, r->comm,
                       &b->request);
    if (rc != MPI_SUCCESS) {
        r->spare[r->spare_count++] = b;
        return coll_fail(err, rc, "send to the right");
    }
    r->sending[r->sending_count++] = b;
    return REEVE_OK;
}

static reeve_status reap_sends(struct ring *r, struct reeve_error *err)
{
    reeve_status st = REEVE_OK;
    unsigned kept = 0, total = r->sending_count;
    r->sending_count = 0;
    for (unsigned i = 0; i < total; i++) {
        struct ring_buffer *b = r->sending[i];
        int sent = 0;
        int rc = MPI_Test(&b->request, &sent, MPI_STATUS_IGNORE);
        if (rc == MPI_SUCCESS && !sent) {
            r->sending[kept++] = b;
            continue;
        }
        if (rc != MPI_SUCCESS && st == REEVE_OK) st = coll_fail(err, rc, "send to the right");
        reeve_status released = release(r, b, st == REEVE_OK ? err : NULL);
        if (st == REEVE_OK) st = released;
    }
    r->sending_count = kept;
    return st;
}

/* ---- pieces ---- */

struct range {
    size_t first, count; /* elements */
};

static struct range piece_range(const struct ring *r, uint64_t block, uint32_t piece)
{
    size_t block_max = PIECE_BYTES / sum_type_bytes(r->type) * r->length;
    size_t first = (size_t)block * block_max;
    size_t count = r->count - first < block_max ? r->count - first : block_max;
    size_t begin = count * piece / r->length, end = count * (piece + 1) / r->length;
    return (struct range){first + begin, end - begin};
}

static reeve_status inject(struct ring *r, size_t *moved, struct reeve_error *err)
{
    uint64_t per_block = 2 * ((uint64_t)r->length - 1);
    reeve_status st = REEVE_OK;
    while (st == REEVE_OK && r->spare_count > 0 && r->injected < r->block_count &&
           r->injected < r->received / per_block + WINDOW) {
        struct piece_header h = {.sum = r->sum, .block = r->injected, .piece = r->position, .type = (uint32_t)r->type};
        size_t bytes = sum_type_bytes(r->type);
        struct range range = piece_range(r, h.block, h.piece);
        struct ring_buffer *b = r->spare[--r->spare_count];
        memcpy(b->bytes, &h, sizeof(h));
        if (range.count > 0) memcpy(b->bytes + HEADER_BYTES, r->src + range.first * bytes, range.count * bytes);
        st = send_buffer(r, b, range.count * bytes, err);
        *moved += range.count * bytes + 1;
        r->injected++;
    }
    return st;
}

/* Combine a piece with this worker's part, and send it on if it has further to go. */
static reeve_status combine(struct ring *r, struct ring_buffer *b, struct piece_header h, size_t *moved,
                            struct reeve_error *err)
{
    size_t bytes = sum_type_bytes(r->type);
    struct range range = piece_range(r, h.block, h.piece);
    unsigned char *data = b->bytes + HEADER_BYTES;
    uint32_t lap = r->length - 1; /* hops */
    if (h.hop < lap) sum_add(r->type, data, data, r->src + range.first * bytes, range.count);
    if (h.hop + 1 >= lap && range.count > 0) memcpy(r->dst + range.first * bytes, data, range.count * bytes);
    r->received++;
    *moved += range.count * bytes + 1;
    if (h.hop + 1 == 2 * lap) return release(r, b, err);
    h.hop++;
    memcpy(b->bytes, &h, sizeof(h));
    return send_buffer(r, b, range.count * bytes, err);
}

/* What comes over the wire is checked before it chooses an address. */
static reeve_status check_piece(const struct ring *r, struct piece_header h, int bytes, struct reeve_error *err)
{
    bool sound =
        h.block < r->block_count && h.piece < r->length && h.hop < 2 * (r->length - 1) && h.type == (uint32_t)r->type;
    if (sound) {
        struct range range = piece_range(r, h.block, h.piece);
        sound = (size_t)bytes == HEADER_BYTES + range.count * sum_type_bytes(r->type);
    }
    if (sound) return REEVE_OK;
    return reeve_fail(err, REEVE_JOB_INTERNAL,
                      "sum over workers: a piece of %d bytes from rank %d does not belong to "
                      "this sum (block %llu, piece %u)",
                      bytes, r->left, (unsigned long long)h.block, h.piece);
}

/* The oldest receive, if its message is there and its sum has started here. *taken: one was handled. */
static reeve_status take_piece(struct ring *r, bool *taken, size_t *moved, struct reeve_error *err)
{
    *taken = false;
    if (r->posted_count == 0) return REEVE_OK;
    struct ring_buffer *b = r->posted[r->posted_head];
    int there = 0, bytes = 0;
    MPI_Status status;
    /* Looked at without taking it: a piece of a sum that has not started here stays at the head. */
    int rc = MPI_Request_get_status(b->request, &there, &status);
    if (rc == MPI_SUCCESS && !there) return REEVE_OK;
    if (rc == MPI_SUCCESS) rc = MPI_Get_count(&status, MPI_BYTE, &bytes);
    struct piece_header h = header_of(b);
    if (rc == MPI_SUCCESS && h.sum > r->sum) return REEVE_OK;
    if (rc == MPI_SUCCESS) rc = MPI_Test(&b->request, &there, MPI_STATUS_IGNORE);
    r->posted_head = (r->posted_head + 1) % RING_BUFFERS;
    r->posted_count--;
    if (rc != MPI_SUCCESS) { /* nothing more will come from there */
        r->spare[r->spare_count++] = b;
        return coll_fail(err, rc, "receive from the left");
    }
    *taken = true;
    if (h.sum < r->sum) return release(r, b, err); /* of an abandoned sum */
    reeve_status st = check_piece(r, h, bytes, err);
    if (st == REEVE_OK) return combine(r, b, h, moved, err);
    r->spare[r->spare_count++] = b;
    return st;
}

/* ---- for the owner ---- */

reeve_status ring_step(struct ring *r, size_t *moved, bool *done, struct reeve_error *err)
{
    *moved = 0;
    *done = false;
    reeve_status st = reap_sends(r, err);
    if (st == REEVE_OK) st = inject(r, moved, err);
    bool taken = true;
    for (int i = 0; st == REEVE_OK && taken && i < PIECES_PER_STEP_MAX; i++)
        st = take_piece(r, &taken, moved, err);
    while (st == REEVE_OK && r->posted_count < RECEIVES_MAX && r->spare_count > 1)
        st = post_receive(r, r->spare[--r->spare_count], err);
    uint64_t expected = (uint64_t)r->block_count * 2 * (r->length - 1);
    *done = st == REEVE_OK && r->received == expected && r->injected == r->block_count && r->sending_count == 0;
    return st;
}

void ring_begin(struct ring *r, uint32_t sum, enum sum_type type, const void *src, void *dst, size_t count)
{
    size_t block_max = PIECE_BYTES / sum_type_bytes(type) * r->length;
    r->sum = sum;
    r->type = type;
    r->src = src;
    r->dst = dst;
    r->count = count;
    r->block_count = count / block_max + (count % block_max != 0);
    r->injected = 0;
    r->received = 0;
}

static void cancel_receives(struct ring *r)
{
    for (; r->posted_count > 0; r->posted_count--) {
        struct ring_buffer *b = r->posted[r->posted_head];
        r->posted_head = (r->posted_head + 1) % RING_BUFFERS;
        if (b->request == MPI_REQUEST_NULL) continue;
        (void)MPI_Cancel(&b->request);
        (void)MPI_Wait(&b->request, MPI_STATUS_IGNORE);
    }
}

/* Leftovers of an abandoned sum go on to a neighbour that still receives them, or not. */
static void wait_for_sends(struct ring *r, reeve_time_ns deadline_ns)
{
    while (r->sending_count > 0 && reeve_clock_now() < deadline_ns) {
        unsigned kept = 0;
        for (unsigned i = 0; i < r->sending_count; i++) {
            int sent = 0;
            if (MPI_Test(&r->sending[i]->request, &sent, MPI_STATUS_IGNORE) == MPI_SUCCESS && !sent)
                r->sending[kept++] = r->sending[i];
        }
        r->sending_count = kept;
        if (kept > 0) reeve_clock_sleep(100 * (reeve_time_ns)1000);
    }
}

void ring_fini(struct ring *r, reeve_time_ns deadline_ns)
{
    if (r->buffers == NULL) return;
    wait_for_sends(r, deadline_ns);
    cancel_receives(r);
    for (unsigned i = 0; i < r->sending_count; i++) {
        if (r->sending[i]->request != MPI_REQUEST_NULL) (void)MPI_Request_free(&r->sending[i]->request);
        r->sending[i]->bytes = NULL; /* MPI may still read it: it stays until the process ends */
    }
    for (unsigned i = 0; i < RING_BUFFERS; i++)
        free(r->buffers[i].bytes);
    free(r->buffers);
    free(r->posted);
    free(r->sending);
    free(r->spare);
    r->buffers = NULL;
}

static reeve_status allocate(struct ring *r, struct reeve_error *err)
{
    r->buffers = calloc(RING_BUFFERS, sizeof(*r->buffers));
    r->posted = calloc(RING_BUFFERS, sizeof(struct ring_buffer *));
    r->sending = calloc(RING_BUFFERS, sizeof(struct ring_buffer *));
    r->spare = calloc(RING_BUFFERS, sizeof(struct ring_buffer *));
    bool ok = r->buffers != NULL && r->posted != NULL && r->sending != NULL && r->spare != NULL;
    for (unsigned i = 0; ok && i < RING_BUFFERS; i++) {
        r->buffers[i].request = MPI_REQUEST_NULL;
        r->buffers[i].bytes = aligned_alloc(HEADER_BYTES, HEADER_BYTES + PIECE_BYTES);
        ok = r->buffers[i].bytes != NULL;
        if (ok) memset(r->buffers[i].bytes, 0, HEADER_BYTES);
    }
    return ok ? REEVE_OK : reeve_fail(err, REEVE_JOB_NO_MEMORY, "sum over workers: out of memory");
}

reeve_status ring_init(struct ring *r, MPI_Comm comm, int first_tag, const int *ranks, uint32_t position,
                       uint32_t length, struct reeve_error *err)
{
    REEVE_ASSERT(length >= 2 && position < length);
    *r = (struct ring){.comm = comm, .first_tag = first_tag, .position = position, .length = length};
    r->left = ranks[(position + length - 1) % length];
    r->right = ranks[(position + 1) % length];
    reeve_status st = allocate(r, err);
    for (unsigned i = 0; st == REEVE_OK && i < RING_BUFFERS; i++)
        st = release(r, &r->buffers[i], err);
    if (st != REEVE_OK) ring_fini(r, 0);
    return st;
}
