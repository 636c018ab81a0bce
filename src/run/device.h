/* What a run computes on. Every rank says at the start of a job what it found; from that table and the job each comes to
 * the same answer by itself, since all must compute on the same kind. It stays for the life of the job. Pure. */
#ifndef REEVE_RUN_DEVICE_H
#define REEVE_RUN_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/job.h"
#include "reeve/status.h"
#include "run/build_text.h"

#define REEVE_DEVICE_NAME_BYTES 64

/* What a rank found. Travels between ranks as its bytes, and is read back by reeve_device_place_check(). */
struct reeve_device_place {
    char host[128];
    char gpu[REEVE_DEVICE_NAME_BYTES]; /* the first one's name; "" without */
    uint32_t gpu_count;  /* that CUDA counts, CUDA_VISIBLE_DEVICES respected; without CUDA: that the system shows */
    uint32_t can_cuda;   /* 1: this program was built with CUDA */
    char trouble[96];    /* why CUDA finds none, in its words; "" where it does */
    uint32_t has_driver; /* 1: the system has one for GPUs; then finding none is worth a word */
    char libraries[96];  /* "CUDA 13.0, NCCL 2.28.9, cuBLAS 13.0.2"; "" without */
    struct reeve_build build;
};

/* Words from another rank: ends what must end. */
void reeve_device_place_check(struct reeve_device_place *place);

struct reeve_device_choice {
    bool cuda;
    uint32_t index;                    /* of this rank's GPU: its number among the workers of its host */
    char gpu[REEVE_DEVICE_NAME_BYTES]; /* of the first worker */
    char why[512];                     /* one line for the log; "": nothing to say */
};

/* Where the workers are: places[first_worker .. count). self < first_worker: the master, which computes nothing.
 *   in  has_device  the workload has the functions for a GPU
 * JOB_DEVICE: the job asks for what is not there; the text has the numbers and the remedy. */
reeve_status reeve_device_choose(const struct reeve_job *job, bool has_device, const struct reeve_device_place *places,
                                 uint32_t count, uint32_t first_worker, uint32_t self, struct reeve_device_choice *out,
                                 struct reeve_error *err);

#endif
