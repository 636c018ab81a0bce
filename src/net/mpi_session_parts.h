/* Private to the files of the session: what its start (mpi_session.c), a regrouping (mpi_regroup.c) and a process that
 * comes later (mpi_replace.c) share. */
#ifndef REEVE_NET_MPI_SESSION_PARTS_H
#define REEVE_NET_MPI_SESSION_PARTS_H

#include <mpi.h>

#include "net/mpi_session.h"

reeve_status mpi_session_start(int *argc, char ***argv, struct reeve_error *err);
int mpi_session_tell_names(struct reeve_mpi_session *s);
void mpi_session_tell_ulfm(struct reeve_mpi_session *s);

/* Free it, unless processes were replaced: Open MPI 5.0.7 tells a late word about a communicator from one about the next
 * with its number by a count, which a new process has begun anew. So no number is given twice then; it costs a few KiB. */
void mpi_session_drop(const struct reeve_mpi_session *s, MPI_Comm *comm);

/* Start a process for this member, and merge it behind those of `from`. True on all of from, or on none. All of from call
 * it with the same member; 0: none is missing. */
bool mpi_session_replace(struct reeve_mpi_session *s, MPI_Comm from, uint32_t member, MPI_Comm *merged);
/* Shrink `from` until all who live agree on what they have, and take that. Frees from. The watchdog is the caller's. */
reeve_status mpi_session_come_together(struct reeve_mpi_session *s, MPI_Comm from, bool works, struct reeve_error *err);

#endif
