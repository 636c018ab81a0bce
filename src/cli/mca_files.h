/* What a site, or a user, tells Open MPI 5 in files (mca-params.conf). Its environment does not show it: mpirun hands on
 * what stands in the user's own file, and nothing of the others. */
#ifndef REEVE_CLI_MCA_FILES_H
#define REEVE_CLI_MCA_FILES_H

#include <stdbool.h>
#include <stddef.h>

/* Is the parameter `name` set in one of the files that Open MPI reads? where: the first such place, "FILE:LINE". */
bool reeve_mca_files_set(const char *name, char *where, size_t where_bytes);

#endif
