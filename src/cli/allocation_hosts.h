/* What is left of a Slurm allocation after a loss: the hosts that still start a process, as mpirun's --host takes them. */
#ifndef REEVE_CLI_ALLOCATION_HOSTS_H
#define REEVE_CLI_ALLOCATION_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/launch.h"

#define REEVE_HOST_LIST_BYTES 65536

struct reeve_allocation_hosts {
    uint32_t workers, nodes;          /* of the first launch */
    char list[REEVE_HOST_LIST_BYTES]; /* what placement->hosts points into */
};

/* Of the allocation that this process runs in; false: there is none of several nodes, and mpirun may place as it likes. */
bool reeve_allocation_hosts_init(struct reeve_allocation_hosts *h, uint32_t workers);

/* A `replace` of struct reeve_launch; arg is the struct above. Each node of the allocation is asked to start a process,
 * and has a few seconds for it: Slurm itself needs minutes to call a silent node down. As many workers on each node as
 * before; a node that is back is taken back. false: none is left, or Slurm does not say which nodes there are. */
bool reeve_allocation_hosts_replace(void *arg, uint32_t restart, struct reeve_placement *placement);

#endif
