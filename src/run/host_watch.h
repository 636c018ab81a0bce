/* Has a host fallen silent as a whole? The master knows on which host each worker runs, and when it last heard of it: a
 * host of which no worker has said anything for a while may be lost, which an MPI may need a minute to notice. It is only
 * a suspicion, told in status.json: `reeve run`, outside MPI, finds out whether the host is there (cli/allocation_hosts). */
#ifndef REEVE_RUN_HOST_WATCH_H
#define REEVE_RUN_HOST_WATCH_H

#include <stddef.h>

#include "core/master.h"

typedef struct reeve_host_watch reeve_host_watch;

/* NULL: out of memory, which all of these take: nobody is suspected then. */
reeve_host_watch *reeve_host_watch_create(uint32_t workers);
void reeve_host_watch_destroy(reeve_host_watch *w);
/* The host that a worker named when it joined; text is not terminated. */
void reeve_host_watch_joined(reeve_host_watch *w, uint32_t worker, const char *text, size_t bytes);
/* The host that has been silent longest, if that is limit_ns at least; NULL: none. Borrowed until destroy. since_ns as in
 * reeve_master_silence. Cost: O(workers). */
const char *reeve_host_watch_silent(reeve_host_watch *w, const reeve_master *m, reeve_time_ns now_ns,
                                    reeve_time_ns since_ns, reeve_time_ns limit_ns, reeve_time_ns *silence_ns);

#endif
