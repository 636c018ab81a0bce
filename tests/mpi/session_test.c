/* What a session tells of this process's place in the job. */
#include <mpi.h>
#include <string.h>

#include "rig.h"

static void session_knows_its_place(void)
{
    int size = 0, rank = 0;
    RIG_CHECK(MPI_Comm_size(MPI_COMM_WORLD, &size) == MPI_SUCCESS);
    RIG_CHECK(MPI_Comm_rank(MPI_COMM_WORLD, &rank) == MPI_SUCCESS);
    RIG_CHECK(rig.rank == (uint32_t)rank && rig.size == (uint32_t)size);
    RIG_CHECK(rig.node_size == rig.size && rig.node_rank == rig.rank); /* the tests run on one machine */
    RIG_CHECK(rig.host[0] != '\0' && rig.library[0] != '\0' && strchr(rig.library, '\n') == NULL);
    RIG_CHECK(rig.ulfm_compiled || !rig.ulfm_active);
}

static void session_has_a_communicator_of_workers_in_order(void)
{
    MPI_Comm workers = MPI_Comm_f2c(rig.workers);
    if (rig.rank == 0) {
        RIG_CHECK(workers == MPI_COMM_NULL);
        return;
    }
    int size = 0, rank = 0;
    RIG_CHECK(MPI_Comm_size(workers, &size) == MPI_SUCCESS && size == (int)rig.size - 1);
    RIG_CHECK(MPI_Comm_rank(workers, &rank) == MPI_SUCCESS && rank == (int)rig.rank - 1);
}

/* Goal: an MPI error is a value, not the end of the job. Method: a rank that does not exist. */
static void session_communicators_return_errors(void)
{
    char byte = 0;
    RIG_CHECK(MPI_Send(&byte, 1, MPI_BYTE, (int)rig.size + 3, 0, MPI_Comm_f2c(rig.control)) != MPI_SUCCESS);
    if (rig.rank > 0)
        RIG_CHECK(MPI_Send(&byte, 1, MPI_BYTE, (int)rig.size + 3, 0, MPI_Comm_f2c(rig.workers)) != MPI_SUCCESS);
}

/* Goal: what ends all communication is not done where nothing could be made anew. Method: revoke a job that was not started
 * to survive losses, by an MPI that could; then all ranks meet. */
static void session_is_not_revoked_where_it_cannot_regroup(void)
{
    if (rig.ulfm_active) return;
    reeve_mpi_session_revoke(&rig);
    rig_barrier();
    uint32_t all[8] = {0};
    struct reeve_error err = {.text = ""};
    RIG_CHECK(rig.size <= sizeof(all) / sizeof(all[0]));
    RIG_OK(reeve_mpi_session_share(&rig, &rig.rank, sizeof(rig.rank), all, &err), err);
    RIG_CHECK(all[rig.size - 1] == rig.size - 1);
}

static void session_opens_once(void)
{
    struct reeve_mpi_session second;
    struct reeve_error err = {.text = ""};
    RIG_CHECK(reeve_mpi_session_open(NULL, NULL, &second, &err) == REEVE_JOB_CONFIG);
    RIG_CHECK(err.text[0] != '\0');
}

int main(int argc, char **argv)
{
    static const struct rig_test tests[] = {
        {"session_knows_its_place", session_knows_its_place},
        {"session_has_a_communicator_of_workers_in_order", session_has_a_communicator_of_workers_in_order},
        {"session_communicators_return_errors", session_communicators_return_errors},
        {"session_is_not_revoked_where_it_cannot_regroup", session_is_not_revoked_where_it_cannot_regroup},
        {"session_opens_once", session_opens_once},
    };
    return rig_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
