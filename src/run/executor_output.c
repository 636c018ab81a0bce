/* A folder holds the output of a thousand tasks, so that none holds that of a million. */
#include "run/executor_output.h"

#include <stdio.h>

void reeve_executor_output_path(const struct reeve_task_list *l, uint32_t task, uint32_t attempt, bool errors,
                                char *out, size_t out_bytes)
{
    (void)snprintf(out, out_bytes, "output/%05u/%s.a%u.%s", task / 1000, reeve_task_list_name(l, task), attempt,
                   errors ? "err" : "out");
}
