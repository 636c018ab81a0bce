/* Another process in the place of a lost one; see mpi_session.h and docs/adr/0008.
 *
 * Rank 0 of those who are there starts it, alone (MPI_Comm_spawn on MPI_COMM_SELF): whoever takes part in that waits for
 * all others who do, in the launcher, where no loss is reported. Over the communicator that rank 0 then has with the new
 * one, all come together (MPI_Intercomm_create, merge, the new one behind), and a loss is an error like any other. What
 * follows is a regrouping. Whoever is lost meanwhile makes it void on all, and they go on as before; but within the merge
 * nobody comes back from Open MPI 5.0, and the watchdog of the regrouping ends the job (docs/recovery.md). */
#include <errno.h>
#include <limits.h>
#include <mpi.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/watchdog.h"
#include "net/mpi_error.h"
#include "net/mpi_session_parts.h"

#if defined(OPEN_MPI) || defined(MPICH)
#include <mpi-ext.h>
#endif

#define ARGUMENTS_MAX 160
#define PLACE_BYTES 32
#define SPAWN_NS (20 * REEVE_SECOND_NS) /* nobody can leave a spawn that hangs: rank 0 is lost then, to all others */
#define START_NS (15 * REEVE_SECOND_NS) /* less: whoever starts and cannot come goes first, and rank 0 is told */
#define LOOK_NS (50 * REEVE_MILLISECOND_NS)
#define BRIDGE_TAG 1

#ifndef MPIX_ERR_PROC_FAILED

reeve_status reeve_mpi_session_join(int *argc, char ***argv, const char *place, reeve_time_ns patience_ns,
                                    int exit_code, struct reeve_mpi_session *out, struct reeve_error *err)
{
    (void)argc, (void)argv, (void)place, (void)patience_ns, (void)exit_code, (void)out;
    return reeve_fail(err, REEVE_JOB_CONFIG, "this MPI cannot go on after a loss, so nobody's place can be taken");
}

#else

/* ---- those who are there ---- */

/* What this process was started with, and the place in front. argv: (ARGUMENTS_MAX + 3,). */
static bool write_arguments(const struct reeve_mpi_session *s, char *place, char **argv)
{
    int n = 0;
    argv[n++] = (char *)REEVE_MPI_PLACE_OPTION;
    argv[n++] = place;
    for (int i = 0; s->arguments[i] != NULL; i++) {
        if (strcmp(s->arguments[i], REEVE_MPI_PLACE_OPTION) == 0) { /* its own, if it once was a new one */
            i++;
            continue;
        }
        if (n == ARGUMENTS_MAX) return false;
        argv[n++] = (char *)(uintptr_t)s->arguments[i];
    }
    argv[n] = NULL;
    return true;
}

/* Seen from the one who starts it: of *bridge it is rank 0, the new process is rank 1. Returns MPI's code. */
static int spawn(const struct reeve_mpi_session *s, uint32_t member, MPI_Comm *bridge)
{
    char place[PLACE_BYTES], program[PATH_MAX] = "";
    char *argv[ARGUMENTS_MAX + 3];
    MPI_Info info = MPI_INFO_NULL;
    MPI_Comm new = MPI_COMM_NULL;
    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
    (void)snprintf(place, sizeof(place), "%u:%u:%ld", s->member_count, member, (long)getpid());
    if (n <= 0 || !write_arguments(s, place, argv)) return MPI_ERR_ARG;
    int rc = MPI_Info_create(&info);
    if (rc != MPI_SUCCESS) return rc;
    /* As `reeve run` asks mpirun: more processes than cores are usual. */
    (void)MPI_Info_set(info, "map_by", ":OVERSUBSCRIBE");
    (void)MPI_Info_set(info, "bind_to", "none");
    rc = MPI_Comm_spawn(program, argv, 1, info, 0, MPI_COMM_SELF, &new, MPI_ERRCODES_IGNORE);
    (void)MPI_Info_free(&info);
    if (rc != MPI_SUCCESS) new = MPI_COMM_NULL; /* half made, as in mpi_regroup.c */
    if (rc == MPI_SUCCESS) rc = MPI_Comm_set_errhandler(new, MPI_ERRORS_RETURN);
    if (rc == MPI_SUCCESS) rc = MPI_Intercomm_merge(new, 0, bridge);
    if (rc == MPI_SUCCESS) return MPI_Comm_set_errhandler(*bridge, MPI_ERRORS_RETURN);
    *bridge = MPI_COMM_NULL;
    if (new != MPI_COMM_NULL) (void)MPIX_Comm_revoke(new); /* who comes finds it revoked, and ends */
    return rc;
}

/* As spawn(), but it ends: with this process, if need be. */
static int spawn_in_time(const struct reeve_mpi_session *s, uint32_t member, MPI_Comm *bridge)
{
    struct reeve_watchdog watchdog;
    reeve_time_ns begin_ns = reeve_clock_now();
    if (!reeve_watchdog_start(&watchdog, begin_ns + SPAWN_NS, REEVE_WATCHDOG_KILL,
                              "the launcher did not start a process in the place of a lost one in time"))
        return MPI_ERR_NO_MEM;
    int rc = spawn(s, member, bridge);
    reeve_watchdog_stop(&watchdog);
    if (rc == MPI_SUCCESS)
        reeve_log(REEVE_LOG_DEBUG, "a process for worker %u was started in %.3f s", member,
                  (double)(reeve_clock_now() - begin_ns) * 1e-9);
    return rc;
}

/* *both: those of local on this side; on the other the one to whom rank `remote` of the bridge belongs. Returns MPI's code. */
static int face(MPI_Comm local, MPI_Comm bridge, int remote, MPI_Comm *both)
{
    int rc = MPI_Intercomm_create(local, 0, bridge, remote, BRIDGE_TAG, both);
    if (rc == MPI_SUCCESS) return MPI_Comm_set_errhandler(*both, MPI_ERRORS_RETURN);
    *both = MPI_COMM_NULL; /* half made, as in mpi_regroup.c */
    return rc;
}

/* *merged: both sides in one, the new one last. Returns MPI's code. */
static int make_one(MPI_Comm both, bool i_am_new, MPI_Comm *merged)
{
    int rc = MPI_Intercomm_merge(both, i_am_new, merged);
    if (rc == MPI_SUCCESS) return MPI_Comm_set_errhandler(*merged, MPI_ERRORS_RETURN);
    *merged = MPI_COMM_NULL;
    return rc;
}

static bool agree(MPI_Comm comm, bool mine)
{
    int all_well = mine;
    return MPIX_Comm_agree(comm, &all_well) == MPI_SUCCESS && all_well;
}

static void revoke_if_any(MPI_Comm comm)
{
    if (comm != MPI_COMM_NULL) (void)MPIX_Comm_revoke(comm);
}

/* Did it go well on all? Where it did not, others may still wait for this one in a collective of one of the two. */
static bool agree_on(MPI_Comm from, MPI_Comm both, int rc)
{
    if (rc != MPI_SUCCESS) {
        (void)MPIX_Comm_revoke(from);
        revoke_if_any(both);
    }
    return agree(from, rc == MPI_SUCCESS);
}

bool mpi_session_replace(struct reeve_mpi_session *s, MPI_Comm from, uint32_t member, MPI_Comm *merged)
{
    MPI_Comm bridge = MPI_COMM_NULL, both = MPI_COMM_NULL;
    int rank = -1, rc = MPI_Comm_rank(from, &rank);
    *merged = MPI_COMM_NULL;
    s->replaced = true;
    if (!agree(from, member > 0)) return false;
    if (rc == MPI_SUCCESS && rank == 0) rc = spawn_in_time(s, member, &bridge);
    bool well = agree(from, rc == MPI_SUCCESS);
    if (well) {
        rc = face(from, bridge, 1, &both);
        well = agree_on(from, both, rc);
    }
    if (well) { /* not before all face the new one: whoever does not could not be told from here that others wait for it */
        rc = make_one(both, false, merged);
        well = agree_on(from, both, rc);
    }
    if (well) return true;
    if (rc != MPI_SUCCESS) {
        struct reeve_error why;
        (void)reeve_mpi_fail(&why, rc, "start a process in the place of worker %u", member);
        reeve_log(REEVE_LOG_WARN, "%s", why.text);
    }
    revoke_if_any(*merged); /* who came finds it revoked, and ends */
    revoke_if_any(both);
    revoke_if_any(bridge);
    return false;
}

/* ---- those who come ---- */

/* "members:member:process": how many there were at the start, who this one is, and who started it. */
static bool read_place(const char *place, uint32_t *member_count, uint32_t *member, pid_t *starter)
{
    char *end = NULL;
    unsigned long count = strtoul(place, &end, 10);
    unsigned long me = *end == ':' ? strtoul(end + 1, &end, 10) : 0;
    long pid = *end == ':' ? strtol(end + 1, &end, 10) : 0;
    if (*end != '\0' || count < 2 || count > INT32_MAX || me < 1 || me >= count || pid < 1 || pid > INT32_MAX)
        return false;
    *member_count = (uint32_t)count;
    *member = (uint32_t)me;
    *starter = (pid_t)pid;
    return true;
}

/* The one who starts this process may be lost before anything of MPI's could tell. Both are on one host. */
struct starter_watch {
    pthread_t thread;
    pid_t starter;
    int handle; /* a pidfd of it; -1: an old kernel */
    atomic_bool stop;
};

/* A pidfd is readable as soon as its process has ended, also while nobody has waited for that one. */
static void end_with_starter(const struct starter_watch *w)
{
    struct pollfd end = {.fd = w->handle, .events = POLLIN};
    bool ended = w->handle >= 0 ? poll(&end, 1, 0) > 0 : kill(w->starter, 0) != 0 && errno == ESRCH;
    if (ended) (void)kill(getpid(), SIGKILL);
}

static void *watch_starter(void *argument)
{
    struct starter_watch *w = argument;
    while (!atomic_load(&w->stop)) {
        end_with_starter(w);
        reeve_clock_sleep(LOOK_NS);
    }
    return NULL;
}

static int meet(struct reeve_mpi_session *s, MPI_Comm parent, MPI_Comm *merged)
{
    MPI_Comm bridge = MPI_COMM_NULL, both = MPI_COMM_NULL;
    int rc = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_set_errhandler(parent, MPI_ERRORS_RETURN);
    if (rc == MPI_SUCCESS) rc = mpi_session_tell_names(s);
    if (rc == MPI_SUCCESS) rc = MPI_Intercomm_merge(parent, 1, &bridge);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_set_errhandler(bridge, MPI_ERRORS_RETURN);
    if (rc == MPI_SUCCESS) rc = face(MPI_COMM_WORLD, bridge, 0, &both);
    if (rc == MPI_SUCCESS) rc = make_one(both, true, merged);
    return rc;
}

/* *merged: with all who are there. */
static reeve_status come(int *argc, char ***argv, struct reeve_mpi_session *s, MPI_Comm *merged,
                         struct reeve_error *err)
{
    MPI_Comm parent = MPI_COMM_NULL;
    reeve_status st = mpi_session_start(argc, argv, err);
    if (st != REEVE_OK) return st;
    int rc = MPI_Comm_get_parent(&parent);
    if (rc != MPI_SUCCESS || parent == MPI_COMM_NULL)
        return reeve_fail(err, REEVE_JOB_CONFIG, "%s is for processes that a job has started itself",
                          REEVE_MPI_PLACE_OPTION);
    mpi_session_tell_ulfm(s);
    rc = meet(s, parent, merged);
    return rc == MPI_SUCCESS ? REEVE_OK : reeve_mpi_fail(err, rc, "come to those who are there");
}

/* As come(), but it ends: with this process, if need be. */
static reeve_status come_in_time(int *argc, char ***argv, pid_t starter, int exit_code, struct reeve_mpi_session *s,
                                 MPI_Comm *merged, struct reeve_error *err)
{
    struct reeve_watchdog watchdog;
    struct starter_watch watch = {.starter = starter, .handle = (int)syscall(SYS_pidfd_open, starter, 0)};
    end_with_starter(&watch); /* where it is gone already (no handle: ESRCH), MPI need not begin */
    if (!reeve_watchdog_start(&watchdog, reeve_clock_now() + START_NS, exit_code, "the others did not come in time"))
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "no thread to watch over the start");
    bool watched = pthread_create(&watch.thread, NULL, watch_starter, &watch) == 0;
    reeve_status st = watched ? come(argc, argv, s, merged, err)
                              : reeve_fail(err, REEVE_JOB_NO_MEMORY, "no thread to watch over the start");
    atomic_store(&watch.stop, true);
    if (watched) (void)pthread_join(watch.thread, NULL);
    if (watch.handle >= 0) (void)close(watch.handle);
    reeve_watchdog_stop(&watchdog);
    return st;
}

reeve_status reeve_mpi_session_join(int *argc, char ***argv, const char *place, reeve_time_ns patience_ns,
                                    int exit_code, struct reeve_mpi_session *out, struct reeve_error *err)
{
    struct reeve_watchdog watchdog;
    MPI_Comm merged = MPI_COMM_NULL;
    pid_t starter = 0;
    *out = (struct reeve_mpi_session){.replaced = true};
    if (!read_place(place, &out->member_count, &out->member, &starter))
        return reeve_fail(err, REEVE_JOB_CONFIG, "place %s: cannot be understood", place);
    reeve_status st = come_in_time(argc, argv, starter, exit_code, out, &merged, err);
    if (st != REEVE_OK) return st;
    if (!reeve_watchdog_start(&watchdog, reeve_clock_now() + patience_ns, exit_code, "the others did not come in time"))
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "no thread to watch over a regrouping");
    st = mpi_session_come_together(out, merged, true, err);
    reeve_watchdog_stop(&watchdog);
    out->node_size = out->size; /* all on one host: elsewhere nobody is replaced */
    return st;
}

#endif
