/* The sum over one worker: a copy. Links no MPI. */
#ifndef REEVE_COLL_SELF_H
#define REEVE_COLL_SELF_H

#include "port/collective.h"

/* JOB_NO_MEMORY. */
reeve_status reeve_coll_self_create(reeve_collective **out, struct reeve_error *err);

#endif
