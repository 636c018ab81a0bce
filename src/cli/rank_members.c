/* See rank_members.h. */
#include "cli/rank_members.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/rank_device.h"
#include "coll/mpi.h"
#include "net/mpi_transport.h"
#include "run/lost.h"

#define PATIENCE_NS (60 * REEVE_SECOND_NS) /* who lives but does not come makes the job hang: level 2 ends it */
#define ROUNDS_MAX 64                      /* each costs a life */

struct reeve_rank_members {
    reeve_membership base;
    struct reeve_mpi_session *session;     /* borrowed */
    reeve_transport *transport;            /* owned */
    struct reeve_collectives collectives;  /* owned; NULL for a member that does not work */
    struct reeve_device_choice device;     /* what this member computes on */
    struct reeve_device_place *places;     /* (count,) owned */
    struct reeve_owner_process *processes; /* (count,) owned */
    bool *here, *came;                     /* (count,) owned */
    uint32_t count;
    bool works;
};

static void drop_collectives(reeve_rank_members *m)
{
    /* The one over GPUs first: an abort of it must not find MPI's already gone. */
    if (m->collectives.device != NULL) m->collectives.device->ops->destroy(m->collectives.device);
    if (m->collectives.host != NULL) m->collectives.host->ops->destroy(m->collectives.host);
    m->collectives = (struct reeve_collectives){0};
}

static void drop_ends(reeve_rank_members *m)
{
    drop_collectives(m);
    if (m->transport != NULL) m->transport->ops->destroy(m->transport);
    m->transport = NULL;
}

static reeve_status make_collectives(reeve_rank_members *m, struct reeve_error *err)
{
    /* Of processes that came later some members are told that they are near, and others are not; but all are on one host. */
    const struct reeve_coll_mpi_config shared = {.host_size = m->session->replaced ? m->session->size : 0};
    reeve_status st = reeve_coll_mpi_create(m->session->workers, &shared, &m->collectives.host, err);
    if (st == REEVE_OK && m->device.cuda)
        st = reeve_rank_device_collective(m->session->workers, m->device.index, &m->collectives.device, err);
    if (st != REEVE_OK) drop_collectives(m);
    return st;
}

/* Is the GPU of this process still there? One that failed beside a loss must not end the others, who would be told of it
 * while they make their sum anew. */
static reeve_status try_device(const reeve_rank_members *m, struct reeve_error *err)
{
    reeve_collective *alone = NULL;
    if (!m->device.cuda) return REEVE_OK;
    reeve_status st = reeve_rank_device_alone(m->device.index, &alone, err);
    if (st == REEVE_OK) alone->ops->destroy(alone);
    return st;
}

/* A GPU, or NCCL for good: JOB_DEVICE would be the last word of a run that had begun well, while this process is a worker
 * that the others lose, or all of them end, and the run is started again. */
static void end_without_device(reeve_status st, const struct reeve_error *err)
{
    if (st != REEVE_JOB_DEVICE) return;
    reeve_log(REEVE_LOG_ERROR, "after a loss: %s; this process ends", err->text);
    reeve_end_as_lost();
}

/* What each rank tells of itself. */
struct introduction {
    struct reeve_owner_process process;
    struct reeve_device_place place;
};

/* All who are here tell what they are: at the start, and again once others have taken the places of lost ones. */
static reeve_status introduce(reeve_rank_members *m, struct reeve_error *err)
{
    struct introduction own, *all = calloc(m->session->size, sizeof(*all));
    if (all == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "members of the job: out of memory");
    memset(&own, 0, sizeof(own));
    reeve_owner_process_self(&own.process);
    own.place = m->places[m->session->member];
    reeve_status st = reeve_mpi_session_share(m->session, &own, sizeof(own), all, err);
    for (uint32_t r = 0; st == REEVE_OK && r < m->session->size; r++) {
        uint32_t i = m->session->members[r];
        m->came[i] |= memcmp(&m->processes[i], &all[r].process, sizeof(all[r].process)) != 0;
        m->processes[i] = all[r].process;
        m->places[i] = all[r].place;
        reeve_device_place_check(&m->places[i]);
    }
    free(all);
    return st;
}

static void note_who_is_here(reeve_rank_members *m)
{
    for (uint32_t i = 0; i < m->count; i++)
        m->here[i] = false;
    for (uint32_t r = 0; r < m->session->size; r++)
        m->here[m->session->members[r]] = true;
}

/* Over the session as it is now. Collective over all who are there. */
static reeve_status make_ends(reeve_rank_members *m, struct reeve_error *err)
{
    reeve_status st = reeve_mpi_transport_create(m->session, &m->transport, err);
    if (st == REEVE_OK && m->works) st = try_device(m, err);
    if (st == REEVE_OK && m->works) st = make_collectives(m, err);
    end_without_device(st, err);
    return st == REEVE_OK && m->session->replaced ? introduce(m, err) : st;
}

/* Revoked first: then what is still on its way ends at once, and nothing has to be waited for. */
static reeve_status regroup(reeve_membership *base, struct reeve_members *out, struct reeve_error *err)
{
    reeve_rank_members *m = (reeve_rank_members *)base;
    reeve_status st = REEVE_WORKER_LOST;
    memset(m->came, 0, m->count * sizeof(*m->came));
    for (int round = 0; round < ROUNDS_MAX && st == REEVE_WORKER_LOST; round++) {
        reeve_mpi_session_revoke(m->session);
        drop_ends(m);
        st = reeve_mpi_session_regroup(m->session, m->works, PATIENCE_NS, REEVE_EXIT_INTERNAL, err);
        if (st == REEVE_OK) st = make_ends(m, err);
    }
    if (st == REEVE_WORKER_LOST) st = reeve_fail(err, REEVE_JOB_INTERNAL, "%d regroupings in a row failed", ROUNDS_MAX);
    if (st != REEVE_OK) return st;
    note_who_is_here(m);
    reeve_rank_members_get(m, out);
    return REEVE_OK;
}

static void replace(reeve_membership *base)
{
    ((reeve_rank_members *)base)->session->replace_wish = true;
}

static const struct reeve_membership_ops members_ops = {.regroup = regroup, .replace = replace};

static reeve_status begin(reeve_rank_members *m, struct reeve_error *err)
{
    reeve_rank_device_place(m->session->host, &m->places[m->session->member]);
    reeve_status st = introduce(m, err);
    memset(m->came, 0, m->count * sizeof(*m->came));
    return st == REEVE_OK ? reeve_mpi_transport_create(m->session, &m->transport, err) : st;
}

/* The others are in the middle of a regrouping. What they compute on is no GPU, or this process had not been started. */
static reeve_status come_in(reeve_rank_members *m, struct reeve_error *err)
{
    struct reeve_members now;
    struct reeve_device_place *own = &m->places[m->session->member];
    (void)snprintf(own->host, sizeof(own->host), "%.127s", m->session->host);
    reeve_build_here(&own->build); /* and no word of GPUs, so that it computes on none either */
    reeve_status st = make_ends(m, err);
    if (st == REEVE_WORKER_LOST) st = regroup(&m->base, &now, err);
    if (st == REEVE_OK && m->session->rank == 0) /* nobody would say which run it is */
        st = reeve_fail(err, REEVE_WORKER_LOST, "all were lost that this process was to join");
    return st;
}

reeve_status reeve_rank_members_create(struct reeve_mpi_session *session, reeve_rank_members **out,
                                       struct reeve_error *err)
{
    reeve_rank_members *m = calloc(1, sizeof(*m));
    if (m == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "members of the job: out of memory");
    m->base.ops = &members_ops;
    m->session = session;
    m->count = session->member_count;
    m->works = session->member != 0;
    m->here = calloc(m->count, sizeof(*m->here));
    m->came = calloc(m->count, sizeof(*m->came));
    m->processes = calloc(m->count, sizeof(*m->processes));
    reeve_status st = REEVE_OK;
    m->places = calloc(m->count, sizeof(*m->places));
    if (m->here == NULL || m->came == NULL || m->processes == NULL || m->places == NULL)
        st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "members of the job: out of memory for %u", m->count);
    if (st == REEVE_OK) st = session->replaced ? come_in(m, err) : begin(m, err);
    if (st != REEVE_OK) {
        reeve_rank_members_destroy(m);
        return st;
    }
    note_who_is_here(m);
    *out = m;
    return REEVE_OK;
}

void reeve_rank_members_destroy(reeve_rank_members *m)
{
    if (m == NULL) return;
    drop_ends(m);
    free(m->places);
    free(m->processes);
    free(m->came);
    free(m->here);
    free(m);
}

const struct reeve_device_place *reeve_rank_members_places(const reeve_rank_members *m)
{
    return m->places;
}

reeve_status reeve_rank_members_work(reeve_rank_members *m, const struct reeve_device_choice *device,
                                     struct reeve_error *err)
{
    m->device = *device;
    if (!m->works || m->collectives.host != NULL) return REEVE_OK;
    reeve_status st = make_collectives(m, err);
    return st == REEVE_WORKER_LOST && m->session->ulfm_active ? REEVE_OK : st;
}

void reeve_rank_members_get(const reeve_rank_members *m, struct reeve_members *out)
{
    *out = (struct reeve_members){.self = m->session->member,
                                  .master = m->session->members[0],
                                  .count = m->count,
                                  .round = m->session->round,
                                  .here = m->here,
                                  .came = m->came,
                                  .starters_lost = m->session->starters_lost,
                                  .transport = m->transport,
                                  .collectives = m->collectives};
}

reeve_membership *reeve_rank_members_port(reeve_rank_members *m)
{
    return m->session->ulfm_active ? &m->base : NULL;
}

const struct reeve_owner_process *reeve_rank_members_processes(const reeve_rank_members *m)
{
    return m->processes;
}
