/* Mutations: what each breaks, in a world that is otherwise as for any seed, and which promise must be seen broken. */
#include "core/master_change.h"
#include "sim.h"

void __real_reeve_master_decide(const reeve_master *m, const struct reeve_master_input *in, reeve_time_ns now_ns,
                                struct reeve_decision *out);
void __wrap_reeve_master_decide(const reeve_master *m, const struct reeve_master_input *in, reeve_time_ns now_ns,
                                struct reeve_decision *out);
reeve_status __real_reeve_master_apply(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);
reeve_status __wrap_reeve_master_apply(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err);

static const struct {
    const char *name, *promise;
    enum sim_mix mix;
} mutations[SIM_MUTATIONS] = {
    [SIM_MUTATE_NOTHING] = {"nothing", "", SIM_MIX_CALM},
    [SIM_MUTATE_ADD_TWICE] = {"add-twice", "same bits", SIM_MIX_CALM},
    [SIM_MUTATE_WRONG_SUM] = {"wrong-sum", "same bits", SIM_MIX_CALM},
    [SIM_MUTATE_FORGET_RECORD] = {"forget-record", "what is promised stays", SIM_MIX_MASTER},
    [SIM_MUTATE_SYNC_NOTHING] = {"sync-nothing", "what is promised stays", SIM_MIX_POWER},
    [SIM_MUTATE_LIVE_AHEAD] = {"live-ahead", "replay equals live", SIM_MIX_MASTER},
    [SIM_MUTATE_TWO_HOLDERS] = {"two-holders", "one holder", SIM_MIX_CALM},
    [SIM_MUTATE_OLD_EPOCH] = {"old-epoch", "one master", SIM_MIX_CALM},
    [SIM_MUTATE_DEAF] = {"deaf", "progress", SIM_MIX_CALM},
    [SIM_MUTATE_SKIP_MICRO] = {"skip-micro-batch", "exactly once", SIM_MIX_CALM},
    [SIM_MUTATE_SPEAK_FIRST] = {"speak-first", "words have records", SIM_MIX_CALM},
    [SIM_MUTATE_IMPOSSIBLE] = {"impossible", "what is decided can be", SIM_MIX_CALM},
    [SIM_MUTATE_LOSE_FOLDER] = {"lose-folder", "one restart point", SIM_MIX_MASTER},
    [SIM_MUTATE_EPOCH_STAYS] = {"epoch-stays", "one master", SIM_MIX_LOSS},
    [SIM_MUTATE_FORGET_DEAD] = {"forget-dead", "survivors keep", SIM_MIX_LOSS},
    [SIM_MUTATE_REISSUE_ALL] = {"reissue-all", "survivors keep", SIM_MIX_LOSS},
    [SIM_MUTATE_OLD_WORD] = {"old-word", "one master", SIM_MIX_LOSS},
    [SIM_MUTATE_UNSYNCED_TAIL] = {"unsynced-tail", "what is promised stays", SIM_MIX_LOSS},
    [SIM_MUTATE_SETTLE_TWICE] = {"settle-twice", "progress", SIM_MIX_LOSS},
    [SIM_MUTATE_KEEP_APPLY] = {"keep-apply", "survivors keep", SIM_MIX_LOSS},
    [SIM_MUTATE_MISS_LOSS] = {"miss-loss", "progress", SIM_MIX_LOSS},
    [SIM_MUTATE_EVICT_NOBODY] = {"evict-nobody", "goes on in the job", SIM_MIX_EVICT},
    [SIM_MUTATE_EVICT_EARLY] = {"evict-early", "only who hangs", SIM_MIX_EVICT},
    [SIM_MUTATE_NEW_NOBODY] = {"new-nobody", "places are taken", SIM_MIX_REPLACE},
    [SIM_MUTATE_NEW_UNKNOWN] = {"new-unknown", "goes on in the job", SIM_MIX_REPLACE},
    [SIM_MUTATE_NEW_EMPTY] = {"new-empty", "same bits", SIM_MIX_REPLACE},
};

const char *sim_mutation_name(uint32_t mutation)
{
    return mutation < SIM_MUTATIONS ? mutations[mutation].name : NULL;
}

const char *sim_mutation_promise(uint32_t mutation)
{
    return mutations[mutation].promise;
}

uint32_t sim_mutation_mix(uint32_t mutation)
{
    return mutations[mutation].mix;
}

/* ---- in front of decide() (the linker puts these there): where a decision can be spoiled ---- */

static void spoil_regrouping(const reeve_master *m, struct reeve_decision *d)
{
    for (uint32_t i = 0; i < d->frame_count; i++)
        d->frames[i].frame.epoch = m->epoch;
}

static void drop_frames(struct reeve_decision *d, uint16_t kind)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < d->frame_count; i++)
        if (d->frames[i].frame.kind != kind) d->frames[kept++] = d->frames[i];
    d->frame_count = kept;
}

static void settle_twice(struct reeve_decision *d)
{
    if (d->event_count == 0 || d->events[d->event_count - 1].kind != REEVE_EVENT_WORKER_SETTLED) return;
    d->events[d->event_count] = d->events[d->event_count - 1];
    d->event_count++;
}

void __wrap_reeve_master_decide(const reeve_master *m, const struct reeve_master_input *in, reeve_time_ns now_ns,
                                struct reeve_decision *out)
{
    __real_reeve_master_decide(m, in, now_ns, out);
    struct sim *s = sim_running->sim;
    bool rejoins = in->kind == REEVE_INPUT_FRAME && in->frame->kind == REEVE_FRAME_REJOIN;
    switch (s->mutation) {
    case SIM_MUTATE_IMPOSSIBLE: {
        if (out->event_count == 0) return;
        struct reeve_event *ev = &out->events[out->event_count - 1];
        if (ev->kind == REEVE_EVENT_TASK_LEASED && s->mutation_count++ == 5) ev->attempt++;
        return;
    }
    case SIM_MUTATE_EPOCH_STAYS:
        if (in->kind == REEVE_INPUT_REGROUPED) spoil_regrouping(m, out);
        return;
    case SIM_MUTATE_SETTLE_TWICE: settle_twice(out); return;
    case SIM_MUTATE_KEEP_APPLY:
        if (rejoins) drop_frames(out, REEVE_FRAME_APPLY);
        return;
    case SIM_MUTATE_MISS_LOSS:
        if (in->kind == REEVE_INPUT_WORKER_LOST) out->event_count = 0;
        return;
    case SIM_MUTATE_NEW_UNKNOWN:
        if (in->kind == REEVE_INPUT_WORKER_REPLACED) out->event_count = 0;
        return;
    default: return;
    }
}

/* ---- and of apply(), live and in every replay ---- */

/* What the lost one had computed passes for work of the first who lives. */
static void forget_dead(reeve_master *m, const uint32_t *tasks, uint32_t count)
{
    uint32_t heir = 1;
    while (heir <= m->expected && m->workers[heir].state != WORKER_JOINED)
        heir++;
    for (uint32_t i = 0; i < count && heir <= m->expected; i++) {
        reeve_task_id id = {tasks[i]};
        uint32_t attempt = reeve_queue_task(m->queue, id)->attempt + 1;
        (void)reeve_queue_lease(m->queue, id, (reeve_worker_id){heir}, attempt, INT64_MAX);
        if (reeve_queue_compute(m->queue, id, (reeve_worker_id){heir}, attempt) == REEVE_OK) m->computed++;
    }
}

static void reissue_all(reeve_master *m)
{
    for (uint32_t w = 1; w <= m->expected; w++) {
        if (m->workers[w].state != WORKER_JOINED) continue;
        m->computed -= reeve_queue_held(m->queue, (reeve_worker_id){w}) - m->workers[w].leased;
        m->workers[w].leased = 0;
        (void)reeve_queue_lose_worker(m->queue, (reeve_worker_id){w}, 0);
        master_update_hungry(m, w);
    }
}

static uint32_t computed_by(const reeve_master *m, uint32_t worker, uint32_t *tasks, uint32_t most)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < reeve_queue_capacity(m->queue) && count < most; i++) {
        const struct reeve_task *t = reeve_queue_task(m->queue, (reeve_task_id){i});
        if (t != NULL && t->state == REEVE_STATE_COMPUTED && t->holder == worker) tasks[count++] = i;
    }
    return count;
}

reeve_status __wrap_reeve_master_apply(reeve_master *m, const struct reeve_event *ev, struct reeve_error *err)
{
    enum sim_mutation mutation = sim_running->sim->mutation;
    uint32_t tasks[SIM_MICRO_MAX], count = 0;
    bool regroups = ev->kind == REEVE_EVENT_REGROUPED;
    if (mutation == SIM_MUTATE_FORGET_DEAD && ev->kind == REEVE_EVENT_WORKER_LOST)
        count = computed_by(m, ev->worker, tasks, SIM_MICRO_MAX);
    reeve_status st = __real_reeve_master_apply(m, ev, err);
    if (st != REEVE_OK) return st;
    forget_dead(m, tasks, count);
    if (mutation == SIM_MUTATE_EPOCH_STAYS && regroups) m->epoch--;
    if (mutation == SIM_MUTATE_REISSUE_ALL && regroups) reissue_all(m);
    return st;
}
