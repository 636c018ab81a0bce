/* Private to the changing of the master: what master_apply.c hands to the files that hold its parts
 * (master_apply_steps.c, master_apply_tasks.c, master_apply_members.c). Nobody else writes to a master. */
#ifndef REEVE_CORE_MASTER_CHANGE_H
#define REEVE_CORE_MASTER_CHANGE_H

#include "core/master_state.h"

/* STORE_CORRUPT: this event cannot happen in this state, and why. */
reeve_status master_refuse(const struct reeve_event *ev, struct reeve_error *err, const char *why);

/* NULL: no such worker in this launch. */
struct master_worker *master_known_worker(reeve_master *m, uint32_t worker);

/* Out of the list of workers with spare credit, and into it (at the end) if it has any; and, after a lease, to its
 * end. */
void master_update_hungry(reeve_master *m, uint32_t worker);
void master_rotate_hungry(reeve_master *m, uint32_t worker);
/* Of a worker that has held nothing yet. */
uint32_t master_first_credit(const reeve_master *m);

/* Each: OK | STORE_CORRUPT (cannot happen in this state; nothing was changed) | JOB_NO_MEMORY (a limit of create()). */
reeve_status master_apply_worker_lost(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_worker_cleared(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_worker_replaced(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_regrouped(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_step_opened(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_eval_opened(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_step_committed(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_eval_committed(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_step_aborted(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_task_leased(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_task_computed(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_task_done(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_task_failed(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_task_released(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_task_dead(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_task_added(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);

#endif
