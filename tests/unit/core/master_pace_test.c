/* Who is given the last tasks of a step: a queue and workers of known speed, in simulated time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "core/master_decision.h"
#include "core/master_pace.h"

#define WORKERS_MAX 7u
#define CREDIT 2u

struct step {
    struct reeve_master master;
    struct master_worker workers[WORKERS_MAX + 1];
    uint32_t count, tasks, done;
    uint64_t task_ns[WORKERS_MAX + 1];
    bool lost[WORKERS_MAX + 1];
    struct {
        reeve_task_id task[CREDIT];
        uint64_t ends_ns; /* of the first */
    } hand[WORKERS_MAX + 1];
    uint64_t now_ns;
};

static void begin(struct step *s, uint32_t workers, uint32_t tasks)
{
    struct reeve_queue_limits limits = {.tasks_max = tasks, .workers_max = WORKERS_MAX, .nodes_max = 1};
    memset(s, 0, sizeof(*s));
    s->master.workers = s->workers;
    s->count = workers;
    assert_int_equal(reeve_queue_create(&limits, &s->master.queue, NULL), REEVE_OK);
}

static void add_tasks(struct step *s, uint32_t tasks)
{
    s->tasks = tasks;
    s->done = 0;
    s->now_ns = 0;
    for (uint32_t i = 0; i < tasks; i++) {
        struct reeve_task_spec spec = {.kind = REEVE_TASK_GRADIENT, .key = i};
        reeve_task_id id;
        assert_int_equal(reeve_queue_add(s->master.queue, &spec, &id), REEVE_OK);
        reeve_queue_start(s->master.queue, id);
    }
}

static void lease(struct step *s, uint32_t w)
{
    reeve_task_id id;
    if (s->lost[w] || s->workers[w].leased >= CREDIT) return;
    if (reeve_queue_pick(s->master.queue, (reeve_worker_id){w}, 0, s->count == 1, &id) != REEVE_OK) return;
    const struct reeve_task *t = reeve_queue_task(s->master.queue, id);
    if (master_pace_leaves(&s->master, w, t)) return;
    assert_int_equal(reeve_queue_lease(s->master.queue, id, (reeve_worker_id){w}, t->attempt + 1, INT64_MAX), REEVE_OK);
    if (s->workers[w].leased == 0) s->hand[w].ends_ns = s->now_ns + s->task_ns[w];
    s->hand[w].task[s->workers[w].leased++] = id;
}

static void finish_first(struct step *s, uint32_t w)
{
    reeve_task_id id = s->hand[w].task[0];
    uint32_t attempt = reeve_queue_task(s->master.queue, id)->attempt;
    assert_int_equal(reeve_queue_compute(s->master.queue, id, (reeve_worker_id){w}, attempt), REEVE_OK);
    reeve_queue_retire(s->master.queue, id);
    s->done++;
    s->hand[w].task[0] = s->hand[w].task[1];
    s->workers[w].leased--;
    s->hand[w].ends_ns = s->now_ns + s->task_ns[w];
    master_pace_note(&s->master, w, s->task_ns[w]);
}

static void lose(struct step *s, uint32_t w)
{
    s->lost[w] = true;
    s->workers[w].leased = 0;
    (void)reeve_queue_lose_worker(s->master.queue, (reeve_worker_id){w}, 1);
    master_pace_forget(&s->master, w);
}

/* All tasks; worker `doomed` is lost once half of them are done (0: nobody). Returns how long it took. */
static uint64_t run(struct step *s, uint32_t tasks, uint32_t doomed)
{
    add_tasks(s, tasks);
    while (s->done < tasks) {
        for (uint32_t n = 0; n < CREDIT; n++)
            for (uint32_t w = 1; w <= s->count; w++)
                lease(s, w);
        uint32_t next = 0;
        for (uint32_t w = 1; w <= s->count; w++)
            if (s->workers[w].leased > 0 && (next == 0 || s->hand[w].ends_ns < s->hand[next].ends_ns)) next = w;
        assert_int_not_equal(next, 0); /* somebody computes, or nobody ever will again */
        s->now_ns = s->hand[next].ends_ns;
        finish_first(s, next);
        if (doomed != 0 && s->done == tasks / 2) lose(s, doomed);
    }
    return s->now_ns;
}

static void end(struct step *s)
{
    reeve_queue_destroy(s->master.queue);
}

/* Goal: the promise of a step at most 1.15 times as long as all work over all speed. Method: one of three workers takes
 * four times as long; the first step, in which nobody's pace is known, does not count. */
static void pace_slow_worker_does_not_hold_up_a_step(void **state)
{
    (void)state;
    static struct step s;
    for (uint32_t tasks = 18; tasks <= 200; tasks++) {
        begin(&s, 3, 200);
        s.task_ns[1] = s.task_ns[2] = 20000000;
        s.task_ns[3] = 80000000;
        (void)run(&s, tasks, 0);
        for (int step = 0; step < 3; step++) {
            double ideal = tasks / 2.25 * 20000000, took = (double)run(&s, tasks, 0);
            if (took > 1.15 * ideal) fail_msg("%u tasks: %.3f times the ideal", tasks, took / ideal);
        }
        end(&s);
    }
}

static void pace_same_speeds_leave_nothing_idle(void **state)
{
    (void)state;
    static struct step s;
    for (uint32_t workers = 1; workers <= WORKERS_MAX; workers++) {
        begin(&s, workers, 64);
        for (uint32_t w = 1; w <= workers; w++)
            s.task_ns[w] = 1000;
        for (int step = 0; step < 3; step++)
            assert_int_equal(run(&s, 64, 0), (64 + workers - 1) / workers * 1000);
        end(&s);
    }
}

/* Whatever the paces are, and whoever is lost: the work never stands still (asserted by run()). */
static void pace_every_task_is_done_whoever_is_slow_or_lost(void **state)
{
    (void)state;
    static struct step s;
    uint64_t draws = 0;
    for (uint32_t trial = 0; trial < 2000; trial++) {
        uint32_t workers = 1 + (uint32_t)reeve_random_below(1, trial, draws++, WORKERS_MAX);
        begin(&s, workers, 64);
        for (int step = 0; step < 3; step++) {
            for (uint32_t w = 1; w <= workers; w++)
                s.task_ns[w] = 1 + reeve_random_below(1, trial, draws++, (uint64_t)1 << (4 * w));
            uint32_t doomed =
                step == 2 && workers > 1 ? 1 + (uint32_t)reeve_random_below(1, trial, draws++, workers) : 0;
            (void)run(&s, 2 + (uint32_t)reeve_random_below(1, trial, draws++, 62), doomed);
        }
        end(&s);
    }
}

/* A task that failed somewhere, or belongs somewhere, is left by nobody: the others may refuse it. */
static void pace_task_that_others_may_refuse_is_never_left(void **state)
{
    (void)state;
    static struct step s;
    begin(&s, 2, 4);
    add_tasks(&s, 1);
    master_pace_note(&s.master, 1, 1000);
    master_pace_note(&s.master, 2, 1000000);
    struct reeve_task task = *reeve_queue_task(s.master.queue, (reeve_task_id){0});
    assert_true(master_pace_leaves(&s.master, 2, &task));
    assert_false(master_pace_leaves(&s.master, 1, &task));
    task.avoid = 1;
    assert_false(master_pace_leaves(&s.master, 2, &task));
    task.avoid = 0;
    task.affinity = REEVE_AFFINITY_HARD;
    assert_false(master_pace_leaves(&s.master, 2, &task));
    task.affinity = REEVE_AFFINITY_NONE;
    task.kind = REEVE_TASK_STAGE;
    assert_false(master_pace_leaves(&s.master, 2, &task));
    end(&s);
}

/* The fast worker may have none of the first hundred tasks, which failed with it, and is shown no other; the slow one, which
 * has a task of its own in front of it, leaves that to the fast one. */
static void pace_slow_worker_takes_what_nobody_else_is_given(void **state)
{
    (void)state;
    static struct step s;
    begin(&s, 2, 101);
    s.master.joined = 2;
    s.master.hungry_head = 2;
    s.workers[2].hungry_next = 1;
    add_tasks(&s, 100);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(reeve_queue_lease(s.master.queue, (reeve_task_id){i}, (reeve_worker_id){1}, 1, 9), REEVE_OK);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(reeve_queue_fail(s.master.queue, (reeve_task_id){i}, (reeve_worker_id){1}, 1, 1), REEVE_OK);
        assert_int_equal(reeve_queue_wake(s.master.queue, (reeve_task_id){i}), REEVE_OK);
    }
    struct reeve_task_spec own = {.kind = REEVE_TASK_GRADIENT, .affinity = REEVE_AFFINITY_SOFT, .group = 2, .key = 100};
    reeve_task_id id;
    assert_int_equal(reeve_queue_add(s.master.queue, &own, &id), REEVE_OK);
    reeve_queue_start(s.master.queue, id);
    master_pace_note(&s.master, 1, 1000);
    master_pace_note(&s.master, 2, 1000000);
    reeve_task_id fast;
    assert_int_equal(reeve_queue_pick(s.master.queue, (reeve_worker_id){1}, 0, false, &fast), REEVE_TASK_NONE_READY);
    assert_true(master_pace_leaves(&s.master, 2, reeve_queue_task(s.master.queue, id)));
    uint32_t worker = 0;
    assert_true(master_pick(&s.master, &worker, &fast));
    assert_int_equal(worker, 2);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pace_slow_worker_does_not_hold_up_a_step),
        cmocka_unit_test(pace_same_speeds_leave_nothing_idle),
        cmocka_unit_test(pace_every_task_is_done_whoever_is_slow_or_lost),
        cmocka_unit_test(pace_task_that_others_may_refuse_is_never_left),
        cmocka_unit_test(pace_slow_worker_takes_what_nobody_else_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
