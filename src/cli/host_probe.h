/* Does a node of this Slurm allocation still start a process? Asked without waiting, many at a time: Slurm itself needs
 * minutes to call a silent node down. */
#ifndef REEVE_CLI_HOST_PROBE_H
#define REEVE_CLI_HOST_PROBE_H

#include <stddef.h>
#include <sys/types.h>

#include "reeve/ids.h"

/* Usually a node needs a tenth of a second: so long does it have at most, and at least. */
#define REEVE_HOST_PROBE_NS (5 * (reeve_time_ns)1000000000)
#define REEVE_HOST_PROBE_NS_MIN (2 * (reeve_time_ns)1000000000)

enum reeve_host_answer {
    REEVE_HOST_ASKED,  /* the answer is not there yet */
    REEVE_HOST_STARTS, /* it started a process */
    REEVE_HOST_SILENT, /* it did not, in time */
};

struct reeve_host_probe {
    pid_t child; /* 0: none runs */
    int fd;      /* what it says */
    reeve_time_ns asked_ns, patience_ns;
    reeve_time_ns took_ns; /* until it had answered */
    char said[512];        /* a cluster may put words of its own around ours */
    size_t said_bytes;
    enum reeve_host_answer answer;
};

void reeve_host_probe_start(struct reeve_host_probe *p, const char *node, reeve_time_ns now_ns);
/* Returns at once. When the answer is there, nothing of the probe runs any more on this host. */
enum reeve_host_answer reeve_host_probe_look(struct reeve_host_probe *p, reeve_time_ns now_ns);

#endif
