/* Are all workers of one kind, so that each computes the same bits from the same input? Their sum cannot tell: all of them
 * hold the same one, whichever of them computed which part. So each rank says at the start of a job, and when it comes
 * later, what decides its bits, and is compared before it computes anything. Pure. */
#ifndef REEVE_RUN_KINDS_H
#define REEVE_RUN_KINDS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/job.h"
#include "reeve/status.h"
#include "run/device.h"
#include "store/checkpoint.h"

struct reeve_kinds {
    char build
        [REEVE_CHECKPOINT_BUILD_BYTES]; /* of those who compute (run/build_text.h); REEVE_BUILD_MIXED and two, where they differ */
    char mixed
        [REEVE_ERROR_TEXT_BYTES]; /* one line to warn with: they differ, and the job promises no bits; "": not so */
};

/* What decides: the version of Reeve, compiler and C library; on GPUs their type and libraries; on CPUs the BLAS and its
 * kernels. The processor itself does not, but for a workload from a shared object, whose code Reeve does not know.
 * places[first_worker .. count): the workers; one without words (program is "") is not there, and is left out.
 *   in   library  of the workload (reeve_library_file_check()); "": it is built in
 *   in   cuda     they compute on GPUs
 *   out  kinds    untouched on error
 * OK also for a list of commands, which computes nothing. JOB_DEVICE: the workers differ, and train.reduce is exact: the
 * text has a worker of each kind, its host, and the remedy. O(workers). */
reeve_status reeve_kinds_check(const struct reeve_job *job, const char *library, bool cuda,
                               const struct reeve_device_place *places, uint32_t count, uint32_t first_worker,
                               struct reeve_kinds *kinds, struct reeve_error *err);

#endif
