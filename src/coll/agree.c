/* Who is ready, and which number the sum has; see agree.h. */
#include "coll/agree.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "coll/border.h"
#include "coll/tags.h"

/* Members who bring different sums may be about to give one of them up. This long they are waited for. */
#define DIFFER_NS (2 * REEVE_SECOND_NS)

/* ---- member 0 ---- */

/* A member who has not completed the newest sum, and is ready for another, will never complete it. */
static void note_ready(struct agree *a, const struct agree_ready *r)
{
    if (r->completed >= a->sum_last || a->sum_void == a->sum_last) return;
    a->sum_void = a->sum_last;
    a->void_unsent = true;
}

static reeve_status collect_ready(struct agree *a, struct reeve_error *err)
{
    for (;;) {
        int there = 0;
        MPI_Status status;
        int rc = MPI_Test(&a->ready_receive, &there, &status);
        if (rc != MPI_SUCCESS) return coll_fail(err, rc, "wait for the others to begin");
        if (!there) return REEVE_OK;
        struct agree_ready *r = &a->ready[status.MPI_SOURCE];
        if (r->attempt == 0) a->ready_count++;
        *r = a->ready_in;
        note_ready(a, r);
        rc = MPI_Start(&a->ready_receive);
        if (rc != MPI_SUCCESS) return coll_fail(err, rc, "wait for the others to begin");
    }
}

/* Send {sum, attempt of each, afresh} to all; attempt 0 where `is_void`. The sends before have ended. */
static reeve_status tell_all(struct agree *a, uint32_t sum, bool is_void, struct reeve_error *err)
{
    for (uint32_t i = 1; i < a->size; i++) {
        a->start_out[i] =
            (struct agree_start){.sum = sum, .attempt = is_void ? 0 : a->ready[i].attempt, .afresh = a->afresh};
        if (!is_void) a->ready[i].attempt = 0;
        int rc = MPI_Isend(&a->start_out[i], sizeof(a->start_out[i]), MPI_BYTE, (int)i, a->first_tag + COLL_TAG_START,
                           a->comm, &a->start_sends[i]);
        if (rc != MPI_SUCCESS) return coll_fail(err, rc, "start a sum");
    }
    if (!is_void) a->ready_count = 0;
    return REEVE_OK;
}

static bool anybody_asks_afresh(const struct agree *a)
{
    bool asked = a->mine.afresh != 0;
    for (uint32_t i = 1; i < a->size; i++)
        asked |= a->ready[i].afresh != 0;
    return asked;
}

static uint32_t first_that_differs(const struct agree *a)
{
    for (uint32_t i = 1; i < a->size; i++)
        if (a->ready[i].count != a->mine.count || a->ready[i].type != a->mine.type) return i;
    return 0;
}

static reeve_status refuse(struct agree *a, uint32_t other, struct reeve_error *err)
{
    uint64_t other_count = a->ready[other].count;
    bool other_type = a->ready[other].type != a->mine.type;
    a->state = AGREE_IDLE;
    reeve_status st = tell_all(a, 0, false, err);
    if (st != REEVE_OK) return st;
    return reeve_fail(err, REEVE_JOB_INTERNAL, "sum over workers: worker 0 brings %llu numbers, worker %u %llu%s",
                      (unsigned long long)a->mine.count, other, (unsigned long long)other_count,
                      other_type ? " of another type" : "");
}

/* All are ready. */
static reeve_status start(struct agree *a, enum agree_event *event, struct reeve_error *err)
{
    uint32_t other = first_that_differs(a);
    if (other != 0) {
        reeve_time_ns now_ns = reeve_clock_now();
        if (a->differ_since_ns == 0) a->differ_since_ns = now_ns;
        return now_ns - a->differ_since_ns < DIFFER_NS ? REEVE_OK : refuse(a, other, err);
    }
    a->sum = ++a->sum_last;
    a->afresh = anybody_asks_afresh(a);
    a->state = AGREE_ACTIVE;
    *event = AGREE_STARTED;
    return tell_all(a, a->sum, false, err);
}

static reeve_status test_first(struct agree *a, enum agree_event *event, struct reeve_error *err)
{
    reeve_status st = collect_ready(a, err);
    if (st != REEVE_OK) return st;
    bool all_ready = a->state == AGREE_PENDING && a->ready_count + 1 == a->size;
    if (!all_ready) a->differ_since_ns = 0;
    if (!a->void_unsent && !all_ready) return REEVE_OK;
    int sent = 0;
    int rc = MPI_Testall((int)a->size, a->start_sends, &sent, MPI_STATUSES_IGNORE);
    if (rc != MPI_SUCCESS) return coll_fail(err, rc, "start a sum");
    if (!sent) return REEVE_OK;
    if (!a->void_unsent) return start(a, event, err);
    a->void_unsent = false;
    if (a->state == AGREE_ACTIVE) {
        a->state = AGREE_PENDING;
        *event = AGREE_VOID;
    }
    return tell_all(a, a->sum_void, true, err);
}

/* ---- the others ---- */

static void be_ready(struct agree *a)
{
    a->state = AGREE_PENDING;
    if (++a->mine.attempt == 0) a->mine.attempt = 1;
    a->ready_unsent = true;
    if (a->rank == 0) note_ready(a, &a->mine);
}

static reeve_status say_ready(struct agree *a, struct reeve_error *err)
{
    int sent = 0;
    if (!a->ready_unsent) return REEVE_OK;
    int rc = MPI_Test(&a->ready_send, &sent, MPI_STATUS_IGNORE);
    if (rc == MPI_SUCCESS && sent) {
        a->ready_unsent = false;
        a->ready_out = a->mine;
        rc = MPI_Isend(&a->ready_out, sizeof(a->ready_out), MPI_BYTE, 0, a->first_tag + COLL_TAG_READY, a->comm,
                       &a->ready_send);
    }
    return rc == MPI_SUCCESS ? REEVE_OK : coll_fail(err, rc, "say that this worker is ready");
}

static reeve_status handle_start(struct agree *a, struct agree_start start, enum agree_event *event,
                                 struct reeve_error *err)
{
    if (start.attempt == 0 && a->state == AGREE_ACTIVE && a->sum == start.sum) {
        be_ready(a);
        *event = AGREE_VOID;
        return say_ready(a, err);
    }
    if (a->state != AGREE_PENDING || start.attempt != a->mine.attempt) return REEVE_OK; /* given up here meanwhile */
    a->state = start.sum == 0 ? AGREE_IDLE : AGREE_ACTIVE;
    a->sum = start.sum;
    a->afresh = start.afresh != 0;
    *event = AGREE_STARTED;
    if (start.sum != 0) return REEVE_OK;
    *event = AGREE_NOTHING;
    return reeve_fail(err, REEVE_JOB_INTERNAL,
                      "sum over workers: they brought different sums; worker %u had %llu numbers", a->rank,
                      (unsigned long long)a->mine.count);
}

static reeve_status test_other(struct agree *a, enum agree_event *event, struct reeve_error *err)
{
    reeve_status st = say_ready(a, err);
    while (st == REEVE_OK && *event == AGREE_NOTHING) {
        int there = 0;
        int rc = MPI_Test(&a->start_receive, &there, MPI_STATUS_IGNORE);
        if (rc != MPI_SUCCESS) return coll_fail(err, rc, "wait for the start");
        if (!there) return REEVE_OK;
        struct agree_start start = a->start_in;
        rc = MPI_Start(&a->start_receive);
        if (rc != MPI_SUCCESS) return coll_fail(err, rc, "wait for the start");
        st = handle_start(a, start, event, err);
    }
    return st;
}

/* ---- for both ---- */

void agree_begin(struct agree *a, enum sum_type type, uint64_t count)
{
    REEVE_ASSERT(a->state == AGREE_IDLE);
    a->mine.type = type;
    a->mine.count = count;
    be_ready(a);
}

void agree_abandon(struct agree *a)
{
    a->state = AGREE_IDLE;
    a->ready_unsent = false;
}

void agree_complete(struct agree *a)
{
    REEVE_ASSERT(a->state == AGREE_ACTIVE);
    a->state = AGREE_IDLE;
    a->mine.completed = a->sum;
}

reeve_status agree_test(struct agree *a, enum agree_event *event, struct reeve_error *err)
{
    *event = AGREE_NOTHING;
    return a->rank == 0 ? test_first(a, event, err) : test_other(a, event, err);
}

/* ---- life ---- */

void agree_fini(struct agree *a)
{
    coll_drop_receive(&a->ready_receive);
    coll_drop_receive(&a->start_receive);
    coll_drop_send(&a->ready_send);
    for (uint32_t i = 0; a->start_sends != NULL && i < a->size; i++)
        coll_drop_send(&a->start_sends[i]);
    free(a->ready);
    free(a->start_out);
    free(a->start_sends);
}

static reeve_status init_first(struct agree *a, struct reeve_error *err)
{
    a->ready = calloc(a->size, sizeof(*a->ready));
    a->start_out = calloc(a->size, sizeof(*a->start_out));
    a->start_sends = calloc(a->size, sizeof(*a->start_sends));
    if (a->ready == NULL || a->start_out == NULL || a->start_sends == NULL)
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "sum over %u workers: out of memory", a->size);
    for (uint32_t i = 0; i < a->size; i++)
        a->start_sends[i] = MPI_REQUEST_NULL;
    int rc = MPI_Recv_init(&a->ready_in, sizeof(a->ready_in), MPI_BYTE, MPI_ANY_SOURCE, a->first_tag + COLL_TAG_READY,
                           a->comm, &a->ready_receive);
    if (rc == MPI_SUCCESS) rc = MPI_Start(&a->ready_receive);
    return rc == MPI_SUCCESS ? REEVE_OK : coll_fail(err, rc, "prepare");
}

static reeve_status init_other(struct agree *a, struct reeve_error *err)
{
    int rc = MPI_Recv_init(&a->start_in, sizeof(a->start_in), MPI_BYTE, 0, a->first_tag + COLL_TAG_START, a->comm,
                           &a->start_receive);
    if (rc == MPI_SUCCESS) rc = MPI_Start(&a->start_receive);
    return rc == MPI_SUCCESS ? REEVE_OK : coll_fail(err, rc, "prepare");
}

reeve_status agree_init(struct agree *a, MPI_Comm comm, int first_tag, struct reeve_error *err)
{
    int rank = 0, size = 0;
    *a = (struct agree){.comm = comm,
                        .first_tag = first_tag,
                        .ready_send = MPI_REQUEST_NULL,
                        .start_receive = MPI_REQUEST_NULL,
                        .ready_receive = MPI_REQUEST_NULL};
    int rc = MPI_Comm_rank(comm, &rank);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_size(comm, &size);
    if (rc != MPI_SUCCESS) return coll_fail(err, rc, "find this worker's place");
    a->rank = (uint32_t)rank;
    a->size = (uint32_t)size;
    reeve_status st = rank == 0 ? init_first(a, err) : init_other(a, err);
    if (st != REEVE_OK) agree_fini(a);
    return st;
}
