/* Private to the master's thinking: how a decision is put together, and the parts that have files of their own
 * (master_words.c, master_boundary.c, master_regroup.c). All of them read a const master and write the decision alone.
 * */
#ifndef REEVE_CORE_MASTER_DECISION_H
#define REEVE_CORE_MASTER_DECISION_H

#include "core/master_state.h"

/* Another event or frame of this decision, zeroed but for what is named. There is room for REEVE_DECISION_EVENTS_MAX
 * and REEVE_DECISION_FRAMES_MAX (asserted). to == 0: all workers that have joined and are not lost. */
struct reeve_event *master_add_event(struct reeve_decision *d, uint16_t kind);
struct reeve_frame *master_add_frame(const reeve_master *m, struct reeve_decision *d, uint32_t to, uint16_t kind);

/* Workers that have joined, and neither left nor were lost. */
uint32_t master_active_workers(const reeve_master *m);

void master_decide_frame(const reeve_master *m, const struct reeve_master_input *in, reeve_time_ns now_ns,
                         struct reeve_decision *d);
/* A worker is gone; the members are counted anew; what a worker names then; until all have: master_regroup.c. */
void master_decide_lost(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d);
void master_decide_regrouped(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d);
void master_decide_holding(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d);
void master_decide_rejoin(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d);
void master_decide_settling(const reeve_master *m, struct reeve_decision *d);
/* The next worker that wants a task, and a task for it; false: there is none. A lease of it: its frame. */
bool master_pick(const reeve_master *m, uint32_t *worker, reeve_task_id *id);
struct reeve_frame *master_lease(const reeve_master *m, uint32_t worker, reeve_task_id id, reeve_time_ns now_ns,
                                 struct reeve_decision *d);
/* Those who are new: how they come, what they say first and last, and who brings them the state: master_replace.c. */
void master_decide_replaced(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d);
void master_decide_bare(const reeve_master *m, uint32_t worker, struct reeve_decision *d);
void master_decide_state_there(const reeve_master *m, const struct reeve_master_input *in, struct reeve_decision *d);
void master_decide_state(const reeve_master *m, struct reeve_decision *d);
void master_decide_boundary(const reeve_master *m, struct reeve_decision *d);
/* kind: RUN_ENDED or RUN_STOPPED. The workers are told to finish and to say goodbye. */
void master_end_run(const reeve_master *m, uint16_t kind, struct reeve_decision *d);

#endif
