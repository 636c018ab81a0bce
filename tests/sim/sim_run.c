/* One history: the world is made, faults are laid out, the run is started, and time runs until it is complete, a promise
 * is broken, or the bound of progress has passed. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "checkers.h"
#include "sim.h"

/* From the end of the faults. What lasts longest: a stall of 120 s that was begun last, a take-over (62 s and a stall)
 * with it, a worker's silence (180 s) until the run is given up, and then a run from its start. */
#define PROGRESS_NS (1200 * REEVE_SECOND_NS)
#define LAUNCHES_MAX 64u

static void init(struct sim *s, const struct sim_plan *plan, uint64_t without, enum sim_mutation mutation)
{
    memset(s, 0, sizeof(*s));
    s->plan = *plan;
    s->without = without;
    s->mutation = mutation;
    s->shape = sim_shape_get(plan->shape);
    s->now_ns = SIM_START_NS;
    s->run_id = plan->seed * 2 + 1;
    s->disk = sim_disk_create(s);
    s->checkpoints = sim_checkpoints_create();
    s->checkers = sim_checkers_create();
    sim_supervise(s, SIM_START_NS);
    sim_faults_begin(s);
}

static void fini(struct sim *s)
{
    sim_net_drop_all(s);
    sim_end_processes(s);
    sim_checkers_destroy(s->checkers);
    sim_checkpoints_destroy(s->checkpoints);
    sim_disk_destroy(s->disk);
    free(s->heap);
}

void sim_run_plan(const struct sim_plan *plan, uint64_t without, enum sim_mutation mutation, struct sim_result *out)
{
    struct sim s;
    init(&s, plan, without, mutation);
    bool more = sim_run_until(&s, s.faults_end_ns + PROGRESS_NS);
    if (!s.complete && !s.failed)
        sim_violate(&s, "progress", "%s; %u launches, %.0f s after the last fault",
                    more ? "the run is not complete" : "nothing is left to happen, and the run is not complete",
                    s.launch_count, (double)PROGRESS_NS * 1e-9);
    if (s.complete && !s.failed) sim_check_complete(&s);
    *out = (struct sim_result){.failed = s.failed,
                               .launches = s.launch_count,
                               .faults = plan->fault_count,
                               .events = s.events_run,
                               .regroupings = s.regroupings,
                               .replacements = s.replacements,
                               .evictions = s.evictions,
                               .records = sim_checkers_records(s.checkers),
                               .simulated_ns = s.now_ns - SIM_START_NS};
    memcpy(out->promise, s.promise, sizeof(out->promise));
    memcpy(out->why, s.why, sizeof(out->why));
    fini(&s);
}
