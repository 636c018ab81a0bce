/* See mca_files.h. The files: mca_base_param_files (`ompi_info --all` shows it), and a second one of the site, which wins.
 * A line is "name = value"; a '#' begins a comment. */
#include "cli/mca_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "cli/build_info.h"

#define BLANK " \t\r"

static bool sets(const char *line, const char *name)
{
    size_t n = strlen(name);
    line += strspn(line, BLANK);
    return strncmp(line, name, n) == 0 && line[n + strspn(line + n, BLANK)] == '=';
}

static bool file_sets(const char *path, const char *name, char *where, size_t where_bytes)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    char *line = NULL;
    size_t room = 0;
    unsigned number = 0;
    bool found = false;
    while (!found && getline(&line, &room, file) >= 0) {
        number++;
        found = sets(line, name);
    }
    free(line);
    (void)fclose(file);
    if (found) (void)snprintf(where, where_bytes, "%s:%u", path, number);
    return found;
}

static bool folder_sets(const char *folder, const char *file, const char *name, char *where, size_t where_bytes)
{
    char path[REEVE_PATH_BYTES_MAX];
    return folder != NULL && reeve_path_join(path, sizeof(path), folder, file, NULL) == REEVE_OK &&
           file_sets(path, name, where, where_bytes);
}

/* "FILE,FILE,..." */
static bool listed_sets(const char *list, const char *name, char *where, size_t where_bytes)
{
    char *copy = strdup(list);
    bool found = false;
    for (char *at = copy, *path; !found && (path = strsep(&at, ",")) != NULL;)
        found = file_sets(path, name, where, where_bytes);
    free(copy);
    return found;
}

static const char *given(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* As Open MPI finds it: where OPAL_SYSCONFDIR says; a folder below its prefix moves with OPAL_PREFIX, and /etc/openmpi, as
 * distributions have it, stays. */
static const char *find_site(char moved[REEVE_PATH_BYTES_MAX])
{
    static const char built[] = REEVE_BUILD_MPI_SITE;
    const char *folder = given("OPAL_SYSCONFDIR"), *prefix = given("OPAL_PREFIX");
    size_t n = strlen(REEVE_BUILD_MPI_PREFIX);
    bool below = strncmp(built, REEVE_BUILD_MPI_PREFIX, n) == 0 && built[n] == '/';
    if (folder != NULL) return folder;
    if (prefix == NULL || !below ||
        reeve_path_join(moved, REEVE_PATH_BYTES_MAX, prefix, built + n + 1, NULL) != REEVE_OK)
        return built;
    return moved;
}

bool reeve_mca_files_set(const char *name, char *where, size_t where_bytes)
{
    char moved[REEVE_PATH_BYTES_MAX];
    const char *list = getenv("OMPI_MCA_mca_base_param_files"), *site = find_site(moved);
    if (list == NULL) list = getenv("OMPI_MCA_mca_param_files");
    if (folder_sets(site, "openmpi-mca-params-override.conf", name, where, where_bytes)) return true;
    if (list != NULL) return listed_sets(list, name, where, where_bytes);
    return folder_sets(getenv("HOME"), ".openmpi/mca-params.conf", name, where, where_bytes) ||
           folder_sets(site, "openmpi-mca-params.conf", name, where, where_bytes);
}
