/* The members of a job over MPI: port/membership.h from net/ and coll/, which know nothing of each other. */
#ifndef REEVE_CLI_RANK_MEMBERS_H
#define REEVE_CLI_RANK_MEMBERS_H

#include "net/mpi_session.h"
#include "port/membership.h"
#include "run/device.h"
#include "store/owner.h"

typedef struct reeve_rank_members reeve_rank_members;

/* session: borrowed until destroy. Tells all others which process this is; makes the transport. Collective over all
 * ranks, at the start; and of a process that comes later, over all at their regrouping, with the collectives.
 * JOB_NO_MEMORY | JOB_INTERNAL | WORKER_LOST. */
reeve_status reeve_rank_members_create(struct reeve_mpi_session *session, reeve_rank_members **out,
                                       struct reeve_error *err);
/* Transport and collective too. Takes NULL. */
void reeve_rank_members_destroy(reeve_rank_members *m);

/* What each of them found to compute on, in the order of members; borrowed. To a process that came later, members that were
 * lost before have said nothing: their places are empty. */
const struct reeve_device_place *reeve_rank_members_places(const reeve_rank_members *m);

/* Make the collectives of the workers, unless a regrouping has made them already; the one over GPUs where the choice is to
 * compute on them, from now on at each regrouping too. Collective over all workers; blocks. Where losses are survived,
 * one now leaves them NULL: the caller regroups. JOB_NO_MEMORY | JOB_INTERNAL | JOB_DEVICE | JOB_DEADLINE. */
reeve_status reeve_rank_members_work(reeve_rank_members *m, const struct reeve_device_choice *device,
                                     struct reeve_error *err);

void reeve_rank_members_get(const reeve_rank_members *m, struct reeve_members *out);
/* NULL where this MPI, or this job, does not survive losses. Borrowed. */
reeve_membership *reeve_rank_members_port(reeve_rank_members *m);
const struct reeve_owner_process *reeve_rank_members_processes(const reeve_rank_members *m); /* by member; borrowed */

#endif
