/* Who is ready, and which number the sum has; see agree.h. */
#include "coll/agree.h"

#include <stdlib.h>

#include "base/error.h"
#include "coll/border.h"
#include "coll/tags.h"

/* ---- member 0 ---- */

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
        rc = MPI_Start(&a->ready_receive);
        if (rc != MPI_SUCCESS) return coll_fail(err, rc, "wait for the others to begin");
    }
}

static uint32_t first_that_differs(const struct agree *a)
{
    for (uint32_t i = 1; i < a->size; i++)
        if (a->ready[i].count != a->mine.count || a->ready[i].type != a->mine.type) return i;
    return 0;
}

static reeve_status start_all(struct agree *a, uint32_t sum, struct reeve_error *err)
{
    for (uint32_t i = 1; i < a->size; i++) {
        a->start_out[i] = (struct agree_start){.sum = sum, .attempt = a->ready[i].attempt};
        a->ready[i].attempt = 0;
        int rc = MPI_Isend(&a->start_out[i], sizeof(a->start_out[i]), MPI_BYTE, (int)i, COLL_TAG_START, a->comm,
                           &a->start_sends[i]);
        if (rc != MPI_SUCCESS) return coll_fail(err, rc, "start a sum");
    }
    a->ready_count = 0;
    return REEVE_OK;
}

static reeve_status test_first(struct agree *a, uint32_t *sum, struct reeve_error *err)
{
    reeve_status st = collect_ready(a, err);
    if (st != REEVE_OK || !a->pending || a->ready_count + 1 < a->size) return st;
    int sent = 0;
    int rc = MPI_Testall((int)a->size, a->start_sends, &sent, MPI_STATUSES_IGNORE);
    if (rc != MPI_SUCCESS) return coll_fail(err, rc, "start a sum");
    if (!sent) return REEVE_OK;
    uint32_t other = first_that_differs(a);
    uint64_t other_count = a->ready[other].count;
    a->pending = false;
    st = start_all(a, other == 0 ? a->sum_last + 1 : 0, err);
    if (st != REEVE_OK) return st;
    if (other != 0)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "sum over workers: member 0 brings %llu numbers, member %u %llu",
                          (unsigned long long)a->mine.count, other, (unsigned long long)other_count);
    *sum = ++a->sum_last;
    return REEVE_OK;
}

/* ---- the others ---- */

static reeve_status say_ready(struct agree *a, struct reeve_error *err)
{
    int sent = 0;
    int rc = MPI_Test(&a->ready_send, &sent, MPI_STATUS_IGNORE);
    if (rc == MPI_SUCCESS && sent && a->ready_unsent) {
        a->ready_unsent = false;
        a->ready_out = a->mine;
        rc = MPI_Isend(&a->ready_out, sizeof(a->ready_out), MPI_BYTE, 0, COLL_TAG_READY, a->comm, &a->ready_send);
    }
    return rc == MPI_SUCCESS ? REEVE_OK : coll_fail(err, rc, "say that this worker is ready");
}

static reeve_status test_other(struct agree *a, uint32_t *sum, struct reeve_error *err)
{
    reeve_status st = say_ready(a, err);
    while (st == REEVE_OK && a->pending) {
        int there = 0;
        int rc = MPI_Test(&a->start_receive, &there, MPI_STATUS_IGNORE);
        if (rc != MPI_SUCCESS) return coll_fail(err, rc, "wait for the start");
        if (!there) return REEVE_OK;
        struct agree_start start = a->start_in;
        rc = MPI_Start(&a->start_receive);
        if (rc != MPI_SUCCESS) return coll_fail(err, rc, "wait for the start");
        if (start.attempt != a->mine.attempt) continue; /* of a sum that was abandoned here */
        a->pending = false;
        if (start.sum == 0)
            return reeve_fail(err, REEVE_JOB_INTERNAL, "sum over workers: the members brought different sums; mine had "
                                                       "%llu numbers", (unsigned long long)a->mine.count);
        *sum = start.sum;
    }
    return st;
}

/* ---- for both ---- */

void agree_begin(struct agree *a, enum sum_type type, uint64_t count)
{
    if (++a->mine.attempt == 0) a->mine.attempt = 1;
    a->mine.type = type;
    a->mine.count = count;
    a->pending = true;
    a->ready_unsent = true;
}

void agree_abandon(struct agree *a)
{
    a->pending = false;
    a->ready_unsent = false;
}

reeve_status agree_test(struct agree *a, uint32_t *sum, struct reeve_error *err)
{
    *sum = 0;
    return a->rank == 0 ? test_first(a, sum, err) : test_other(a, sum, err);
}

static void drop(MPI_Request *receive)
{
    if (*receive == MPI_REQUEST_NULL) return;
    (void)MPI_Cancel(receive);
    (void)MPI_Wait(receive, MPI_STATUS_IGNORE);
    (void)MPI_Request_free(receive);
}

void agree_fini(struct agree *a)
{
    drop(&a->ready_receive);
    drop(&a->start_receive);
    if (a->ready_send != MPI_REQUEST_NULL) (void)MPI_Wait(&a->ready_send, MPI_STATUS_IGNORE); /* short: has left */
    for (uint32_t i = 0; a->start_sends != NULL && i < a->size; i++)
        if (a->start_sends[i] != MPI_REQUEST_NULL) (void)MPI_Wait(&a->start_sends[i], MPI_STATUS_IGNORE);
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
    for (uint32_t i = 0; i < a->size; i++) a->start_sends[i] = MPI_REQUEST_NULL;
    int rc = MPI_Recv_init(&a->ready_in, sizeof(a->ready_in), MPI_BYTE, MPI_ANY_SOURCE, COLL_TAG_READY, a->comm,
                           &a->ready_receive);
    if (rc == MPI_SUCCESS) rc = MPI_Start(&a->ready_receive);
    return rc == MPI_SUCCESS ? REEVE_OK : coll_fail(err, rc, "prepare");
}

static reeve_status init_other(struct agree *a, struct reeve_error *err)
{
    int rc = MPI_Recv_init(&a->start_in, sizeof(a->start_in), MPI_BYTE, 0, COLL_TAG_START, a->comm, &a->start_receive);
    if (rc == MPI_SUCCESS) rc = MPI_Start(&a->start_receive);
    return rc == MPI_SUCCESS ? REEVE_OK : coll_fail(err, rc, "prepare");
}

reeve_status agree_init(struct agree *a, MPI_Comm comm, struct reeve_error *err)
{
    int rank = 0, size = 0;
    *a = (struct agree){.comm = comm,
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
