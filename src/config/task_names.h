/* The entries of a job's `tasks` by name: in the order of their names, so that 10^5 of them cost no more than a sort. */
#ifndef REEVE_CONFIG_TASK_NAMES_H
#define REEVE_CONFIG_TASK_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REEVE_TASK_ENTRY_NAME_BYTES 96 /* with its NUL; ".16777216" behind it still fits into a task's name */

/* Where the tasks of an entry are in the list. */
struct reeve_task_span {
    char name[REEVE_TASK_ENTRY_NAME_BYTES];
    uint32_t node, first, count;
    uint32_t after, after_any; /* nodes, or REEVE_YAML_NONE */
};

struct reeve_task_names {
    const struct reeve_task_span **list; /* (count,) owned; each borrowed */
    size_t count;
};

/* Borrows the spans, which stand as in the file, until fini. *first and *twice: the first entry whose name was taken, and
 * by whom; NULL: all differ. False: out of memory. */
bool reeve_task_names_init(struct reeve_task_names *n, const struct reeve_task_span *spans, size_t count,
                           const struct reeve_task_span **first, const struct reeve_task_span **twice);
/* NULL: there is none of that name, which has `bytes` bytes. */
const struct reeve_task_span *reeve_task_names_find(const struct reeve_task_names *n, const char *name, size_t bytes);
void reeve_task_names_fini(struct reeve_task_names *n);

#endif
