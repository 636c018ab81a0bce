/* The checkers: each watches one promise while the world runs, and stops it with a sentence when the promise is broken.
 *
 *   exactly once            each sample visit of the surviving timeline entered one committed sum: told by core/audit
 *                           from the journal alone, and by a naive count of what was in the accumulators
 *   same bits               weights after a step are those of the undisturbed run, on every worker, always
 *   replay equals live      a replayed master has the digest that the live one had after the same record
 *   what is promised stays  a record that words have left on is in every later replay, unchanged
 *   words have records      no word leaves a master before its records are written, and durable where the policy says so
 *   one holder              a lease has one holder; an attempt is computed by one worker; a word counts once
 *   one master              no worker obeys an epoch older than one that it obeyed before; all who hear words of an
 *                           epoch hear them of one process
 *   survivors keep          a loss in the job costs what the lost one held of the open step, and nothing else
 *   no step is lost         nor what was committed
 *   goes on in the job      as long as a worker is left (where processes are lost and nothing else happens)
 *   only who hangs          is put out of a job: who stood still, or whose compute thread hung (where nothing else makes
 *                           anybody silent)
 *   places are taken        of lost workers, with faults.replace (the same)
 *   one restart point       the newest checkpoint on record can be restored (unless the disk was damaged)
 *   what is decided can be  what decide() decided, apply() accepts
 *   progress                once faults stop, the run ends complete, within a bound of simulated time */
#ifndef TESTS_SIM_CHECKERS_H
#define TESTS_SIM_CHECKERS_H

#include "sim.h"

struct sim_checkers *sim_checkers_create(void);
void sim_checkers_destroy(struct sim_checkers *c);

void sim_violate(struct sim *s, const char *promise, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A master appended (durable kinds) and applied an event. */
void sim_check_event(struct sim_proc *p, const reeve_master *m, const struct reeve_event *ev);
/* A message is about to leave. */
void sim_check_words(struct sim_proc *p, uint32_t to, const void *bytes, size_t n);
/* A message has come to p. */
void sim_check_heard(struct sim_proc *p, uint32_t speaker, const void *bytes, size_t n);
/* A master has recovered, or could not. */
void sim_check_recovered(struct sim_proc *p, reeve_status st, const struct reeve_error *err);
/* What can no longer be relied on: words may have left on it, but the power is gone or a sync failed. */
void sim_check_forget_unsynced(struct sim *s);
/* A checkpoint is lost to the disk: from now on the newest on record may be unreadable. */
void sim_check_damaged(struct sim *s);
/* A worker carries a command out; has computed a lease; threw its accumulator away; has new weights. */
void sim_check_obeyed(struct sim_proc *p, const struct reeve_frame *command);
void sim_check_computed(struct sim_proc *p, const struct reeve_frame *lease);
void sim_check_zeroed(struct sim_proc *p);
void sim_check_weights(struct sim_proc *p, const struct sim_model *model, const char *how);
/* A process is about to be ended by another of its job. */
void sim_check_put_out(struct sim_proc *p);
/* A sum of n numbers started. */
void sim_check_sum(struct sim_launch *l, uint32_t members, size_t n);
/* The run is complete. */
void sim_check_complete(struct sim *s);
uint64_t sim_checkers_records(const struct sim_checkers *c);

#endif
