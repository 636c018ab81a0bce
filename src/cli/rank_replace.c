/* See rank_replace.h. */
#include "cli/rank_replace.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/build_info.h"
#include "cli/mca_files.h"

#define VARIABLE "OMPI_MCA_"
#define INCLUDE "btl_tcp_if_include"
#define EXCLUDE "btl_tcp_if_exclude"
#define LOOPBACK "lo"

static bool started_by_mpirun(void)
{
    return getenv("OMPI_COMM_WORLD_LOCAL_SIZE") != NULL;
}

static bool on_one_host(void)
{
    const char *all = getenv("OMPI_COMM_WORLD_SIZE"), *here = getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    return all != NULL && here != NULL && strcmp(all, here) == 0;
}

/* Who has told Open MPI which interfaces to take: it refuses one list that is to be taken, beside another of what is not. */
static bool interfaces_are_told(char *where, size_t where_bytes)
{
    const char *names[] = {INCLUDE, EXCLUDE};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char variable[64];
        (void)snprintf(variable, sizeof(variable), VARIABLE "%s", names[i]);
        if (getenv(variable) != NULL) {
            (void)snprintf(where, where_bytes, "%s in the environment", variable);
            return true;
        }
    }
    return reeve_mca_files_set(INCLUDE, where, where_bytes) || reeve_mca_files_set(EXCLUDE, where, where_bytes);
}

void reeve_rank_replace_prepare(void)
{
    char where[256];
    (void)signal(SIGPIPE, SIG_IGN); /* a lost peer's connection: an error for MPI, not the end */
    if (!REEVE_BUILD_ULFM || !on_one_host()) return;
    if (!interfaces_are_told(where, sizeof(where))) (void)setenv(VARIABLE INCLUDE, LOOPBACK, 1);
    /* A communicator of processes that were not started together: some take a member for near, others do not, and han,
     * which sums within hosts first, crashes (5.0.7). */
    (void)setenv("OMPI_MCA_coll_han_priority", "-1", 0);
}

const char *reeve_rank_replace_not(const struct reeve_mpi_session *session, bool cuda)
{
    static char words[768];
    char where[256];
    const char *include = getenv(VARIABLE INCLUDE);
    if (cuda) return "on GPUs a lost worker is not replaced";
    if (session->node_size < session->size && !session->replaced) return "the workers are on several hosts";
    if (!started_by_mpirun()) return "only mpirun starts another process, and these ranks were not started by it";
    if (include != NULL && strcmp(include, LOOPBACK) == 0) return NULL;
    if (!interfaces_are_told(where, sizeof(where))) (void)snprintf(where, sizeof(where), "its parameters");
    (void)snprintf(words, sizeof(words),
                   "Open MPI was told which network interfaces to take (%s), and a new process needs the loopback: set "
                   "neither " INCLUDE " nor " EXCLUDE " for runs on one host; " VARIABLE
                   "mca_base_param_files=/dev/null leaves the files of site and user out, but for the site's override",
                   where);
    return words;
}
