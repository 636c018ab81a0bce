/* The locked task list on disk: RUN/tasks.h5. Format and meaning: docs/format/tasks.md. */
#ifndef REEVE_STORE_TASKS_LOCK_H
#define REEVE_STORE_TASKS_LOCK_H

#include "core/task_list.h"

/* Write a checked list, whole or not at all. STORE_CREATE | STORE_WRITE | JOB_NO_MEMORY. */
reeve_status reeve_tasks_lock_write(const char *path, const struct reeve_task_list *l, struct reeve_error *err);
/* Read it back as untrusted input; what comes out is checked. INPUT_MISSING | INPUT_PERMISSION | STORE_CORRUPT |
 * STORE_READ | JOB_NO_MEMORY. *out: reeve_task_list_destroy(). */
reeve_status reeve_tasks_lock_read(const char *path, struct reeve_task_list **out, struct reeve_error *err);

#endif
