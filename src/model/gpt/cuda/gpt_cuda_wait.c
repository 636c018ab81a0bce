/* Errors of CUDA in words, and waits that can be given up and that end: no call here blocks while the GPU works. */
#include "base/clock.h"
#include "base/error.h"
#include "model/gpt/cuda/gpt_cuda_state.h"

#define POLLS_FREE 64 /* before the first sleep */
#define POLL_NS ((reeve_time_ns)20000)
#define WAIT_NS_MAX (600 * REEVE_SECOND_NS) /* no micro-batch or copy takes as long: the GPU hangs */

reeve_status gpt_cuda_check(const reeve_gpt_cuda *g, cudaError_t status, const char *what, struct reeve_error *err)
{
    if (status == cudaSuccess) return REEVE_OK;
    return reeve_fail(err, REEVE_JOB_DEVICE, "GPU %u: %s: CUDA says %s (%s)", g->config.device, what,
                      cudaGetErrorString(status), cudaGetErrorName(status));
}

reeve_status gpt_cuda_wait(const reeve_gpt_cuda *g, cudaEvent_t event, const char *what, bool (*cancelled)(void *),
                           void *cancelled_arg, struct reeve_error *err)
{
    const reeve_time_ns deadline_ns = reeve_clock_now() + WAIT_NS_MAX;
    for (uint64_t polls = 0;; polls++) {
        cudaError_t status = cudaEventQuery(event);
        if (status != cudaErrorNotReady) return gpt_cuda_check(g, status, what, err);
        if (cancelled != NULL && cancelled(cancelled_arg))
            return reeve_fail(err, REEVE_TASK_CANCELLED, "gpt: %s cancelled", what);
        if (polls < POLLS_FREE) continue;
        if (reeve_clock_now() >= deadline_ns)
            return reeve_fail(err, REEVE_JOB_DEVICE,
                              "GPU %u: %s: not done after %lld s: it hangs (dmesg has the driver's words, \"Xid\")",
                              g->config.device, what, (long long)(WAIT_NS_MAX / REEVE_SECOND_NS));
        reeve_clock_sleep(POLL_NS);
    }
}

reeve_status gpt_cuda_drain(reeve_gpt_cuda *g, const char *what, struct reeve_error *err)
{
    reeve_status st = gpt_cuda_check(g, cudaEventRecord(g->waited, g->stream), what, err);
    return st == REEVE_OK ? gpt_cuda_wait(g, g->waited, what, NULL, NULL, err) : st;
}
