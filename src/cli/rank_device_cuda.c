/* A rank program with CUDA; see rank_device.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/rank_device.h"
#include "coll/gpus.h"
#include "coll/nccl.h"
#include "workload/gpt_cuda_workload.h"

void reeve_rank_device_place(const char *host, struct reeve_device_place *out)
{
    memset(out, 0, sizeof(*out));
    (void)snprintf(out->host, sizeof(out->host), "%s", host);
    out->can_cuda = 1;
    out->gpu_count = reeve_gpus_count(out->gpu, sizeof(out->gpu), out->trouble, sizeof(out->trouble));
    out->has_driver = access("/dev/nvidiactl", F_OK) == 0;
    reeve_gpus_libraries(out->libraries, sizeof(out->libraries));
    reeve_build_here(&out->build);
}

void reeve_rank_device_card(uint32_t device, char *text, size_t text_bytes)
{
    reeve_gpus_card(device, text, text_bytes);
}

const struct reeve_workload_ops *reeve_rank_device_workload(const char *name)
{
    return strcmp(name, reeve_gpt_cuda_workload.name) == 0 ? &reeve_gpt_cuda_workload : NULL;
}

reeve_status reeve_rank_device_collective(int workers, uint32_t device, reeve_collective **out, struct reeve_error *err)
{
    const struct reeve_coll_nccl_config config = {.device = device, .exit_code = REEVE_EXIT_INTERNAL};
    return reeve_coll_nccl_create(workers, &config, out, err);
}

reeve_status reeve_rank_device_alone(uint32_t device, reeve_collective **out, struct reeve_error *err)
{
    return reeve_coll_nccl_create_alone(device, out, err);
}
