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
#include "net/mpi_session_parts.h"
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
    uint32_t round;    /* the next of all of them */
    bool replace;      /* rank 0 wants lost workers replaced */
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

void mpi_session_drop(const struct reeve_mpi_session *s, MPI_Comm *comm)
{
    if (*comm != MPI_COMM_NULL && !s->replaced) (void)MPI_Comm_free(comm);
    *comm = MPI_COMM_NULL;
}

static void drop(const struct reeve_mpi_session *s, struct group *g)
{
    if (g->control != MPI_COMM_NULL) {
        (void)MPIX_Comm_revoke(g->control);
        if (g->workers != MPI_COMM_NULL) (void)MPIX_Comm_revoke(g->workers);
    }
    mpi_session_drop(s, &g->workers);
    free(g->members);
    g->members = NULL;
}

/* What each tells all others. */
struct word {
    uint32_t member, round;
    uint32_t wish; /* 1: that lost workers are replaced; only rank 0's counts */
};

/* Who is there, and what the first of them wishes. */
static int share_members(struct group *g, const struct reeve_mpi_session *s)
{
    enum { WORDS = sizeof(struct word) / sizeof(uint32_t) };
    struct word mine = {.member = s->member, .round = s->round, .wish = s->replace_wish};
    struct word *all = calloc((size_t)g->size, sizeof(*all));
    if (all == NULL) return MPI_ERR_NO_MEM;
    int rc = MPI_Allgather(&mine, WORDS, MPI_UINT32_T, all, WORDS, MPI_UINT32_T, g->control);
    for (int r = 0; rc == MPI_SUCCESS && r < g->size; r++) {
        g->members[r] = all[r].member;
        if (g->round <= all[r].round) g->round = all[r].round + 1;
        if (all[r].member >= s->member_count) rc = MPI_ERR_OTHER;
    }
    g->replace = rc == MPI_SUCCESS && all[0].wish != 0;
    free(all);
    return rc;
}

static int make(struct group *g, const struct reeve_mpi_session *s, bool works)
{
    int rc = MPI_Comm_set_errhandler(g->control, MPI_ERRORS_RETURN);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_rank(g->control, &g->rank);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_size(g->control, &g->size);
    if (rc != MPI_SUCCESS) return rc;
    g->members = calloc((size_t)g->size, sizeof(*g->members));
    if (g->members == NULL) return MPI_ERR_NO_MEM;
    rc = share_members(g, s);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_split(g->control, works ? 0 : MPI_UNDEFINED, g->rank, &g->workers);
    if (rc != MPI_SUCCESS)
        g->workers = MPI_COMM_NULL; /* Open MPI 5.0 hands out one half made: to revoke it is a crash */
    if (rc == MPI_SUCCESS && g->workers != MPI_COMM_NULL) rc = MPI_Comm_set_errhandler(g->workers, MPI_ERRORS_RETURN);
    return rc;
}

/* One round, from the survivors of `old`. True on all of them, or on none. */
static bool try_round(const struct reeve_mpi_session *s, MPI_Comm old, bool works, struct group *g, int *rc)
{
    *g = (struct group){.control = MPI_COMM_NULL, .workers = MPI_COMM_NULL};
    *rc = MPIX_Comm_shrink(old, &g->control);
    if (*rc != MPI_SUCCESS) g->control = MPI_COMM_NULL; /* half made, as in make() */
    if (*rc != MPI_SUCCESS) return false;
    *rc = make(g, s, works);
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
    s->round = g->round;
    s->rank = (uint32_t)g->rank;
    s->size = (uint32_t)g->size;
    s->control = MPI_Comm_c2f(g->control);
    s->workers = MPI_Comm_c2f(g->workers);
    s->regrouped = true;
}

static bool is_here(const struct group *g, uint32_t member)
{
    for (int r = 0; r < g->size; r++)
        if (g->members[r] == member) return true;
    return false;
}

/* The first worker that is missing; 0: none is (member 0 never works, so nobody takes its place). One at a time: of
 * processes that mpirun has started together it ends all when one dies. */
static uint32_t first_missing(const struct reeve_mpi_session *s, const struct group *g)
{
    for (uint32_t m = 1; m < s->member_count; m++)
        if (!is_here(g, m)) return m;
    return 0;
}

/* Rank 0 of g wishes that somebody comes. *next: those who are there then, or g's as before; then *starter is who tried. */
static void try_to_replace(struct reeve_mpi_session *s, struct group *g, MPI_Comm *next, uint32_t *starter)
{
    s->replace_wish = false;
    if (mpi_session_replace(s, g->control, first_missing(s, g), next)) {
        s->starters_lost = 0;
        mpi_session_drop(s, &g->control);
    } else { /* who was lost meanwhile is left out */
        *starter = g->members[0];
        *next = g->control;
    }
    mpi_session_drop(s, &g->workers);
    free(g->members);
}

reeve_status mpi_session_come_together(struct reeve_mpi_session *s, MPI_Comm old, bool works, struct reeve_error *err)
{
    struct group g;
    int rc = MPI_SUCCESS;
    bool found = false;
    uint32_t starter = UINT32_MAX;
    for (int round = 0; round < ROUNDS_MAX && !found; round++) {
        MPI_Comm next = MPI_COMM_NULL;
        found = try_round(s, old, works, &g, &rc);
        if (found && starter != UINT32_MAX) {
            s->starters_lost += !is_here(&g, starter);
            starter = UINT32_MAX;
        }
        if (found && g.replace) {
            try_to_replace(s, &g, &next, &starter);
            found = false;
        } else if (!found) {
            drop(s, &g);
            next = g.control;
        }
        if (!found && next == MPI_COMM_NULL) continue;
        mpi_session_drop(s, &old);
        old = next;
        if (!found) s->control = MPI_Comm_c2f(old);
    }
    if (!found) return reeve_mpi_fail(err, rc, "come together after a loss, %d times", ROUNDS_MAX);
    take(s, &g);
    return REEVE_OK;
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
    MPI_Comm old_workers = MPI_Comm_f2c(s->workers);
    mpi_session_drop(s, &old_workers);
    s->workers = MPI_Comm_c2f(MPI_COMM_NULL);
    reeve_status st = mpi_session_come_together(s, MPI_Comm_f2c(s->control), works, err);
    reeve_watchdog_stop(&watchdog);
    return st;
}

#endif
