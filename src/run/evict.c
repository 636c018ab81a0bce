/* See evict.h. The thread that guards a regrouping is in evict_guard.c. */
#include "run/evict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/absence.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#define NOTICE_NS (5 * REEVE_SECOND_NS)  /* that MPI has to miss a process that was ended */

reeve_status reeve_evictor_init(struct reeve_evictor *e, const struct reeve_owner_process *processes, uint32_t count,
                                struct reeve_error *err)
{
    *e = (struct reeve_evictor){.processes = processes, .count = count};
    e->ended = calloc(count + 1u, sizeof(*e->ended));
    e->refused = calloc(count + 1u, sizeof(*e->refused));
    if (e->ended != NULL && e->refused != NULL) return REEVE_OK;
    reeve_evictor_fini(e);
    return reeve_fail(err, REEVE_JOB_NO_MEMORY, "out of memory");
}

void reeve_evictor_fini(struct reeve_evictor *e)
{
    free(e->ended);
    free(e->refused);
    *e = (struct reeve_evictor){0};
}

static void name_member(uint32_t member, char *name, size_t name_bytes)
{
    if (member == 0) (void)snprintf(name, name_bytes, "the master");
    else (void)snprintf(name, name_bytes, "worker %u", member);
}

static void tell_refusal(struct reeve_evictor *e, uint32_t member, enum reeve_owner_look look, const char *why)
{
    static const char *const because[] = {
        [REEVE_OWNER_PROCESS_UNSEEN] = "its process cannot be seen from here",
        [REEVE_OWNER_PROCESS_TRACED] = "a debugger holds it",
        [REEVE_OWNER_PROCESS_ON_DISK] = "it waits for a disk",
    };
    if (e->refused[member] == 1 + look || because[look] == NULL) return;
    e->refused[member] = (uint8_t)(1 + look);
    char name[32];
    name_member(member, name, sizeof(name));
    reeve_log(REEVE_LOG_WARN, "%s %s; it is not ended: %s", name, why, because[look]);
}

bool reeve_evictor_end(struct reeve_evictor *e, uint32_t member, bool if_stopped, const char *why, reeve_time_ns now_ns)
{
    if (e->processes == NULL || member >= e->count || e->ended[member]) return false;
    enum reeve_owner_look look = reeve_owner_process_look(&e->processes[member]);
    if (if_stopped && look != REEVE_OWNER_PROCESS_STOPPED) return false;
    bool may = look == REEVE_OWNER_PROCESS_RUNS || look == REEVE_OWNER_PROCESS_STOPPED;
    char name[32];
    name_member(member, name, sizeof(name));
    if (may) { /* before: it may be this process */
        reeve_log(REEVE_LOG_WARN, "%s %s; process %lld is ended, and the job goes on without it", name, why,
                  (long long)e->processes[member].pid);
        may = reeve_owner_process_end(&e->processes[member]);
    }
    if (!may && look != REEVE_OWNER_PROCESS_GONE) {
        tell_refusal(e, member, look, why);
        return false;
    }
    e->ended[member] = true;
    if (e->ended_ns == 0) e->ended_ns = now_ns;
    return true;
}

bool reeve_evictor_has_ended(const struct reeve_evictor *e, uint32_t member)
{
    return member < e->count && e->ended[member];
}

void reeve_evictor_watch_master(struct reeve_evictor *e, const struct reeve_members *members,
                                const reeve_worker *worker, reeve_time_ns now_ns)
{
    if (e->processes == NULL) return;
    struct reeve_worker_ear ear;
    reeve_worker_listen(worker, now_ns, &ear);
    if (ear.silence_ns <= ear.deadline_ns) return;
    uint32_t before = 0;
    for (uint32_t m = 1; m < members->self; m++)
        before += members->here[m] && m != members->master;
    if (ear.silence_ns / (before + 1) <= ear.deadline_ns) return;
    char why[96];
    (void)snprintf(why, sizeof(why), "has said nothing for %.1f s", (double)ear.silence_ns * 1e-9);
    (void)reeve_evictor_end(e, members->master, !ear.heard, why, now_ns);
}

reeve_status reeve_evictor_turn(const struct reeve_evictor *e, reeve_time_ns now_ns, struct reeve_error *err)
{
    if (e->ended_ns == 0 || now_ns - e->ended_ns < NOTICE_NS) return REEVE_OK;
    return reeve_fail(err, REEVE_WORKER_LOST, "MPI has not missed a process that was ended");
}

void reeve_evictor_regrouped(struct reeve_evictor *e)
{
    memset(e->ended, 0, e->count * sizeof(*e->ended));
    e->ended_ns = 0;
}

/* ---- while the ranks come together ---- */

reeve_status reeve_evictor_eye_init(struct reeve_evictor_eye *eye, const struct reeve_evictor *e,
                                    const struct reeve_members *members, reeve_time_ns patience_ns,
                                    struct reeve_error *err)
{
    *eye = (struct reeve_evictor_eye){.count = e->count, .self = members->self, .patience_ns = patience_ns};
    eye->processes = calloc(e->count + 1u, sizeof(*eye->processes));
    eye->awaited = calloc(e->count + 1u, sizeof(*eye->awaited));
    eye->since_ns = calloc(e->count + 1u, sizeof(*eye->since_ns));
    if (eye->processes == NULL || eye->awaited == NULL || eye->since_ns == NULL) {
        reeve_evictor_eye_fini(eye);
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "out of memory");
    }
    memcpy(eye->processes, e->processes, e->count * sizeof(*eye->processes));
    memcpy(eye->awaited, members->here, e->count * sizeof(*eye->awaited));
    return REEVE_OK;
}

void reeve_evictor_eye_fini(struct reeve_evictor_eye *eye)
{
    free(eye->processes);
    free(eye->awaited);
    free(eye->since_ns);
    *eye = (struct reeve_evictor_eye){0};
}

void reeve_evictor_eye_look(struct reeve_evictor_eye *eye, reeve_time_ns now_ns)
{
    reeve_time_ns away_ns = reeve_absence(&eye->looked_ns, now_ns, REEVE_ABSENCE_NS);
    for (uint32_t m = 0; m < eye->count; m++) {
        if (!eye->awaited[m] || m == eye->self) continue;
        bool stopped = reeve_owner_process_look(&eye->processes[m]) == REEVE_OWNER_PROCESS_STOPPED;
        if (!stopped) eye->since_ns[m] = 0;
        else if (eye->since_ns[m] == 0) eye->since_ns[m] = now_ns;
        else eye->since_ns[m] += away_ns;
        bool ended =
            stopped && now_ns - eye->since_ns[m] >= eye->patience_ns && reeve_owner_process_end(&eye->processes[m]);
        if (ended)
            reeve_log(REEVE_LOG_WARN, "member %u is stopped while all others come together; process %lld is ended", m,
                      (long long)eye->processes[m].pid);
        eye->awaited[m] = !ended;
    }
}
