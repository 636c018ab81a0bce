/* See allocation_hosts.h. */
#include "cli/allocation_hosts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/output.h"

#define NAMES_DEADLINE_MS 30000
#define START_DEADLINE_MS 5000 /* for a node to start a process: usually a tenth of a second */

bool reeve_allocation_hosts_init(struct reeve_allocation_hosts *h, uint32_t workers)
{
    const char *nodes = getenv("SLURM_JOB_NUM_NODES");
    long count = nodes != NULL ? strtol(nodes, NULL, 10) : 0;
    if (count < 2 || count > 65535 || getenv("SLURM_JOB_NODELIST") == NULL || workers < 2) return false;
    h->workers = workers;
    h->nodes = (uint32_t)count;
    return true;
}

/* Does the node start a process? The step shares the cores of whatever the node may still run. */
static bool starts_a_process(const char *host)
{
    char node[300], says[512];
    (void)snprintf(node, sizeof(node), "--nodelist=%s", host);
    const char *const argv[] = {"env",
                                "-u",
                                "SLURM_NTASKS_PER_NODE",
                                "-u",
                                "SLURM_DISTRIBUTION",
                                "srun",
                                "--nodes=1",
                                "--ntasks=1",
                                "--overlap",
                                "--mpi=none",
                                "--quiet",
                                "--immediate=5",
                                node,
                                "true",
                                NULL};
    return reeve_command_run(argv, START_DEADLINE_MS, says, sizeof(says)) == 0;
}

/* "n1:3,n2:3" */
static bool add_host(char *list, size_t *used, const char *host, uint32_t slots)
{
    int n = snprintf(list + *used, REEVE_HOST_LIST_BYTES - *used, "%s%s:%" PRIu32, *used > 0 ? "," : "", host, slots);
    if (n < 0 || (size_t)n >= REEVE_HOST_LIST_BYTES - *used) return false;
    *used += (size_t)n;
    return true;
}

bool reeve_allocation_hosts_replace(void *arg, uint32_t restart, struct reeve_placement *placement)
{
    struct reeve_allocation_hosts *h = arg;
    static char names[REEVE_HOST_LIST_BYTES];
    const char *const argv[] = {"scontrol", "show", "hostnames", getenv("SLURM_JOB_NODELIST"), NULL};
    if (reeve_command_run(argv, NAMES_DEADLINE_MS, names, sizeof(names)) != 0) {
        reeve_cli_note("Slurm does not say which nodes this job has");
        return false;
    }
    uint32_t per_node = (h->workers + h->nodes - 1) / h->nodes, left = 0;
    size_t used = 0;
    for (char *at = names, *host; (host = strsep(&at, "\n")) != NULL;) {
        if (*host == '\0') continue;
        if (!starts_a_process(host)) reeve_cli_note("node %s starts nothing any more: going on without it", host);
        else if (add_host(h->list, &used, host, per_node + 1)) left++;
    }
    if (left == 0) return false;
    uint32_t room = left * per_node;
    placement->workers = h->workers < room ? h->workers : room;
    placement->hosts = h->list;
    return true;
}
