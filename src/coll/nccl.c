/* The stages of a sum over GPUs; see nccl.h.
 *
 *   AGREE (agree.c)  all have begun it; until then nobody enters NCCL, which would wait for ever. No deadline of its own:
 *                    who comes late is still computing, and the master finds out who does not come
 *   CONNECT          (nccl_connect.c) only if some member has no communicator, since a sum was given up
 *   SUM              an all-reduce a chunk, at most two under way
 *
 * Invariant: a sum that has started and is not whole has cost its communicator (agree.mine.afresh). So whoever gives one
 * up, and whoever is told that somebody did, aborts, and the next start lets all connect anew. */
#include "coll/nccl.h"

#include <stdlib.h>

#include "base/absence.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/idle.h"
#include "base/watchdog.h"
#include "coll/agree.h"
#include "coll/border.h"
#include "coll/nccl_comm.h"
#include "coll/nccl_connect.h"
#include "coll/nccl_gpu.h"
#include "coll/tags.h"

#define CREATE_NS (60 * REEVE_SECOND_NS)
#define SUM_NS (60 * REEVE_SECOND_NS)
#define ABORT_NS (10 * REEVE_SECOND_NS)
#define CHUNK_BYTES ((size_t)64 << 20)
#define POLL_SLEEP_NS 500000 /* the longest, while members come together */
#define FIRST_ROUND 1u       /* of connecting: create's; that of sum s is FIRST_ROUND + s */

enum stage { STAGE_NONE = 0, STAGE_AGREE, STAGE_CONNECT, STAGE_SUM, STAGE_END };

struct coll {
    struct reeve_collective base;
    struct reeve_coll_nccl_config config;
    bool alone; /* no MPI, no NCCL: what follows up to gpu is not used */
    struct agree agree;
    struct connect connect;
    struct comm comm;
    struct gpu gpu;
    enum stage stage;
    enum sum_type type;
    const char *in; /* borrowed until done; device memory */
    char *out;      /* borrowed until done; device memory */
    size_t count;

    /* the sum; elements unless said otherwise */
    size_t chunk, issued;
    bool entering;                   /* NCCL has not yet put the newest chunk into the stream */
    unsigned head, chunks_under_way; /* events [head..) of the ring of GPU_EVENTS */
    size_t chunks_done;
    reeve_time_ns moved_ns;  /* when a chunk got done, or the sum began, or this process came back to it */
    reeve_time_ns looked_ns; /* when that was last asked */
};

/* ---- the sum ---- */

static void start_sum(struct coll *c)
{
    c->stage = STAGE_SUM;
    c->chunk = c->config.chunk_bytes / sum_type_bytes(c->type);
    c->issued = 0;
    c->entering = false;
    c->head = c->chunks_under_way = 0;
    c->chunks_done = 0;
    c->moved_ns = c->looked_ns = reeve_clock_now();
}

static reeve_status issue(struct coll *c, struct reeve_error *err)
{
    size_t left = c->count - c->issued, count = left < c->chunk ? left : c->chunk;
    size_t bytes = sum_type_bytes(c->type), at = c->issued * bytes;
    c->issued += count;
    c->entering = true;
    if (c->alone) return gpu_copy(&c->gpu, c->out + at, c->in + at, count * bytes, err);
    return comm_sum(&c->comm, &c->gpu, c->type, c->in + at, c->out + at, count, err);
}

/* NCCL may still be busy with putting the chunk into the stream: until then nothing else may be put there. */
static reeve_status enter(struct coll *c, struct reeve_error *err)
{
    bool ready = true;
    reeve_status st = c->alone ? REEVE_OK : comm_poll(&c->comm, &ready, err);
    if (st != REEVE_OK || !ready || !c->entering) return st;
    c->entering = false;
    return gpu_record(&c->gpu, (c->head + c->chunks_under_way++) % GPU_EVENTS, err);
}

static reeve_status reap(struct coll *c, struct reeve_error *err)
{
    bool passed = true;
    while (passed && c->chunks_under_way > 0) {
        reeve_status st = gpu_test(&c->gpu, c->head, &passed, err);
        if (st != REEVE_OK) return st;
        if (!passed) break;
        c->head = (c->head + 1) % GPU_EVENTS;
        c->chunks_under_way--;
        c->chunks_done++;
        c->moved_ns = reeve_clock_now();
    }
    return REEVE_OK;
}

static reeve_status check_deadline(struct coll *c, struct reeve_error *err)
{
    reeve_time_ns now_ns = reeve_clock_now();
    if (reeve_absence(&c->looked_ns, now_ns, REEVE_ABSENCE_NS) > 0) c->moved_ns = now_ns;
    if (now_ns - c->moved_ns < c->config.sum_ns) return REEVE_OK;
    size_t chunks = c->count / c->chunk + (c->count % c->chunk != 0);
    return reeve_fail(err, c->alone ? REEVE_JOB_DEVICE : comm_failure_status(),
                      "sum over GPUs: nothing of it got done for %lld ms; %zu of its %zu parts are: a worker, a GPU or "
                      "the way between them stands still (NCCL_DEBUG=INFO tells more)",
                      (long long)(c->config.sum_ns / REEVE_MILLISECOND_NS), c->chunks_done, chunks);
}

static reeve_status move_sum(struct coll *c, struct reeve_error *err)
{
    reeve_status st = reap(c, err);
    if (st == REEVE_OK) st = enter(c, err);
    while (st == REEVE_OK && !c->entering && c->chunks_under_way < GPU_EVENTS && c->issued < c->count) {
        st = issue(c, err);
        if (st == REEVE_OK) st = enter(c, err);
    }
    bool whole = c->issued == c->count && !c->entering && c->chunks_under_way == 0;
    if (st == REEVE_OK && whole) c->stage = STAGE_END;
    return st == REEVE_OK && !whole ? check_deadline(c, err) : st;
}

/* ---- the stages ---- */

static void abort_comm(struct coll *c)
{
    comm_abort(&c->comm, &c->gpu, c->config.abort_ns, c->config.exit_code);
}

static reeve_status start(struct coll *c, struct reeve_error *err)
{
    c->agree.mine.afresh = 1; /* until it is whole */
    if (!c->agree.afresh) {
        start_sum(c);
        return REEVE_OK;
    }
    abort_comm(c);
    c->stage = STAGE_CONNECT;
    return connect_begin(&c->connect, FIRST_ROUND + c->agree.sum, NULL, err);
}

/* Listen to what the members agree on; also while the sum is under way, since it may turn out to be void, and since this
 * is where a loss shows. */
static reeve_status listen(struct coll *c, struct reeve_error *err)
{
    enum agree_event event = AGREE_NOTHING;
    if (c->alone) return REEVE_OK;
    reeve_status st = agree_test(&c->agree, &event, err);
    if (st != REEVE_OK || event == AGREE_NOTHING) return st;
    if (event == AGREE_STARTED) return start(c, err);
    abort_comm(c);
    c->stage = STAGE_AGREE;
    return REEVE_OK;
}

static reeve_status move(struct coll *c, struct reeve_error *err)
{
    bool connected = false;
    reeve_status st = REEVE_OK;
    if (c->stage == STAGE_CONNECT) st = connect_test(&c->connect, &connected, err);
    if (st == REEVE_OK && connected) start_sum(c);
    return st == REEVE_OK && c->stage == STAGE_SUM ? move_sum(c, err) : st;
}

static void complete(struct coll *c)
{
    c->stage = STAGE_NONE;
    if (c->alone) return;
    agree_complete(&c->agree);
    c->agree.mine.afresh = 0;
    comm_worked();
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
    if (c->alone) start_sum(c);
    else agree_begin(&c->agree, type, n);
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

static reeve_status begin_bf16(reeve_collective *c, const uint16_t *in, uint16_t *out, size_t n,
                               struct reeve_error *err)
{
    return begin((struct coll *)c, SUM_BF16, in, out, n, err);
}

static void abandon(reeve_collective *base)
{
    struct coll *c = (struct coll *)base;
    if (c->stage == STAGE_CONNECT || c->stage == STAGE_SUM) abort_comm(c); /* then nobody reads in or writes out */
    if (!c->alone) agree_abandon(&c->agree);
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
    if (st == REEVE_OK) st = move(c, err);
    if (st != REEVE_OK) {
        abandon(base);
        if (st == REEVE_WORKER_LOST) coll_release_others(c->agree.comm);
        return st;
    }
    *done = c->stage == STAGE_END;
    if (*done) complete(c);
    return REEVE_OK;
}

static void destroy(reeve_collective *base)
{
    struct coll *c = (struct coll *)base;
    if (c == NULL) return;
    abort_comm(c); /* not ncclCommDestroy(): it waits for the others, and hangs if one is dead */
    gpu_close(&c->gpu);
    if (!c->alone) {
        meet_fini(&c->connect.meet);
        agree_fini(&c->agree);
    }
    free(c);
}

static const struct reeve_collective_ops coll_ops = {.begin_sum_i64 = begin_i64,
                                                     .begin_sum_f32 = begin_f32,
                                                     .test = test,
                                                     .abandon = abandon,
                                                     .destroy = destroy,
                                                     .begin_sum_bf16 = begin_bf16};

/* ---- creation ---- */

static struct coll *allocate(const struct reeve_coll_nccl_config *config, struct reeve_error *err)
{
    struct coll *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        (void)reeve_fail(err, REEVE_JOB_NO_MEMORY, "sum over GPUs: out of memory");
        return NULL;
    }
    c->config = *config;
    if (c->config.create_ns == 0) c->config.create_ns = CREATE_NS;
    if (c->config.sum_ns == 0) c->config.sum_ns = SUM_NS;
    if (c->config.abort_ns == 0) c->config.abort_ns = ABORT_NS;
    if (c->config.chunk_bytes == 0) c->config.chunk_bytes = CHUNK_BYTES;
    if (c->config.chunk_bytes < sizeof(int64_t)) c->config.chunk_bytes = sizeof(int64_t);
    c->base = (struct reeve_collective){.ops = &coll_ops, .name = "nccl", .members = 1};
    return c;
}

static reeve_status create_alone(const struct reeve_coll_nccl_config *config, reeve_collective **out,
                                 struct reeve_error *err)
{
    struct coll *c = allocate(config, err);
    if (c == NULL) return REEVE_JOB_NO_MEMORY;
    c->alone = true;
    reeve_status st = gpu_open(&c->gpu, config->device, err);
    if (st != REEVE_OK) free(c);
    else *out = &c->base;
    return st;
}

reeve_status reeve_coll_nccl_create_alone(uint32_t device, reeve_collective **out, struct reeve_error *err)
{
    const struct reeve_coll_nccl_config config = {.device = device, .exit_code = REEVE_EXIT_INTERNAL};
    return create_alone(&config, out, err);
}

struct proposal {
    int mine, greatest;
};

/* Poll until all have proposed. */
static reeve_status wait_for_proposals(MPI_Request *request, reeve_time_ns deadline_ns, struct reeve_error *err)
{
    struct reeve_idle idle;
    reeve_idle_init(&idle, true);
    for (;;) {
        int ended = 0;
        int rc = MPI_Test(request, &ended, MPI_STATUS_IGNORE);
        if (rc != MPI_SUCCESS) return coll_fail(err, rc, "meet the others");
        if (ended) return REEVE_OK;
        if (reeve_clock_now() >= deadline_ns)
            return reeve_fail(err, REEVE_JOB_DEADLINE, "sum over GPUs: not all workers came in time");
        reeve_idle_wait(&idle, POLL_SLEEP_NS);
    }
}

/* Which tags are this collective's (tags.h)? */
static reeve_status agree_on_tags(MPI_Comm comm, reeve_time_ns deadline_ns, int *first_tag, struct reeve_error *err)
{
    static struct proposal *proposal; /* owned; the last one that did not end stays MPI's, which may still write it */
    MPI_Request request = MPI_REQUEST_NULL;
    proposal = malloc(sizeof(*proposal));
    if (proposal == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "sum over GPUs: out of memory");
    proposal->mine = coll_tags_propose();
    int rc = MPI_Iallreduce(&proposal->mine, &proposal->greatest, 1, MPI_INT, MPI_MAX, comm, &request);
    reeve_status st =
        rc == MPI_SUCCESS ? wait_for_proposals(&request, deadline_ns, err) : coll_fail(err, rc, "meet the others");
    if (st == REEVE_WORKER_LOST) coll_release_others(comm);
    if (st != REEVE_OK) return st;
    *first_tag = coll_tags_take(proposal->greatest);
    free(proposal);
    return REEVE_OK;
}

static reeve_status connect_first(struct coll *c, const struct reeve_error *why, struct reeve_error *err)
{
    struct reeve_idle idle;
    bool done = false;
    reeve_status st = connect_begin(&c->connect, FIRST_ROUND, why, err);
    reeve_idle_init(&idle, true);
    while (st == REEVE_OK) {
        st = connect_test(&c->connect, &done, err);
        if (st != REEVE_OK || done) break;
        reeve_idle_wait(&idle, POLL_SLEEP_NS);
    }
    return st;
}

static reeve_status create_among(MPI_Comm comm, const struct reeve_coll_nccl_config *config, reeve_collective **out,
                                 struct reeve_error *err)
{
    int first_tag = 0;
    struct reeve_error why = {.status = REEVE_OK};
    struct coll *c = allocate(config, err);
    if (c == NULL) return REEVE_JOB_NO_MEMORY;
    comm_prepare();
    if (coll_reports_losses()) c->config.exit_code = REEVE_WATCHDOG_KILL;
    c->connect.comm = &c->comm;
    c->connect.gpu = &c->gpu;
    c->connect.limit_ns = c->config.create_ns;
    reeve_status st = agree_on_tags(comm, reeve_clock_now() + c->config.create_ns, &first_tag, err);
    if (st == REEVE_OK) st = agree_init(&c->agree, comm, first_tag, err);
    if (st != REEVE_OK) {
        free(c);
        return st;
    }
    st = meet_init(&c->connect.meet, comm, first_tag, err);
    if (st == REEVE_OK) {
        why.status = gpu_open(&c->gpu, config->device, &why);
        st = connect_first(c, why.status == REEVE_OK ? NULL : &why, err);
    }
    if (st != REEVE_OK) {
        destroy(&c->base);
        return st;
    }
    c->base.members = c->agree.size;
    *out = &c->base;
    return REEVE_OK;
}

reeve_status reeve_coll_nccl_create(int workers, const struct reeve_coll_nccl_config *config, reeve_collective **out,
                                    struct reeve_error *err)
{
    MPI_Comm comm = MPI_Comm_f2c(workers);
    int size = 0;
    int rc = MPI_Comm_size(comm, &size);
    if (rc != MPI_SUCCESS) return coll_fail(err, rc, "count the workers");
    return size == 1 ? create_alone(config, out, err) : create_among(comm, config, out, err);
}
