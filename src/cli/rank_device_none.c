/* A rank program without CUDA; see rank_device.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/rank_device.h"

void reeve_rank_device_place(const char *host, struct reeve_device_place *out)
{
    memset(out, 0, sizeof(*out));
    (void)snprintf(out->host, sizeof(out->host), "%s", host);
    char path[32];
    do
        (void)snprintf(path, sizeof(path), "/dev/nvidia%u", out->gpu_count);
    while (access(path, F_OK) == 0 && ++out->gpu_count < 1024);
    reeve_build_here(&out->build);
}

void reeve_rank_device_card(uint32_t device, char *text, size_t text_bytes)
{
    if (text_bytes > 0) text[0] = '\0';
}

const struct reeve_workload_ops *reeve_rank_device_workload(const char *name)
{
    return NULL;
}

reeve_status reeve_rank_device_collective(int workers, uint32_t device, reeve_collective **out, struct reeve_error *err)
{
    return reeve_rank_device_alone(device, out, err);
}

reeve_status reeve_rank_device_alone(uint32_t device, reeve_collective **out, struct reeve_error *err)
{
    return reeve_fail(err, REEVE_JOB_DEVICE, "this program has no CUDA: reeve-rank-cuda has");
}
