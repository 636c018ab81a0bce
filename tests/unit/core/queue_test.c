/* The queue: order, leases, fencing, dependencies, affinity, retries, lost workers; and a random walk that checks every
 * invariant after every transition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "core/queue.h"

#define W(n) ((reeve_worker_id){n})
#define TERM 1000

static reeve_queue *fx_queue(uint32_t tasks)
{
    struct reeve_queue_limits limits = {.tasks_max = tasks, .edges_max = 4 * tasks, .workers_max = 8, .nodes_max = 4};
    reeve_queue *q = NULL;
    assert_int_equal(reeve_queue_create(&limits, &q, NULL), REEVE_OK);
    return q;
}

static reeve_task_id fx_add(reeve_queue *q, uint64_t key, int32_t priority, uint8_t affinity, uint32_t group)
{
    struct reeve_task_spec spec = {
        .kind = REEVE_TASK_GRADIENT, .key = key, .priority = priority, .affinity = affinity, .group = group};
    reeve_task_id id;
    assert_int_equal(reeve_queue_add(q, &spec, &id), REEVE_OK);
    reeve_queue_start(q, id);
    return id;
}

static reeve_task_id fx_lease(reeve_queue *q, uint32_t worker)
{
    reeve_task_id id;
    assert_int_equal(reeve_queue_pick(q, W(worker), 0, false, &id), REEVE_OK);
    uint32_t attempt = reeve_queue_task(q, id)->attempt + 1;
    assert_int_equal(reeve_queue_lease(q, id, W(worker), attempt, TERM), REEVE_OK);
    return id;
}

static uint64_t key_of(reeve_queue *q, reeve_task_id id)
{
    return reeve_queue_task(q, id)->key;
}

static void queue_gives_higher_priority_first_and_equals_in_order(void **state)
{
    (void)state;
    reeve_queue *q = fx_queue(16);
    fx_add(q, 10, 0, 0, 0);
    fx_add(q, 11, 5, 0, 0);
    fx_add(q, 12, 0, 0, 0);
    fx_add(q, 13, 5, 0, 0);
    uint64_t expected[] = {11, 13, 10, 12};
    for (int i = 0; i < 4; i++)
        assert_int_equal(key_of(q, fx_lease(q, 1)), expected[i]);
    reeve_task_id id;
    assert_int_equal(reeve_queue_pick(q, W(1), 0, false, &id), REEVE_TASK_NONE_READY);
    reeve_queue_destroy(q);
}

static void queue_counts_a_completion_only_under_the_current_lease(void **state)
{ /* Method: worker 1's lease is released and given to 2; then 1 reports late. */
    (void)state;
    reeve_queue *q = fx_queue(4);
    reeve_task_id id = fx_add(q, 1, 0, 0, 0);
    fx_lease(q, 1);
    assert_int_equal(reeve_queue_release(q, id, W(1), 1), REEVE_OK);
    fx_lease(q, 2);
    assert_int_equal(reeve_queue_task(q, id)->attempt, 2);
    assert_int_equal(reeve_queue_done(q, id, W(1), 1), REEVE_TASK_STALE);
    assert_int_equal(reeve_queue_done(q, id, W(2), 1), REEVE_TASK_STALE);
    assert_int_equal(reeve_queue_done(q, id, W(1), 2), REEVE_TASK_STALE);
    assert_int_equal(reeve_queue_done(q, id, W(2), 2), REEVE_OK);
    assert_int_equal(reeve_queue_done(q, id, W(2), 2), REEVE_TASK_STALE);
    reeve_queue_destroy(q);
}

static void queue_returns_what_a_lost_worker_held_and_only_that(void **state)
{
    (void)state;
    reeve_queue *q = fx_queue(8);
    for (uint64_t k = 0; k < 4; k++)
        fx_add(q, k, 0, 0, 0);
    reeve_task_id a = fx_lease(q, 1), b = fx_lease(q, 1), c = fx_lease(q, 2);
    assert_int_equal(reeve_queue_compute(q, a, W(1), 1), REEVE_OK);
    assert_int_equal(reeve_queue_compute(q, c, W(2), 1), REEVE_OK);
    (void)reeve_queue_lose_worker(q, W(1), 1);
    assert_null(reeve_queue_check(q));
    assert_int_equal(reeve_queue_task(q, a)->state, REEVE_STATE_READY);
    assert_int_equal(reeve_queue_task(q, b)->state, REEVE_STATE_READY);
    assert_int_equal(reeve_queue_task(q, c)->state, REEVE_STATE_COMPUTED);
    assert_int_equal(reeve_queue_task(q, a)->crashes, 0); /* it was not running */
    assert_int_equal(reeve_queue_task(q, b)->crashes, 1);
    /* Redelivered before what was never leased. */
    uint64_t first = key_of(q, fx_lease(q, 2)), second = key_of(q, fx_lease(q, 2));
    assert_true(first < 2 && second < 2 && first != second);
    reeve_queue_destroy(q);
}

static void queue_charges_the_oldest_lease_though_it_was_renewed(void **state)
{ /* A replay knows of no renewals, and must charge the same task. */
    (void)state;
    reeve_queue *live = fx_queue(4), *replay = fx_queue(4);
    for (uint64_t k = 0; k < 2; k++) {
        fx_add(live, k, 0, 0, 0);
        fx_add(replay, k, 0, 0, 0);
    }
    reeve_task_id a = fx_lease(live, 1), b = fx_lease(live, 1);
    assert_int_equal(fx_lease(replay, 1).v, a.v);
    assert_int_equal(fx_lease(replay, 1).v, b.v);
    assert_int_equal(reeve_queue_renew(live, a, 1000000), REEVE_OK);
    assert_int_equal(reeve_queue_lose_worker(live, W(1), 1), a.v);
    assert_int_equal(reeve_queue_lose_worker(replay, W(1), 1), a.v);
    assert_true(reeve_queue_digest(live) == reeve_queue_digest(replay));
    reeve_queue_destroy(live);
    reeve_queue_destroy(replay);
}

static void queue_prefers_affinity_within_a_priority_and_obeys_hard_affinity(void **state)
{
    (void)state;
    reeve_queue *q = fx_queue(8);
    fx_add(q, 1, 0, REEVE_AFFINITY_NONE, 0);
    fx_add(q, 2, 0, REEVE_AFFINITY_SOFT, 3);
    fx_add(q, 3, 0, REEVE_AFFINITY_HARD, 2);
    assert_int_equal(key_of(q, fx_lease(q, 3)), 2); /* its own, though 1 came first */
    assert_int_equal(key_of(q, fx_lease(q, 1)), 1);
    reeve_task_id id;
    assert_int_equal(reeve_queue_pick(q, W(1), 0, false, &id), REEVE_TASK_NONE_READY); /* 3 is for worker 2 alone */
    assert_int_equal(key_of(q, fx_lease(q, 2)), 3);
    fx_add(q, 4, 0, REEVE_AFFINITY_SOFT, 2);
    assert_int_equal(key_of(q, fx_lease(q, 1)), 4); /* soft: better another than nobody */
    reeve_queue_destroy(q);
}

static void queue_retries_elsewhere_unless_there_is_nobody_else(void **state)
{
    (void)state;
    reeve_queue *q = fx_queue(8);
    reeve_task_id id = fx_add(q, 1, 0, 0, 0);
    fx_lease(q, 1);
    assert_int_equal(reeve_queue_fail(q, id, W(1), 1, 500), REEVE_OK);
    reeve_task_id due;
    assert_false(reeve_queue_due(q, 499, &due));
    assert_true(reeve_queue_due(q, 500, &due));
    assert_int_equal(due.v, id.v);
    assert_int_equal(reeve_queue_wake(q, id), REEVE_OK);
    reeve_task_id got;
    assert_int_equal(reeve_queue_pick(q, W(1), 0, false, &got), REEVE_TASK_NONE_READY);
    assert_int_equal(reeve_queue_pick(q, W(2), 0, false, &got), REEVE_OK);
    assert_int_equal(reeve_queue_pick(q, W(1), 0, true, &got), REEVE_OK);
    assert_int_equal(reeve_queue_task(q, id)->failures, 1);
    reeve_queue_destroy(q);
}

static void queue_gives_a_worker_the_next_task_behind_all_that_failed_there(void **state)
{ /* Method: worker 1 fails at three tasks, which come first again; the others may be busy for hours. Then no task is left
   * but these, and it waits. */
    (void)state;
    reeve_queue *q = fx_queue(8);
    for (uint64_t k = 0; k < 5; k++)
        fx_add(q, k, 0, 0, 0);
    for (int i = 0; i < 3; i++) {
        reeve_task_id id = fx_lease(q, 1);
        assert_int_equal(reeve_queue_fail(q, id, W(1), 1, 500), REEVE_OK);
        assert_int_equal(reeve_queue_wake(q, id), REEVE_OK);
    }
    assert_int_equal(key_of(q, fx_lease(q, 1)), 3);
    assert_int_equal(key_of(q, fx_lease(q, 1)), 4);
    reeve_task_id got;
    assert_int_equal(reeve_queue_pick(q, W(1), 0, false, &got), REEVE_TASK_NONE_READY);
    assert_int_equal(key_of(q, fx_lease(q, 2)), 0);
    reeve_queue_destroy(q);
}

static reeve_task_id fx_blocked(reeve_queue *q, reeve_task_id before, bool any)
{
    struct reeve_task_spec spec = {.kind = REEVE_TASK_STAGE};
    reeve_task_id id;
    assert_int_equal(reeve_queue_add(q, &spec, &id), REEVE_OK);
    assert_int_equal(reeve_queue_after(q, id, before, any), REEVE_OK);
    reeve_queue_start(q, id);
    return id;
}

static void queue_releases_dependents_by_how_their_predecessor_ended(void **state)
{
    (void)state;
    reeve_queue *q = fx_queue(16);
    reeve_task_id good = fx_add(q, 1, 0, 0, 0), bad = fx_add(q, 2, 0, 0, 0);
    reeve_task_id after_good = fx_blocked(q, good, false), after_bad = fx_blocked(q, bad, false);
    reeve_task_id any_bad = fx_blocked(q, bad, true), chain = fx_blocked(q, after_bad, false);
    assert_int_equal(reeve_queue_task(q, after_good)->state, REEVE_STATE_BLOCKED);
    fx_lease(q, 1);
    assert_int_equal(reeve_queue_done(q, good, W(1), 1), REEVE_OK);
    assert_int_equal(reeve_queue_kill(q, bad), REEVE_OK);
    assert_int_equal(reeve_queue_task(q, after_good)->state, REEVE_STATE_READY);
    assert_int_equal(reeve_queue_task(q, after_bad)->state, REEVE_STATE_DEAD);
    assert_int_equal(reeve_queue_task(q, chain)->state, REEVE_STATE_DEAD); /* along the whole chain */
    assert_int_equal(reeve_queue_task(q, any_bad)->state, REEVE_STATE_READY);
    reeve_task_id late = fx_blocked(q, bad, false); /* named after its death */
    assert_int_equal(reeve_queue_task(q, late)->state, REEVE_STATE_DEAD);
    struct reeve_task_spec spec = {.kind = REEVE_TASK_STAGE};
    reeve_task_id self;
    assert_int_equal(reeve_queue_add(q, &spec, &self), REEVE_OK);
    assert_int_equal(reeve_queue_after(q, self, self, false), REEVE_INPUT_INVALID); /* a circle */
    assert_null(reeve_queue_check(q));
    reeve_queue_destroy(q);
}

static void queue_refuses_what_is_beyond_its_limits_without_harm(void **state)
{
    (void)state;
    reeve_queue *q = fx_queue(2);
    fx_add(q, 1, 0, 0, 0);
    fx_add(q, 2, 0, 0, 0);
    struct reeve_task_spec spec = {.kind = REEVE_TASK_STAGE};
    reeve_task_id id;
    assert_int_equal(reeve_queue_add(q, &spec, &id), REEVE_JOB_NO_MEMORY);
    assert_int_equal(reeve_queue_lease(q, (reeve_task_id){99}, W(1), 1, 0), REEVE_TASK_STALE);
    assert_int_equal(reeve_queue_lease(q, (reeve_task_id){0}, W(0), 1, 0), REEVE_TASK_STALE);
    assert_int_equal(reeve_queue_lease(q, (reeve_task_id){0}, W(9), 1, 0), REEVE_TASK_STALE);
    assert_int_equal(reeve_queue_lease(q, (reeve_task_id){0}, W(1), 7, 0), REEVE_TASK_STALE);
    assert_null(reeve_queue_check(q));
    reeve_queue_destroy(q);
}

/* One random transition; most are refused in the state at hand, and must change nothing then. */
static void random_transition(reeve_queue *q, uint64_t seed, uint64_t i)
{
    reeve_task_id id = {(uint32_t)reeve_random_below(seed, 1, i, 64)};
    uint32_t worker = 1 + (uint32_t)reeve_random_below(seed, 2, i, 8);
    const struct reeve_task *t = reeve_queue_task(q, id);
    uint32_t attempt = t == NULL ? 1 : t->attempt;
    uint32_t holder = t == NULL || t->holder == 0 ? worker : t->holder;
    reeve_task_id picked;
    struct reeve_task_spec spec = {.kind = (uint8_t)(1 + reeve_random_below(seed, 3, i, 3)),
                                   .priority = (int32_t)reeve_random_below(seed, 4, i, 3),
                                   .affinity = (uint8_t)reeve_random_below(seed, 5, i, 3),
                                   .group = 1 + (uint32_t)reeve_random_below(seed, 6, i, 12),
                                   .not_before_ns = reeve_random_below(seed, 7, i, 4) == 0 ? (int64_t)i : 0};
    switch (reeve_random_below(seed, 8, i, 13)) {
    case 0:
    case 1:
        if (reeve_queue_add(q, &spec, &picked) != REEVE_OK) break;
        for (uint32_t n = 0; n < reeve_random_below(seed, 9, i, 3); n++) {
            reeve_task_id before = {(uint32_t)reeve_random_below(seed, 10 + n, i, 64)};
            if (reeve_queue_task(q, before) != NULL) (void)reeve_queue_after(q, picked, before, n == 1);
        }
        reeve_queue_start(q, picked);
        break;
    case 2:
    case 3:
    case 4:
        if (reeve_queue_pick(q, W(worker), worker % 4, false, &picked) == REEVE_OK)
            assert_int_equal(
                reeve_queue_lease(q, picked, W(worker), reeve_queue_task(q, picked)->attempt + 1, (int64_t)i),
                REEVE_OK);
        break;
    case 5: (void)reeve_queue_done(q, id, W(holder), attempt); break;
    case 6: (void)reeve_queue_compute(q, id, W(holder), attempt); break;
    case 7: (void)reeve_queue_fail(q, id, W(holder), attempt, (int64_t)i); break;
    case 8: (void)reeve_queue_release(q, id, W(holder), attempt); break;
    case 9: (void)reeve_queue_wake(q, id); break;
    case 10:
        if (reeve_random_below(seed, 11, i, 8) == 0) (void)reeve_queue_lose_worker(q, W(worker), 1);
        break;
    case 11: (void)reeve_queue_kill(q, id); break;
    default:
        if (t != NULL && t->first_edge == UINT32_MAX && t->state >= REEVE_STATE_COMPUTED) reeve_queue_retire(q, id);
        break;
    }
}

static bool is_for_any_but(const struct reeve_task *t, uint32_t worker)
{
    return t != NULL && t->state == REEVE_STATE_READY && t->affinity != REEVE_AFFINITY_HARD && t->avoid != worker;
}

/* Is there a task that worker may have, at which it did not fail? */
static bool naive_has_other(const reeve_queue *q, uint32_t worker)
{
    for (uint32_t i = 0; i < reeve_queue_capacity(q); i++)
        if (is_for_any_but(reeve_queue_task(q, (reeve_task_id){i}), worker)) return true;
    return false;
}

/* The fast picks' naive twin: look at every task. 0 is the worker's own group, 1 its node's, 2 all. */
static uint32_t naive_pick(const reeve_queue *q, uint32_t worker, uint32_t node)
{
    const struct reeve_task *best = NULL;
    uint32_t best_id = UINT32_MAX, best_class = 0;
    for (uint32_t i = 0; i < reeve_queue_capacity(q); i++) {
        const struct reeve_task *t = reeve_queue_task(q, (reeve_task_id){i});
        if (t == NULL || t->state != REEVE_STATE_READY) continue;
        uint32_t class = t->group == 0 ? 2 : t->group == worker ? 0 : t->group == 8 + 1 + node ? 1 : 2;
        if (class == 2 && t->affinity == REEVE_AFFINITY_HARD) continue;
        bool better = best == NULL || t->priority > best->priority;
        if (!better && t->priority == best->priority) {
            if (class != best_class) better = class < best_class;
            else if (t->redelivered != best->redelivered) better = t->redelivered > best->redelivered;
            else better = t->sequence < best->sequence;
        }
        if (!better) continue;
        best = t;
        best_id = i;
        best_class = class;
    }
    return best_id;
}

/* And that of queue_due: the earliest time, and of those the older task. */
static uint32_t naive_due(const reeve_queue *q)
{
    const struct reeve_task *best = NULL;
    uint32_t best_id = UINT32_MAX;
    for (uint32_t i = 0; i < reeve_queue_capacity(q); i++) {
        const struct reeve_task *t = reeve_queue_task(q, (reeve_task_id){i});
        if (t == NULL || (t->state != REEVE_STATE_DELAYED && t->state != REEVE_STATE_LEASED)) continue;
        if (best != NULL && t->due_ns > best->due_ns) continue;
        if (best != NULL && t->due_ns == best->due_ns && t->sequence > best->sequence) continue;
        best = t;
        best_id = i;
    }
    return best_id;
}

static void queue_picks_what_a_search_through_all_tasks_finds(void **state)
{ /* Method: a random walk; after each transition every worker picks both ways, with nobody beside it. Where there are
   * others it gets nothing at which it failed, and something if there is any. The next task that is due likewise. */
    (void)state;
    uint64_t seed = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    reeve_queue *q = fx_queue(64);
    for (uint64_t i = 1; i <= 5000; i++) {
        random_transition(q, seed, i);
        for (uint32_t worker = 1; worker <= 8; worker++) {
            reeve_task_id id = {UINT32_MAX};
            reeve_status st = reeve_queue_pick(q, W(worker), worker % 4, true, &id);
            assert_int_equal(id.v, naive_pick(q, worker, worker % 4));
            assert_int_equal(st, id.v == UINT32_MAX ? REEVE_TASK_NONE_READY : REEVE_OK);
            st = reeve_queue_pick(q, W(worker), worker % 4, false, &id);
            if (st == REEVE_OK) assert_int_not_equal(reeve_queue_task(q, id)->avoid, worker);
            else assert_false(naive_has_other(q, worker));
        }
        reeve_task_id due = {UINT32_MAX};
        bool any = reeve_queue_due(q, INT64_MAX, &due);
        assert_int_equal(due.v, naive_due(q));
        if (any) assert_int_equal(reeve_queue_next_due(q), reeve_queue_task(q, due)->due_ns);
    }
    reeve_queue_destroy(q);
}

static void queue_wakes_delayed_tasks_in_the_order_of_their_time(void **state)
{ /* Method: 1000 tasks due at random times, some at the same, and half of them cancelled from the middle. */
    (void)state;
    reeve_queue *q = fx_queue(1000);
    for (uint64_t i = 0; i < 1000; i++) {
        struct reeve_task_spec spec = {.kind = REEVE_TASK_STAGE,
                                       .not_before_ns = 1 + (int64_t)reeve_random_below(7, 1, i, 500)};
        reeve_task_id id;
        assert_int_equal(reeve_queue_add(q, &spec, &id), REEVE_OK);
        reeve_queue_start(q, id);
    }
    for (uint32_t i = 0; i < 1000; i += 2)
        assert_int_equal(reeve_queue_cancel(q, (reeve_task_id){i}), REEVE_OK);
    assert_null(reeve_queue_check(q));
    reeve_time_ns last = 0;
    uint32_t woken = 0;
    for (reeve_task_id id; reeve_queue_due(q, INT64_MAX - 1, &id); woken++) {
        reeve_time_ns due = reeve_queue_task(q, id)->due_ns;
        assert_true(due >= last);
        assert_int_equal(due, reeve_queue_next_due(q));
        assert_int_equal(reeve_queue_wake(q, id), REEVE_OK);
        last = due;
    }
    assert_int_equal(woken, 500);
    assert_null(reeve_queue_check(q));
    reeve_queue_destroy(q);
}

static void queue_keeps_its_invariants_on_a_random_walk_and_replays_to_the_same_digest(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    reeve_queue *a = fx_queue(64), *b = fx_queue(64);
    for (uint64_t i = 1; i <= 20000; i++) {
        random_transition(a, seed, i);
        const char *wrong = reeve_queue_check(a);
        if (wrong != NULL) fail_msg("transition %llu: %s", (unsigned long long)i, wrong);
    }
    for (uint64_t i = 1; i <= 20000; i++)
        random_transition(b, seed, i);
    assert_true(reeve_queue_digest(a) == reeve_queue_digest(b));
    reeve_queue_destroy(a);
    reeve_queue_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queue_gives_higher_priority_first_and_equals_in_order),
        cmocka_unit_test(queue_counts_a_completion_only_under_the_current_lease),
        cmocka_unit_test(queue_returns_what_a_lost_worker_held_and_only_that),
        cmocka_unit_test(queue_charges_the_oldest_lease_though_it_was_renewed),
        cmocka_unit_test(queue_prefers_affinity_within_a_priority_and_obeys_hard_affinity),
        cmocka_unit_test(queue_retries_elsewhere_unless_there_is_nobody_else),
        cmocka_unit_test(queue_gives_a_worker_the_next_task_behind_all_that_failed_there),
        cmocka_unit_test(queue_releases_dependents_by_how_their_predecessor_ended),
        cmocka_unit_test(queue_refuses_what_is_beyond_its_limits_without_harm),
        cmocka_unit_test(queue_picks_what_a_search_through_all_tasks_finds),
        cmocka_unit_test(queue_wakes_delayed_tasks_in_the_order_of_their_time),
        cmocka_unit_test(queue_keeps_its_invariants_on_a_random_walk_and_replays_to_the_same_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
