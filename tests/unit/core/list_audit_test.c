/* The audit of a list: it says of each task what the journal says, and every journal that breaks a rule is found. */
#include "core/list_audit.h"

#include "list_fixture.h"

#define ANY REEVE_TASK_AFTER_ANY

struct story {
    struct reeve_event events[32];
    uint32_t count;
};

static struct reeve_event *tell(struct story *s, uint16_t kind, uint32_t task, uint32_t worker, uint32_t attempt)
{
    struct reeve_event *ev = &s->events[s->count++];
    *ev = (struct reeve_event){
        .lsn = s->count, .epoch = 1, .kind = kind, .task = task, .worker = worker, .attempt = attempt};
    if (kind == REEVE_EVENT_TASK_LEASED) ev->arg = task;
    if (kind == REEVE_EVENT_TASK_DONE || kind == REEVE_EVENT_TASK_FAILED || kind == REEVE_EVENT_TASK_DEAD) {
        ev->b = reeve_task_result(kind == REEVE_EVENT_TASK_DONE ? 0 : 3, 0, 5);
        ev->step = 77;
    }
    return ev;
}

/* t1 after t0; t2 after any of t1; t3 after t1; t4 alone. t0 fails once and is done; t1 dies; t2 is done. */
static struct story good_story(void)
{
    struct story s = {.count = 0};
    tell(&s, REEVE_EVENT_RUN_OPENED, 0, 0, 0)->a = 9;
    tell(&s, REEVE_EVENT_TASKS_ADDED, 0, 0, 0)->arg = 5;
    tell(&s, REEVE_EVENT_TASKS_STARTED, 0, 0, 0)->arg = 5;
    tell(&s, REEVE_EVENT_TASK_LEASED, 0, 1, 1);
    tell(&s, REEVE_EVENT_TASK_FAILED, 0, 1, 1)->arg = REEVE_TASK_FAILED;
    tell(&s, REEVE_EVENT_TASK_LEASED, 0, 2, 2);
    tell(&s, REEVE_EVENT_TASK_LEASED, 4, 1, 1);
    tell(&s, REEVE_EVENT_TASK_DONE, 0, 2, 2);
    tell(&s, REEVE_EVENT_TASK_LEASED, 1, 2, 1);
    tell(&s, REEVE_EVENT_TASK_DEAD, 1, 2, 1)->arg = REEVE_TASK_TIME_LIMIT;
    tell(&s, REEVE_EVENT_TASK_LEASED, 2, 2, 1);
    tell(&s, REEVE_EVENT_TASK_DONE, 2, 2, 1);
    return s;
}

static void audit(const struct story *s, struct reeve_list_audit_result *r, struct reeve_task_record *records)
{
    static const struct fx_after afters[] = {{1, 0}, {2, 1 | ANY}, {3, 1}};
    struct reeve_task_list *l = fx_list(5, afters, 3);
    struct reeve_error err = {0};
    reeve_list_audit *a = NULL;
    assert_int_equal(reeve_list_audit_create(l, &a, &err), REEVE_OK);
    for (uint32_t i = 0; i < s->count; i++)
        reeve_list_audit_event(a, &s->events[i]);
    reeve_list_audit_finish(a, r);
    for (uint32_t i = 0; i < 5 && records != NULL; i++)
        records[i] = *reeve_list_audit_task(a, i);
    reeve_list_audit_destroy(a);
    reeve_task_list_destroy(l);
}

static void audit_of_a_good_story_says_what_became_of_each(void **state)
{
    struct story s = good_story();
    struct reeve_list_audit_result r;
    struct reeve_task_record t[5];
    audit(&s, &r, t);
    if (r.violations > 0) fail_msg("%s", r.first_violation);
    assert_true(r.exactly_once && !r.complete);
    assert_int_equal(r.done, 2);
    assert_int_equal(r.dead, 2);
    assert_int_equal(r.leased, 1);
    assert_int_equal(t[0].attempt, 2);
    assert_int_equal(t[0].failures, 1);
    assert_int_equal(t[1].reason, REEVE_TASK_TIME_LIMIT);
    assert_true(t[3].by_dependency && t[3].state == REEVE_STATE_DEAD);
    assert_true(t[0].ended_ns == 77 && reeve_task_result_us(t[0].result) == 5);
    tell(&s, REEVE_EVENT_REGROUPED, 0, 0, 0)->arg = 2; /* a rank was lost, and the others went on */
    tell(&s, REEVE_EVENT_RUN_OPENED, 0, 0, 0)->a = 9;
    s.events[s.count - 1].epoch = 3;
    audit(&s, &r, t);
    assert_int_equal(r.violations, 0);
    assert_int_equal(r.leased, 0);
    assert_int_equal(t[4].released, 1);
    assert_int_equal(r.restarts, 1);
}

static void audit_finds_every_broken_rule(void **state)
{ /* Goal: it can fail. Method: one change to the good story each. */
    struct reeve_list_audit_result r;
    for (int change = 0; change < 15; change++) {
        struct story s = good_story();
        switch (change) {
        case 0: tell(&s, REEVE_EVENT_TASK_DONE, 0, 2, 2); break;           /* done again */
        case 1: tell(&s, REEVE_EVENT_TASK_LEASED, 4, 2, 2); break;         /* lent to two */
        case 2: tell(&s, REEVE_EVENT_TASK_DONE, 4, 2, 1); break;           /* by somebody else */
        case 3: tell(&s, REEVE_EVENT_TASK_DONE, 4, 1, 2); break;           /* of another attempt */
        case 4: tell(&s, REEVE_EVENT_TASK_LEASED, 3, 1, 1); break;         /* behind a dead one */
        case 5: s.events[8].attempt = 2; break;                            /* an attempt left out */
        case 6: s.events[6].lsn = 70; break;                               /* records lost */
        case 7: s.events[2].task = 1; break;                               /* not the next of the list */
        case 8: tell(&s, REEVE_EVENT_TASK_LEASED, 99, 1, 1); break;        /* no such task */
        case 9: tell(&s, REEVE_EVENT_STEP_OPENED, 0, 0, 0); break;         /* of a training */
        case 10: tell(&s, REEVE_EVENT_TASK_LEASED, 2, 1, 2); break;        /* after it was done */
        case 11: tell(&s, REEVE_EVENT_RUN_OPENED, 0, 0, 0)->a = 10; break; /* another run */
        case 12: /* before what it waits for was begun, however that would have ended */
            s.count = 8;
            tell(&s, REEVE_EVENT_TASK_LEASED, 2, 2, 1);
            break;
        case 13: tell(&s, REEVE_EVENT_TASK_DEAD, 2, 0, 1); break;      /* put aside after it was done */
        case 14: tell(&s, REEVE_EVENT_TASK_CANCELLED, 0, 0, 0); break; /* cancelled after it was done */
        }
        audit(&s, &r, NULL);
        if (r.violations == 0 || r.exactly_once) fail_msg("change %d was not found", change);
        assert_true(r.first_violation[0] != '\0');
    }
}

static void audit_lets_a_task_go_on_behind_one_that_can_never_run(void **state)
{ /* Goal: t1 is dead by t0 and has no record of its own; what waits for its end, well or not, may begin. */
    struct story s = {.count = 0};
    struct reeve_list_audit_result r;
    struct reeve_task_record t[5];
    tell(&s, REEVE_EVENT_RUN_OPENED, 0, 0, 0)->a = 9;
    tell(&s, REEVE_EVENT_TASK_LEASED, 0, 1, 1);
    tell(&s, REEVE_EVENT_TASK_DEAD, 0, 1, 1);
    tell(&s, REEVE_EVENT_TASK_LEASED, 2, 1, 1);
    tell(&s, REEVE_EVENT_TASK_DONE, 2, 1, 1);
    audit(&s, &r, t);
    if (r.violations > 0) fail_msg("%s", r.first_violation);
    assert_true(t[1].state == REEVE_STATE_DEAD && t[1].by_dependency);
    assert_true(t[3].state == REEVE_STATE_DEAD && t[3].by_dependency); /* dead by one that is dead by another */
    assert_int_equal(r.dead, 3);
    assert_int_equal(r.done, 1);
    assert_int_equal(r.ready, 1);
}

static void audit_takes_back_what_a_lost_worker_held_and_no_more(void **state)
{ /* Method: three workers whose leases are kept in one list, one of whom is lost from its middle. */
    struct story s = {.count = 0};
    struct reeve_list_audit_result r;
    struct reeve_task_record t[5];
    tell(&s, REEVE_EVENT_RUN_OPENED, 0, 0, 0)->a = 9;
    tell(&s, REEVE_EVENT_TASK_LEASED, 4, 7, 1);
    tell(&s, REEVE_EVENT_TASK_LEASED, 0, 7 + 65536, 1);
    tell(&s, REEVE_EVENT_WORKER_LOST, 0, 7 + 65536, 0);
    tell(&s, REEVE_EVENT_TASK_LEASED, 0, 7 + 2 * 65536, 2);
    tell(&s, REEVE_EVENT_WORKER_LOST, 0, 7, 0);
    tell(&s, REEVE_EVENT_TASK_DONE, 0, 7 + 2 * 65536, 2);
    audit(&s, &r, t);
    if (r.violations > 0) fail_msg("%s", r.first_violation);
    assert_int_equal(t[0].released, 1);
    assert_int_equal(t[0].state, REEVE_STATE_DONE);
    assert_int_equal(t[4].released, 1);
    assert_int_equal(t[4].state, REEVE_STATE_READY);
    assert_int_equal(r.leased, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(audit_of_a_good_story_says_what_became_of_each),
        cmocka_unit_test(audit_finds_every_broken_rule),
        cmocka_unit_test(audit_lets_a_task_go_on_behind_one_that_can_never_run),
        cmocka_unit_test(audit_takes_back_what_a_lost_worker_held_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
