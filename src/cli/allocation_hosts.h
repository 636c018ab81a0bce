/* The nodes of a Slurm allocation, as a launch that has lost one needs them: is a node that has fallen silent still there,
 * and which ones can the next launch have? */
#ifndef REEVE_CLI_ALLOCATION_HOSTS_H
#define REEVE_CLI_ALLOCATION_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/host_probe.h"
#include "cli/launch.h"

#define REEVE_HOST_LIST_BYTES 65536

struct reeve_allocation_hosts {
    uint32_t workers, nodes;           /* of the first launch */
    uint32_t min_workers;              /* with fewer it is not worth going on; at most `workers` */
    char names[REEVE_HOST_LIST_BYTES]; /* of all nodes, one a line; "": not known yet */
    char list[REEVE_HOST_LIST_BYTES];  /* what placement->hosts points into; "": the first launch, on all nodes */
    /* the node that is being asked, or was asked last; and this one, to see whether Slurm answers at all */
    char asked[256];
    struct reeve_host_probe suspect, control;
    reeve_time_ns ask_again_ns; /* the last answer stands until then */
    reeve_time_ns lost_ns;      /* when `asked` was found to be lost; 0: it was not */
};

/* Of the allocation that this process runs in; false: there is none of several nodes, and mpirun may place as it likes.
 * Also has mpirun's daemons share the cores of daemons that Slurm still counts (SLURM_OVERLAP in the environment). */
bool reeve_allocation_hosts_init(struct reeve_allocation_hosts *h, uint32_t workers, uint32_t min_workers);

/* An `is_lost` of struct reeve_launch; arg is the struct above. Lost is a node that starts no process while this one does,
 * within ten times as long (2 s at least, 5 s at most). One that is not, or of which Slurm cannot say it, is asked again after a while. */
bool reeve_allocation_hosts_is_lost(void *arg, const char *host, reeve_time_ns now_ns);

/* A `find_lost` of struct reeve_launch; arg is the struct above. Lost as above; of the nodes of the launch that runs. */
bool reeve_allocation_hosts_find_lost(void *arg, char lost[256]);

/* A `replace` of struct reeve_launch; arg is the struct above. Each node of the allocation is asked to start a process,
 * and has a few seconds for it. As many workers on each node as before; a node that is back is taken back. While Slurm
 * does not answer *placement stays as it is. False, after a word of why: fewer than min_workers are left. */
bool reeve_allocation_hosts_replace(void *arg, uint32_t restart, struct reeve_placement *placement);

/* Does a node have this name? A host may call itself n1.cluster.example and its node n1. */
bool reeve_allocation_hosts_same(const char *node, const char *host);

#endif
