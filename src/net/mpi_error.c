/* MPI's error codes as statuses; see mpi_error.h. */
#include "net/mpi_error.h"

#include <stdarg.h>
#include <stdio.h>

#if defined(OPEN_MPI) || defined(MPICH)
#include <mpi-ext.h> /* MPIX_ERR_PROC_FAILED, where there is ULFM */
#endif

#include "base/error.h"

static int error_class(int mpi_code)
{
    int class = MPI_ERR_UNKNOWN;
    (void)MPI_Error_class(mpi_code, &class);
    return class;
}

bool reeve_mpi_is_loss(int mpi_code)
{
#ifdef MPIX_ERR_PROC_FAILED
    return error_class(mpi_code) == MPIX_ERR_PROC_FAILED;
#else
    return false;
#endif
}

bool reeve_mpi_is_revoked(int mpi_code)
{
#ifdef MPIX_ERR_REVOKED
    return error_class(mpi_code) == MPIX_ERR_REVOKED;
#else
    return false;
#endif
}

bool reeve_mpi_is_loss_pending(int mpi_code)
{
#ifdef MPIX_ERR_PROC_FAILED_PENDING
    return error_class(mpi_code) == MPIX_ERR_PROC_FAILED_PENDING;
#else
    return false;
#endif
}

reeve_status reeve_mpi_fail(struct reeve_error *err, int mpi_code, const char *format, ...)
{
    char what[512];
    char why[MPI_MAX_ERROR_STRING + 1] = "";
    int why_length = 0;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    if (MPI_Error_string(mpi_code, why, &why_length) != MPI_SUCCESS)
        why_length = snprintf(why, sizeof(why), "error class %d", error_class(mpi_code));
    bool lost = reeve_mpi_is_loss(mpi_code) || reeve_mpi_is_revoked(mpi_code);
    return reeve_fail(err, lost ? REEVE_WORKER_LOST : REEVE_JOB_INTERNAL, "MPI: %s: %.*s", what, why_length, why);
}
