/* See rank_choice.h. */
#include "cli/rank_choice.h"

#include <string.h>

#include "cli/rank_device.h"
#include "workload/plugin.h"
#include "workload/registry.h"

static bool has_gpu(const struct reeve_device_place *places, uint32_t from, uint32_t count)
{
    for (uint32_t i = from; i < count; i++)
        if (places[i].gpu_count > 0) return true;
    return false;
}

reeve_status reeve_rank_choose(const struct reeve_prepared *prepared, const struct reeve_device_place *places,
                               uint32_t count, uint32_t first_worker, uint32_t self, struct reeve_rank_choice *out,
                               struct reeve_error *err)
{
    const struct reeve_job *job = &prepared->job;
    memset(out, 0, sizeof(*out));
    if (reeve_job_is_list(job)) return REEVE_OK;
    bool works = self >= first_worker, plugin = reeve_job_is_plugin(job);
    bool has_device = !plugin && reeve_workload_has_cuda(job->workload);
    bool matters = job->resources.device == REEVE_DEVICE_CUDA ||
                   (job->resources.device == REEVE_DEVICE_AUTO && has_gpu(places, first_worker, count));
    reeve_status st = REEVE_OK;
    if (plugin && (works || matters)) {
        st = reeve_plugin_load(job->workload, &out->plugin, err);
        if (st == REEVE_OK) has_device = reeve_workload_has_device(&out->plugin);
    }
    if (st == REEVE_OK) st = reeve_device_choose(job, has_device, places, count, first_worker, self, &out->device, err);
    if (st == REEVE_OK)
        st = reeve_kinds_check(job, prepared->library, out->device.cuda, places, count, first_worker, &out->kinds, err);
    if (st != REEVE_OK || !works) return st;
    if (out->device.cuda) reeve_rank_device_card(out->device.index, out->card, sizeof(out->card));
    if (plugin) out->ops = &out->plugin;
    else out->ops = out->device.cuda ? reeve_rank_device_workload(job->workload) : reeve_workload_find(job->workload);
    return REEVE_OK;
}
