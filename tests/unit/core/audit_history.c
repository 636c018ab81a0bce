/* The generator of histories; see audit_history.h. */
#include "audit_history.h"

static struct reeve_event *add(struct generator *g, uint16_t kind)
{
    assert_true(g->h.count < EVENTS_MAX);
    struct reeve_event *ev = &g->h.events[g->h.count++];
    memset(ev, 0, sizeof(*ev));
    ev->kind = kind;
    ev->lsn = g->h.count;
    ev->epoch = g->epoch;
    return ev;
}

bool history_chance(struct generator *g, uint32_t of_thousand)
{
    return fx_below(&g->random, 1000) < of_thousand;
}

static uint32_t any_alive(struct generator *g)
{
    for (;;) {
        uint32_t w = 1 + (uint32_t)fx_below(&g->random, g->workers);
        if ((g->alive >> w & 1) != 0) return w;
    }
}

static void add_task_event(struct generator *g, uint16_t kind, uint32_t micro)
{
    struct reeve_event *ev = add(g, kind);
    ev->task = FIRST_TASK + micro;
    ev->worker = g->holder[micro];
    ev->attempt = g->attempt[micro];
    ev->step = g->step + 1;
    ev->arg = micro;
    if (kind == REEVE_EVENT_TASK_LEASED) ev->a = REEVE_TASK_GRADIENT;
}

static void forget_tasks(struct generator *g)
{
    for (uint32_t m = 0; m < MICRO_BATCHES; m++) {
        g->expect.recomputed += g->computed[m];
        g->holder[m] = g->attempt[m] = 0;
        g->computed[m] = false;
    }
}

static void open_run(struct generator *g)
{
    g->epoch++;
    g->workers = 1 + (uint32_t)fx_below(&g->random, WORKERS_MAX);
    g->alive = 0;
    struct reeve_event *ev = add(g, REEVE_EVENT_RUN_OPENED);
    ev->a = 0xabc;
    ev->b = 0xdef;
    ev->arg = g->workers;
    forget_tasks(g);
    g->expect.restarts = g->runs++;
    for (uint32_t w = 1; w <= g->workers; w++) {
        add(g, REEVE_EVENT_WORKER_JOINED)->worker = w;
        g->alive |= 1u << w;
    }
    if (g->runs == 1 || history_chance(g, 50)) return; /* died again before it could say where it goes on */
    if (g->checkpoint_count > 1 && history_chance(g, 100)) g->checkpoint_count--; /* the newest was damaged */
    uint64_t to = g->checkpoint_count > 0 ? g->checkpoints[g->checkpoint_count - 1] : 0;
    add(g, REEVE_EVENT_RUN_RESUMED)->step = to;
    g->expect.rolled_back_steps += g->step - to;
    g->step = to;
}

static bool resumed(const struct generator *g)
{
    for (size_t i = g->h.count; i-- > 0;) {
        if (g->h.events[i].kind == REEVE_EVENT_RUN_RESUMED) return true;
        if (g->h.events[i].kind == REEVE_EVENT_RUN_OPENED) return g->runs == 1;
    }
    return false;
}

static struct reeve_event *lease_stage(struct generator *g)
{
    struct reeve_event *ev = add(g, REEVE_EVENT_TASK_LEASED);
    ev->task = 7;
    ev->worker = any_alive(g);
    ev->attempt = 1;
    ev->a = REEVE_TASK_STAGE;
    g->expect.leases++;
    return ev;
}

static void stage_a_shard(struct generator *g)
{
    uint32_t worker = lease_stage(g)->worker;
    struct reeve_event *ev = add(g, history_chance(g, 500) ? REEVE_EVENT_TASK_DONE : REEVE_EVENT_TASK_RELEASED);
    ev->task = 7;
    ev->worker = worker;
    ev->attempt = 1;
}

static void lose_worker(struct generator *g, uint32_t worker)
{
    add(g, REEVE_EVENT_WORKER_LOST)->worker = worker;
    g->alive &= ~(1u << worker);
    for (uint32_t m = 0; m < MICRO_BATCHES; m++) {
        if (g->holder[m] != worker) continue;
        g->holder[m] = 0;
        g->expect.recomputed += g->computed[m];
        g->computed[m] = false;
    }
}

static void advance_task(struct generator *g, uint32_t m)
{
    if (g->computed[m]) return;
    if (g->holder[m] == 0) {
        g->holder[m] = any_alive(g);
        g->attempt[m]++;
        add_task_event(g, REEVE_EVENT_TASK_LEASED, m);
        g->expect.leases++;
    } else if (history_chance(g, 100)) {
        add_task_event(g, history_chance(g, 500) ? REEVE_EVENT_TASK_FAILED : REEVE_EVENT_TASK_RELEASED, m);
        g->holder[m] = 0;
    } else {
        add_task_event(g, REEVE_EVENT_TASK_COMPUTED, m);
        g->computed[m] = true;
    }
}

static bool all_computed(const struct generator *g)
{
    bool all = true;
    for (uint32_t m = 0; m < MICRO_BATCHES; m++) all = all && g->computed[m];
    return all;
}

static void open_step(struct generator *g)
{
    struct reeve_event *ev = add(g, REEVE_EVENT_STEP_OPENED);
    ev->step = g->step + 1;
    ev->arg = MICRO_BATCHES;
    ev->a = g->step * STEP_SAMPLES;
    ev->b = STEP_SAMPLES;
}

static void commit_step(struct generator *g)
{
    struct reeve_event *ev = add(g, REEVE_EVENT_STEP_COMMITTED);
    ev->step = ++g->step;
    ev->arg = STEP_SAMPLES;
    ev->b = reeve_plan_coverage_step(g->plan, g->step);
    g->refused[g->step] = history_chance(g, 50);
    if (g->refused[g->step]) ev->flags = REEVE_EVENT_FLAG_REFUSED;
    uint64_t recomputed = g->expect.recomputed;
    forget_tasks(g);
    g->expect.recomputed = recomputed;
}

static void checkpoint(struct generator *g)
{
    uint64_t newest = g->checkpoint_count > 0 ? g->checkpoints[g->checkpoint_count - 1] : 0;
    if (newest == g->step || g->checkpoint_count == 64) return;
    uint64_t step = newest + 1 + fx_below(&g->random, g->step - newest); /* written while later steps were committed */
    add(g, REEVE_EVENT_STEP_WEIGHTS)->step = step;
    add(g, REEVE_EVENT_CKPT_COMMIT)->step = step;
    g->checkpoints[g->checkpoint_count++] = step;
}

static void evaluate(struct generator *g)
{
    add(g, REEVE_EVENT_EVAL_OPENED)->step = g->step;
    for (uint32_t i = 0; i < 2; i++) {
        struct reeve_event *ev = add(g, REEVE_EVENT_TASK_LEASED);
        ev->task = FIRST_TASK + i;
        ev->worker = any_alive(g);
        ev->attempt = 1;
        ev->step = g->step;
        ev->arg = i;
        ev->a = REEVE_TASK_EVAL;
        g->expect.leases++;
        struct reeve_event done = *ev;
        ev = add(g, REEVE_EVENT_TASK_COMPUTED);
        done.lsn = ev->lsn;
        done.kind = ev->kind;
        *ev = done;
    }
    add(g, REEVE_EVENT_EVAL_COMMITTED)->step = g->step;
}

/* One step, whatever it takes. False: everything died meanwhile. */
static bool run_step(struct generator *g)
{
    open_step(g);
    while (!all_computed(g)) {
        if (history_chance(g, 10)) {
            if (history_chance(g, 500)) (void)lease_stage(g); /* and nobody will ever end it */
            return false;
        }
        if (history_chance(g, 20) && (g->alive & (g->alive - 1)) != 0) lose_worker(g, any_alive(g));
        if (history_chance(g, 15)) {
            add(g, REEVE_EVENT_STEP_ABORTED)->step = g->step + 1;
            forget_tasks(g);
            open_step(g);
        }
        advance_task(g, (uint32_t)fx_below(&g->random, MICRO_BATCHES));
        if (all_computed(g) && history_chance(g, 50) && (g->alive & (g->alive - 1)) != 0) lose_worker(g, any_alive(g));
    }
    commit_step(g);
    return true;
}

void history_generate(struct generator *g, struct fx_random random, uint64_t last_step)
{
    uint64_t tokens[3] = {161, 90, 3};
    uint16_t weights[3] = {1, 2, 1};
    struct reeve_plan_config config = {.seed = random.seed, .shuffle = (uint32_t)(random.seed % 3), .block_shards = 1,
                                       .sequence = 4, .global_batch = STEP_SAMPLES, .micro_batch = MICRO_BATCH,
                                       .holdout_ppm = 100000};
    memset(g, 0, sizeof(*g));
    g->random = random;
    g->last_step = last_step;
    g->h.events = calloc(EVENTS_MAX, sizeof(*g->h.events));
    g->manifest = fx_manifest(3, tokens, weights);
    g->plan = fx_plan(g->manifest, &config);
    open_run(g);
    while (g->step < g->last_step) {
        if (!resumed(g) || !run_step(g)) {
            open_run(g);
            continue;
        }
        if (history_chance(g, 300)) stage_a_shard(g);
        if (history_chance(g, 200)) checkpoint(g);
        if (history_chance(g, 100)) evaluate(g);
        if (history_chance(g, 30)) {
            add(g, REEVE_EVENT_RUN_STOPPED)->step = g->step;
            open_run(g);
        }
    }
    if (resumed(g)) add(g, REEVE_EVENT_RUN_ENDED)->step = g->step;
}

void history_generator_end(struct generator *g)
{
    reeve_plan_destroy(g->plan);
    reeve_manifest_destroy(g->manifest);
    free(g->h.events);
}

struct reeve_audit_result history_audit(reeve_plan *plan, const struct history *h)
{
    reeve_audit *a = NULL;
    struct reeve_audit_result r;
    assert_int_equal(reeve_audit_create(plan, &a, NULL), REEVE_OK);
    for (size_t i = 0; i < h->count; i++) assert_int_equal(reeve_audit_event(a, &h->events[i], NULL), REEVE_OK);
    assert_int_equal(reeve_audit_finish(a, &r, NULL), REEVE_OK);
    reeve_audit_destroy(a);
    return r;
}
