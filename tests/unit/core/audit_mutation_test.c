/* Each way to be wrong is caught and worded: correct histories with one rule broken. */
#include "audit_history.h"

static void renumber(struct history *h)
{
    for (size_t i = 0; i < h->count; i++) h->events[i].lsn = i + 1;
}

static void drop(struct history *h, size_t at)
{
    memmove(&h->events[at], &h->events[at + 1], sizeof(*h->events) * (h->count - at - 1));
    h->count--;
    renumber(h);
}

static struct reeve_event *insert(struct history *h, size_t at, struct reeve_event ev)
{
    assert_true(h->count < EVENTS_MAX);
    memmove(&h->events[at + 1], &h->events[at], sizeof(*h->events) * (h->count - at));
    h->count++;
    h->events[at] = ev;
    renumber(h);
    return &h->events[at];
}

static size_t find(const struct history *h, size_t from, uint16_t kind)
{
    while (from < h->count && h->events[from].kind != kind) from++;
    return from; /* count: none */
}

/* The commit of a random step of the timeline that survived, never the last one. */
static size_t some_commit(struct generator *g)
{
    uint64_t step = 1 + fx_below(&g->random, g->step - 1);
    size_t at = g->h.count;
    while (at-- > 0)
        if (g->h.events[at].kind == REEVE_EVENT_STEP_COMMITTED && g->h.events[at].step == step) return at;
    fail_msg("step %llu was not committed", (unsigned long long)step);
    return 0;
}

/* The completion of a random micro-batch that the commit counted. */
static size_t some_computed(struct generator *g, size_t commit)
{
    uint32_t micro = (uint32_t)fx_below(&g->random, MICRO_BATCHES);
    for (size_t at = commit; at-- > 0;)
        if (g->h.events[at].kind == REEVE_EVENT_TASK_COMPUTED && g->h.events[at].arg == micro) return at;
    fail_msg("micro-batch %u was not computed", micro);
    return 0;
}

static size_t lease_of(const struct history *h, size_t computed)
{
    for (size_t at = computed; at-- > 0;)
        if (h->events[at].kind == REEVE_EVENT_TASK_LEASED && h->events[at].task == h->events[computed].task) return at;
    fail_msg("never leased");
    return 0;
}

/* Each mutation changes g->h and returns what the first violation must say; NULL: nothing there to mutate. */
typedef const char *mutation(struct generator *g, struct reeve_audit_result *least);

static const char *drop_any_record(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = fx_below(&g->random, g->h.count - 1);
    memmove(&g->h.events[at], &g->h.events[at + 1], sizeof(*g->h.events) * (g->h.count - at - 1));
    g->h.count--;
    return "the journal has lost or moved some";
}

static const char *swap_two_records(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = fx_below(&g->random, g->h.count - 1);
    struct reeve_event swap = g->h.events[at];
    g->h.events[at] = g->h.events[at + 1];
    g->h.events[at + 1] = swap;
    return "the journal has lost or moved some";
}

static const char *drop_open(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = some_commit(g);
    while (g->h.events[at].kind != REEVE_EVENT_STEP_OPENED) at--;
    drop(&g->h, at);
    return "which is not open";
}

static const char *drop_commit(struct generator *g, struct reeve_audit_result *least)
{
    drop(&g->h, some_commit(g));
    least->missing = STEP_SAMPLES;
    return ""; /* the next step, evaluation or checkpoint finds it */
}

static const char *drop_computed(struct generator *g, struct reeve_audit_result *least)
{
    drop(&g->h, some_computed(g, some_commit(g)));
    least->missing = MICRO_BATCH;
    return "was not computed (1 of 4 are missing)";
}

static const char *drop_lease(struct generator *g, struct reeve_audit_result *least)
{
    drop(&g->h, lease_of(&g->h, some_computed(g, some_commit(g))));
    least->missing = MICRO_BATCH;
    least->stale = 1;
    return "was not computed (1 of 4 are missing)";
}

static const char *drop_step(struct generator *g, struct reeve_audit_result *least)
{
    size_t end = some_commit(g), begin = end;
    while (g->h.events[begin].kind != REEVE_EVENT_STEP_OPENED) begin--;
    for (size_t i = begin; i <= end; i++) drop(&g->h, begin);
    least->missing = STEP_SAMPLES;
    return "";
}

static const char *drop_resumed(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = find(&g->h, 0, REEVE_EVENT_RUN_RESUMED);
    if (at == g->h.count) return NULL;
    size_t opened = find(&g->h, at, REEVE_EVENT_STEP_OPENED);
    if (opened == g->h.count || find(&g->h, at, REEVE_EVENT_RUN_OPENED) < opened) return NULL;
    drop(&g->h, at);
    return "names no checkpoint (RUN_RESUMED)";
}

static const char *drop_reopening(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = find(&g->h, 1, REEVE_EVENT_RUN_OPENED);
    size_t to = find(&g->h, at, REEVE_EVENT_RUN_RESUMED);
    if (to == g->h.count || find(&g->h, at + 1, REEVE_EVENT_RUN_OPENED) < to) return NULL;
    drop(&g->h, at);
    return "without a restart before it";
}

static const char *duplicate_commit(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = some_commit(g);
    (void)insert(&g->h, at + 1, g->h.events[at]);
    least->duplicates = STEP_SAMPLES;
    return "committed again";
}

static const char *swap_coverage(struct generator *g, struct reeve_audit_result *least)
{
    g->h.events[some_commit(g)].b ^= 1;
    return "committed with coverage word";
}

static const char *wrong_samples(struct generator *g, struct reeve_audit_result *least)
{
    g->h.events[some_commit(g)].arg--;
    return "committed with 11 samples; the plan has 12";
}

static const char *stale_attempt(struct generator *g, struct reeve_audit_result *least)
{
    g->h.events[some_computed(g, some_commit(g))].attempt--;
    least->missing = MICRO_BATCH;
    least->stale = 1;
    return "was not computed (1 of 4 are missing)";
}

static const char *word_of_another_worker(struct generator *g, struct reeve_audit_result *least)
{
    g->h.events[some_computed(g, some_commit(g))].worker++;
    least->missing = MICRO_BATCH;
    least->stale = 1;
    return "was not computed (1 of 4 are missing)";
}

static const char *lease_while_held(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = lease_of(&g->h, some_computed(g, some_commit(g)));
    struct reeve_event *ev = insert(&g->h, at + 1, g->h.events[at]);
    ev->worker = g->h.events[at].worker + 1;
    ev->attempt++;
    return "while worker";
}

static const char *lease_while_computed(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = some_computed(g, some_commit(g));
    struct reeve_event *ev = insert(&g->h, at + 1, g->h.events[lease_of(&g->h, at)]);
    ev->attempt++;
    return "while worker";
}

static const char *compute_twice_as_two_tasks(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = some_computed(g, some_commit(g));
    struct reeve_event lease = g->h.events[lease_of(&g->h, at)], computed = g->h.events[at];
    lease.task = computed.task = 999;
    (void)insert(&g->h, at + 1, lease);
    (void)insert(&g->h, at + 2, computed);
    least->duplicates = MICRO_BATCH;
    return "and the first result was not lost";
}

static const char *other_micro_batch_returned(struct generator *g, struct reeve_audit_result *least)
{
    struct reeve_event *ev = &g->h.events[some_computed(g, some_commit(g))];
    ev->arg = (ev->arg + 1) % MICRO_BATCHES;
    return "and returned";
}

static const char *lost_before_commit(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = some_commit(g);
    struct reeve_event ev = {.kind = REEVE_EVENT_WORKER_LOST, .worker = g->h.events[some_computed(g, at)].worker};
    ev.epoch = g->h.events[at].epoch;
    (void)insert(&g->h, at, ev);
    least->missing = MICRO_BATCH;
    return "was not computed";
}

static const char *micro_batch_beyond_the_plan(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = some_computed(g, some_commit(g));
    g->h.events[lease_of(&g->h, at)].arg = MICRO_BATCHES;
    least->missing = MICRO_BATCH;
    return "the plan has 4";
}

static const char *resume_without_checkpoint(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = find(&g->h, 0, REEVE_EVENT_RUN_RESUMED), commit = at;
    if (at == g->h.count) return NULL;
    while (commit > 0 && g->h.events[commit].kind != REEVE_EVENT_STEP_COMMITTED) commit--;
    uint64_t last = g->h.events[commit].step;
    for (size_t i = 0; i < at; i++)
        if (g->h.events[i].kind == REEVE_EVENT_CKPT_COMMIT && g->h.events[i].step == last) return NULL;
    if (commit == 0) return NULL;
    g->h.events[at].step = last;
    return "which no checkpoint on record covers";
}

static const char *resume_beyond_the_end(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = find(&g->h, 0, REEVE_EVENT_RUN_RESUMED);
    if (at == g->h.count) return NULL;
    g->h.events[at].step = 1000;
    return "is the last one committed";
}

static const char *checkpoint_of_the_future(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = find(&g->h, 0, REEVE_EVENT_CKPT_COMMIT);
    if (at == g->h.count) return NULL;
    g->h.events[at].step = 1000;
    return "checkpoint of step 1000";
}

static const char *epoch_goes_back(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = 1 + fx_below(&g->random, g->h.count - 1);
    g->h.events[at].epoch = 0;
    return "membership epoch";
}

static const char *restart_in_the_same_epoch(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = find(&g->h, 1, REEVE_EVENT_RUN_OPENED);
    if (at == g->h.count) return NULL;
    for (size_t i = at; i < g->h.count; i++) g->h.events[i].epoch--;
    return "which is not above";
}

static const char *records_of_another_run(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = find(&g->h, 1, REEVE_EVENT_RUN_OPENED);
    if (at == g->h.count) return NULL;
    if (history_chance(g, 500)) g->h.events[at].a ^= 1;
    else g->h.events[at].b ^= 1;
    return "in the journal of run";
}

static const char *wrong_position(struct generator *g, struct reeve_audit_result *least)
{
    g->h.events[find(&g->h, 0, REEVE_EVENT_STEP_OPENED)].a++;
    return "opened at position 1; the plan says 0";
}

static const char *wrong_cut(struct generator *g, struct reeve_audit_result *least)
{
    g->h.events[find(&g->h, 0, REEVE_EVENT_STEP_OPENED)].arg++;
    return "opened with 5 micro-batches";
}

static const char *unknown_kind(struct generator *g, struct reeve_audit_result *least)
{
    (void)insert(&g->h, g->h.count, (struct reeve_event){.kind = 99, .epoch = g->epoch});
    return "kind 99 is not known";
}

static const char *end_at_another_step(struct generator *g, struct reeve_audit_result *least)
{
    (void)insert(&g->h, g->h.count, (struct reeve_event){.kind = REEVE_EVENT_RUN_ENDED, .epoch = g->epoch, .step = 99});
    return "closed at step 99";
}

static const char *abort_nothing(struct generator *g, struct reeve_audit_result *least)
{
    size_t at = find(&g->h, 0, REEVE_EVENT_STEP_OPENED);
    (void)insert(&g->h, at, (struct reeve_event){.kind = REEVE_EVENT_STEP_ABORTED, .epoch = 1});
    return "nothing is open";
}

static const char *no_run_opened(struct generator *g, struct reeve_audit_result *least)
{
    if (find(&g->h, 1, REEVE_EVENT_RUN_OPENED) < find(&g->h, 0, REEVE_EVENT_STEP_OPENED)) return NULL;
    drop(&g->h, 0);
    return "opened before the run was";
}

static void audit_catches_and_words_every_mutation(void **state)
{ /* Goal: nothing wrong goes unseen. Method: each mutation on 20 random histories; its words, its least counts. */
    static const struct { const char *name; mutation *apply; } mutations[] = {
#define MUTATION(name) {#name, name}
        MUTATION(drop_any_record), MUTATION(swap_two_records), MUTATION(drop_open), MUTATION(drop_commit),
        MUTATION(drop_computed), MUTATION(drop_lease), MUTATION(drop_step), MUTATION(drop_resumed),
        MUTATION(drop_reopening), MUTATION(duplicate_commit), MUTATION(swap_coverage), MUTATION(wrong_samples),
        MUTATION(stale_attempt), MUTATION(word_of_another_worker), MUTATION(lease_while_held),
        MUTATION(lease_while_computed), MUTATION(compute_twice_as_two_tasks), MUTATION(other_micro_batch_returned),
        MUTATION(lost_before_commit), MUTATION(micro_batch_beyond_the_plan), MUTATION(resume_without_checkpoint),
        MUTATION(resume_beyond_the_end), MUTATION(checkpoint_of_the_future), MUTATION(epoch_goes_back),
        MUTATION(restart_in_the_same_epoch), MUTATION(records_of_another_run), MUTATION(wrong_position),
        MUTATION(wrong_cut), MUTATION(unknown_kind), MUTATION(end_at_another_step), MUTATION(abort_nothing),
        MUTATION(no_run_opened),
#undef MUTATION
    };
    struct fx_random r = fx_random_fresh();
    for (size_t i = 0; i < sizeof(mutations) / sizeof(mutations[0]); i++) {
        uint32_t applied = 0;
        for (uint64_t n = 0; n < 400 && applied < 20; n++) {
            struct generator g;
            history_generate(&g, (struct fx_random){r.seed + 1000 * i + n, 0}, 12);
            struct reeve_audit_result least = {0};
            const char *words = mutations[i].apply(&g, &least);
            struct reeve_audit_result found = history_audit(g.plan, &g.h);
            applied += words != NULL;
            if (words != NULL && (found.exactly_once || found.violations == 0 ||
                                  strstr(found.first_violation, words) == NULL))
                fail_msg("%s, history %llu: expected '%s', found %llu: '%s'", mutations[i].name, (unsigned long long)n,
                         words, (unsigned long long)found.violations, found.first_violation);
            if (found.missing < least.missing || found.duplicates < least.duplicates || found.stale < least.stale)
                fail_msg("%s, history %llu: %llu missing, %llu duplicates, %llu stale", mutations[i].name,
                         (unsigned long long)n, (unsigned long long)found.missing,
                         (unsigned long long)found.duplicates, (unsigned long long)found.stale);
            history_generator_end(&g);
        }
        if (applied < 20) fail_msg("%s could be applied %u times only", mutations[i].name, applied);
    }
}

static void audit_says_which_record_which_step_and_what(void **state)
{ /* Goal: a person can act on it. Method: one whole text, by hand. */
    struct generator g;
    history_generate(&g, (struct fx_random){1, 0}, 1);
    size_t at = find(&g.h, 0, REEVE_EVENT_STEP_COMMITTED);
    g.h.events[at].arg = 9;
    struct reeve_audit_result r = history_audit(g.plan, &g.h);
    char expected[256];
    (void)snprintf(expected, sizeof(expected),
                   "event %zu (STEP_COMMITTED): step 1 committed with 9 samples; the plan has 12", at + 1);
    assert_string_equal(r.first_violation, expected);
    assert_int_equal(r.violations, 1);
    history_generator_end(&g);
}

static void audit_counts_a_word_said_twice_as_stale_and_no_more(void **state)
{ /* Goal: a late or repeated completion is recorded, not counted. Method: each kind of end, twice. */
    struct fx_random r = fx_random_fresh();
    for (uint64_t n = 0; n < 20; n++) {
        struct generator g;
        history_generate(&g, (struct fx_random){r.seed + n, 0}, 12);
        size_t at = some_computed(&g, some_commit(&g));
        (void)insert(&g.h, at + 1, g.h.events[at]);
        g.h.events[at + 1].kind = (uint16_t)(REEVE_EVENT_TASK_COMPUTED + n % 4); /* computed, done, failed, released */
        struct reeve_audit_result found = history_audit(g.plan, &g.h);
        if (!found.exactly_once || found.stale != 1)
            fail_msg("history %llu: %llu stale, '%s'", (unsigned long long)n, (unsigned long long)found.stale,
                     found.first_violation);
        history_generator_end(&g);
    }
}

static void audit_does_not_count_samples_of_steps_that_were_rolled_back(void **state)
{ /* Goal: a fault in a step that was undone is worded, but its samples are those of the step done again. */
    struct fx_random r = fx_random_fresh();
    uint32_t applied = 0;
    for (uint64_t n = 0; n < 400 && applied < 20; n++) {
        struct generator g;
        history_generate(&g, (struct fx_random){r.seed + n, 0}, 12);
        size_t at = find(&g.h, 0, REEVE_EVENT_RUN_RESUMED), commit = at;
        while (commit > 0 && g.h.events[commit].kind != REEVE_EVENT_STEP_COMMITTED) commit--;
        if (at < g.h.count && commit > 0 && g.h.events[commit].step > g.h.events[at].step) {
            applied++;
            drop(&g.h, some_computed(&g, commit));
            struct reeve_audit_result found = history_audit(g.plan, &g.h);
            assert_int_equal(found.violations, 1);
            assert_false(found.exactly_once);
            assert_int_equal(found.missing + found.duplicates, 0);
        }
        history_generator_end(&g);
    }
    assert_int_equal(applied, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(audit_catches_and_words_every_mutation),
        cmocka_unit_test(audit_says_which_record_which_step_and_what),
        cmocka_unit_test(audit_counts_a_word_said_twice_as_stale_and_no_more),
        cmocka_unit_test(audit_does_not_count_samples_of_steps_that_were_rolled_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
