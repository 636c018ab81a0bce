/* Putting a member out that hangs: its process is ended by SIGKILL, which a stopped one obeys as well, and MPI then
 * reports it as lost like any other (docs/adr/0005: one path for every loss). So nobody who was put out ever wakes up.
 * Only a process that can be seen from here is ended, and none that a debugger holds or that waits for a disk. */
#ifndef REEVE_RUN_EVICT_H
#define REEVE_RUN_EVICT_H

#include "port/membership.h"
#include "run/worker.h"
#include "store/owner.h"

struct reeve_evictor {
    const struct reeve_owner_process *processes; /* (count,) by member; borrowed; NULL: nobody's loss is survived */
    uint32_t count;
    bool *ended;            /* (count,) owned; since the ranks last came together */
    uint8_t *refused;       /* (count,) owned; why a member was not ended, told once: enum reeve_owner_look */
    reeve_time_ns ended_ns; /* the first of them was; 0: none */
};

/* JOB_NO_MEMORY. */
reeve_status reeve_evictor_init(struct reeve_evictor *e, const struct reeve_owner_process *processes, uint32_t count,
                                struct reeve_error *err);
void reeve_evictor_fini(struct reeve_evictor *e);

/* End a member. if_stopped: only if it is seen to be stopped by a signal. False: it could not be, which is told once; or it
 * was before. why: "has said nothing for 15.2 s". */
bool reeve_evictor_end(struct reeve_evictor *e, uint32_t member, bool if_stopped, const char *why,
                       reeve_time_ns now_ns);
bool reeve_evictor_has_ended(const struct reeve_evictor *e, uint32_t member);
/* A worker's look at its master: the lowest worker ends it when its words are late, the second when they are late twice as
 * long, and so on, since those before it should have. */
void reeve_evictor_watch_master(struct reeve_evictor *e, const struct reeve_members *members,
                                const reeve_worker *worker, reeve_time_ns now_ns);
/* WORKER_LOST: MPI has not missed a member for a while that was ended. Nobody waits for it any longer: regroup. */
reeve_status reeve_evictor_turn(const struct reeve_evictor *e, reeve_time_ns now_ns, struct reeve_error *err);

/* While the ranks come together nobody can go on without any of them, and nobody can leave: members that are seen to
 * stand still (stopped by a signal) for so long are ended. */
struct reeve_evictor_eye {
    struct reeve_owner_process *processes; /* (count,) owned; meanwhile others may come in the places of lost ones */
    uint32_t count, self;
    bool *awaited;           /* (count,) owned */
    reeve_time_ns *since_ns; /* (count,) owned; stopped at each look since then; 0: not at the last one */
    reeve_time_ns patience_ns, looked_ns;
};
reeve_status reeve_evictor_eye_init(struct reeve_evictor_eye *eye, const struct reeve_evictor *e,
                                    const struct reeve_members *members, reeve_time_ns patience_ns,
                                    struct reeve_error *err);
void reeve_evictor_eye_fini(struct reeve_evictor_eye *eye);
void reeve_evictor_eye_look(struct reeve_evictor_eye *eye, reeve_time_ns now_ns); /* every second or so */
/* A thread that looks, since whoever comes to a regrouping waits within MPI. NULL: there is none, because nobody is to be
 * ended (patience_ns 0) or for want of memory. */
typedef struct reeve_evictor_guard reeve_evictor_guard;
reeve_evictor_guard *reeve_evictor_guard_start(const struct reeve_evictor *e, const struct reeve_members *members,
                                               reeve_time_ns patience_ns);
void reeve_evictor_guard_stop(reeve_evictor_guard *guard); /* takes NULL */
/* They have. */
void reeve_evictor_regrouped(struct reeve_evictor *e);

#endif
