/* A master for the targets of frames, list and journal: a job of 12 steps on 4 shards, or a list of tasks, and three
 * workers. */
#ifndef REEVE_TEST_FUZZ_MASTER_H
#define REEVE_TEST_FUZZ_MASTER_H

#include "core/master.h"

#define FUZZ_WORKERS 3u

/* Fresh, in the phase of replay. list: NULL for the training, whose plan lives as long as the process. */
reeve_master *fuzz_master_create(const struct reeve_task_list *list);
reeve_plan *fuzz_plan(void);
/* The event with which a launch begins. */
struct reeve_event fuzz_master_opening(const struct reeve_task_list *list);

#endif
