/* The master's loop when others are lost, and when it lets the workers go; see master_loop.h. */
#include "base/clock.h"
#include "base/error.h"
#include "run/master_loop_state.h"

reeve_status reeve_master_loop_regroup(reeve_master_loop *l, reeve_transport *transport,
                                       const struct reeve_members *members, struct reeve_error *err)
{
    l->transport = transport;
    reeve_time_ns now_ns = reeve_clock_now();
    reeve_status st = REEVE_OK;
    uint32_t left = 0;
    for (uint32_t w = 1; w <= l->config.workers; w++) {
        l->outbox[w].bytes = 0;
        l->here[w] = members->here[w];
        left += l->here[w];
        bool put_out = l->config.evictor != NULL && reeve_evictor_has_ended(l->config.evictor, w);
        struct reeve_master_input lost = {
            .kind = REEVE_INPUT_WORKER_LOST, .worker = w, .status = put_out ? REEVE_JOB_DEADLINE : REEVE_WORKER_LOST};
        if (!l->here[w] && st == REEVE_OK) st = master_loop_give(l, &lost, now_ns, err);
    }
    struct reeve_master_input regrouped = {.kind = REEVE_INPUT_REGROUPED, .worker = members->master};
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
