/* A master for the targets of frames and journal: a job of 12 steps on 4 shards, up to 5 workers. */
#ifndef REEVE_TEST_FUZZ_MASTER_H
#define REEVE_TEST_FUZZ_MASTER_H

#include "core/master.h"

#define FUZZ_WORKERS 3u

/* Fresh, in the phase of replay; its plan lives as long as the process. */
reeve_master *fuzz_master_create(void);
/* The event with which a launch begins. */
struct reeve_event fuzz_master_opening(void);

#endif
