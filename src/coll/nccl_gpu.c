/* See nccl_gpu.h. */
#include "coll/nccl_gpu.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

reeve_status gpu_fail(struct reeve_error *err, cudaError_t code, const char *doing)
{
    reeve_status status = code == cudaErrorMemoryAllocation ? REEVE_JOB_NO_MEMORY : REEVE_JOB_DEVICE;
    return reeve_fail(err, status, "sum over GPUs: %s: CUDA error %d, %s", doing, (int)code, cudaGetErrorString(code));
}

static reeve_status find(struct gpu *g, uint32_t device, struct reeve_error *err)
{
    int count = 0;
    cudaError_t rc = cudaGetDeviceCount(&count);
    if (rc != cudaSuccess) return gpu_fail(err, rc, "look for GPUs");
    if (device >= (uint32_t)count) {
        const char *visible = getenv("CUDA_VISIBLE_DEVICES");
        return reeve_fail(err, REEVE_JOB_DEVICE,
                          "sum over GPUs: there is no GPU %u: CUDA sees %d here (CUDA_VISIBLE_DEVICES is %s)", device,
                          count, visible != NULL ? visible : "not set");
    }
    rc = cudaSetDevice((int)device);
    if (rc == cudaSuccess) rc = cudaDeviceGetPCIBusId(g->name, GPU_NAME_BYTES, (int)device);
    return rc == cudaSuccess ? REEVE_OK : gpu_fail(err, rc, "take the GPU");
}

static cudaError_t make(struct gpu *g)
{
    static const int64_t first[2] = {1, 0};
    void *trial = NULL;
    cudaError_t rc = cudaStreamCreateWithFlags(&g->stream, cudaStreamNonBlocking);
    for (unsigned i = 0; i < GPU_EVENTS && rc == cudaSuccess; i++)
        rc = cudaEventCreateWithFlags(&g->events[i], cudaEventDisableTiming);
    if (rc == cudaSuccess) rc = cudaMalloc(&trial, sizeof(first));
    if (rc != cudaSuccess) return rc;
    g->trial_in = trial;
    g->trial_out = g->trial_in + 1;
    return cudaMemcpy(trial, first, sizeof(first), cudaMemcpyHostToDevice);
}

reeve_status gpu_open(struct gpu *g, uint32_t device, struct reeve_error *err)
{
    *g = (struct gpu){.open = true};
    reeve_status st = find(g, device, err);
    if (st != REEVE_OK) return st;
    cudaError_t rc = make(g);
    if (rc == cudaSuccess) return REEVE_OK;
    st = gpu_fail(err, rc, "prepare the GPU");
    gpu_close(g);
    return st;
}

void gpu_close(struct gpu *g)
{
    if (!g->open) return;
    for (unsigned i = 0; i < GPU_EVENTS; i++)
        if (g->events[i] != NULL) (void)cudaEventDestroy(g->events[i]);
    if (g->stream != NULL) (void)cudaStreamDestroy(g->stream);
    if (g->trial_in != NULL) (void)cudaFree(g->trial_in);
    memset(g, 0, sizeof(*g));
}

reeve_status gpu_record(struct gpu *g, unsigned event, struct reeve_error *err)
{
    cudaError_t rc = cudaEventRecord(g->events[event], g->stream);
    return rc == cudaSuccess ? REEVE_OK : gpu_fail(err, rc, "mark the end of a part");
}

reeve_status gpu_test(struct gpu *g, unsigned event, bool *passed, struct reeve_error *err)
{
    cudaError_t rc = cudaEventQuery(g->events[event]);
    *passed = rc == cudaSuccess;
    return rc == cudaSuccess || rc == cudaErrorNotReady ? REEVE_OK : gpu_fail(err, rc, "wait for a part");
}

reeve_status gpu_copy(struct gpu *g, void *dst, const void *src, size_t bytes, struct reeve_error *err)
{
    cudaError_t rc = cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDefault, g->stream);
    return rc == cudaSuccess ? REEVE_OK : gpu_fail(err, rc, "copy on the GPU");
}

bool gpu_is_drained(struct gpu *g)
{
    return g->stream == NULL || cudaStreamQuery(g->stream) != cudaErrorNotReady;
}
