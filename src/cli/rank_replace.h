/* What must hold so that Open MPI can start a process in the place of a lost one (faults.replace). */
#ifndef REEVE_CLI_RANK_REPLACE_H
#define REEVE_CLI_RANK_REPLACE_H

#include <stdbool.h>

#include "net/mpi_session.h"

/* Before MPI starts. Processes that were not started together talk to each other over TCP, also within a host; where all
 * are on one host that is its loopback, which Open MPI leaves out unless told. No-op elsewhere, with an MPI that nobody can
 * be replaced with, and where the user has said which interfaces to take. */
void reeve_rank_replace_prepare(void);
/* Why it is not possible here, in words behind "faults.replace has no effect: "; NULL: it is. Static storage. */
const char *reeve_rank_replace_not(const struct reeve_mpi_session *session, bool cuda);

#endif
