/* See rank_replace.h. */
#include "cli/rank_replace.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/build_info.h"

#define INCLUDE_VARIABLE "OMPI_MCA_btl_tcp_if_include"
#define LOOPBACK "lo"

static bool on_one_host(void)
{
    const char *all = getenv("OMPI_COMM_WORLD_SIZE"), *here = getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    return all != NULL && here != NULL && strcmp(all, here) == 0;
}

void reeve_rank_replace_prepare(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* a lost peer's connection: an error for MPI, not the end */
    if (!REEVE_BUILD_ULFM || !on_one_host()) return;
    if (getenv("OMPI_MCA_btl_tcp_if_exclude") == NULL) (void)setenv(INCLUDE_VARIABLE, LOOPBACK, 0);
    /* A communicator of processes that were not started together: some take a member for near, others do not, and han,
     * which sums within hosts first, crashes (5.0.7). */
    (void)setenv("OMPI_MCA_coll_han_priority", "-1", 0);
}

const char *reeve_rank_replace_not(const struct reeve_mpi_session *session, bool cuda)
{
    const char *include = getenv(INCLUDE_VARIABLE);
    if (cuda) return "on GPUs a lost worker is not replaced";
    if (session->node_size < session->size && !session->replaced) return "the workers are on several hosts";
    if (include == NULL || strcmp(include, LOOPBACK) != 0)
        return "Open MPI was told which network interfaces to take; without btl_tcp_if_include and btl_tcp_if_exclude "
               "it "
               "takes the loopback, which this needs";
    return NULL;
}
