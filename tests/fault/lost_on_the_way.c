/* For LD_PRELOAD: of those who come together with a new process, rank 2 is lost as soon as it faces the new one, while the
 * others are about to go on with it. Once in a test: REEVE_TEST_LOST names a folder that does not exist before. */
#include <mpi.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#define LOST_RANK 2

int MPI_Intercomm_create(MPI_Comm local, int leader, MPI_Comm bridge, int remote, int tag, MPI_Comm *both)
{
    int rc = PMPI_Intercomm_create(local, leader, bridge, remote, tag, both), rank = -1;
    const char *lost = getenv("REEVE_TEST_LOST");
    if (PMPI_Comm_rank(local, &rank) != MPI_SUCCESS || rank != LOST_RANK || lost == NULL) return rc;
    if (mkdir(lost, S_IRWXU) == 0) (void)raise(SIGKILL);
    return rc;
}
