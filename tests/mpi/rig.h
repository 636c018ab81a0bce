/* What the MPI test programs share: a session, a seed that all ranks agree on, a check that ends the whole job, and
 * waits with a deadline. A test is a function on all ranks; it passes if it returns. */
#ifndef REEVE_TESTS_MPI_RIG_H
#define REEVE_TESTS_MPI_RIG_H

#include "base/clock.h"
#include "base/error.h"
#include "base/idle.h"
#include "base/random.h"
#include "net/mpi_session.h"

#define RIG_WAIT_NS (240 * REEVE_SECOND_NS) /* ends a hang; nothing here takes longer, on the slowest machine */

extern struct reeve_mpi_session rig;
extern uint64_t rig_seed; /* the same on all ranks; printed; REEVE_TEST_SEED sets it */

struct rig_test {
    const char *name; /* the promise */
    void (*run)(void);
};

/* Starts MPI, runs the tests in order on all ranks, ends MPI. Returns the exit code of main. */
int rig_main(int argc, char **argv, const struct rig_test *tests, size_t count);

void rig_barrier(void); /* all ranks; with a deadline */
uint64_t rig_random(uint64_t stream, uint64_t index, uint64_t bound); /* below bound; equal on all ranks */

/* What holds, or the job ends with a word on what did not. */
#define RIG_CHECK(condition)                                                                                    \
    do {                                                                                                        \
        if (!(condition)) rig_failed(#condition, __FILE__, __LINE__, "");                                       \
    } while (0)
#define RIG_OK(call, err)                                                                                       \
    do {                                                                                                        \
        if ((call) != REEVE_OK) rig_failed(#call, __FILE__, __LINE__, (err).text);                              \
    } while (0)
_Noreturn void rig_failed(const char *what, const char *file, int line, const char *why);

/* One turn of a loop that waits for something: yields, and fails the test at the deadline. */
struct rig_wait {
    struct reeve_idle idle;
    reeve_time_ns deadline_ns;
};
void rig_wait_begin(struct rig_wait *w);
void rig_wait_turn(struct rig_wait *w, const char *for_what);

#endif
