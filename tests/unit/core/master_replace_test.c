/* Other processes in the places of lost workers, told by decide and apply alone: who comes gets no work before it has the
 * state of a worker that has one, however the one before was lost; and no two masters choose the same epoch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/master.h"
#include "small_job.h"

#define WORKERS 3
#define FRAMES_MAX 256

struct fixture {
    struct small_job job;
    reeve_plan *plan;
    reeve_master *master;
    uint64_t lsn;
    struct reeve_outgoing said[FRAMES_MAX]; /* since forget() */
    uint32_t said_count;
};

static void carry_out(struct fixture *f, struct reeve_decision *d)
{
    struct reeve_error err = {0};
    for (uint32_t i = 0; i < d->event_count; i++) {
        d->events[i].epoch = 1;
        if (d->events[i].kind < REEVE_EVENT_VOLATILE) d->events[i].lsn = ++f->lsn;
        if (reeve_master_apply(f->master, &d->events[i], &err) != REEVE_OK) fail_msg("apply: %s", err.text);
    }
    for (uint32_t i = 0; i < d->frame_count; i++) {
        assert_true(f->said_count < FRAMES_MAX);
        f->said[f->said_count++] = d->frames[i];
    }
}

static void give(struct fixture *f, struct reeve_master_input in)
{
    struct reeve_decision d;
    reeve_master_decide(f->master, &in, 1, &d);
    carry_out(f, &d);
}

static void tick(struct fixture *f)
{
    struct reeve_decision d;
    struct reeve_master_input in = {.kind = REEVE_INPUT_TICK};
    do {
        reeve_master_decide(f->master, &in, 1, &d);
        carry_out(f, &d);
    } while (d.event_count > 0);
}

static uint32_t epoch_of(const struct fixture *f)
{
    struct reeve_master_status s;
    reeve_master_get_status(f->master, &s);
    return s.epoch;
}

static void say(struct fixture *f, uint32_t worker, struct reeve_frame frame)
{
    frame.epoch = epoch_of(f);
    give(f, (struct reeve_master_input){.kind = REEVE_INPUT_FRAME, .worker = worker, .frame = &frame, .text = ""});
    tick(f);
}

/* Frames of that kind for this worker (0: for all), since the last forget(). */
static uint32_t said(const struct fixture *f, uint32_t to, uint16_t kind)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->said_count; i++)
        n += f->said[i].frame.kind == kind && f->said[i].to == to;
    return n;
}

/* In the first step, its leases with the workers of which `joining` has a bit; the others are lost before they join. */
static void begin(struct fixture *f, uint32_t joining)
{
    memset(f, 0, sizeof(*f));
    small_job_init(&f->job);
    f->plan = small_job_plan(&f->job);
    f->master = small_job_master(&f->job, f->plan, WORKERS, 10, 3);
    struct reeve_decision opening = {.event_count = 1, .events = {small_job_opening(&f->job, WORKERS)}};
    carry_out(f, &opening);
    for (uint32_t w = 1; w <= WORKERS; w++) {
        if ((joining >> w & 1) != 0) say(f, w, (struct reeve_frame){.kind = REEVE_FRAME_HELLO, .a = 7});
        else give(f, (struct reeve_master_input){.kind = REEVE_INPUT_WORKER_LOST, .worker = w});
    }
    tick(f);
    for (uint32_t w = 1; w <= WORKERS; w++)
        if ((joining >> w & 1) != 0) say(f, w, (struct reeve_frame){.kind = REEVE_FRAME_READY});
    assert_int_equal(reeve_master_get_phase(f->master), REEVE_PHASE_TRAIN);
}

static void end(struct fixture *f)
{
    reeve_master_destroy(f->master);
    reeve_plan_destroy(f->plan);
}

/* Those of `lost` are lost; in the places of all who are, others come. */
static void replace(struct fixture *f, uint32_t lost, uint32_t round)
{
    for (uint32_t w = 1; w <= WORKERS; w++)
        if ((lost >> w & 1) != 0) give(f, (struct reeve_master_input){.kind = REEVE_INPUT_WORKER_LOST, .worker = w});
    for (uint32_t w = 1; w <= WORKERS; w++)
        give(f, (struct reeve_master_input){.kind = REEVE_INPUT_WORKER_REPLACED, .worker = w});
    f->said_count = 0;
    give(f, (struct reeve_master_input){.kind = REEVE_INPUT_REGROUPED, .round = round});
    tick(f);
}

static void rejoin(struct fixture *f, uint32_t worker, uint64_t step)
{
    say(f, worker, (struct reeve_frame){.kind = REEVE_FRAME_REJOIN, .step = step});
}

static void who_comes_gets_the_state_before_anybody_gets_work(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 0xe);
    replace(&f, 1u << 2, 1);
    rejoin(&f, 2, REEVE_STEP_NONE);
    rejoin(&f, 3, 0);
    assert_int_equal(said(&f, 0, REEVE_FRAME_STATE), 0); /* what worker 1 has is not known yet */
    rejoin(&f, 1, 0);
    assert_int_equal(said(&f, 0, REEVE_FRAME_STATE), 1);
    assert_int_equal(f.said[f.said_count - 1].frame.arg, 1); /* the lowest that has it brings it */
    for (uint32_t w = 1; w <= WORKERS; w++)
        assert_int_equal(said(&f, w, REEVE_FRAME_LEASE), 0);
    say(&f, 2, (struct reeve_frame){.kind = REEVE_FRAME_READY, .step = 0});
    for (uint32_t w = 1; w <= WORKERS; w++)
        assert_true(said(&f, w, REEVE_FRAME_LEASE) > 0);
    end(&f);
}

static void a_worker_that_had_never_joined_is_replaced_like_others(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 0xa); /* 1 and 3 */
    struct reeve_master_status s;
    reeve_master_get_status(f.master, &s);
    assert_int_equal(s.workers, 2);
    replace(&f, 0, 1);
    reeve_master_get_status(f.master, &s);
    assert_int_equal(s.workers, 3);
    assert_true(reeve_master_worker_active(f.master, 2)); /* or no word to all would reach it */
    rejoin(&f, 1, 0);
    rejoin(&f, 3, 0);
    rejoin(&f, 2, REEVE_STEP_NONE);
    say(&f, 2, (struct reeve_frame){.kind = REEVE_FRAME_READY, .step = 0});
    assert_true(said(&f, 2, REEVE_FRAME_LEASE) > 0);
    end(&f);
}

static void with_nobody_left_who_has_the_state_all_go_back(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 0xe);
    replace(&f, 0xe, 1);
    for (uint32_t w = 1; w <= WORKERS; w++)
        rejoin(&f, w, REEVE_STEP_NONE);
    assert_int_equal(said(&f, 0, REEVE_FRAME_STATE), 0);
    assert_int_equal(said(&f, 0, REEVE_FRAME_INIT), 1); /* there is no checkpoint */
    end(&f);
}

static void somebody_is_asked_for_in_the_middle_of_a_step_or_if_pressed_in_a_sum(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 0xe);
    assert_int_equal(reeve_master_replaceable(f.master, true), 0); /* nobody is lost */
    give(&f, (struct reeve_master_input){.kind = REEVE_INPUT_WORKER_LOST, .worker = 2});
    assert_int_equal(reeve_master_replaceable(f.master, false), 1);
    struct reeve_event sum = {.kind = REEVE_EVENT_STEP_REDUCING, .step = 1};
    struct reeve_error err;
    assert_int_equal(reeve_master_apply(f.master, &sum, &err), REEVE_OK);
    assert_int_equal(reeve_master_replaceable(f.master, false), 0);
    assert_int_equal(reeve_master_replaceable(f.master, true), 1);
    give(&f, (struct reeve_master_input){.kind = REEVE_INPUT_STOP, .status = REEVE_JOB_STOPPED});
    assert_int_equal(reeve_master_replaceable(f.master, true), 0); /* the end is in sight */
    end(&f);
}

/* Both know the same journal: what the first chose is not written yet when it is given up. */
static void two_masters_of_two_rounds_choose_different_epochs(void **state)
{
    (void)state;
    struct fixture first, second;
    begin(&first, 0xe);
    begin(&second, 0xe);
    assert_int_equal(epoch_of(&first), epoch_of(&second));
    replace(&first, 0, 1);
    replace(&second, 0, 2);
    assert_true(epoch_of(&second) > epoch_of(&first));
    replace(&first, 0, 0); /* a round that is not known: it grows all the same */
    assert_int_equal(epoch_of(&first), epoch_of(&second));
    end(&first);
    end(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_gets_the_state_before_anybody_gets_work),
        cmocka_unit_test(a_worker_that_had_never_joined_is_replaced_like_others),
        cmocka_unit_test(with_nobody_left_who_has_the_state_all_go_back),
        cmocka_unit_test(somebody_is_asked_for_in_the_middle_of_a_step_or_if_pressed_in_a_sum),
        cmocka_unit_test(two_masters_of_two_rounds_choose_different_epochs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
