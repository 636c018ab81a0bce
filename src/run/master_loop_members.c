/* The master's loop when others are lost, and when it lets the workers go; see master_loop.h. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "run/master_loop_state.h"

static uint64_t progress_of(const reeve_master_loop *l)
{
    struct reeve_master_status s;
    reeve_master_get_status(l->master, &s);
    return l->config.tasks != NULL ? s.done + s.dead + s.cancelled : s.step;
}

bool reeve_master_loop_replaces(reeve_master_loop *l, reeve_time_ns now_ns)
{
    if (!l->config.replaces) return false;
    uint32_t lost = reeve_master_replaceable(l->master, reeve_replacement_presses(&l->replacement, progress_of(l)));
    if (lost == 0 || !reeve_replacement_due(&l->replacement, lost, progress_of(l), now_ns)) return false;
    reeve_log(REEVE_LOG_INFO, "starting a process in the place of a worker that was lost (%u %s)", lost,
              lost == 1 ? "is" : "are");
    reeve_replacement_ask(&l->replacement);
    return true;
}

static void note_replacement(reeve_master_loop *l, uint32_t came, uint32_t starters_lost, uint32_t left,
                             reeve_time_ns now_ns)
{
    if (!reeve_replacement_regrouped(&l->replacement, came, starters_lost, progress_of(l), now_ns)) return;
    if (starters_lost >= REEVE_REPLACEMENT_STARTERS_MAX)
        reeve_log(
            REEVE_LOG_WARN,
            "%u masters in a row were lost while they started a process in the place of a lost worker; the job goes "
            "on with %u worker%s, and does not try again before the next start",
            starters_lost, left, left == 1 ? "" : "s");
    else if (reeve_replacement_given_up(&l->replacement))
        reeve_log(REEVE_LOG_WARN,
                  "no process came in the place of a lost worker, %u times in a row; the job goes on with "
                  "%u worker%s, and does not try again before the next start",
                  REEVE_REPLACEMENT_TRIES_MAX, left, left == 1 ? "" : "s");
    else
        reeve_log(REEVE_LOG_WARN,
                  "no process could take the place of a lost worker; the job goes on with %u worker%s, and "
                  "tries again",
                  left, left == 1 ? "" : "s");
}

/* new: whoever is there now came in the place of the one before, whose loss may not be on record yet. */
static reeve_status note_member(reeve_master_loop *l, uint32_t w, bool new, uint32_t *came, reeve_time_ns now_ns,
                                struct reeve_error *err)
{
    bool put_out = l->config.evictor != NULL && reeve_evictor_has_ended(l->config.evictor, w);
    struct reeve_master_input lost = {
        .kind = REEVE_INPUT_WORKER_LOST, .worker = w, .status = put_out ? REEVE_JOB_DEADLINE : REEVE_WORKER_LOST};
    struct reeve_master_input replaced = {.kind = REEVE_INPUT_WORKER_REPLACED, .worker = w};
    reeve_status st = !l->here[w] || new ? master_loop_give(l, &lost, now_ns, err) : REEVE_OK;
    if (st != REEVE_OK || !l->here[w] || !reeve_master_worker_lost(l->master, w)) return st;
    ++*came;
    return master_loop_give(l, &replaced, now_ns, err);
}

reeve_status reeve_master_loop_regroup(reeve_master_loop *l, reeve_transport *transport,
                                       const struct reeve_members *members, struct reeve_error *err)
{
    l->transport = transport;
    reeve_time_ns now_ns = reeve_clock_now();
    reeve_status st = REEVE_OK;
    uint32_t left = 0, came = 0;
    for (uint32_t w = 1; w <= l->config.workers; w++) {
        l->outbox[w].bytes = 0;
        l->here[w] = members->here[w];
        left += l->here[w];
        if (st == REEVE_OK) st = note_member(l, w, members->came != NULL && members->came[w], &came, now_ns, err);
    }
    note_replacement(l, came, members->starters_lost, left, now_ns);
    struct reeve_master_input regrouped = {
        .kind = REEVE_INPUT_REGROUPED, .worker = members->master, .round = members->round};
    if (st == REEVE_OK) st = master_loop_give(l, &regrouped, now_ns, err);
    struct reeve_master_status s;
    reeve_master_get_status(l->master, &s);
    l->epoch = s.epoch;
    l->present_ns = now_ns;
    master_loop_watch_regrouped(l);
    if (st == REEVE_OK) st = master_loop_make_epoch_durable(l, err);
    if (st == REEVE_OK) st = master_loop_send_all(l, err);
    if (st == REEVE_OK && left == 0 && s.phase < REEVE_PHASE_DRAIN)
        st = reeve_fail(err, REEVE_JOB_DEADLINE,
                        "no worker is left; run the same command again to go on from the last checkpoint");
    return st;
}

void reeve_master_loop_release(reeve_master_loop *l)
{
    struct reeve_frame end = {.kind = REEVE_FRAME_END, .epoch = l->epoch};
    struct reeve_error ignored; /* whoever is lost now is lost after its work */
    for (uint32_t w = 1; w <= l->config.workers; w++) {
        if (!l->here[w]) continue;
        master_loop_put_frame(l, w, &end);
        (void)master_loop_flush_outbox(l, w, &ignored);
    }
}
