/* A sweep: a command with {parameter} in it, and lists of values; one command for each combination. */
#ifndef REEVE_CONFIG_TASKS_MATRIX_H
#define REEVE_CONFIG_TASKS_MATRIX_H

#include "config/yaml_tree.h"

/* A command of the sweep; bytes without a NUL. Not OK: stop, with that. */
typedef reeve_status reeve_tasks_combination(void *arg, const char *command, size_t bytes);

/* Call visit for each combination of the values in `matrix` (a mapping from parameters to lists of scalars), the last
 * parameter changing fastest. {parameter} is replaced wherever it stands; other braces stay as they are.
 * INPUT_INVALID with the place: no mapping, an empty list, a parameter that the command does not use, a command too long. */
reeve_status reeve_tasks_matrix(const struct reeve_yaml *y, uint32_t matrix, const char *command,
                                reeve_tasks_combination *visit, void *arg, struct reeve_error *err);

#endif
