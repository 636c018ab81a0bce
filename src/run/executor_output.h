/* Where a run of a task list keeps what its commands print. */
#ifndef REEVE_RUN_EXECUTOR_OUTPUT_H
#define REEVE_RUN_EXECUTOR_OUTPUT_H

#include <stdbool.h>

#include "core/task_list.h"

/* Of an attempt, below the run folder: "output/00012/fit.3.a1.out" (or .err). It is there only if something was
 * printed. */
void reeve_executor_output_path(const struct reeve_task_list *l, uint32_t task, uint32_t attempt, bool errors,
                                char *out, size_t out_bytes);

#endif
