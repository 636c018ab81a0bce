/* Private to the master: a run that works a task list off (config.tasks), in place of steps, evaluations and checkpoints.
 * What it thinks is in master_list.c, what it changes in master_apply_list.c.
 *
 * All tasks are added (TASKS_ADDED), then linked to what they wait for and started (TASKS_STARTED), a bounded number in a
 * turn; the slot in the queue is the index in the list, and is never freed, so replay needs the list and nothing else.
 *
 * A worker has as many leases as it runs commands at once (config.slots), and more, up to config.credits, only while its
 * tasks are short: short ones double its credit, a long or failed one takes it back. So the wire costs little where
 * tasks are short, and where they are long none waits behind another while some worker is idle. */
#ifndef REEVE_CORE_MASTER_LIST_H
#define REEVE_CORE_MASTER_LIST_H

#include "core/master_decision.h"

#define MASTER_LIST_CHUNK 4096u     /* tasks added or started in one decision, which ends its turn */
#define MASTER_LIST_SHORT_US 20000u /* a task this short doubles the credit of its worker */
#define MASTER_LIST_LONG_US 100000u /* one this long takes it back to config.slots */

/* deciding */
void master_list_tick(const reeve_master *m, reeve_time_ns now_ns, struct reeve_decision *d);
void master_list_stop(const reeve_master *m, struct reeve_decision *d);
/* DONE, FAILED or RELEASED of a listed task under its current lease. */
void master_list_word(const reeve_master *m, const struct reeve_master_input *in, const struct reeve_task *t,
                      reeve_time_ns now_ns, struct reeve_decision *d);

/* changing: master_apply*.c alone */
reeve_status master_apply_tasks_added(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_tasks_started(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status master_apply_task_cancelled(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
/* The run was opened again: what was leased or delayed is ready. */
void master_list_reopen(reeve_master *m);
/* How long the last task took decides how many this worker may hold; done: it ended well. */
void master_list_set_credit(reeve_master *m, uint32_t worker, bool done, uint64_t result);

#endif
