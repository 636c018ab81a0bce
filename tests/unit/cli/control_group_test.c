/* A limit counts wherever it stands between a process's own control group and the root. Method: both versions' file systems as
 * folders, with the paths that Slurm, a container and systemd make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/path.h"
#include "cli/control_group.h"

#define GIB (1024.0 * 1024.0 * 1024.0)
#define UNLIMITED_V1 "9223372036854771712\n"

static char folder[] = "/tmp/reeve-group-XXXXXX";

static int in_own_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL || chdir(folder) != 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return chdir("/") != 0 || reeve_remove_tree(folder, NULL) != REEVE_OK;
}

static void put(const char *path, const char *text)
{
    char parent[REEVE_PATH_BYTES_MAX];
    reeve_path_dirname(path, parent, sizeof(parent));
    assert_int_equal(reeve_mkdir_parents(parent, NULL), REEVE_OK);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void check_memory(const char *mount, double gib, const char *group)
{
    struct reeve_group_limit limit = reeve_group_memory_bytes("groups", mount);
    assert_true(limit.set);
    assert_true(limit.value == gib * GIB);
    assert_string_equal(limit.group, group);
}

static void a_job_of_slurm_has_its_limit_above_the_step(void **state)
{
    (void)state;
    put("groups", "0::/system.slice/slurmstepd.scope/job_7/step_0/user/task_0\n");
    put("v2/system.slice/slurmstepd.scope/job_7/step_0/user/task_0/memory.max", "max\n");
    put("v2/system.slice/slurmstepd.scope/job_7/step_0/memory.max", "max\n");
    put("v2/system.slice/slurmstepd.scope/job_7/memory.max", "2147483648\n");
    put("v2/system.slice/memory.max", "8589934592\n");
    check_memory("v2", 2, "/system.slice/slurmstepd.scope/job_7");
    put("v2/system.slice/slurmstepd.scope/job_7/step_0/memory.max", "1073741824\n"); /* a step of less */
    check_memory("v2", 1, "/system.slice/slurmstepd.scope/job_7/step_0");
    put("v2/system.slice/slurmstepd.scope/job_7/cpu.max", "150000 100000\n");
    put("v2/system.slice/cpu.max", "max 100000\n");
    struct reeve_group_limit cores = reeve_group_cores("groups", "v2");
    assert_true(cores.set && cores.value == 1.5);
    assert_string_equal(cores.group, "/system.slice/slurmstepd.scope/job_7");
}

static void version_1_has_a_hierarchy_for_each_controller(void **state)
{
    (void)state;
    put("groups",
        "12:blkio:/slurm/uid_5/job_1\n4:cpu,cpuacct:/slurm/uid_5/job_2\n3:memory:/slurm/uid_5/job_3/step_0\n0::/\n");
    put("v1/memory/memory.limit_in_bytes", UNLIMITED_V1);
    put("v1/memory/slurm/uid_5/job_3/step_0/memory.limit_in_bytes", UNLIMITED_V1);
    assert_false(reeve_group_memory_bytes("groups", "v1").set);
    put("v1/memory/slurm/uid_5/job_3/memory.limit_in_bytes", "3221225472\n");
    put("v1/memory/slurm/uid_5/job_2/memory.limit_in_bytes", "1\n"); /* another controller's group, and another's job */
    check_memory("v1", 3, "/slurm/uid_5/job_3");
    put("v1/cpu/slurm/uid_5/job_2/cpu.cfs_quota_us", "-1\n");
    put("v1/cpu/slurm/uid_5/job_2/cpu.cfs_period_us", "100000\n");
    assert_false(reeve_group_cores("groups", "v1").set);
    put("v1/cpu/slurm/cpu.cfs_quota_us", "200000\n");
    put("v1/cpu/slurm/cpu.cfs_period_us", "100000\n");
    struct reeve_group_limit cores = reeve_group_cores("groups", "v1");
    assert_true(cores.set && cores.value == 2.0);
}

static void a_container_shows_its_own_group_as_the_root(void **state)
{ /* Without a name space of its own the file names the host's path, which is not there; with one, what is beyond. */
    static const char *const files[] = {"0::/docker/0123\n", "0::/\n", "0::/../../other\n"};
    (void)state;
    put("box/memory.max", "1073741824\n");
    put("memory.max", "1\n"); /* beside the mount: must not be reached */
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        put("groups", files[i]);
        check_memory("box", 1, "/");
    }
}

static void what_is_no_such_file_limits_nothing(void **state)
{
    static const char *const files[] = {"",      "\n",         "::\n",           "0:\n",
                                        "0::\n", "x:memory\n", "1:memoryx:/a\n", "1:name=memory:/a\n"};
    (void)state;
    put("odd/memory/a/memory.limit_in_bytes", "1\n");
    put("odd/memory.max", "much\n");
    put("odd/cpu.max", "100000 0\n");
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        put("groups", files[i]);
        assert_false(reeve_group_memory_bytes("groups", "odd").set);
        assert_false(reeve_group_cores("groups", "odd").set);
    }
    assert_false(reeve_group_memory_bytes("missing", "odd").set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_of_slurm_has_its_limit_above_the_step),
        cmocka_unit_test(version_1_has_a_hierarchy_for_each_controller),
        cmocka_unit_test(a_container_shows_its_own_group_as_the_root),
        cmocka_unit_test(what_is_no_such_file_limits_nothing),
    };
    return cmocka_run_group_tests(tests, in_own_folder, remove_folder);
}
