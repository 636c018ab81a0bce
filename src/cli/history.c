/* The fold over a run's events. A rollback (RUN_RESUMED) takes back what it undid, so that what is left is the timeline
 * that survived. */
#include "cli/history.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/exact_sum.h"
#include "store/owner.h"

/* Room for one more in an array that doubles. */
static reeve_status grow(void **array, uint32_t count, uint32_t *room, size_t element_bytes, struct reeve_error *err)
{
    if (count < *room) return REEVE_OK;
    uint32_t more = *room == 0 ? 16 : *room * 2;
    void *grown = more > *room ? reallocarray(*array, more, element_bytes) : NULL;
    if (grown == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "reading the journal: out of memory");
    *array = grown;
    *room = more;
    return REEVE_OK;
}
#define GROW(h, array, count, room, err) grow((void **)&(h)->array, (h)->count, &(h)->room, sizeof *(h)->array, err)

static struct reeve_opening *last_opening(struct reeve_history *h)
{
    return h->opening_count > 0 ? &h->openings[h->opening_count - 1] : NULL;
}

/* A start that has left no last word died, and those who were there died with it: mpirun ends all when it loses one. */
static void end_open(struct reeve_history *h)
{
    struct reeve_opening *o = last_opening(h);
    if (o == NULL || o->end != REEVE_OPENING_OPEN) return;
    o->end = REEVE_OPENING_DIED;
    o->workers_lost += h->here_count;
    h->workers_lost += h->here_count;
    h->lost_with_start += h->here_count;
    h->died++;
}

static reeve_status run_opened(struct reeve_history *h, const struct reeve_event *ev, struct reeve_error *err)
{
    end_open(h);
    h->here_count = 0;
    reeve_status st = GROW(h, openings, opening_count, opening_room, err);
    if (st != REEVE_OK) return st;
    h->openings[h->opening_count++] =
        (struct reeve_opening){.lsn = ev->lsn, .epoch = ev->epoch, .workers_expected = ev->arg, .resumed_at = ev->step};
    h->run_id = ev->a;
    return REEVE_OK;
}

static void run_resumed(struct reeve_history *h, const struct reeve_event *ev)
{
    struct reeve_opening *o = last_opening(h);
    if (o != NULL) o->resumed_at = ev->step;
    if (ev->step >= h->step) return;
    h->rolled_back_steps += h->step - ev->step;
    h->step = ev->step;
    while (h->checkpoint_count > 0 && h->checkpoints[h->checkpoint_count - 1].step > ev->step)
        h->checkpoint_count--;
    while (h->refused_count > 0 && h->refused[h->refused_count - 1] > ev->step)
        h->refused_count--;
    while (h->eval_count > 0 && h->evals[h->eval_count - 1].step > ev->step)
        h->eval_count--;
    h->eval = h->eval_count > 0 ? h->evals[h->eval_count - 1] : (struct reeve_history_eval){0};
    if (h->weights_step > ev->step) h->weights_step = 0;
}

/* It is there from now on, as one that joins or in the place of one that was lost. */
static reeve_status worker_came(struct reeve_history *h, const struct reeve_event *ev, struct reeve_error *err)
{
    reeve_status st = GROW(h, here, here_count, here_room, err);
    if (st != REEVE_OK) return st;
    h->here[h->here_count++] = ev->worker;
    uint32_t at = 0;
    for (uint32_t left = h->workers_seen; left > 0;) {
        uint32_t half = left / 2;
        bool behind = h->workers[at + half] < ev->worker;
        at = behind ? at + half + 1 : at;
        left = behind ? left - half - 1 : half;
    }
    if (at < h->workers_seen && h->workers[at] == ev->worker) return REEVE_OK;
    st = GROW(h, workers, workers_seen, workers_room, err);
    if (st != REEVE_OK) return st;
    memmove(&h->workers[at + 1], &h->workers[at], (h->workers_seen - at) * sizeof *h->workers);
    h->workers[at] = ev->worker;
    h->workers_seen++;
    return REEVE_OK;
}

static void worker_lost(struct reeve_history *h, const struct reeve_event *ev)
{
    struct reeve_opening *o = last_opening(h);
    if (o != NULL) o->workers_lost++;
    h->workers_lost++;
    uint32_t left = 0;
    for (uint32_t i = 0; i < h->here_count; i++)
        if (h->here[i] != ev->worker) h->here[left++] = h->here[i];
    h->here_count = left;
}

static reeve_status step_committed(struct reeve_history *h, const struct reeve_event *ev, struct reeve_error *err)
{
    struct reeve_opening *o = last_opening(h);
    if (o != NULL && o->first_step == 0) o->first_step = ev->step;
    if (o != NULL) o->last_step = ev->step;
    if (ev->step != h->step + 1 || ev->step >= UINT32_MAX)
        return reeve_fail(err, REEVE_STORE_CORRUPT,
                          "journal record %llu: commits step %llu after step %llu; see `reeve verify`",
                          (unsigned long long)ev->lsn, (unsigned long long)ev->step, (unsigned long long)h->step);
    reeve_status st = grow((void **)&h->losses, (uint32_t)h->step, &h->loss_room, sizeof *h->losses, err);
    if (st != REEVE_OK) return st;
    h->losses[h->step] = ev->a;
    h->step = ev->step;
    h->step_samples = ev->arg;
    if ((ev->flags & REEVE_EVENT_FLAG_FAST) != 0) h->fast = true;
    if ((ev->flags & REEVE_EVENT_FLAG_REFUSED) == 0) return REEVE_OK;
    st = GROW(h, refused, refused_count, refused_room, err);
    if (st == REEVE_OK) h->refused[h->refused_count++] = ev->step;
    return st;
}

static reeve_status ckpt_commit(struct reeve_history *h, const struct reeve_event *ev, struct reeve_error *err)
{
    while (h->checkpoint_count > 0 && h->checkpoints[h->checkpoint_count - 1].step >= ev->step)
        h->checkpoint_count--;
    reeve_status st = GROW(h, checkpoints, checkpoint_count, checkpoint_room, err);
    if (st == REEVE_OK)
        h->checkpoints[h->checkpoint_count++] = (struct reeve_history_checkpoint){ev->step, ev->b, ev->a, ev->arg};
    return st;
}

static reeve_status eval_committed(struct reeve_history *h, const struct reeve_event *ev, struct reeve_error *err)
{
    h->eval = (struct reeve_history_eval){ev->step, ev->a, ev->b};
    reeve_status st = GROW(h, evals, eval_count, eval_room, err);
    if (st == REEVE_OK) h->evals[h->eval_count++] = h->eval;
    return st;
}

static void opening_ended(struct reeve_history *h, const struct reeve_event *ev)
{
    struct reeve_opening *o = last_opening(h);
    if (o == NULL) return;
    o->end = ev->kind == REEVE_EVENT_RUN_ENDED ? REEVE_OPENING_ENDED : REEVE_OPENING_STOPPED;
    o->reason = ev->kind == REEVE_EVENT_RUN_STOPPED ? ev->arg : 0;
}

static void step_weights(struct reeve_history *h, const struct reeve_event *ev)
{
    h->weights_step = ev->step;
    memcpy(h->weights_digest.bytes, &ev->a, 8);
    memcpy(h->weights_digest.bytes + 8, &ev->b, 8);
}

reeve_status reeve_history_event(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    struct reeve_history *h = arg;
    struct reeve_opening *o = last_opening(h);
    switch (ev->kind) {
    case REEVE_EVENT_RUN_OPENED:
        return run_opened(h, ev, err);
    case REEVE_EVENT_RUN_RESUMED:
        run_resumed(h, ev);
        break;
    case REEVE_EVENT_SEGMENT_STAMP:
        if (o != NULL && o->wall_ns == 0) o->wall_ns = (int64_t)ev->a;
        break;
    case REEVE_EVENT_WORKER_JOINED:
        if (o != NULL) o->workers_joined++;
        return worker_came(h, ev, err);
    case REEVE_EVENT_WORKER_REPLACED:
        return worker_came(h, ev, err);
    case REEVE_EVENT_WORKER_LOST:
        worker_lost(h, ev);
        break;
    case REEVE_EVENT_STEP_COMMITTED:
        return step_committed(h, ev, err);
    case REEVE_EVENT_STEP_ABORTED:
        h->steps_aborted++;
        break;
    case REEVE_EVENT_STEP_WEIGHTS:
        step_weights(h, ev);
        break;
    case REEVE_EVENT_EVAL_COMMITTED:
        return eval_committed(h, ev, err);
    case REEVE_EVENT_CKPT_COMMIT:
        return ckpt_commit(h, ev, err);
    case REEVE_EVENT_CKPT_FAILED:
        h->checkpoints_failed++;
        break;
    case REEVE_EVENT_TASK_LEASED:
        h->leases++;
        break;
    case REEVE_EVENT_TASK_COMPUTED:
        h->computed++;
        break;
    case REEVE_EVENT_TASK_FAILED:
        h->failures++;
        break;
    case REEVE_EVENT_TASK_DEAD:
        h->dead_tasks++;
        break;
    case REEVE_EVENT_RUN_STOPPED:
    case REEVE_EVENT_RUN_ENDED:
        opening_ended(h, ev);
        break;
    default:
        break; /* of the queue alone */
    }
    return REEVE_OK;
}

static bool is_owned(const char *run_dir)
{
    char owner[256];
    return reeve_owner_peek(run_dir, owner, sizeof owner);
}

reeve_status reeve_history_read(const char *run_dir, struct reeve_history *out, struct reeve_error *err)
{
    *out = (struct reeve_history){0};
    bool owned = is_owned(run_dir);
    reeve_status st = reeve_journal_replay(run_dir, reeve_history_event, out, &out->info, err);
    if (st != REEVE_OK) reeve_history_destroy(out);
    /* Nobody had it before its last word was looked for, and nobody has it now. */
    else if (!owned && !is_owned(run_dir)) end_open(out);
    return st;
}

double reeve_history_loss(const struct reeve_history *h, uint32_t sequence)
{
    double tokens = (double)h->step_samples * sequence;
    bool refused = h->refused_count > 0 && h->refused[h->refused_count - 1] == h->step;
    if (h->step == 0 || tokens == 0.0 || refused) return NAN;
    return reeve_exact_loss_value((int64_t)h->losses[h->step - 1]) / tokens;
}

double reeve_history_eval_loss(const struct reeve_history *h)
{
    if (h->eval.tokens == 0) return NAN;
    return reeve_exact_loss_value((int64_t)h->eval.loss) / (double)h->eval.tokens;
}

const char *reeve_history_lost(const struct reeve_history *h, char text[REEVE_HISTORY_LOST_BYTES])
{
    uint64_t outlived = h->workers_lost - h->lost_with_start;
    const char *plural = h->died == 1 ? "" : "s";
    int n = snprintf(text, REEVE_HISTORY_LOST_BYTES, "%" PRIu64 " lost", h->workers_lost);
    char *rest = text + n;
    size_t room = REEVE_HISTORY_LOST_BYTES - (size_t)n;
    if (h->lost_with_start == 0) return text;
    if (outlived == 0) (void)snprintf(rest, room, ", with %u start%s that died", h->died, plural);
    else
        (void)snprintf(rest, room, " (%" PRIu64 " of them with %u start%s that died)", h->lost_with_start, h->died,
                       plural);
    return text;
}

void reeve_history_destroy(struct reeve_history *h)
{
    free(h->losses);
    free(h->openings);
    free(h->checkpoints);
    free(h->refused);
    free(h->evals);
    free(h->workers);
    free(h->here);
    *h = (struct reeve_history){0};
}

const char *reeve_opening_end_name(enum reeve_opening_end end)
{
    switch (end) {
    case REEVE_OPENING_OPEN:
        return "open";
    case REEVE_OPENING_STOPPED:
        return "stopped";
    case REEVE_OPENING_ENDED:
        return "complete";
    case REEVE_OPENING_DIED:
        return "died";
    }
    return "?";
}
