/* See batch_job.h. */
#include "base/batch_job.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t number_in(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    errno = 0;
    unsigned long long v = text != NULL ? strtoull(text, &end, 10) : 0;
    return text != NULL && end != text && *end == '\0' && errno == 0 ? v : 0;
}

uint64_t reeve_batch_job(uint32_t *restart_count)
{
    uint64_t job_id = number_in("SLURM_JOB_ID");
    *restart_count = job_id != 0 ? (uint32_t)number_in("SLURM_RESTART_COUNT") : 0;
    return job_id;
}
