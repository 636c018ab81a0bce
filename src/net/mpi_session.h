/* This process's place in the MPI job: started once, ended once, with two communicators that return errors instead of
 * aborting. Only the main thread calls MPI (MPI_THREAD_FUNNELED; docs/adr/0004).
 *
 * The header needs no mpi.h: a communicator travels as its Fortran handle, which is a plain int on every MPI. */
#ifndef REEVE_NET_MPI_SESSION_H
#define REEVE_NET_MPI_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reeve/ids.h"
#include "reeve/status.h"

struct reeve_mpi_session {
    uint32_t rank, size;           /* of all ranks that are here; rank 0 is the master */
    uint32_t member, member_count; /* rank and number of ranks at the start: who somebody is for the life of the job */
    uint32_t round;                /* how often they have come together; the same for all */
    uint32_t *members;             /* (size,) owned; member at each rank: the longer here the lower; else ascending */
    bool regrouped;                /* somebody was lost on the way */
    bool replaced;          /* a lost process was replaced, or that was tried: no communicator is freed any more */
    bool replace_wish;      /* rank 0: the next regrouping is to start a process in the place of a lost worker */
    uint32_t starters_lost; /* in a row, of those who were to start one; the same for all */
    const char *const *arguments;  /* borrowed; of this process, behind its name: what such a process is started with */
    uint32_t node_rank, node_size; /* among the ranks that share this node's memory */
    char host[256];                /* as MPI names this node */
    char library[128];             /* "Open MPI v4.1.4": the library that runs, not the one that was compiled against */
    bool ulfm_compiled;            /* the MPI that Reeve was built with can report a lost process */
    bool ulfm_active;              /* and this job was started so that it does */
    int control;                   /* handle: all ranks, in order */
    int workers;                   /* handle: ranks 1.. in order; a null communicator on rank 0 */
};

/* Start MPI. Collective over all ranks of the job; blocks until all are there. Once in a process.
 * OK | JOB_DEVICE (MPI does not start) | JOB_CONFIG (the MPI allows one thread only, or already ended). */
reeve_status reeve_mpi_session_open(int *argc, char ***argv, struct reeve_mpi_session *out, struct reeve_error *err);

/* The same for a process that was started in the place of a lost one (mpi_replace.c): with `place`, the word that the
 * others gave it. It comes to their regrouping. */
reeve_status reeve_mpi_session_join(int *argc, char ***argv, const char *place, reeve_time_ns patience_ns,
                                    int exit_code, struct reeve_mpi_session *out, struct reeve_error *err);

/* Each rank's `bytes` bytes to all, in the order of ranks. Collective; blocks; at the start of a job only. */
reeve_status reeve_mpi_session_share(const struct reeve_mpi_session *session, const void *mine, size_t bytes, void *all,
                                     struct reeve_error *err);

/* Make every operation on both communicators end in WORKER_LOST, here and on all other ranks, so that all come to
 * reeve_mpi_session_regroup(). No-op unless ulfm_active. */
void reeve_mpi_session_revoke(const struct reeve_mpi_session *session);

/* The option that a replacement is started with, before its place. */
#define REEVE_MPI_PLACE_OPTION "--place"

/* After a loss: revoke, then go on with those who are left, in their old order: new rank and size, members,
 * communicators (workers: those who say `works`). Collective over all who live; who dies meanwhile is left out too.
 * Transports and collectives on the old communicators were destroyed before. Blocks until all are here: if they do not
 * come in `patience_ns`, the process ends with exit_code, since nobody can leave a shrink.
 * OK | JOB_NO_MEMORY | JOB_INTERNAL (no ULFM, or MPI refuses time and again). */
reeve_status reeve_mpi_session_regroup(struct reeve_mpi_session *session, bool works, reeve_time_ns patience_ns,
                                       int exit_code, struct reeve_error *err);

/* End MPI. Collective: waits for the other ranks, then finalizes; transports and collectives were destroyed before.
 * Returns true if MPI ended properly: return from main then. If the others do not come, if a process was lost, or if
 * finalize hangs (across hosts it does so after a failure), the process is ended by _exit(exit_code) here, at the
 * latest a second after deadline_ns: a job whose result is written must not hang at its end. The launcher may then
 * make another exit code of it; the run's own last record says how it ended.
 * After a regrouping all ranks that are left come here with their work done: nobody waits for the others, and the
 * process is ended without MPI's own ending, which hangs across hosts then.
 * Returns false only if MPI refused without hanging; nothing is left to be done then either. */
bool reeve_mpi_session_close(struct reeve_mpi_session *session, reeve_time_ns deadline_ns, int exit_code);

/* End all ranks of the job with this exit code, now. Does not return, whatever MPI does. */
_Noreturn void reeve_mpi_session_abort(int exit_code);

#endif
