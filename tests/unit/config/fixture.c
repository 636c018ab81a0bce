/* See fixture.h. */
#include "fixture.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/path.h"

static char folder[PATH_MAX] = "/tmp/reeve-config-test-XXXXXX";

int fixture_setup(void **state)
{
    char real[PATH_MAX];
    if (mkdtemp(folder) == NULL || realpath(folder, real) == NULL) return -1;
    memcpy(folder, real, sizeof(folder));
    return chdir(folder);
}

int fixture_teardown(void **state)
{
    return chdir("/") == 0 && reeve_remove_tree(folder, NULL) == REEVE_OK ? 0 : -1;
}

const char *fixture_folder(void)
{
    return folder;
}

void fixture_write_bytes(const char *path, const void *bytes, size_t n)
{
    char dir[PATH_MAX];
    reeve_path_dirname(path, dir, sizeof(dir));
    REEVE_ASSERT(reeve_mkdir_parents(dir, NULL) == REEVE_OK);
    REEVE_ASSERT(reeve_file_replace(path, bytes, n, false, NULL) == REEVE_OK);
}

void fixture_write(const char *path, const char *text)
{
    fixture_write_bytes(path, text, strlen(text));
}

uint64_t fixture_seed(void)
{
    const char *given = getenv("REEVE_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)reeve_clock_wall_ns();
    (void)printf("REEVE_TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}
