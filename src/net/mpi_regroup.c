/* From a job that has lost ranks to one that has not; see mpi_session.h and docs/adr/0005.
 *
 * Each round: shrink to those who live, tell each other who we are, split the workers off, and agree (MPIX_Comm_agree
 * ends the same way on all) that all of it went well. If somebody died meanwhile, all find the round void, and begin
 * another. */
#include <mpi.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "net/mpi_error.h"
#include "net/mpi_session.h"
#include "base/watchdog.h"

#if defined(OPEN_MPI) || defined(MPICH)
#include <mpi-ext.h>
#endif

#ifndef MPIX_ERR_PROC_FAILED

void reeve_mpi_session_revoke(const struct reeve_mpi_session *session)
{
    (void)session;
}

reeve_status reeve_mpi_session_regroup(struct reeve_mpi_session *session, bool works, reeve_time_ns patience_ns,
                                       int exit_code, struct reeve_error *err)
{
    (void)works, (void)patience_ns, (void)exit_code;
    return reeve_fail(err, REEVE_JOB_INTERNAL, "%s cannot go on after a loss", session->library);
}

#else

#define ROUNDS_MAX 64 /* each but the first costs a life, or is a defect of the MPI */

struct group {
    MPI_Comm control, workers;
    uint32_t *members; /* (size,) owned */
    int rank, size;
};

void reeve_mpi_session_revoke(const struct reeve_mpi_session *session)
{
    /* Open MPI revokes for a job that was not started with --with-ft, too, and nothing could be made anew there. */
    if (!session->ulfm_active) return;
    MPI_Comm workers = MPI_Comm_f2c(session->workers);
    (void)MPIX_Comm_revoke(MPI_Comm_f2c(session->control));
    if (workers != MPI_COMM_NULL) (void)MPIX_Comm_revoke(workers);
}

static void drop(struct group *g)
{
    if (g->control != MPI_COMM_NULL) {
        (void)MPIX_Comm_revoke(g->control);
        if (g->workers != MPI_COMM_NULL) (void)MPIX_Comm_revoke(g->workers);
    }
    if (g->workers != MPI_COMM_NULL) (void)MPI_Comm_free(&g->workers);
    free(g->members);
    g->members = NULL;
}

static int make(struct group *g, uint32_t member, bool works)
{
    int rc = MPI_Comm_set_errhandler(g->control, MPI_ERRORS_RETURN);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_rank(g->control, &g->rank);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_size(g->control, &g->size);
    if (rc != MPI_SUCCESS) return rc;
    g->members = calloc((size_t)g->size, sizeof(*g->members));
    if (g->members == NULL) return MPI_ERR_NO_MEM;
    rc = MPI_Allgather(&member, 1, MPI_UINT32_T, g->members, 1, MPI_UINT32_T, g->control);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_split(g->control, works ? 0 : MPI_UNDEFINED, g->rank, &g->workers);
    if (rc != MPI_SUCCESS)
        g->workers = MPI_COMM_NULL; /* Open MPI 5.0 hands out one half made: to revoke it is a crash */
    if (rc == MPI_SUCCESS && g->workers != MPI_COMM_NULL) rc = MPI_Comm_set_errhandler(g->workers, MPI_ERRORS_RETURN);
    return rc;
}

/* One round, from the survivors of `old`. True on all of them, or on none. */
static bool try_round(MPI_Comm old, uint32_t member, bool works, struct group *g, int *rc)
{
    *g = (struct group){.control = MPI_COMM_NULL, .workers = MPI_COMM_NULL};
    *rc = MPIX_Comm_shrink(old, &g->control);
    if (*rc != MPI_SUCCESS) g->control = MPI_COMM_NULL; /* half made, as in make() */
    if (*rc != MPI_SUCCESS) return false;
    *rc = make(g, member, works);
    int all_well = *rc == MPI_SUCCESS;
    if (!all_well) (void)MPIX_Comm_revoke(g->control); /* others may still wait for us in one of its collectives */
    int agreed = MPIX_Comm_agree(g->control, &all_well);
    if (*rc == MPI_SUCCESS) *rc = agreed;
    return agreed == MPI_SUCCESS && all_well;
}

static void take(struct reeve_mpi_session *s, struct group *g)
{
    free(s->members);
    s->members = g->members;
    s->rank = (uint32_t)g->rank;
    s->size = (uint32_t)g->size;
    s->control = MPI_Comm_c2f(g->control);
    s->workers = MPI_Comm_c2f(g->workers);
    s->regrouped = true;
}

reeve_status reeve_mpi_session_regroup(struct reeve_mpi_session *s, bool works, reeve_time_ns patience_ns,
                                       int exit_code, struct reeve_error *err)
{
    if (!s->ulfm_active) return reeve_fail(err, REEVE_JOB_INTERNAL, "this job was not started to go on after a loss");
    struct reeve_watchdog watchdog;
    bool watched = reeve_watchdog_start(&watchdog, reeve_clock_now() + patience_ns, exit_code,
                                        "after a loss the others did not come together in time");
    if (!watched) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "no thread to watch over a regrouping");
    reeve_mpi_session_revoke(s);
    MPI_Comm old = MPI_Comm_f2c(s->control), old_workers = MPI_Comm_f2c(s->workers);
    if (old_workers != MPI_COMM_NULL) (void)MPI_Comm_free(&old_workers);
    s->workers = MPI_Comm_c2f(MPI_COMM_NULL);
    struct group g;
    int rc = MPI_SUCCESS;
    bool found = false;
    for (int round = 0; round < ROUNDS_MAX && !found; round++) {
        found = try_round(old, s->member, works, &g, &rc);
        if (!found) drop(&g);
        if (!found && g.control == MPI_COMM_NULL) continue;
        (void)MPI_Comm_free(&old);
        old = g.control;
        s->control = MPI_Comm_c2f(old);
    }
    reeve_watchdog_stop(&watchdog);
    if (!found) return reeve_mpi_fail(err, rc, "come together after a loss, %d times", ROUNDS_MAX);
    take(s, &g);
    return REEVE_OK;
}

#endif
