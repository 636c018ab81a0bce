/* What is proven from the journal: at each recovery, with a second replay beside the program's own; and at the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "checkers_state.h"
#include "core/audit.h"
#include "store/checkpoint.h"

/* ---- recovery ---- */

struct replayed {
    struct sim *s;
    reeve_plan *plan;
    reeve_master *master;
    size_t live_at; /* into checkers->live: those before are of earlier records */
    uint64_t last_lsn;
};

static void create_master(struct sim *s, struct replayed *r)
{
    struct reeve_error err;
    struct reeve_plan_config plan_config;
    const struct sim_shape *shape = s->shape;
    reeve_job_plan_config(&shape->job, &plan_config);
    reeve_status st = reeve_plan_create(&shape->manifest, &plan_config, &r->plan, &err);
    struct reeve_master_config config = {.run_id = s->run_id,
                                         .workers_max = SIM_WORKERS_MAX,
                                         .manifest = &shape->manifest,
                                         .steps = shape->job.train.steps,
                                         .global_batch = shape->job.train.global_batch,
                                         .micro_batch = shape->job.train.micro_batch,
                                         .attempts_max = shape->job.faults.attempts_max,
                                         .credits = shape->job.faults.credits,
                                         .lease_term_ns = 60 * REEVE_SECOND_NS};
    memcpy(&config.manifest_digest64, shape->manifest.digest.bytes, 8);
    if (st == REEVE_OK) st = reeve_master_create(&config, r->plan, &r->master, &err);
    REEVE_ASSERT(st == REEVE_OK);
}

static void check_kept(struct sim *s, const struct reeve_event *ev)
{
    struct sim_checkers *c = s->checkers;
    if (ev->lsn <= c->kept_count) {
        if (c->kept_sum[ev->lsn - 1] != ev->sum)
            sim_violate(s, "what is promised stays", "record %llu was another one at the last recovery",
                        (unsigned long long)ev->lsn);
        return;
    }
    if (c->kept_count == c->kept_room) {
        c->kept_room = c->kept_room == 0 ? 1024 : 2 * c->kept_room;
        c->kept_sum = realloc(c->kept_sum, c->kept_room * sizeof(*c->kept_sum));
        REEVE_ASSERT(c->kept_sum != NULL);
    }
    c->kept_sum[c->kept_count++] = ev->sum;
}

static void check_live(struct replayed *r, const struct reeve_event *ev)
{
    struct sim_checkers *c = r->s->checkers;
    while (r->live_at < c->live_count &&
           (c->live[r->live_at].epoch < ev->epoch ||
            (c->live[r->live_at].epoch == ev->epoch && c->live[r->live_at].lsn < ev->lsn)))
        r->live_at++;
    if (r->live_at == c->live_count) return;
    const struct live_digest *l = &c->live[r->live_at];
    if (l->epoch != ev->epoch || l->lsn != ev->lsn) return;
    if (l->digest != reeve_master_digest(r->master))
        sim_violate(r->s, "replay equals live", "after record %llu (%s, epoch %u) the replayed master is another one",
                    (unsigned long long)ev->lsn, reeve_event_name(ev->kind), ev->epoch);
}

static reeve_status visit(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    struct replayed *r = arg;
    if (r->s->mutation == SIM_MUTATE_FORGET_RECORD && ev->lsn + 1 >= r->s->checkers->promised_lsn && ev->lsn > 2)
        return REEVE_STORE_END;
    check_kept(r->s, ev);
    sim_leases_fold(r->s, ev);
    r->last_lsn = ev->lsn;
    reeve_status st = reeve_master_apply(r->master, ev, err);
    if (st == REEVE_OK) check_live(r, ev);
    return st;
}

static void check_restart_point(struct sim *s, const reeve_master *m)
{
    struct reeve_master_checkpoint newest;
    struct reeve_error err = {0};
    reeve_checkpoint *ckpt = NULL;
    if (s->checkers->damaged > 0 || reeve_master_checkpoints(m, &newest, 1) == 0) return;
    if (reeve_checkpoint_open(SIM_RUN_DIR, newest.step, &newest.digest64, &ckpt, &err) != REEVE_OK)
        sim_violate(s, "one restart point", "the newest checkpoint on record, of step %llu, cannot be opened: %s",
                    (unsigned long long)newest.step, err.text);
    reeve_checkpoint_close(ckpt);
}

void sim_check_recovered(struct sim_proc *p, reeve_status recovery, const struct reeve_error *why)
{
    struct sim *s = p->sim;
    struct sim_checkers *c = s->checkers;
    struct replayed r = {.s = s};
    struct reeve_error err = {0};
    if (!p->alive) return;
    memset(c->lease, 0, sizeof(c->lease)); /* what the master before had decided, and could not write, never was */
    create_master(s, &r);
    reeve_status st = reeve_journal_replay(SIM_RUN_DIR, visit, &r, NULL, &err);
    if (st != REEVE_OK && st != REEVE_STORE_END) {
        sim_violate(s, "what is promised stays", "the journal cannot be replayed: %s", err.text);
    } else {
        if (r.last_lsn < c->kept_count)
            sim_violate(s, "what is promised stays", "the last recovery read %zu records, this one %llu", c->kept_count,
                        (unsigned long long)r.last_lsn);
        if (r.last_lsn < c->promised_lsn)
            sim_violate(s, "what is promised stays", "words have left on record %llu; the journal ends at %llu",
                        (unsigned long long)c->promised_lsn, (unsigned long long)r.last_lsn);
        check_restart_point(s, r.master);
        if (recovery != REEVE_OK) sim_violate(s, "one restart point", "recovery failed: %s", why->text);
    }
    c->promised_lsn = 0; /* a new master has said nothing yet */
    reeve_master_destroy(r.master);
    reeve_plan_destroy(r.plan);
}

/* ---- the end ---- */

struct ending {
    struct sim *s;
    reeve_audit *audit;
    uint64_t step; /* last committed on the surviving timeline */
    bool ended;
    uint64_t records;
};

/* The naive ledger: steps commit one by one, and only a resume takes some back. That each had every micro-batch in its
 * sum once was seen as it committed, and that these visit every sample once, when the shape was made. */
static reeve_status visit_ending(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    struct ending *e = arg;
    e->records++;
    if (ev->kind == REEVE_EVENT_STEP_COMMITTED) {
        if (ev->step != e->step + 1)
            sim_violate(e->s, "exactly once", "step %llu committed after step %llu", (unsigned long long)ev->step,
                        (unsigned long long)e->step);
        e->step = ev->step;
    }
    if (ev->kind == REEVE_EVENT_RUN_RESUMED) e->step = ev->step;
    if (ev->kind == REEVE_EVENT_RUN_OPENED) e->ended = false;
    if (ev->kind == REEVE_EVENT_RUN_ENDED) e->ended = true;
    return reeve_audit_event(e->audit, ev, err);
}

void sim_check_complete(struct sim *s)
{
    struct ending e = {.s = s};
    struct reeve_error err = {0};
    struct reeve_journal_info info;
    struct reeve_audit_result result;
    struct sim_proc reader = {.sim = s, .alive = true};
    uint64_t steps = s->shape->job.train.steps;
    sim_running = &reader;
    reeve_status st = reeve_audit_create(s->shape->plan, &e.audit, &err);
    REEVE_ASSERT(st == REEVE_OK);
    st = reeve_journal_replay(SIM_RUN_DIR, visit_ending, &e, &info, &err);
    if (st == REEVE_OK) st = reeve_audit_finish(e.audit, &result, &err);
    if (st != REEVE_OK) sim_violate(s, "what is promised stays", "the journal at the end: %s", err.text);
    else if (!result.exactly_once)
        sim_violate(s, "exactly once", "audit: %s (%llu committed, %llu expected)", result.first_violation,
                    (unsigned long long)result.samples_committed, (unsigned long long)result.samples_expected);
    if (e.step != steps || !e.ended)
        sim_violate(s, "exactly once", "the run says that it is complete; its journal ends at step %llu of %llu",
                    (unsigned long long)e.step, (unsigned long long)steps);
    reeve_audit_destroy(e.audit);
    sim_running = NULL;
}
