/* Which workers share a host, which of them speaks for it, and the memory that they share. At the start of a job only. */
#ifndef REEVE_COLL_PLACES_H
#define REEVE_COLL_PLACES_H

#include <mpi.h>
#include <stdint.h>

#include "coll/shared.h"
#include "reeve/status.h"

struct places {
    uint32_t host, host_count;       /* hosts in the order of their first workers */
    uint32_t local_rank, local_size; /* among the workers of this host, in the order of ranks */
    int *first_ranks;                /* (host_count,) owned; rank in comm of each host's first worker */
    int first_tag;                   /* of this collective; the same on all (tags.h) */
};

/* Collective over comm; blocks. With more than one worker on this host, *shared is ready for use; if a host cannot share
 * memory, each worker counts as a host of its own. host_size: see struct reeve_coll_mpi_config. */
reeve_status places_find(struct places *p, MPI_Comm comm, uint32_t host_size, struct shared *shared,
                         struct reeve_error *err);
void places_fini(struct places *p);

#endif
