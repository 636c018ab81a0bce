/* MPI's start and end; see mpi_session.h. Everything between is in mpi_transport.c and in coll/. */
#include "net/mpi_session.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "net/mpi_error.h"

#if defined(OPEN_MPI) || defined(MPICH)
#include <mpi-ext.h>
#endif

#define ABORT_SECONDS_MAX 10u
#define GRACE_NS REEVE_SECOND_NS /* for leaving in order, after the others did not come in time */
#define POLL_NS (100 * (reeve_time_ns)1000)

/* ---- start ---- */

static reeve_status start_mpi(int *argc, char ***argv, struct reeve_error *err)
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
        return reeve_fail(err, REEVE_JOB_CONFIG, "this MPI is built for one thread only, and a worker has two; "
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

static int tell_host_and_library(struct reeve_mpi_session *s)
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

static void tell_ulfm(struct reeve_mpi_session *s)
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
    reeve_status st = start_mpi(argc, argv, err);
    if (st != REEVE_OK) return st;
    struct reeve_mpi_session s = {0};
    int rc = make_communicators(&s);
    if (rc == MPI_SUCCESS) rc = tell_host_and_library(&s);
    if (rc != MPI_SUCCESS) {
        st = reeve_mpi_fail(err, rc, "cannot make the communicators of the job");
        (void)MPI_Finalize();
        return st;
    }
    tell_ulfm(&s);
    *out = s;
    return REEVE_OK;
}

/* ---- end ---- */

/* Ends the process if MPI has not ended in time. A thread, since a hung finalize does not come back; it calls no MPI. */
struct watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    reeve_time_ns deadline_ns;
    int exit_code;
    bool over;
};

static void *watchdog_main(void *arg)
{
    struct watchdog *w = arg;
    struct timespec until = {.tv_sec = w->deadline_ns / REEVE_SECOND_NS, .tv_nsec = w->deadline_ns % REEVE_SECOND_NS};
    int rc = 0;
    (void)pthread_mutex_lock(&w->lock);
    while (!w->over && rc == 0) rc = pthread_cond_timedwait(&w->wake, &w->lock, &until);
    bool over = w->over;
    (void)pthread_mutex_unlock(&w->lock);
    if (over) return NULL;
    reeve_log(REEVE_LOG_WARN, "MPI did not end in time; leaving without it");
    _exit(w->exit_code);
}

static bool watchdog_start(struct watchdog *w, reeve_time_ns deadline_ns, int exit_code)
{
    *w = (struct watchdog){.deadline_ns = deadline_ns, .exit_code = exit_code};
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0) return false;
    bool ok = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 && pthread_mutex_init(&w->lock, NULL) == 0 &&
              pthread_cond_init(&w->wake, &monotonic) == 0;
    (void)pthread_condattr_destroy(&monotonic);
    return ok && pthread_create(&w->thread, NULL, watchdog_main, w) == 0;
}

static void watchdog_stop(struct watchdog *w)
{
    (void)pthread_mutex_lock(&w->lock);
    w->over = true;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_join(w->thread, NULL);
}

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

/* After a loss, finalize hangs across hosts. A last barrier of the survivors, then all leave: the launcher takes that
 * for an orderly end. Nothing is revoked, since others may still be talking. The watchdog bounds it. */
static void leave_with_survivors(MPI_Comm control)
{
#ifdef MPIX_ERR_PROC_FAILED
    MPI_Comm survivors = MPI_COMM_NULL;
    if (MPIX_Comm_shrink(control, &survivors) != MPI_SUCCESS) return;
    (void)MPI_Barrier(survivors);
#endif
}

bool reeve_mpi_session_close(struct reeve_mpi_session *session, reeve_time_ns deadline_ns, int exit_code)
{
    struct watchdog watchdog;
    bool watched = watchdog_start(&watchdog, deadline_ns + GRACE_NS, exit_code);
    MPI_Comm control = MPI_Comm_f2c(session->control), workers = MPI_Comm_f2c(session->workers);
    if (!everybody_arrives(control, deadline_ns)) {
        if (session->ulfm_active && watched) leave_with_survivors(control);
        reeve_log(REEVE_LOG_WARN, "not all ranks came to the end of the job; leaving without MPI's own ending");
        _exit(exit_code);
    }
    int rc = MPI_SUCCESS;
    if (workers != MPI_COMM_NULL) rc = MPI_Comm_free(&workers);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_free(&control);
    if (MPI_Finalize() != MPI_SUCCESS) rc = MPI_ERR_OTHER;
    if (watched) watchdog_stop(&watchdog);
    return rc == MPI_SUCCESS;
}

_Noreturn void reeve_mpi_session_abort(int exit_code)
{
    (void)alarm(ABORT_SECONDS_MAX); /* SIGALRM's default ends the process if MPI_Abort does not */
    (void)MPI_Abort(MPI_COMM_WORLD, exit_code);
    _exit(exit_code);
}
