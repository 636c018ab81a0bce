/* What a site tells Open MPI is looked for where Open MPI itself looks: it says so with `ompi_info --path sysconfdir`. */
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
#include "cli/build_info.h"
#include "cli/mca_files.h"

#define NAME "reeve_test_parameter"

static char where[256];

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static char folder[] = "/tmp/reeve-mca-XXXXXX";

static int in_own_folder(void **state)
{
    static const char *const variables[] = {"OPAL_PREFIX", "OPAL_SYSCONFDIR", "OMPI_MCA_mca_base_param_files",
                                            "OMPI_MCA_mca_param_files"};
    (void)state;
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        (void)unsetenv(variables[i]);
    return mkdtemp(folder) == NULL || chdir(folder) != 0 || setenv("HOME", "home", 1) != 0 ||
           mkdir("site", 0700) != 0 || mkdir("moved", 0700) != 0 || mkdir("moved/etc", 0700) != 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return chdir("/") != 0 || reeve_remove_tree(folder, NULL) != REEVE_OK;
}

static void files_of_a_site_are_those_of_the_folder_that_is_named(void **state)
{
    (void)state;
    assert_false(reeve_mca_files_set(NAME, where, sizeof(where)));
    write_file("site/openmpi-mca-params.conf", "# comment\n " NAME " = 1\n");
    (void)setenv("OPAL_SYSCONFDIR", "", 1);
    assert_false(reeve_mca_files_set(NAME, where, sizeof(where)));
    (void)setenv("OPAL_SYSCONFDIR", "site", 1);
    assert_true(reeve_mca_files_set(NAME, where, sizeof(where)));
    assert_string_equal(where, "site/openmpi-mca-params.conf:2");
    write_file("site/openmpi-mca-params-override.conf", NAME "=2\n");
    assert_true(reeve_mca_files_set(NAME, where, sizeof(where)));
    assert_string_equal(where, "site/openmpi-mca-params-override.conf:1");
    (void)unsetenv("OPAL_SYSCONFDIR");
}

/* Goal: a prefix that was moved takes along what lies below it, and not /etc/openmpi. */
static void prefix_moves_what_lies_below_it(void **state)
{
    static const char site[] = REEVE_BUILD_MPI_SITE;
    size_t n = strlen(REEVE_BUILD_MPI_PREFIX);
    bool below = strncmp(site, REEVE_BUILD_MPI_PREFIX, n) == 0 && strcmp(site + n, "/etc") == 0;
    (void)state;
    write_file("moved/etc/openmpi-mca-params.conf", NAME " = 1\n");
    (void)setenv("OPAL_PREFIX", "moved", 1);
    assert_int_equal(reeve_mca_files_set(NAME, where, sizeof(where)), below);
    (void)unsetenv("OPAL_PREFIX");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_a_site_are_those_of_the_folder_that_is_named),
        cmocka_unit_test(prefix_moves_what_lies_below_it),
    };
    return cmocka_run_group_tests(tests, in_own_folder, remove_folder);
}
