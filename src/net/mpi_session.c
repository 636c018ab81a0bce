/* MPI's start and end; see mpi_session.h. Everything between is in mpi_transport.c and in coll/. */
#include "net/mpi_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "net/mpi_error.h"
#include "net/mpi_session_parts.h"
#include "base/watchdog.h"

#if defined(OPEN_MPI) || defined(MPICH)
#include <mpi-ext.h>
#endif

#define ABORT_SECONDS_MAX 10u
#define GRACE_NS REEVE_SECOND_NS /* for leaving in order, after the others did not come in time */
#define POLL_NS (100 * (reeve_time_ns)1000)

/* ---- start ---- */

reeve_status mpi_session_start(int *argc, char ***argv, struct reeve_error *err)
{
    int running = 0, provided = MPI_THREAD_SINGLE;
    int rc = MPI_Initialized(&running);
    if (rc == MPI_SUCCESS && running)
        return reeve_fail(err, REEVE_JOB_CONFIG, "MPI was started before; a process can do so once");
    rc = MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided);
    if (rc != MPI_SUCCESS)
        return reeve_fail(err, REEVE_JOB_DEVICE, "MPI does not start (code %d); try `mpirun -n 2 hostname` first", rc);
    if (provided < MPI_THREAD_FUNNELED) {
        (void)MPI_Finalize();
        return reeve_fail(err, REEVE_JOB_CONFIG,
                          "this MPI is built for one thread only, and a worker has two; "
                          "use an MPI with thread support (level FUNNELED)");
    }
    return REEVE_OK;
}

static int make_communicators(struct reeve_mpi_session *s)
{
    MPI_Comm control = MPI_COMM_NULL, workers = MPI_COMM_NULL, node = MPI_COMM_NULL;
    int rank = 0, size = 1, node_rank = 0, node_size = 1;
    int rc = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    /* Since MPI 4, errors of calls without a communicator (a null request) go to this one. */
    if (rc == MPI_SUCCESS) rc = MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_dup(MPI_COMM_WORLD, &control);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_rank(control, &rank);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_size(control, &size);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_split(control, rank == 0 ? MPI_UNDEFINED : 0, rank, &workers);
    if (rc == MPI_SUCCESS && workers != MPI_COMM_NULL) rc = MPI_Comm_set_errhandler(workers, MPI_ERRORS_RETURN);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_split_type(control, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_rank(node, &node_rank);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_size(node, &node_size);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_free(&node);
    s->rank = (uint32_t)rank;
    s->size = (uint32_t)size;
    s->node_rank = (uint32_t)node_rank;
    s->node_size = (uint32_t)node_size;
    s->control = MPI_Comm_c2f(control);
    s->workers = MPI_Comm_c2f(workers);
    return rc;
}

int mpi_session_tell_names(struct reeve_mpi_session *s)
{
    char host[MPI_MAX_PROCESSOR_NAME + 1] = "", library[MPI_MAX_LIBRARY_VERSION_STRING + 1] = "";
    int host_length = 0, library_length = 0;
    int rc = MPI_Get_processor_name(host, &host_length);
    if (rc == MPI_SUCCESS) rc = MPI_Get_library_version(library, &library_length);
    if (rc != MPI_SUCCESS) return rc;
    library[strcspn(library, ",\n")] = '\0'; /* "Open MPI v4.1.4, package: ...": the name is enough */
    (void)snprintf(s->host, sizeof(s->host), "%.*s", (int)sizeof(s->host) - 1, host);
    (void)snprintf(s->library, sizeof(s->library), "%.*s", (int)sizeof(s->library) - 1, library);
    return rc;
}

void mpi_session_tell_ulfm(struct reeve_mpi_session *s)
{
#ifdef MPIX_ERR_PROC_FAILED
    s->ulfm_compiled = true;
#ifdef MPIX_FT
    int *enabled = NULL, found = 0;
    if (MPI_Comm_get_attr(MPI_COMM_WORLD, MPIX_FT, &enabled, &found) == MPI_SUCCESS && found && enabled != NULL)
        s->ulfm_active = *enabled != 0;
#endif
#endif
}

reeve_status reeve_mpi_session_open(int *argc, char ***argv, struct reeve_mpi_session *out, struct reeve_error *err)
{
    reeve_status st = mpi_session_start(argc, argv, err);
    if (st != REEVE_OK) return st;
    struct reeve_mpi_session s = {0};
    int rc = make_communicators(&s);
    if (rc == MPI_SUCCESS) rc = mpi_session_tell_names(&s);
    if (rc != MPI_SUCCESS) {
        st = reeve_mpi_fail(err, rc, "cannot make the communicators of the job");
        (void)MPI_Finalize();
        return st;
    }
    mpi_session_tell_ulfm(&s);
    s.member = s.rank;
    s.member_count = s.size;
    s.members = calloc(s.size, sizeof(*s.members));
    if (s.members == NULL) {
        (void)MPI_Finalize();
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "MPI: out of memory for %u ranks", s.size);
    }
    for (uint32_t r = 0; r < s.size; r++)
        s.members[r] = r;
    *out = s;
    return REEVE_OK;
}

reeve_status reeve_mpi_session_share(const struct reeve_mpi_session *session, const void *mine, size_t bytes, void *all,
                                     struct reeve_error *err)
{
    int n = (int)bytes;
    int rc = MPI_Allgather(mine, n, MPI_BYTE, all, n, MPI_BYTE, MPI_Comm_f2c(session->control));
    return rc == MPI_SUCCESS ? REEVE_OK : reeve_mpi_fail(err, rc, "share %zu bytes among all ranks", bytes);
}

/* ---- end ---- */

/* All ranks are here, and none was lost. */
static bool everybody_arrives(MPI_Comm control, reeve_time_ns deadline_ns)
{
    MPI_Request barrier = MPI_REQUEST_NULL;
    int arrived = 0;
    int rc = MPI_Ibarrier(control, &barrier);
    while (rc == MPI_SUCCESS && !arrived) {
        rc = MPI_Test(&barrier, &arrived, MPI_STATUS_IGNORE);
        if (rc != MPI_SUCCESS || arrived) break;
        if (reeve_clock_now() >= deadline_ns) return false;
        reeve_clock_sleep(POLL_NS);
    }
    return rc == MPI_SUCCESS;
}

bool reeve_mpi_session_close(struct reeve_mpi_session *session, reeve_time_ns deadline_ns, int exit_code)
{
    if (session->regrouped) {
        (void)fflush(NULL);
        _exit(exit_code);
    }
    struct reeve_watchdog watchdog;
    bool watched = reeve_watchdog_start(&watchdog, deadline_ns + GRACE_NS, exit_code, "MPI did not end in time");
    MPI_Comm control = MPI_Comm_f2c(session->control), workers = MPI_Comm_f2c(session->workers);
    if (!everybody_arrives(control, deadline_ns)) {
        reeve_log(REEVE_LOG_WARN, "not all ranks came to the end of the job; leaving without MPI's own ending");
        _exit(exit_code);
    }
    free(session->members);
    session->members = NULL;
    int rc = MPI_SUCCESS;
    if (workers != MPI_COMM_NULL) rc = MPI_Comm_free(&workers);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_free(&control);
    if (MPI_Finalize() != MPI_SUCCESS) rc = MPI_ERR_OTHER;
    if (watched) reeve_watchdog_stop(&watchdog);
    return rc == MPI_SUCCESS;
}

_Noreturn void reeve_mpi_session_abort(int exit_code)
{
    (void)alarm(ABORT_SECONDS_MAX); /* SIGALRM's default ends the process if MPI_Abort does not */
    (void)MPI_Abort(MPI_COMM_WORLD, exit_code);
    _exit(exit_code);
}
