/* Mutations: what each breaks, in a world that is otherwise as for any seed, and which promise must be seen broken. */
#include "core/master.h"
#include "sim.h"

void __real_reeve_master_decide(const reeve_master *m, const struct reeve_master_input *in, reeve_time_ns now_ns,
                                struct reeve_decision *out);
void __wrap_reeve_master_decide(const reeve_master *m, const struct reeve_master_input *in, reeve_time_ns now_ns,
                                struct reeve_decision *out);

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

/* The linker puts this in front of decide(): where a decision can be spoiled. */
void __wrap_reeve_master_decide(const reeve_master *m, const struct reeve_master_input *in, reeve_time_ns now_ns,
                                struct reeve_decision *out)
{
    __real_reeve_master_decide(m, in, now_ns, out);
    struct sim *s = sim_running->sim;
    if (s->mutation != SIM_MUTATE_IMPOSSIBLE || out->event_count == 0) return;
    struct reeve_event *ev = &out->events[out->event_count - 1];
    if (ev->kind == REEVE_EVENT_TASK_LEASED && s->mutation_count++ == 5) ev->attempt++;
}
