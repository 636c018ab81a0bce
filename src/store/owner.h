/* Who owns a run: RUN/LOCK (its master) and RUN/LOCK.supervisor (the `reeve run` that starts it again), created with
 * O_EXCL, refreshed by its owner. Never flock: it may be local to a node. Taken over when the owner is dead for certain
 * (same host, no such process, or another start time; or an earlier life of this very Slurm job); or, on another host, when
 * it seems to have been silent for REEVE_OWNER_SILENT_S, which is by the clocks of several machines, and then does not
 * refresh for REEVE_OWNER_WATCH_S by the clock of whoever takes over. No two clocks need agree for an owner that refreshes
 * to keep its run. */
#ifndef REEVE_STORE_OWNER_H
#define REEVE_STORE_OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "reeve/ids.h"
#include "reeve/status.h"

#define REEVE_OWNER_SILENT_S 60
#define REEVE_OWNER_WATCH_S 30 /* two of the refreshes that are promised, three of those that come */

typedef struct reeve_owner reeve_owner;

/* Two may own a run at once, one of each kind: between two launches only the supervisor does. */
enum reeve_owner_role { REEVE_OWNER_MASTER, REEVE_OWNER_SUPERVISOR };
/* A process, so that those who share its kernel and its process numbers can tell it from any other. Plain bytes. */
struct reeve_owner_process {
    char boot[64];
    int64_t pid;
    uint64_t start;
};
void reeve_owner_process_self(struct reeve_owner_process *out);
/* What a process that hangs is seen to do. In doubt (another host, another pid name space, a /proc that hides it)
 * UNSEEN. */
enum reeve_owner_look {
    REEVE_OWNER_PROCESS_UNSEEN,
    REEVE_OWNER_PROCESS_GONE,
    REEVE_OWNER_PROCESS_RUNS,    /* or sleeps */
    REEVE_OWNER_PROCESS_STOPPED, /* by a signal, as a whole */
    REEVE_OWNER_PROCESS_TRACED,  /* somebody looks at it with a debugger */
    REEVE_OWNER_PROCESS_ON_DISK, /* a thread of it waits for a disk or a file system, and no signal ends that */
};
enum reeve_owner_look reeve_owner_process_look(const struct reeve_owner_process *p);
/* End a process that was given up (SIGKILL), if it can be seen from here and still runs, so that it can do no harm when
 * it wakes up. False: nothing to end, or not ours to see. */
bool reeve_owner_process_end(const struct reeve_owner_process *p);

/* STORE_IN_USE (host, pid, since when, what to do) | STORE_CREATE | INPUT_PERMISSION. *took_over: a dead owner was
 * replaced. Blocks for REEVE_OWNER_WATCH_S, and says so, where the owner is on another host and seems to be silent. */
reeve_status reeve_owner_acquire(const char *run_dir, reeve_owner **out, bool *took_over, struct reeve_error *err);
reeve_status reeve_owner_acquire_as(const char *run_dir, enum reeve_owner_role role, reeve_owner **out, bool *took_over,
                                    struct reeve_error *err);
/* What was seen of one lock, look by look: for how long nobody has touched it. Zeros: nothing yet. */
struct reeve_owner_watch {
    char text[1024];
    struct timespec refreshed;
    reeve_time_ns looked_ns, unchanged_ns; /* by our monotonic clock; time in which we did not run does not count */
};
/* The same for a job that goes on in this process: those of its own processes that its MPI has given up, `lost`, count
 * as dead wherever they ran. Anybody else who holds the run still holds it. watch: what was seen until just now is not
 * watched once more. lost and watch are borrowed for the call; watch may be NULL. */
reeve_status reeve_owner_succeed(const char *run_dir, const struct reeve_owner_process *lost, uint32_t lost_count,
                                 const struct reeve_owner_watch *watch, reeve_owner **out, bool *took_over,
                                 struct reeve_error *err);
/* Show that we live, at least every REEVE_OWNER_SILENT_S / 4. STORE_IN_USE: somebody else took the run; stop at once. */
reeve_status reeve_owner_refresh(reeve_owner *o, struct reeve_error *err);
void reeve_owner_release(reeve_owner *o); /* removes LOCK if it is still ours; takes NULL */
/* For people, and at once: who holds it now; false if nobody alive does. Of an owner on another host its file's time and our
 * wall clock are all that there is to judge by. */
bool reeve_owner_peek(const char *run_dir, char *text, size_t text_bytes);
bool reeve_owner_peek_as(const char *run_dir, enum reeve_owner_role role, char *text, size_t text_bytes);
/* The same, and where: on this machine, for certain; or elsewhere, by what is known (not silent for long enough). */
enum reeve_owner_seen { REEVE_OWNER_NOBODY, REEVE_OWNER_HERE, REEVE_OWNER_ELSEWHERE };
enum reeve_owner_seen reeve_owner_look(const char *run_dir, enum reeve_owner_role role, char *text, size_t text_bytes);
/* The same, noted in *watch. */
enum reeve_owner_seen reeve_owner_look_again(const char *run_dir, enum reeve_owner_role role,
                                             struct reeve_owner_watch *watch, char *text, size_t text_bytes);
/* The process that is the run's master now, if it lives on this machine; 0: it does not. After the loss of a master it is
 * another one than the rank that began. */
int64_t reeve_owner_master_pid(const char *run_dir);

#endif
