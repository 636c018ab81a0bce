/* Private to the master: how fast each worker computes, by its last micro-batch; and whether one should leave a task to
 * the others, because they would be through with all that is left before it was through with this one. So a step does
 * not end with everybody waiting for the slowest.
 *
 * Invariant: pace_sum and pace_count are over the workers that are here and have computed. The fastest of all leaves
 * nothing once it is idle, and nobody leaves what others may refuse, so work never stands still for this. */
#ifndef REEVE_CORE_MASTER_PACE_H
#define REEVE_CORE_MASTER_PACE_H

#include "core/master_state.h"

/* Deciding. Cost: O(1). */
bool master_pace_leaves(const reeve_master *m, uint32_t worker, const struct reeve_task *task);

/* Changing: master_apply*.c alone. A micro-batch took so long; the worker is lost, or said goodbye. */
void master_pace_note(reeve_master *m, uint32_t worker, uint64_t task_ns);
void master_pace_forget(reeve_master *m, uint32_t worker);

#endif
