/* What the master's loop sends when it has more to say to a worker in one turn than a message holds. The test is the worker
 * and the transport. */
#include "../store/store_fixture.h"

#include "base/clock.h"
#include "base/log.h"
#include "run/master_loop.h"

#define TASKS 300u
#define AHEAD 200u /* the most that exec.ahead may be: with as many REVOKE, more than the 255 frames of a message */

struct worker {
    struct reeve_transport transport;
    unsigned char message[REEVE_MESSAGE_BYTES_MAX]; /* to the master, */
    size_t bytes;                                   /* if there is one */
    uint32_t messages, revoked, leased;             /* from the master */
    bool mixed;                                     /* a LEASE came before the last REVOKE */
};

static reeve_status hear(reeve_transport *t, uint32_t peer, const void *bytes, size_t n, struct reeve_error *err)
{
    struct worker *w = (struct worker *)t;
    size_t offset = 0;
    assert_int_equal(peer, 1);
    w->messages++;
    for (;;) {
        struct reeve_frame f;
        const char *text;
        bool end = false;
        assert_int_equal(reeve_frame_next(bytes, n, &offset, &f, &text, &end), REEVE_OK);
        if (end) return REEVE_OK;
        if (f.kind == REEVE_FRAME_REVOKE) w->mixed = w->mixed || w->leased > 0;
        w->revoked += f.kind == REEVE_FRAME_REVOKE;
        w->leased += f.kind == REEVE_FRAME_LEASE;
    }
}

static reeve_status speak(reeve_transport *t, uint32_t *peer, void *bytes, size_t *n, struct reeve_error *err)
{
    struct worker *w = (struct worker *)t;
    *peer = 1;
    *n = w->bytes;
    memcpy(bytes, w->message, w->bytes);
    w->bytes = 0;
    return REEVE_OK;
}

static const struct reeve_transport_ops ops = {.send = hear, .poll = speak};

static void say(struct worker *w, struct reeve_frame f)
{
    assert_true(reeve_frame_push(w->message, sizeof(w->message), &w->bytes, &f, NULL));
}

static void turns(reeve_master_loop *loop, reeve_time_ns *now_ns)
{
    struct reeve_error err = {0};
    for (int i = 0; i < 5; i++) {
        bool progress = false, ended = false;
        *now_ns += REEVE_MILLISECOND_NS;
        OK(reeve_master_loop_turn(loop, *now_ns, &progress, &ended, &err));
        assert_false(ended);
    }
}

/* Method: the worker holds 200 leases; after a regrouping it names 200 others, of attempts that no record speaks of (a
 * machine lost the end of the journal). All are to be revoked, and as many leases are given anew, in one turn. */
static void a_worker_that_holds_what_nobody_remembers_is_told_so_in_as_many_messages_as_it_takes(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err = {0};
    struct reeve_job job = {.exec = {.slots = AHEAD, .ahead = AHEAD}, .faults = {.crash_limit = 3}};
    job.faults.silence_warn_s = job.faults.silence_stop_s = 3600;
    struct reeve_task_list *list = NULL;
    OK(reeve_task_list_create_null(TASKS, &list, &err));
    struct reeve_recovered recovered;
    OK(reeve_recover_list(f->dir, &job, list, 1, &recovered, &err));
    struct worker w = {.transport = {.ops = &ops, .self = 0, .size = 2}};
    const struct reeve_master_loop_config config = {.run_dir = f->dir,
                                                    .job = &job,
                                                    .digest = list->digest,
                                                    .tasks = list,
                                                    .build = "",
                                                    .workers = 1,
                                                    .end_wall_ns = INT64_MAX,
                                                    .regroups = true};
    reeve_master_loop *loop = NULL;
    OK(reeve_master_loop_create(&config, &recovered, &w.transport, NULL, &loop, &err));
    reeve_time_ns now_ns = reeve_clock_now();
    say(&w, (struct reeve_frame){.kind = REEVE_FRAME_HELLO, .arg = AHEAD});
    turns(loop, &now_ns);
    assert_int_equal(w.leased, AHEAD);

    const bool here[] = {true, true};
    const struct reeve_members members = {.count = 2, .here = here};
    OK(reeve_master_loop_regroup(loop, &w.transport, &members, &err));
    struct reeve_master_status s;
    reeve_master_get_status(recovered.master, &s);
    w.leased = w.revoked = w.messages = 0;
    for (uint32_t i = 0; i < AHEAD; i++)
        say(&w, (struct reeve_frame){
                    .kind = REEVE_FRAME_HOLDING, .epoch = s.epoch, .task = i, .attempt = 7, .a = REEVE_TASK_EXEC});
    say(&w, (struct reeve_frame){.kind = REEVE_FRAME_REJOIN, .epoch = s.epoch});
    turns(loop, &now_ns);
    assert_int_equal(w.revoked, AHEAD);
    assert_int_equal(w.leased, AHEAD);
    assert_false(w.mixed);
    assert_true(w.messages >= 2);
    reeve_master_loop_destroy(loop);
    reeve_recover_fini(&recovered);
    reeve_task_list_destroy(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_worker_that_holds_what_nobody_remembers_is_told_so_in_as_many_messages_as_it_takes, fixture_setup,
            fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
