/* Other processes in the places of lost ones; see mpi_session.h and docs/adr/0008.
 *
 * Those who are there start them (MPI_Comm_spawn), tell each in a word on its command line which member it is, and merge
 * with them, the new ones behind. What follows is a regrouping like any other, in which all take part. Whoever is lost
 * meanwhile makes it void on all, and they go on as before. */
#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
#define PLACE_BYTES 4096
#define SPAWN_NS (20 * REEVE_SECOND_NS) /* nobody can leave a spawn that hangs: level 2 ends the launch then */

#ifndef MPIX_ERR_PROC_FAILED

reeve_status reeve_mpi_session_join(int *argc, char ***argv, const char *place, reeve_time_ns patience_ns,
                                    int exit_code, struct reeve_mpi_session *out, struct reeve_error *err)
{
    (void)argc, (void)argv, (void)place, (void)patience_ns, (void)exit_code, (void)out;
    return reeve_fail(err, REEVE_JOB_CONFIG, "this MPI cannot go on after a loss, so nobody's place can be taken");
}

#else

/* ---- those who are there ---- */

/* "members:member,member,...": how many there were at the start, and who each of the new processes is. */
static bool write_place(uint32_t member_count, const uint32_t *members, int count, char *place)
{
    int at = snprintf(place, PLACE_BYTES, "%u:", member_count);
    for (int i = 0; i < count && at < PLACE_BYTES; i++)
        at += snprintf(place + at, (size_t)(PLACE_BYTES - at), "%s%u", i > 0 ? "," : "", members[i]);
    return at < PLACE_BYTES;
}

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

/* Collective over from; only rank 0's words count. Returns MPI's code: the same on all, unless somebody is lost. */
static int spawn(const struct reeve_mpi_session *s, MPI_Comm from, const uint32_t *members, int count, MPI_Comm *new)
{
    char place[PLACE_BYTES], program[PATH_MAX] = "";
    char *argv[ARGUMENTS_MAX + 3];
    bool words = write_place(s->member_count, members, count, place) && write_arguments(s, place, argv);
    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (!words || n <= 0) program[0] = '\0'; /* MPI refuses it, on all */
    MPI_Info info = MPI_INFO_NULL;
    int rc = MPI_Info_create(&info);
    if (rc != MPI_SUCCESS) return rc;
    /* As `reeve run` asks mpirun: more processes than cores are usual. */
    (void)MPI_Info_set(info, "map_by", ":OVERSUBSCRIBE");
    (void)MPI_Info_set(info, "bind_to", "none");
    rc = MPI_Comm_spawn(program, argv, count, info, 0, from, new, MPI_ERRCODES_IGNORE);
    (void)MPI_Info_free(&info);
    return rc;
}

static bool agree(MPI_Comm comm, bool mine)
{
    int all_well = mine;
    return MPIX_Comm_agree(comm, &all_well) == MPI_SUCCESS && all_well;
}

static bool start_and_merge(const struct reeve_mpi_session *s, MPI_Comm from, const uint32_t *members, int count,
                            MPI_Comm *merged)
{
    MPI_Comm new = MPI_COMM_NULL;
    *merged = MPI_COMM_NULL;
    if (!agree(from, count > 0)) return false;
    reeve_time_ns begin_ns = reeve_clock_now();
    int rc = spawn(s, from, members, count, &new);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_set_errhandler(new, MPI_ERRORS_RETURN);
    bool well = agree(from, rc == MPI_SUCCESS);
    if (well) rc = MPI_Intercomm_merge(new, 0, merged);
    if (well && rc == MPI_SUCCESS) rc = MPI_Comm_set_errhandler(*merged, MPI_ERRORS_RETURN);
    if (well) well = agree(from, rc == MPI_SUCCESS);
    if (!well) { /* who came finds it revoked, and ends */
        struct reeve_error why;
        if (rc != MPI_SUCCESS) {
            (void)reeve_mpi_fail(&why, rc, "start %d process(es) in the place of lost ones", count);
            reeve_log(REEVE_LOG_WARN, "%s", why.text);
        }
        if (*merged != MPI_COMM_NULL) (void)MPIX_Comm_revoke(*merged);
        if (new != MPI_COMM_NULL) (void)MPIX_Comm_revoke(new);
        return false;
    }
    reeve_log(REEVE_LOG_DEBUG, "%d process(es) started in %.3f s", count,
              (double)(reeve_clock_now() - begin_ns) * 1e-9);
    return true;
}

bool mpi_session_replace(struct reeve_mpi_session *s, MPI_Comm from, const uint32_t *members, int count,
                         MPI_Comm *merged)
{
    struct reeve_watchdog watchdog;
    *merged = MPI_COMM_NULL;
    s->replaced = true;
    bool watched = reeve_watchdog_start(&watchdog, reeve_clock_now() + SPAWN_NS, REEVE_WATCHDOG_KILL,
                                        "the launcher did not start a process in the place of a lost one in time");
    bool there = start_and_merge(s, from, members, count, merged);
    if (watched) reeve_watchdog_stop(&watchdog);
    return there;
}

/* ---- those who come ---- */

/* The place of the process with this rank among the new ones. */
static bool read_place(const char *place, int rank, struct reeve_mpi_session *s)
{
    char *end = NULL;
    unsigned long count = strtoul(place, &end, 10), member = 0;
    for (int i = 0; i <= rank; i++) {
        if (*end != (i == 0 ? ':' : ',')) return false;
        member = strtoul(end + 1, &end, 10);
    }
    if (count < 2 || count > INT32_MAX || member < 1 || member >= count) return false;
    s->member_count = (uint32_t)count;
    s->member = (uint32_t)member;
    return true;
}

static int meet(struct reeve_mpi_session *s, MPI_Comm parent, MPI_Comm *merged)
{
    int rc = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_set_errhandler(parent, MPI_ERRORS_RETURN);
    if (rc == MPI_SUCCESS) rc = mpi_session_tell_names(s);
    if (rc == MPI_SUCCESS) rc = MPI_Intercomm_merge(parent, 1, merged);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_set_errhandler(*merged, MPI_ERRORS_RETURN);
    return rc;
}

static reeve_status join(struct reeve_mpi_session *s, const char *place, struct reeve_error *err)
{
    MPI_Comm parent = MPI_COMM_NULL, merged = MPI_COMM_NULL;
    int rank = 0;
    int rc = MPI_Comm_get_parent(&parent);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rc != MPI_SUCCESS || parent == MPI_COMM_NULL)
        return reeve_fail(err, REEVE_JOB_CONFIG, "%s is for processes that a job has started itself",
                          REEVE_MPI_PLACE_OPTION);
    if (!read_place(place, rank, s)) return reeve_fail(err, REEVE_JOB_CONFIG, "place %s: cannot be understood", place);
    mpi_session_tell_ulfm(s);
    rc = meet(s, parent, &merged);
    if (rc != MPI_SUCCESS) return reeve_mpi_fail(err, rc, "come to those who are there");
    return mpi_session_come_together(s, merged, true, err);
}

reeve_status reeve_mpi_session_join(int *argc, char ***argv, const char *place, reeve_time_ns patience_ns,
                                    int exit_code, struct reeve_mpi_session *out, struct reeve_error *err)
{
    reeve_status st = mpi_session_start(argc, argv, err);
    if (st != REEVE_OK) return st;
    *out = (struct reeve_mpi_session){.replaced = true};
    struct reeve_watchdog watchdog;
    if (!reeve_watchdog_start(&watchdog, reeve_clock_now() + patience_ns, exit_code, "the others did not come in time"))
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "no thread to watch over a regrouping");
    st = join(out, place, err);
    reeve_watchdog_stop(&watchdog);
    out->node_size = out->size; /* all on one host: elsewhere nobody is replaced */
    return st;
}

#endif
