/* What the journal of a run says of it as a whole: how often it was opened, how far it got, what was saved. A fold over
 * the events; whether they prove what they claim is core/audit's affair. */
#ifndef REEVE_CLI_HISTORY_H
#define REEVE_CLI_HISTORY_H

#include <stdbool.h>

#include "base/digest.h"
#include "store/journal.h"

enum reeve_opening_end { REEVE_OPENING_OPEN, REEVE_OPENING_STOPPED, REEVE_OPENING_ENDED, REEVE_OPENING_DIED };

/* The time from one start of the run to its end, whatever ended it. workers_lost: those that the others outlived, and all
 * who were left when it died. */
struct reeve_opening {
    uint64_t lsn;
    uint32_t epoch; /* membership epoch */
    uint32_t workers_expected, workers_joined, workers_lost;
    uint64_t resumed_at;            /* step of the checkpoint that it began with; 0: from the seed */
    uint64_t first_step, last_step; /* committed; 0: none */
    int64_t wall_ns;                /* when it began; 0: unknown */
    enum reeve_opening_end end;     /* OPEN: it still runs, as far as LOCK tells */
    uint32_t reason;                /* reeve_status, of STOPPED */
};

struct reeve_history_checkpoint {
    uint64_t step, cut_lsn, digest64;
    uint32_t files;
};

struct reeve_history_eval {
    uint64_t step, loss, tokens; /* loss: exact, of all tokens */
};

struct reeve_history {
    struct reeve_journal_info info;
    uint64_t run_id;
    struct reeve_opening *openings;
    uint32_t opening_count, opening_room;
    /* commits on the surviving timeline, in order of steps; those that retention has removed are still listed */
    struct reeve_history_checkpoint *checkpoints;
    uint32_t checkpoint_count, checkpoint_room;
    uint64_t *refused; /* steps on the surviving timeline whose sum was refused */
    uint32_t refused_count, refused_room;
    uint32_t *workers; /* ids that ever joined, ascending */
    uint32_t workers_seen, workers_room;
    uint32_t *here; /* ids that joined in the last start, or were replaced in it, and were not lost since */
    uint32_t here_count, here_room;
    uint64_t step;         /* last committed */
    uint64_t step_samples; /* of a step; 0: none was ever committed */
    uint64_t *losses;      /* (step,) loss sums, exact, of steps 1.. on the surviving timeline */
    uint32_t loss_room;
    bool fast;                                  /* some step was reduced in fp32 */
    struct reeve_history_eval *evals;           /* on the surviving timeline */
    uint32_t eval_count, eval_room;
    struct reeve_history_eval eval; /* the last of them; tokens 0: never evaluated */
    uint64_t weights_step;                      /* that weights_digest belongs to; 0: none on record */
    struct reeve_digest weights_digest;
    uint64_t checkpoints_failed, steps_aborted, workers_lost, dead_tasks, rolled_back_steps;
    uint64_t lost_with_start; /* of workers_lost: those who were there when a start died as a whole */
    uint32_t died;            /* starts */
    uint64_t leases, computed, failures;
};

/* Replay RUN's journal. Statuses of reeve_journal_replay, and JOB_NO_MEMORY. On error nothing is left allocated. */
reeve_status reeve_history_read(const char *run_dir, struct reeve_history *out, struct reeve_error *err);
/* Mean loss of the last committed step in nats per token, given tokens per sample; NaN if there is none. */
double reeve_history_loss(const struct reeve_history *h, uint32_t sequence);
double reeve_history_eval_loss(const struct reeve_history *h);
/* "3 lost, with 1 start that died"; returns text. */
#define REEVE_HISTORY_LOST_BYTES 128
const char *reeve_history_lost(const struct reeve_history *h, char text[REEVE_HISTORY_LOST_BYTES]);
void reeve_history_destroy(struct reeve_history *h);

/* The fold itself: a reeve_journal_visit whose arg is the history. */
reeve_status reeve_history_event(void *arg, const struct reeve_event *ev, struct reeve_error *err);

const char *reeve_opening_end_name(enum reeve_opening_end end); /* "died"; static storage */

#endif
