/* See nccl_comm.h. NCCL's own words: github.com/NVIDIA/nccl, src/nccl.h.in and issues 279 (a dead process on the same host
 * goes unnoticed), 549, 1013, 1777 (aborts that hang). */
#include "coll/nccl_comm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/watchdog.h"

#define DRAIN_SLEEP_NS (100 * (reeve_time_ns)1000)

_Static_assert(sizeof(ncclUniqueId) == COMM_ID_BYTES, "the id travels as plain bytes");

static unsigned failures; /* of this process, since the last sum that was whole */

reeve_status comm_failure_status(void)
{
    return ++failures < COMM_FAILURES_MAX ? REEVE_WORKER_LOST : REEVE_JOB_DEVICE;
}

void comm_worked(void)
{
    failures = 0;
}

static bool is_about_others(ncclResult_t code)
{
    return code == ncclRemoteError || code == ncclSystemError || code == ncclInternalError;
}

static reeve_status fail(struct reeve_error *err, struct comm *c, ncclResult_t code, const char *doing)
{
    const char *more = ncclGetLastError(c->handle);
    bool told = more != NULL && more[0] != '\0';
    return reeve_fail(err, is_about_others(code) ? comm_failure_status() : REEVE_JOB_DEVICE,
                      "sum over GPUs: %s: NCCL error %d, %s%s%.300s (NCCL_DEBUG=INFO tells more)", doing, (int)code,
                      ncclGetErrorString(code), told ? "; " : "", told ? more : "");
}

/* 2.25.1: aborts fail. 2.28.3 to 2.28.8: a second communicator in the same process may crash it. */
static void warn_of_version(void)
{
    int v = 0;
    if (ncclGetVersion(&v) != ncclSuccess) return;
    bool bad_abort = v == 22501, bad_restart = v >= 22803 && v <= 22808;
    if (bad_abort || bad_restart)
        reeve_log(REEVE_LOG_WARN,
                  "NCCL %d.%d.%d is known to %s, so the loss of a worker may end the job; use 2.28.9 or newer",
                  v / 10000, v / 100 % 100, v % 100,
                  bad_abort ? "fail at aborts" : "crash when a communicator is made again");
}

void comm_prepare(void)
{
    static bool prepared;
    if (prepared) return;
    prepared = true;
    (void)setenv("NCCL_NVLS_ENABLE", "0", 0); /* its sums could not be aborted safely so far; the user's word stands */
    warn_of_version();
}

reeve_status comm_make_id(unsigned char id[COMM_ID_BYTES], struct reeve_error *err)
{
    ncclUniqueId made;
    ncclResult_t rc = ncclGetUniqueId(&made);
    if (rc != ncclSuccess)
        return reeve_fail(err, REEVE_JOB_DEVICE, "sum over GPUs: make an id: NCCL error %d, %s", (int)rc,
                          ncclGetErrorString(rc));
    memcpy(id, &made, COMM_ID_BYTES);
    return REEVE_OK;
}

reeve_status comm_begin(struct comm *c, uint32_t members, uint32_t rank, const unsigned char id[COMM_ID_BYTES],
                        struct reeve_error *err)
{
    ncclUniqueId its_id;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    memcpy(&its_id, id, COMM_ID_BYTES);
    REEVE_ASSERT(c->handle == NULL);
    ncclResult_t rc = ncclCommInitRankConfig(&c->handle, (int)members, its_id, (int)rank, &config);
    return rc == ncclSuccess || rc == ncclInProgress ? REEVE_OK : fail(err, c, rc, "make a communicator");
}

reeve_status comm_sum(struct comm *c, struct gpu *g, enum sum_type type, const void *in, void *out, size_t count,
                      struct reeve_error *err)
{
    static const ncclDataType_t types[] = {[SUM_I64] = ncclInt64, [SUM_F32] = ncclFloat32, [SUM_BF16] = ncclBfloat16};
    ncclResult_t rc = ncclAllReduce(in, out, count, types[type], ncclSum, c->handle, g->stream);
    return rc == ncclSuccess || rc == ncclInProgress ? REEVE_OK : fail(err, c, rc, "begin a sum");
}

reeve_status comm_poll(struct comm *c, bool *ready, struct reeve_error *err)
{
    ncclResult_t state = ncclSuccess;
    *ready = false;
    ncclResult_t rc = ncclCommGetAsyncError(c->handle, &state);
    if (rc != ncclSuccess) return fail(err, c, rc, "ask how it is");
    if (state != ncclSuccess && state != ncclInProgress) return fail(err, c, state, "work together");
    *ready = state == ncclSuccess;
    return REEVE_OK;
}

void comm_abort(struct comm *c, struct gpu *g, reeve_time_ns abort_ns, int exit_code)
{
    if (c->handle == NULL && gpu_is_drained(g)) return;
    struct reeve_watchdog watchdog;
    bool watched = reeve_watchdog_start(&watchdog, reeve_clock_now() + abort_ns, exit_code,
                                        "a sum over GPUs could not be aborted in time");
    if (!watched) {
        reeve_log(REEVE_LOG_ERROR, "no thread to watch over the abort of a sum over GPUs; leaving without it");
        reeve_watchdog_end(exit_code);
    }
    if (c->handle != NULL) (void)ncclCommAbort(c->handle); /* whatever it says: it is gone, or the watchdog comes */
    c->handle = NULL;
    while (!gpu_is_drained(g))
        reeve_clock_sleep(DRAIN_SLEEP_NS);
    reeve_watchdog_stop(&watchdog);
}
