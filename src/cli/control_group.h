/* What the control groups that a process is in leave it: a job's group, a container's, a Slurm step's. The limit that bites
 * may stand anywhere between the process's own group and the root, so the least on that way counts. */
#ifndef REEVE_CLI_CONTROL_GROUP_H
#define REEVE_CLI_CONTROL_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#define REEVE_GROUP_NAME_BYTES 160

struct reeve_group_limit {
    bool set; /* false: nothing limits it, and the rest says nothing */
    double value;
    char group
        [REEVE_GROUP_NAME_BYTES]; /* where it stands: "/slurm/uid_1000/job_7"; "/" is the root. Cut if it is long */
};

/* Versions 1 and 2 of control groups, and both at once, mounted where systemd and containers mount them.
 *   in  groups  "/proc/self/cgroup", see cgroups(7)
 *   in  mount   "/sys/fs/cgroup"
 * What cannot be read limits nothing: in a container the groups that the file names may not be there, only those above. */
struct reeve_group_limit reeve_group_memory_bytes(const char *groups, const char *mount);
/* Of processor time, in cores: 1.5. */
struct reeve_group_limit reeve_group_cores(const char *groups, const char *mount);

#endif
