/* See border.h. */
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

void coll_release_others(MPI_Comm comm)
{
#ifdef MPIX_ERR_PROC_FAILED
    if (comm != MPI_COMM_NULL) (void)MPIX_Comm_revoke(comm);
#else
    (void)comm;
#endif
}

bool coll_reports_losses(void)
{
#if defined(MPIX_ERR_PROC_FAILED) && defined(MPIX_FT)
    int *enabled = NULL, found = 0;
    if (MPI_Comm_get_attr(MPI_COMM_WORLD, MPIX_FT, &enabled, &found) == MPI_SUCCESS && found && enabled != NULL)
        return *enabled != 0;
#endif
    return false;
}

void coll_drop_receive(MPI_Request *receive)
{
    if (*receive == MPI_REQUEST_NULL) return;
    (void)MPI_Cancel(receive);
    (void)MPI_Wait(receive, MPI_STATUS_IGNORE);
    if (*receive != MPI_REQUEST_NULL) (void)MPI_Request_free(receive);
}

void coll_drop_send(MPI_Request *send)
{
    int sent = 0;
    if (*send == MPI_REQUEST_NULL) return;
    if (MPI_Test(send, &sent, MPI_STATUS_IGNORE) == MPI_SUCCESS && !sent) (void)MPI_Request_free(send);
}
