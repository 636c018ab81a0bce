/* The stages of a sum over MPI; see mpi.h. Each has a file of its own:
 *   AGREE (agree.c) -> SUM within the host (shared.c) -> RING of the hosts' first workers (ring.c) -> SHARE within the
 *   host (shared.c) -> done. A host with one worker has no SUM and SHARE; a job on one host has no RING and SHARE. */
#include "coll/mpi.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "coll/agree.h"
#include "coll/places.h"
#include "coll/ring.h"
#include "coll/shared.h"

#define TEST_BYTES_MAX ((size_t)4 << 20) /* moved in one test(): well under a millisecond or two */
#define DESTROY_NS REEVE_SECOND_NS

/* SUM, RING, SHARE, END follow each other; a worker alone does COPY instead. */
enum stage { STAGE_NONE = 0, STAGE_AGREE, STAGE_COPY, STAGE_SUM, STAGE_RING, STAGE_SHARE, STAGE_END };

struct coll {
    struct reeve_collective base;
    struct places places;
    struct agree agree;
    struct shared shared; /* if places.local_size > 1 */
    struct ring ring;     /* if this worker is its host's first, and places.host_count > 1 */
    enum stage stage;
    enum sum_type type;
    const void *in;       /* borrowed until done */
    void *out;            /* borrowed until done */
    size_t count, copied; /* elements; bytes */
};

/* ---- stages ---- */

static bool is_in_ring(const struct coll *c)
{
    return c->places.host_count > 1 && c->places.local_rank == 0;
}

/* Enter the first stage from `stage` on that this worker has a part in. */
static void enter(struct coll *c, enum stage stage)
{
    bool shares_host = c->places.local_size > 1;
    if (stage == STAGE_SUM && !shares_host) stage = STAGE_RING;
    if (stage == STAGE_RING && !is_in_ring(c)) stage = STAGE_SHARE;
    if (stage == STAGE_SHARE && (!shares_host || c->places.host_count == 1)) stage = STAGE_END;
    c->stage = stage;
    if (stage == STAGE_SUM) shared_begin_sum(&c->shared, c->agree.sum, c->type, c->in, c->out, c->count);
    if (stage == STAGE_RING)
        ring_begin(&c->ring, c->agree.sum, c->type, shares_host ? c->out : c->in, c->out, c->count);
    if (stage == STAGE_SHARE) shared_begin_share(&c->shared);
}

static void start(struct coll *c)
{
    bool alone = c->places.local_size == 1 && c->places.host_count == 1;
    c->copied = 0;
    if (alone) c->stage = STAGE_COPY;
    else enter(c, STAGE_SUM);
}

static size_t copy_step(struct coll *c, bool *ended)
{
    size_t total = c->count * sum_type_bytes(c->type), left = total - c->copied;
    size_t bytes = left < TEST_BYTES_MAX ? left : TEST_BYTES_MAX;
    if (bytes > 0) memcpy((char *)c->out + c->copied, (const char *)c->in + c->copied, bytes);
    c->copied += bytes;
    *ended = c->copied == total;
    return bytes;
}

/* Do a little of the stage at hand, and go on to the next where it ended. *moved: bytes; 0: nothing can be done now. */
static reeve_status step(struct coll *c, size_t *moved, struct reeve_error *err)
{
    reeve_status st = REEVE_OK;
    bool ended = false;
    *moved = 0;
    switch (c->stage) {
    case STAGE_COPY: *moved = copy_step(c, &ended); break;
    case STAGE_SUM: *moved = shared_step_sum(&c->shared, &ended); break;
    case STAGE_RING: st = ring_step(&c->ring, moved, &ended, err); break;
    case STAGE_SHARE: *moved = shared_step_share(&c->shared, &ended); break;
    case STAGE_NONE:
    case STAGE_AGREE:
    case STAGE_END: break;
    }
    if (st != REEVE_OK || !ended) return st;
    if (c->stage == STAGE_COPY) c->stage = STAGE_END;
    else enter(c, c->stage + 1);
    *moved += 1;
    return st;
}

/* Listen to what the members agree on; also while the sum is under way, since it may turn out to be void. */
static reeve_status listen(struct coll *c, struct reeve_error *err)
{
    enum agree_event event = AGREE_NOTHING;
    reeve_status st = agree_test(&c->agree, &event, err);
    if (st == REEVE_OK && event == AGREE_STARTED) start(c);
    if (st == REEVE_OK && event == AGREE_VOID) c->stage = STAGE_AGREE;
    return st;
}

/* ---- the port ---- */

static reeve_status begin(struct coll *c, enum sum_type type, const void *in, void *out, size_t n,
                          struct reeve_error *err)
{
    if (c->stage != STAGE_NONE)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "a sum was begun before the one in progress ended");
    c->type = type;
    c->in = in;
    c->out = out;
    c->count = n;
    c->stage = STAGE_AGREE;
    agree_begin(&c->agree, type, n);
    return REEVE_OK;
}

static reeve_status begin_i64(reeve_collective *c, const int64_t *in, int64_t *out, size_t n, struct reeve_error *err)
{
    return begin((struct coll *)c, SUM_I64, in, out, n, err);
}

static reeve_status begin_f32(reeve_collective *c, const float *in, float *out, size_t n, struct reeve_error *err)
{
    return begin((struct coll *)c, SUM_F32, in, out, n, err);
}

static void abandon(reeve_collective *base)
{
    struct coll *c = (struct coll *)base;
    agree_abandon(&c->agree);
    c->stage = STAGE_NONE;
    c->in = NULL;
    c->out = NULL;
}

static reeve_status test(reeve_collective *base, bool *done, struct reeve_error *err)
{
    struct coll *c = (struct coll *)base;
    *done = false;
    if (c->stage == STAGE_NONE) return REEVE_OK;
    reeve_status st = listen(c, err);
    size_t moved = 0, moved_now = 1;
    while (st == REEVE_OK && moved_now > 0 && moved < TEST_BYTES_MAX) {
        st = step(c, &moved_now, err);
        moved += moved_now;
    }
    if (st != REEVE_OK) {
        abandon(base);
        return st;
    }
    *done = c->stage == STAGE_END;
    if (*done) {
        agree_complete(&c->agree);
        c->stage = STAGE_NONE;
    }
    return REEVE_OK;
}

static void destroy(reeve_collective *base)
{
    struct coll *c = (struct coll *)base;
    if (c == NULL) return;
    ring_fini(&c->ring, reeve_clock_now() + DESTROY_NS);
    agree_fini(&c->agree);
    shared_fini(&c->shared);
    places_fini(&c->places);
    free(c);
}

static const struct reeve_collective_ops coll_ops = {
    .begin_sum_i64 = begin_i64, .begin_sum_f32 = begin_f32, .test = test, .abandon = abandon, .destroy = destroy};

reeve_status reeve_coll_mpi_create(int workers, const struct reeve_coll_mpi_config *config, reeve_collective **out,
                                   struct reeve_error *err)
{
    struct coll *c = calloc(1, sizeof(*c));
    if (c == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "sum over workers: out of memory");
    MPI_Comm comm = MPI_Comm_f2c(workers);
    uint32_t host_size = config == NULL ? 0 : config->host_size;
    reeve_status st = places_find(&c->places, comm, host_size, &c->shared, err);
    if (st == REEVE_OK) st = agree_init(&c->agree, comm, c->places.first_tag, err);
    if (st != REEVE_OK) {
        shared_fini(&c->shared);
        places_fini(&c->places);
        free(c);
        return st;
    }
    if (is_in_ring(c))
        st = ring_init(&c->ring, comm, c->places.first_tag, c->places.first_ranks, c->places.host, c->places.host_count,
                       err);
    if (st != REEVE_OK) {
        destroy(&c->base);
        return st;
    }
    c->base = (struct reeve_collective){.ops = &coll_ops, .name = "mpi", .members = c->agree.size};
    *out = &c->base;
    return REEVE_OK;
}
