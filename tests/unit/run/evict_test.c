/* Who is put out of a job, and who is not. Method: processes, and the ear of a worker, are this test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "run/evict.h"

#define MEMBERS 4u
#define SECOND REEVE_SECOND_NS

static enum reeve_owner_look looks[MEMBERS];
static bool killed[MEMBERS];
static struct reeve_worker_ear ear;

enum reeve_owner_look reeve_owner_process_look(const struct reeve_owner_process *p)
{
    return looks[p->pid];
}

bool reeve_owner_process_end(const struct reeve_owner_process *p)
{
    killed[p->pid] = true;
    return looks[p->pid] != REEVE_OWNER_PROCESS_UNSEEN;
}

void reeve_worker_listen(const reeve_worker *w, reeve_time_ns now_ns, struct reeve_worker_ear *out)
{
    (void)w, (void)now_ns;
    *out = ear;
}

static struct reeve_owner_process processes[MEMBERS];
static bool here[MEMBERS];
static struct reeve_members members;
static struct reeve_evictor evictor;
static struct reeve_error err;

static int begin(void **state)
{
    (void)state;
    for (uint32_t m = 0; m < MEMBERS; m++) {
        processes[m] = (struct reeve_owner_process){.pid = m};
        looks[m] = REEVE_OWNER_PROCESS_RUNS;
        killed[m] = false;
        here[m] = true;
    }
    members = (struct reeve_members){.self = 1, .master = 0, .count = MEMBERS, .here = here};
    return reeve_evictor_init(&evictor, processes, MEMBERS, &err) == REEVE_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    reeve_evictor_fini(&evictor);
    return 0;
}

static void evictor_ends_who_runs_or_is_stopped(void **state)
{
    (void)state;
    looks[3] = REEVE_OWNER_PROCESS_STOPPED;
    assert_false(reeve_evictor_end(&evictor, 2, true, "is silent", SECOND)); /* it may wait for another */
    assert_true(reeve_evictor_end(&evictor, 2, false, "is silent", SECOND));
    assert_true(reeve_evictor_end(&evictor, 3, true, "is silent", SECOND));
    assert_true(killed[2] && killed[3] && !killed[0] && !killed[1]);
    assert_true(reeve_evictor_has_ended(&evictor, 3));
    assert_false(reeve_evictor_end(&evictor, 3, false, "is silent", 2 * SECOND)); /* once is enough */
    assert_false(reeve_evictor_end(&evictor, MEMBERS, false, "is nobody", SECOND));
}

static void evictor_spares_debuggers_disks_and_strangers(void **state)
{
    (void)state;
    static const enum reeve_owner_look spared[] = {REEVE_OWNER_PROCESS_UNSEEN, REEVE_OWNER_PROCESS_TRACED,
                                                   REEVE_OWNER_PROCESS_ON_DISK};
    for (size_t i = 0; i < sizeof(spared) / sizeof(spared[0]); i++) {
        looks[2] = spared[i];
        for (int again = 0; again < 3; again++)
            assert_false(reeve_evictor_end(&evictor, 2, false, "is silent", SECOND));
    }
    assert_false(killed[2]);
    assert_int_equal(reeve_evictor_turn(&evictor, 1000 * SECOND, &err), REEVE_OK);
    evictor.processes = NULL; /* a job that outlives nobody's loss */
    looks[2] = REEVE_OWNER_PROCESS_STOPPED;
    assert_false(reeve_evictor_end(&evictor, 2, false, "is silent", SECOND));
}

static void evictor_waits_for_mpi_only_so_long(void **state)
{ /* Goal: who was ended, or was dead already, and whom MPI does not miss, is not waited for. */
    (void)state;
    looks[2] = REEVE_OWNER_PROCESS_GONE;
    assert_true(reeve_evictor_end(&evictor, 2, false, "is silent", SECOND));
    assert_false(killed[2]);
    assert_int_equal(reeve_evictor_turn(&evictor, 2 * SECOND, &err), REEVE_OK);
    assert_int_equal(reeve_evictor_turn(&evictor, 7 * SECOND, &err), REEVE_WORKER_LOST);
    reeve_evictor_regrouped(&evictor);
    assert_int_equal(reeve_evictor_turn(&evictor, 8 * SECOND, &err), REEVE_OK);
    assert_false(reeve_evictor_has_ended(&evictor, 2));
}

static void evictor_of_a_master_is_the_lowest_worker(void **state)
{ /* Goal: worker 1 at the deadline; worker 3, with two before it, when three of them have passed. */
    (void)state;
    ear = (struct reeve_worker_ear){.silence_ns = 16 * SECOND, .deadline_ns = 15 * SECOND, .heard = true};
    members.self = 3;
    reeve_evictor_watch_master(&evictor, &members, NULL, SECOND);
    assert_false(killed[0]);
    ear.silence_ns = 46 * SECOND;
    reeve_evictor_watch_master(&evictor, &members, NULL, SECOND);
    assert_true(killed[0]);
    killed[0] = here[0] = false; /* then worker 1 is master, and worker 2 the lowest */
    members.master = 1;
    members.self = 2;
    reeve_evictor_regrouped(&evictor);
    ear.silence_ns = 14 * SECOND;
    reeve_evictor_watch_master(&evictor, &members, NULL, SECOND);
    assert_false(killed[1]);
    ear = (struct reeve_worker_ear){.silence_ns = 16 * SECOND, .deadline_ns = 15 * SECOND, .heard = false};
    reeve_evictor_watch_master(&evictor, &members, NULL, SECOND); /* it may be waiting itself */
    assert_false(killed[1]);
    looks[1] = REEVE_OWNER_PROCESS_STOPPED;
    reeve_evictor_watch_master(&evictor, &members, NULL, SECOND);
    assert_true(killed[1]);
}

static void eye_ends_who_stays_stopped(void **state)
{ /* Goal: stopped at each look for as long as the patience; a long gap between two looks is no part of it. */
    (void)state;
    struct reeve_evictor_eye eye;
    here[3] = false;
    assert_int_equal(reeve_evictor_eye_init(&eye, &evictor, &members, 4 * SECOND, &err), REEVE_OK);
    looks[0] = looks[1] = looks[3] = REEVE_OWNER_PROCESS_STOPPED;
    for (int t = 1; t <= 4; t++) {
        looks[2] = t % 2 == 0 ? REEVE_OWNER_PROCESS_STOPPED : REEVE_OWNER_PROCESS_RUNS;
        reeve_evictor_eye_look(&eye, t * SECOND);
    }
    assert_false(killed[0]);
    reeve_evictor_eye_look(&eye, 60 * SECOND); /* this process stood still as well */
    assert_false(killed[0]);
    reeve_evictor_eye_look(&eye, 61 * SECOND); /* four seconds, all in all */
    assert_true(killed[0]);
    assert_false(killed[2]);
    for (int t = 62; t <= 64; t++)
        reeve_evictor_eye_look(&eye, t * SECOND);
    assert_false(killed[1]); /* itself */
    assert_true(killed[2]);
    assert_false(killed[3]); /* nobody waits for it */
    reeve_evictor_eye_fini(&eye);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(evictor_ends_who_runs_or_is_stopped), TEST(evictor_spares_debuggers_disks_and_strangers),
        TEST(evictor_waits_for_mpi_only_so_long),  TEST(evictor_of_a_master_is_the_lowest_worker),
        TEST(eye_ends_who_stays_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
