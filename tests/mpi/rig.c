/* The frame of the MPI test programs; see rig.h. */
#include "rig.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

struct reeve_mpi_session rig;
uint64_t rig_seed;

_Noreturn void rig_failed(const char *what, const char *file, int line, const char *why)
{
    (void)fprintf(stderr, "FAILED on rank %u of %u, seed %llu: %s:%d: %s %s\n", rig.rank, rig.size,
                  (unsigned long long)rig_seed, file, line, what, why);
    reeve_mpi_session_abort(EXIT_FAILURE);
}

void rig_wait_begin(struct rig_wait *w)
{
    reeve_idle_init(&w->idle, true);
    w->deadline_ns = reeve_clock_now() + RIG_WAIT_NS;
}

void rig_wait_turn(struct rig_wait *w, const char *for_what)
{
    if (reeve_clock_now() > w->deadline_ns) rig_failed("waited too long", __FILE__, __LINE__, for_what);
    reeve_idle_wait(&w->idle, 100000);
}

void rig_barrier(void)
{
    MPI_Request request = MPI_REQUEST_NULL;
    struct rig_wait wait;
    rig_wait_begin(&wait);
    RIG_CHECK(MPI_Ibarrier(MPI_Comm_f2c(rig.control), &request) == MPI_SUCCESS);
    for (int done = 0; !done; rig_wait_turn(&wait, "a barrier"))
        RIG_CHECK(MPI_Test(&request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS);
}

uint64_t rig_random(uint64_t stream, uint64_t index, uint64_t bound)
{
    return reeve_random_below(rig_seed, stream, index, bound);
}

static void agree_on_seed(void)
{
    const char *asked = getenv("REEVE_TEST_SEED");
    rig_seed = asked != NULL ? strtoull(asked, NULL, 0) : (uint64_t)reeve_clock_wall_ns();
    RIG_CHECK(MPI_Bcast(&rig_seed, sizeof(rig_seed), MPI_BYTE, 0, MPI_Comm_f2c(rig.control)) == MPI_SUCCESS);
    if (rig.rank == 0)
        (void)printf("%s, %u ranks, ULFM %s, seed %llu\n", rig.library, rig.size,
                     rig.ulfm_active ? "active" : (rig.ulfm_compiled ? "compiled in" : "not there"),
                     (unsigned long long)rig_seed);
}

int rig_main(int argc, char **argv, const struct rig_test *tests, size_t count)
{
    struct reeve_error err = {.text = ""};
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (reeve_mpi_session_open(&argc, &argv, &rig, &err) != REEVE_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return EXIT_FAILURE;
    }
    agree_on_seed();
    for (size_t i = 0; i < count; i++) {
        if (rig.rank == 0) (void)printf("%s\n", tests[i].name);
        tests[i].run();
        rig_barrier();
    }
    return reeve_mpi_session_close(&rig, reeve_clock_now() + RIG_WAIT_NS, EXIT_FAILURE) ? EXIT_SUCCESS : EXIT_FAILURE;
}
