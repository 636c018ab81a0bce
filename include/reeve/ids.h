/* Ids are one-field structs, so that the compiler refuses a worker where a task is meant. */
#ifndef REEVE_IDS_H
#define REEVE_IDS_H

#include <stdint.h>

typedef struct { uint32_t v; } reeve_worker_id; /* 1..; logical, never an MPI rank; 0 is nobody */
typedef struct { uint32_t v; } reeve_task_id;   /* slot in the queue; reused only after the task is retired */
typedef struct { uint32_t v; } reeve_shard_id;  /* index in the locked manifest */

typedef int64_t reeve_time_ns; /* monotonic clock, ns */

#define REEVE_WORKER_NONE ((reeve_worker_id){0})
#define REEVE_TASK_NONE   ((reeve_task_id){UINT32_MAX})

#endif
