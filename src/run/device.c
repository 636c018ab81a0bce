/* See device.h. O(workers^2) comparisons of host names at the start of a job. */
#include "run/device.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/one_line.h"

void reeve_device_place_check(struct reeve_device_place *place)
{
    place->host[sizeof(place->host) - 1] = '\0';
    place->gpu[sizeof(place->gpu) - 1] = '\0';
    place->trouble[sizeof(place->trouble) - 1] = '\0';
    place->libraries[sizeof(place->libraries) - 1] = '\0';
    reeve_one_line(place->host);
    reeve_one_line(place->gpu);
    reeve_one_line(place->trouble);
    reeve_one_line(place->libraries);
    reeve_build_check(&place->build);
}

/* Workers of the host that `at` is on, among places[from..to). */
static uint32_t workers_beside(const struct reeve_device_place *places, uint32_t from, uint32_t to, uint32_t at)
{
    uint32_t n = 0;
    for (uint32_t i = from; i < to; i++)
        n += strcmp(places[i].host, places[at].host) == 0;
    return n;
}

/* Is anything missing for a GPU for each worker? Words it, for the first place where it is. */
static bool lacks_gpus(const struct reeve_device_place *places, uint32_t from, uint32_t count, char *text, size_t bytes)
{
    for (uint32_t i = from; i < count; i++) {
        const struct reeve_device_place *p = &places[i];
        uint32_t workers = workers_beside(places, from, count, i);
        if (p->can_cuda == 0)
            (void)snprintf(text, bytes,
                           "host %s runs reeve-rank, which has no CUDA: set resources.device to cuda, with a Reeve "
                           "built where CUDA and NCCL are (`reeve doctor` tells)",
                           p->host);
        else if (p->gpu_count == 0)
            (void)snprintf(text, bytes,
                           "host %s: CUDA finds no GPU%s%s: look at nvidia-smi, at CUDA_VISIBLE_DEVICES, and at what "
                           "the batch system gave (resources.gpus_per_node)",
                           p->host, p->trouble[0] != '\0' ? ", and says: " : "", p->trouble);
        else if (p->gpu_count < workers)
            (void)snprintf(
                text, bytes,
                "host %s: %u workers, %u GPU%s; NCCL does not share a GPU: lower resources.workers, spread them "
                "over more hosts, or let each rank see all GPUs of its host (--gpus-per-node, not --gpus-per-task)",
                p->host, workers, p->gpu_count, p->gpu_count == 1 ? "" : "s");
        else continue;
        return true;
    }
    return false;
}

/* Whether all of them compute the same bits is asked in run/kinds.c. */
static void tell_gpus(const struct reeve_device_place *places, uint32_t from, uint32_t count,
                      struct reeve_device_choice *out)
{
    const char *name = places[from].gpu[0] != '\0' ? places[from].gpu : "of unknown type";
    (void)snprintf(out->gpu, sizeof(out->gpu), "%s", places[from].gpu);
    (void)snprintf(out->why, sizeof(out->why), "computing on %u GPU%s: %s", count - from, count - from == 1 ? "" : "s",
                   name);
    for (uint32_t i = from; i < count; i++) {
        if (strcmp(places[i].gpu, out->gpu) == 0) continue;
        (void)snprintf(out->why, sizeof(out->why), "computing on %u GPUs of several types, one of them %s",
                       count - from, name);
        return;
    }
}

static reeve_status choose_cpu(const struct reeve_job *job, const char *why, struct reeve_device_choice *out,
                               struct reeve_error *err)
{
    if (job->train.precision == REEVE_PRECISION_BF16)
        return reeve_fail(err, REEVE_JOB_DEVICE,
                          "train.precision is bf16, which only GPUs compute: %s; or set train.precision to auto", why);
    (void)snprintf(out->why, sizeof(out->why), "computing on CPUs: %s", why);
    return REEVE_OK;
}

reeve_status reeve_device_choose(const struct reeve_job *job, bool has_device, const struct reeve_device_place *places,
                                 uint32_t count, uint32_t first_worker, uint32_t self, struct reeve_device_choice *out,
                                 struct reeve_error *err)
{
    char lack[448] = "";
    *out = (struct reeve_device_choice){0};
    if (reeve_job_is_list(job) || job->resources.device == REEVE_DEVICE_CPU) return REEVE_OK;
    bool wanted = job->resources.device == REEVE_DEVICE_CUDA, lacks;
    if (!has_device) {
        (void)snprintf(lack, sizeof(lack), "workload %.80s computes on CPUs only", job->workload);
        lacks = true;
    } else {
        lacks = lacks_gpus(places, first_worker, count, lack, sizeof(lack));
    }
    if (lacks && wanted)
        return reeve_fail(err, REEVE_JOB_DEVICE, "resources.device is cuda, but %s%s", lack,
                          has_device ? "; or set resources.device to cpu" : ": set resources.device to cpu");
    /* A machine without a GPU is nothing to talk about. */
    bool any = false;
    for (uint32_t i = first_worker; i < count; i++)
        any = any || places[i].gpu_count > 0 || places[i].has_driver != 0;
    if (lacks) {
        reeve_status st = choose_cpu(job, lack, out, err);
        if (!any) out->why[0] = '\0';
        return st;
    }
    out->cuda = true;
    if (self >= first_worker) out->index = workers_beside(places, first_worker, self, self);
    tell_gpus(places, first_worker, count, out);
    return REEVE_OK;
}
