/* See chaos.h. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "cli/chaos.h"
#include "cli/output.h"
#include "cli/processes.h"
#include "store/journal_tear.h"
#include "store/owner.h"

#define PROCESSES_MAX 4096u
#define DIE_NS (30 * REEVE_SECOND_NS)
#define FULL_NS (20 * REEVE_SECOND_NS) /* for a run to notice that its disk is full */
#define LOOK_NS (20 * REEVE_MILLISECOND_NS)

/* Whoever holds the run is its master; while nobody does (it starts, say) rank 0 will be. */
static bool is_master(const struct reeve_process *p, int64_t master)
{
    return p->role == REEVE_PROCESS_RANK && (master != 0 ? p->pid == (pid_t)master : p->rank == 0);
}

static void name_victim(const struct reeve_process *p, int64_t master, char *text, size_t text_bytes)
{
    size_t used = strlen(text);
    if (used > 0) used += (size_t)snprintf(text + used, text_bytes - used, " and ");
    text += used;
    text_bytes -= used;
    if (p->role == REEVE_PROCESS_LAUNCHER) (void)snprintf(text, text_bytes, "mpirun (process %ld)", (long)p->pid);
    else if (is_master(p, master)) (void)snprintf(text, text_bytes, "the master (process %ld)", (long)p->pid);
    else if (p->rank < 0) (void)snprintf(text, text_bytes, "a worker that was spawned (process %ld)", (long)p->pid);
    else (void)snprintf(text, text_bytes, "worker %d (process %ld)", p->rank, (long)p->pid);
}

static bool suits(const struct reeve_process *p, int64_t master, enum reeve_chaos_kind kind, bool alone)
{
    if (kind == REEVE_CHAOS_KILL_LAUNCHER) return p->role == REEVE_PROCESS_LAUNCHER || alone;
    if (p->role != REEVE_PROCESS_RANK) return false;
    if (alone || kind == REEVE_CHAOS_STOP) return true; /* alone: one process is everything */
    return is_master(p, master) == (kind == REEVE_CHAOS_KILL_MASTER);
}

/* The victim is told of only if the signal reached it. */
static void hit(const struct reeve_chaos *c, const struct reeve_process *p, int64_t master, enum reeve_chaos_kind kind,
                struct reeve_chaos_blow *blow)
{
    if (!reeve_process_signal(p, c->id, kind == REEVE_CHAOS_STOP ? SIGSTOP : SIGKILL)) return;
    name_victim(p, master, blow->victim, sizeof(blow->victim));
    blow->killed += p->role == REEVE_PROCESS_RANK && kind != REEVE_CHAOS_STOP;
}

/* When the membership that committed the last step committed its first one; 0: none has. */
static int64_t members_since(const struct reeve_chaos_marks *m)
{
    size_t i = m->count;
    while (i > 1 && m->list[i - 2].epoch == m->list[m->count - 1].epoch)
        i--;
    return i > 0 ? m->list[i - 1].wall_ns : 0;
}

/* A process that takes a lost worker's place is no worker before it has come in, which takes a moment: it is left alone,
 * and nobody can be spared because it is there. */
static bool comes_in(const struct reeve_process *p, int64_t since_wall_ns)
{
    return p->role == REEVE_PROCESS_RANK && p->rank < 0 && p->started_wall_ns > since_wall_ns;
}

/* A launch's rank 0 never works; who succeeds it as master does. */
static bool works(const struct reeve_process *p)
{
    return p->role == REEVE_PROCESS_RANK && p->rank != 0;
}

/* One process of the kind, as the plan picks it, and with a pair any other rank in the same instant. Nobody is there
 * while the run is between two launches, or if too few workers would be left. */
static void hit_some(const struct reeve_chaos *c, const struct reeve_chaos_strike *s, struct reeve_chaos_blow *blow)
{
    struct reeve_process *list = malloc(PROCESSES_MAX * sizeof(*list));
    size_t count = list != NULL ? reeve_processes_find(c->id, list, PROCESSES_MAX) : 0, suited = 0, workers = 0;
    int64_t since_wall_ns = members_since(&c->marks);
    size_t in = 0;
    for (size_t i = 0; i < count; i++)
        if (!comes_in(&list[i], since_wall_ns)) list[in++] = list[i];
    count = in;
    bool alone = count == 1;
    int64_t master = reeve_owner_master_pid(c->broken);
    for (size_t i = 0; i < count; i++) {
        workers += works(&list[i]);
        if (!suits(&list[i], master, s->kind, alone)) continue;
        struct reeve_process p = list[i];
        list[i] = list[suited];
        list[suited++] = p;
    }
    if (c->marks.count > 0 && workers > c->marks.list[c->marks.count - 1].workers)
        workers = c->marks.list[c->marks.count - 1].workers; /* one that came to nothing may not have ended yet */
    struct reeve_process first = {.pid = 0};
    if (suited > 0) first = list[s->pick % suited];
    if (first.pid != 0 && workers >= c->leave + works(&first)) {
        hit(c, &first, master, s->kind, blow);
        workers -= works(&first);
        size_t others = 0;
        for (size_t i = 0; i < count; i++)
            if (list[i].role == REEVE_PROCESS_RANK && list[i].pid != first.pid) list[others++] = list[i];
        const struct reeve_process *other = others > 0 ? &list[s->pick_other % others] : NULL;
        if (s->pair && other != NULL && workers >= c->leave + works(other)) hit(c, other, master, s->kind, blow);
    }
    free(list);
}

/* As when the power fails: nobody of the run lives, the supervisor included; what was not synced is torn. Then the
 * same command is typed again. */
static int cut_power(struct reeve_chaos *c, const struct reeve_chaos_strike *s, struct reeve_chaos_blow *blow)
{
    reeve_owner *owner = NULL;
    struct reeve_error err = {0};
    bool took_over = false;
    uint32_t torn = 0;
    (void)kill(c->child, SIGKILL);
    (void)waitpid(c->child, NULL, 0);
    c->child = 0;
    if (!reeve_processes_end(c->id, DIE_NS))
        return reeve_cli_fail_text(REEVE_EXIT_INTERNAL, "processes of %s do not die after SIGKILL", c->broken);
    reeve_status st = reeve_owner_acquire(c->broken, &owner, &took_over, &err);
    if (st == REEVE_OK) st = reeve_journal_tear(c->broken, c->sync, s->pick, &torn, &err);
    reeve_owner_release(owner);
    if (st != REEVE_OK) return reeve_cli_fail(&err);
    c->torn_records += torn;
    (void)snprintf(blow->victim, sizeof(blow->victim), "everything, and %u records torn", torn);
    c->starts_by_hand++;
    return reeve_chaos_start(c, c->broken, &c->child);
}

/* The disk fills; the run ends (with 74), or goes on without; there is room again; the same command is typed again. */
static int fill_disk(struct reeve_chaos *c, struct reeve_chaos_blow *blow)
{
    int code = -1;
    if (!reeve_chaos_disk_fill(c->broken))
        return reeve_cli_fail_text(REEVE_EXIT_INTERNAL, "cannot fill the small disk on %s: %m", c->broken);
    for (reeve_time_ns end_ns = reeve_clock_now() + FULL_NS; reeve_clock_now() < end_ns;) {
        if (reeve_chaos_ended(c->child, &code)) break;
        reeve_clock_sleep(LOOK_NS);
    }
    if (!reeve_chaos_disk_make_room(c->broken))
        return reeve_cli_fail_text(REEVE_EXIT_INTERNAL, "cannot make room on %s: %m", c->broken);
    blow->struck_wall_ns = reeve_clock_wall_ns(); /* it can recover from now on */
    if (code < 0) {
        (void)snprintf(blow->victim, sizeof(blow->victim), "the disk, for %d s; the run went on",
                       (int)(FULL_NS / REEVE_SECOND_NS));
        blow->outlived = true;
        return 0;
    }
    (void)snprintf(blow->victim, sizeof(blow->victim), "the disk; the run ended with %d", code);
    c->child = 0;
    c->starts_by_hand++;
    return reeve_chaos_start(c, c->broken, &c->child);
}

int reeve_chaos_strike(struct reeve_chaos *c, const struct reeve_chaos_strike *s, struct reeve_chaos_blow *blow)
{
    *blow = (struct reeve_chaos_blow){.kind = s->kind, .struck_wall_ns = reeve_clock_wall_ns()};
    if (c->marks.count > 0) blow->step = c->marks.list[c->marks.count - 1].step;
    switch (s->kind) {
    case REEVE_CHAOS_TORN_WRITE: return cut_power(c, s, blow);
    case REEVE_CHAOS_DISK_FULL: return fill_disk(c, blow);
    default: hit_some(c, s, blow); return 0;
    }
}
