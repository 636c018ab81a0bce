/* MPI's error codes as statuses; see border.h. */
#include "coll/border.h"

#if defined(OPEN_MPI) || defined(MPICH)
#include <mpi-ext.h> /* MPIX_ERR_PROC_FAILED, where there is ULFM */
#endif

#include "base/error.h"

reeve_status coll_fail(struct reeve_error *err, int mpi_code, const char *doing)
{
    char why[MPI_MAX_ERROR_STRING + 1] = "unknown error";
    int why_length = 13, class = MPI_ERR_UNKNOWN;
    (void)MPI_Error_string(mpi_code, why, &why_length);
    (void)MPI_Error_class(mpi_code, &class);
    reeve_status status = REEVE_JOB_INTERNAL;
#ifdef MPIX_ERR_PROC_FAILED
    if (class == MPIX_ERR_PROC_FAILED || class == MPIX_ERR_PROC_FAILED_PENDING || class == MPIX_ERR_REVOKED)
        status = REEVE_WORKER_LOST;
#endif
    return reeve_fail(err, status, "sum over workers: %s: %.*s", doing, why_length, why);
}
