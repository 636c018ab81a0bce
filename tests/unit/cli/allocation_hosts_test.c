/* Which nodes of an allocation are lost, and which the next launch has. Slurm is played by scripts: srun starts a process on
 * the nodes whose file up/NODE is there, hangs on those with slow/NODE, and fails on the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/path.h"
#include "cli/allocation_hosts.h"

static char folder[] = "/tmp/reeve-allocation-XXXXXX";
static struct reeve_allocation_hosts hosts;

static void write_program(const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(reeve_file_replace(path, text, strlen(text), false, NULL), REEVE_OK);
    assert_int_equal(chmod(path, 0700), 0);
}

static void set_node(const char *state, const char *node)
{
    char path[128];
    for (const char *const *s = (const char *const[]){"up", "slow", NULL}; *s != NULL; s++) {
        (void)snprintf(path, sizeof(path), "%s/%s/%s", folder, *s, node);
        (void)unlink(path);
    }
    if (*state == '\0') return;
    (void)snprintf(path, sizeof(path), "%s/%s/%s", folder, state, node);
    assert_int_equal(reeve_file_replace(path, "", 0, false, NULL), REEVE_OK);
}

static int begin(void **state)
{
    (void)state;
    char path[512], dir[64];
    if (mkdtemp(folder) == NULL) return 1;
    (void)snprintf(dir, sizeof(dir), "%s/up", folder);
    if (reeve_mkdir_parents(dir, NULL) != REEVE_OK) return 1;
    (void)snprintf(dir, sizeof(dir), "%s/slow", folder);
    if (reeve_mkdir_parents(dir, NULL) != REEVE_OK) return 1;
    write_program("scontrol", "#!/bin/sh\nfor n in 1 2 3 4; do echo n$n; done\n");
    write_program("srun", "#!/bin/sh\ncd \"$(dirname \"$0\")\"\n"
                          "for word; do case $word in --nodelist=*) node=${word#*=} ;; esac; done\n"
                          "echo \"$node\" >>asked\n"
                          "[ ! -e \"slow/$node\" ] || exec sleep 60\n"
                          "[ -e \"up/$node\" ] || exit 1\n"
                          "echo a prolog says\necho \"0: reeve-is-here\"\n");
    (void)snprintf(path, sizeof(path), "%s:%s", folder, getenv("PATH"));
    (void)setenv("PATH", path, 1);
    (void)setenv("SLURM_JOB_NUM_NODES", "4", 1);
    (void)setenv("SLURM_JOB_NODELIST", "n[1-4]", 1);
    (void)setenv("SLURMD_NODENAME", "n1", 1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    return reeve_remove_tree(folder, NULL) != REEVE_OK;
}

static void allocate(uint32_t workers, uint32_t min_workers)
{
    memset(&hosts, 0, sizeof(hosts));
    assert_true(reeve_allocation_hosts_init(&hosts, workers, min_workers));
    for (const char *const *n = (const char *const[]){"n1", "n2", "n3", "n4", NULL}; *n != NULL; n++)
        set_node("up", *n);
}

static uint32_t times_asked(const char *node)
{
    char path[64], line[64];
    uint32_t times = 0;
    (void)snprintf(path, sizeof(path), "%s/asked", folder);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        times += strncmp(line, node, strlen(node)) == 0;
    if (file != NULL) (void)fclose(file);
    return times;
}

/* As the supervisor does, until the node has been asked and has answered; it also fetches every child that has ended. */
static bool is_found_lost(const char *host, reeve_time_ns begin_ns)
{
    reeve_time_ns real_ns = reeve_clock_now();
    bool lost = reeve_allocation_hosts_is_lost(&hosts, host, begin_ns);
    while (!lost && (hosts.suspect.child != 0 || hosts.control.child != 0)) {
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
        reeve_clock_sleep(10 * REEVE_MILLISECOND_NS);
        lost = reeve_allocation_hosts_is_lost(&hosts, host, begin_ns + reeve_clock_now() - real_ns);
    }
    return lost;
}

static void node_that_starts_no_process_is_lost(void **state)
{
    (void)state;
    allocate(4, 1);
    assert_false(is_found_lost("", 0));
    assert_int_equal(times_asked("n"), 0);
    set_node("", "n3");
    assert_true(is_found_lost("n3", reeve_clock_now()));
    assert_int_equal(times_asked("n3"), 1);
    assert_int_equal(times_asked("n1"), 1); /* does Slurm answer at all? */
    struct reeve_placement placement = {.workers = 4};
    assert_true(reeve_allocation_hosts_replace(&hosts, 1, &placement));
    assert_string_equal(placement.hosts, "n1:2,n2:2,n4:2");
    assert_int_equal(placement.workers, 3);
    assert_int_equal(times_asked("n3"), 1); /* not again, so soon */
    set_node("up", "n3");
    assert_true(reeve_allocation_hosts_replace(&hosts, 2, &placement)); /* it is back, and taken back */
    assert_string_equal(placement.hosts, "n1:2,n2:2,n3:2,n4:2");
    assert_int_equal(placement.workers, 4);
}

static void node_that_hangs_is_lost_when_its_time_is_up(void **state)
{
    (void)state;
    allocate(4, 1);
    set_node("slow", "n2");
    assert_false(reeve_allocation_hosts_is_lost(&hosts, "n2", 0));
    while (hosts.control.child != 0) {
        assert_false(reeve_allocation_hosts_is_lost(&hosts, "n2", REEVE_HOST_PROBE_NS));
        reeve_clock_sleep(REEVE_MILLISECOND_NS);
    }
    pid_t probe = hosts.suspect.child;
    assert_true(probe > 0);
    assert_true(reeve_allocation_hosts_is_lost(&hosts, "n2", REEVE_HOST_PROBE_NS + 1));
    assert_int_equal(waitpid(probe, NULL, WNOHANG), -1); /* nothing of it is left */
    set_node("up", "n2");
}

static void deadline_of_a_node_follows_from_what_this_one_needs(void **state)
{ /* Own answers after 0.3 s: the other has 3 s, not 5. After a thousandth of a second: 2 s, not a hundredth. */
    (void)state;
    const reeve_time_ns own_ns[] = {300 * REEVE_MILLISECOND_NS, REEVE_MILLISECOND_NS};
    const reeve_time_ns patience_ns[] = {3 * REEVE_SECOND_NS, REEVE_HOST_PROBE_NS_MIN};
    for (int i = 0; i < 2; i++) {
        allocate(4, 1);
        set_node("slow", "n2");
        assert_false(reeve_allocation_hosts_is_lost(&hosts, "n2", 0));
        while (hosts.control.child != 0) {
            assert_false(reeve_allocation_hosts_is_lost(&hosts, "n2", own_ns[i]));
            reeve_clock_sleep(REEVE_MILLISECOND_NS);
        }
        assert_false(reeve_allocation_hosts_is_lost(&hosts, "n2", patience_ns[i]));
        assert_true(reeve_allocation_hosts_is_lost(&hosts, "n2", patience_ns[i] + 1));
        set_node("up", "n2");
    }
}

static void stopped_worker_on_a_living_node_does_not_condemn_it(void **state)
{
    (void)state;
    allocate(4, 1);
    uint32_t before = times_asked("n4");
    assert_false(is_found_lost("n4", 0));
    assert_int_equal(times_asked("n4"), before + 1);
    assert_false(is_found_lost("n4", 10 * REEVE_SECOND_NS)); /* the answer stands for a while */
    assert_int_equal(times_asked("n4"), before + 1);
    set_node("", "n4");
    assert_true(is_found_lost("n4", 600 * REEVE_SECOND_NS)); /* then it is asked again */
    assert_int_equal(times_asked("n4"), before + 2);
}

static void nobody_is_lost_while_slurm_does_not_answer(void **state)
{ /* A controller that is down makes every srun fail: also the one to the node that this program runs on. */
    (void)state;
    allocate(4, 1);
    set_node("", "n1");
    set_node("", "n2");
    assert_false(is_found_lost("n2", 0));
    assert_int_equal(hosts.lost_ns, 0);
    set_node("up", "n1");
    uint32_t before = times_asked("n2");
    assert_true(is_found_lost("n2", 600 * REEVE_SECOND_NS)); /* asked again */
    assert_int_equal(times_asked("n2"), before + 1);
}

static void same_nodes_are_tried_while_slurm_does_not_answer(void **state)
{
    (void)state;
    struct reeve_placement placement = {.workers = 7, .hosts = "as before"};
    allocate(8, 8);
    for (const char *const *n = (const char *const[]){"n1", "n2", "n3", "n4", NULL}; *n != NULL; n++)
        set_node("", *n);
    assert_true(reeve_allocation_hosts_replace(&hosts, 1, &placement));
    assert_int_equal(placement.workers, 7);
    assert_string_equal(placement.hosts, "as before");
}

static void host_that_speaks_again_is_not_lost(void **state)
{
    (void)state;
    allocate(4, 1);
    set_node("", "n3");
    assert_false(reeve_allocation_hosts_is_lost(&hosts, "n3", 0));
    assert_false(is_found_lost("", 1)); /* its workers have spoken while it was asked */
    assert_false(is_found_lost("n9", 2));
    assert_false(is_found_lost("--jobid=1", 3)); /* only what Slurm calls a node of this job is asked */
    assert_int_equal(times_asked("n9"), 0);
    assert_int_equal(times_asked("--jobid"), 0);
}

static void lost_node_is_found_among_all(void **state)
{ /* Before workers have said on which node they are. */
    (void)state;
    char lost[256] = "";
    allocate(4, 1);
    assert_false(reeve_allocation_hosts_find_lost(&hosts, lost));
    set_node("", "n3");
    assert_true(reeve_allocation_hosts_find_lost(&hosts, lost));
    assert_string_equal(lost, "n3");
    uint32_t before = times_asked("n3");
    struct reeve_placement placement = {.workers = 4};
    assert_true(reeve_allocation_hosts_replace(&hosts, 1, &placement));
    assert_string_equal(placement.hosts, "n1:2,n2:2,n4:2");
    assert_int_equal(times_asked("n3"), before);
    assert_false(reeve_allocation_hosts_find_lost(&hosts, lost)); /* the launch that runs does without it */
    set_node("", "n4");
    assert_true(reeve_allocation_hosts_find_lost(&hosts, lost));
    assert_string_equal(lost, "n4");
    set_node("", "n1"); /* Slurm does not answer */
    assert_false(reeve_allocation_hosts_find_lost(&hosts, lost));
}

static void too_few_workers_are_not_worth_going_on(void **state)
{
    (void)state;
    struct reeve_placement placement = {.workers = 8};
    allocate(8, 6);
    set_node("", "n4");
    assert_true(reeve_allocation_hosts_replace(&hosts, 1, &placement));
    assert_int_equal(placement.workers, 6);
    assert_string_equal(placement.hosts, "n1:3,n2:3,n3:3");
    set_node("", "n2");
    assert_false(reeve_allocation_hosts_replace(&hosts, 2, &placement));
    allocate(4, 100); /* the job was started on less than it wants: all of that is asked for */
    assert_true(reeve_allocation_hosts_replace(&hosts, 1, &placement));
    set_node("", "n4");
    assert_false(reeve_allocation_hosts_replace(&hosts, 2, &placement));
}

static void host_and_node_may_differ_in_their_domain(void **state)
{
    (void)state;
    assert_true(reeve_allocation_hosts_same("n1", "n1"));
    assert_true(reeve_allocation_hosts_same("n1", "n1.cluster.example"));
    assert_true(reeve_allocation_hosts_same("n1.cluster.example", "n1"));
    assert_true(reeve_allocation_hosts_same("n1.a", "n1.a"));
    assert_false(reeve_allocation_hosts_same("n1.a", "n1.b"));
    assert_false(reeve_allocation_hosts_same("n1", "n11"));
    assert_false(reeve_allocation_hosts_same("n11", "n1.a"));
    assert_false(reeve_allocation_hosts_same("n1", ""));
}

static void one_node_is_no_allocation_to_choose_from(void **state)
{
    (void)state;
    (void)setenv("SLURM_JOB_NUM_NODES", "1", 1);
    assert_false(reeve_allocation_hosts_init(&hosts, 4, 1));
    (void)setenv("SLURM_JOB_NUM_NODES", "4", 1);
    assert_false(reeve_allocation_hosts_init(&hosts, 1, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node_that_starts_no_process_is_lost),
        cmocka_unit_test(node_that_hangs_is_lost_when_its_time_is_up),
        cmocka_unit_test(deadline_of_a_node_follows_from_what_this_one_needs),
        cmocka_unit_test(stopped_worker_on_a_living_node_does_not_condemn_it),
        cmocka_unit_test(nobody_is_lost_while_slurm_does_not_answer),
        cmocka_unit_test(same_nodes_are_tried_while_slurm_does_not_answer),
        cmocka_unit_test(host_that_speaks_again_is_not_lost),
        cmocka_unit_test(lost_node_is_found_among_all),
        cmocka_unit_test(too_few_workers_are_not_worth_going_on),
        cmocka_unit_test(host_and_node_may_differ_in_their_domain),
        cmocka_unit_test(one_node_is_no_allocation_to_choose_from),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
