/* What a workload gives back is foreign data: its tensors and its errors are checked before anybody uses them. */
#ifndef REEVE_WORKLOAD_FOREIGN_H
#define REEVE_WORKLOAD_FOREIGN_H

#include "reeve/workload.h"

/* The list that tensors() gave, against what include/reeve/workload.h asks of it.
 *   out  param_count  elements of all model tensors; untouched on error
 * Returns  OK | INPUT_INVALID (which tensor, what was expected) | JOB_NO_MEMORY. */
reeve_status reeve_foreign_tensors(const struct reeve_tensor *list, uint32_t count, uint64_t *param_count,
                                   struct reeve_error *err);

/* A function of the workload returned `status`, which is not OK, and perhaps worded it in *err: make one line of it
 * that begins with the workload's name and `where`. A status that is not a workload's to return (or none at all) becomes
 * TASK_REJECTED, so that it is not tried again. Returns the status, which is also err's. */
reeve_status reeve_foreign_failure(const struct reeve_workload_ops *ops, const char *where, reeve_status status,
                                   struct reeve_error *err);

#endif
