/* A worker of a task list when the ranks come together again: it says nothing under an epoch that is over. The test is its
 * master, at the other end of a loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/path.h"
#include "net/loopback.h"
#include "run/worker.h"

#define PATIENCE_NS (120 * REEVE_SECOND_NS)
#define QUIET_NS (50 * REEVE_MILLISECOND_NS)

static char folder[] = "/tmp/reeve-worker-XXXXXX";
static char gate[64]; /* the command ends once this file is there */

struct pair {
    struct reeve_job job;
    struct reeve_task_list *list;
    reeve_executor *executor;
    reeve_worker *worker;
    reeve_transport *near, *far; /* the worker's end, and ours */
    unsigned char inbox[REEVE_MESSAGE_BYTES_MAX];
    size_t inbox_bytes, at;
    struct reeve_error err;
};

static void join(struct pair *p)
{
    if (p->near != NULL) p->near->ops->destroy(p->near);
    if (p->far != NULL) p->far->ops->destroy(p->far);
    p->inbox_bytes = p->at = 0;
    assert_int_equal(reeve_loopback_create(&p->far, &p->near, &p->err), REEVE_OK);
}

static void begin(struct pair *p)
{
    memset(p, 0, sizeof(*p));
    p->job.exec.slots = p->job.exec.ahead = 1;
    (void)strcpy(p->job.exec.shell, "/bin/sh");
    char text[160] = "t";
    (void)snprintf(text + 2, sizeof(text) - 2, "until [ -e %s ]; do sleep 0.02; done", gate);
    assert_int_equal(reeve_task_list_create(1, 0, sizeof(text), &p->list, &p->err), REEVE_OK);
    p->list->entries[0] = (struct reeve_task_entry){.attempts_max = 1, .kind = REEVE_TASK_EXEC};
    memcpy(p->list->text, text, sizeof(text));
    p->list->folder = strdup("/");
    (void)strcpy(p->job.exec.folder, "/");
    struct reeve_executor_config executor = {.job = &p->job, .tasks = p->list, .run_dir = ".", .worker = 1};
    assert_int_equal(reeve_executor_create(&executor, &p->executor, &p->err), REEVE_OK);
    join(p);
    struct reeve_worker_config worker = {
        .id = 1, .credits = 1, .silence_ns = 3600 * REEVE_SECOND_NS, .stays = true, .host = "here"};
    const struct reeve_collectives none = {0};
    assert_int_equal(reeve_worker_create(&worker, p->near, none, NULL, p->executor, &p->worker, &p->err), REEVE_OK);
}

static void finish(struct pair *p)
{
    reeve_worker_destroy(p->worker);
    reeve_executor_destroy(p->executor);
    p->near->ops->destroy(p->near);
    if (p->far != NULL) p->far->ops->destroy(p->far);
    reeve_task_list_destroy(p->list);
}

static void tell(struct pair *p, struct reeve_frame f)
{
    unsigned char message[256];
    size_t bytes = 0;
    assert_true(reeve_frame_push(message, sizeof(message), &bytes, &f, NULL));
    assert_int_equal(p->far->ops->send(p->far, 1, message, bytes, &p->err), REEVE_OK);
}

/* The next frame of the worker, heartbeats apart. False: none for so long. */
static bool hear(struct pair *p, reeve_time_ns patience_ns, struct reeve_frame *f)
{
    for (reeve_time_ns until_ns = reeve_clock_now() + patience_ns; reeve_clock_now() < until_ns;) {
        bool progress = false, ended = false;
        const char *text = NULL;
        _Bool end = true;
        assert_int_equal(reeve_worker_turn(p->worker, reeve_clock_now(), &progress, &ended, &p->err), REEVE_OK);
        if (p->inbox_bytes > 0)
            assert_int_equal(reeve_frame_next(p->inbox, p->inbox_bytes, &p->at, f, &text, &end), REEVE_OK);
        if (!end && f->kind != REEVE_FRAME_HEARTBEAT) return true;
        if (!end) continue;
        uint32_t peer = 0;
        p->at = 0;
        assert_int_equal(p->far->ops->poll(p->far, &peer, p->inbox, &p->inbox_bytes, &p->err), REEVE_OK);
    }
    return false;
}

static struct reeve_frame expect(struct pair *p, uint16_t kind, uint32_t epoch)
{
    struct reeve_frame f = {0};
    if (!hear(p, PATIENCE_NS, &f)) fail_msg("no %s came", reeve_frame_name(kind));
    assert_string_equal(reeve_frame_name(f.kind), reeve_frame_name(kind));
    assert_int_equal(f.epoch, epoch);
    return f;
}

static void regroup(struct pair *p)
{
    struct reeve_frame f;
    join(p);
    reeve_worker_regroup(p->worker, p->near, (struct reeve_collectives){0});
    expect(p, REEVE_FRAME_HELLO, 0);
    assert_false(hear(p, QUIET_NS, &f)); /* until the master has named the epoch */
}

static void a_goodbye_that_was_lost_is_said_again(void **state)
{
    (void)state;
    struct pair p;
    begin(&p);
    expect(&p, REEVE_FRAME_HELLO, 0);
    tell(&p, (struct reeve_frame){.kind = REEVE_FRAME_WELCOME, .epoch = 1});
    tell(&p, (struct reeve_frame){.kind = REEVE_FRAME_DRAIN, .epoch = 1});
    expect(&p, REEVE_FRAME_GOODBYE, 1);
    regroup(&p);
    tell(&p, (struct reeve_frame){.kind = REEVE_FRAME_WELCOME, .epoch = 2});
    expect(&p, REEVE_FRAME_REJOIN, 2);
    struct reeve_frame f;
    assert_false(hear(&p, QUIET_NS, &f)); /* that the run is over may be on no record: this master has to say so, too */
    tell(&p, (struct reeve_frame){.kind = REEVE_FRAME_DRAIN, .epoch = 2});
    expect(&p, REEVE_FRAME_GOODBYE, 2);
    finish(&p);
}

static void what_ended_meanwhile_is_told_once_the_epoch_is_named(void **state)
{
    (void)state;
    struct pair p;
    struct reeve_frame f = {0};
    begin(&p);
    expect(&p, REEVE_FRAME_HELLO, 0);
    tell(&p, (struct reeve_frame){.kind = REEVE_FRAME_WELCOME, .epoch = 1});
    tell(&p, (struct reeve_frame){.kind = REEVE_FRAME_LEASE, .epoch = 1, .attempt = 1, .a = REEVE_TASK_EXEC, .c = 9});
    while (reeve_executor_waiting(p.executor) == 0)
        assert_false(hear(&p, QUIET_NS, &f));
    regroup(&p);
    assert_int_equal(reeve_file_replace(gate, "", 0, false, NULL), REEVE_OK);
    assert_false(hear(&p, 10 * QUIET_NS, &f)); /* most likely the command has ended by now */
    tell(&p, (struct reeve_frame){.kind = REEVE_FRAME_WELCOME, .epoch = 2});
    f = expect(&p, REEVE_FRAME_HOLDING, 2);
    assert_int_equal(f.attempt, 1);
    assert_int_equal(f.b, 9);
    expect(&p, REEVE_FRAME_REJOIN, 2);
    f = expect(&p, REEVE_FRAME_DONE, 2);
    assert_int_equal(f.attempt, 1);
    finish(&p);
}

static void an_ending_that_was_on_its_way_is_told_again(void **state)
{
    (void)state;
    struct pair p;
    assert_int_equal(reeve_file_replace(gate, "", 0, false, NULL), REEVE_OK);
    begin(&p);
    expect(&p, REEVE_FRAME_HELLO, 0);
    tell(&p, (struct reeve_frame){.kind = REEVE_FRAME_WELCOME, .epoch = 1});
    for (uint32_t attempt = 1; attempt <= 2;
         attempt++) { /* credit for one: with the second lease the first was heard */
        tell(&p, (struct reeve_frame){
                     .kind = REEVE_FRAME_LEASE, .epoch = 1, .attempt = attempt, .a = REEVE_TASK_EXEC, .c = 9});
        assert_int_equal(expect(&p, REEVE_FRAME_DONE, 1).attempt, attempt);
    }
    for (uint32_t epoch = 2; epoch <= 3; epoch++) { /* also where that is lost in turn */
        regroup(&p);
        tell(&p, (struct reeve_frame){.kind = REEVE_FRAME_WELCOME, .epoch = epoch});
        assert_int_equal(expect(&p, REEVE_FRAME_DONE, epoch).attempt, 2);
        expect(&p, REEVE_FRAME_REJOIN, epoch);
    }
    finish(&p);
}

static void a_stop_and_its_cause_are_known_to_a_successor(void **state)
{
    (void)state;
    struct pair p;
    struct reeve_frame f;
    begin(&p);
    expect(&p, REEVE_FRAME_HELLO, 0);
    tell(&p, (struct reeve_frame){.kind = REEVE_FRAME_WELCOME, .epoch = 1});
    tell(&p, (struct reeve_frame){.kind = REEVE_FRAME_HEARTBEAT, .epoch = 1});
    assert_false(hear(&p, QUIET_NS, &f));
    assert_int_equal(reeve_worker_stop_cause(p.worker), REEVE_CAUSE_NONE);
    tell(&p, (struct reeve_frame){.kind = REEVE_FRAME_HEARTBEAT, .epoch = 1, .arg = REEVE_CAUSE_TIME_LIMIT});
    tell(&p, (struct reeve_frame){.kind = REEVE_FRAME_HEARTBEAT, .epoch = 1, .arg = 4711}); /* no cause */
    assert_false(hear(&p, QUIET_NS, &f));
    assert_int_equal(reeve_worker_stop_cause(p.worker), REEVE_CAUSE_TIME_LIMIT);
    regroup(&p);
    assert_int_equal(reeve_worker_stop_cause(p.worker), REEVE_CAUSE_TIME_LIMIT);
    finish(&p);
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) return 1;
    (void)snprintf(gate, sizeof(gate), "%s/gate", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return reeve_remove_tree(folder, NULL) != REEVE_OK;
}

static int close_gate(void **state)
{
    (void)state;
    (void)unlink(gate);
    return 0;
}

static void who_is_lost_after_the_end_is_not_missed(void **state)
{ /* Goal: END, and in the same turn the end of the master that said it: this worker leaves, and takes nobody's place. */
    (void)state;
    struct pair p;
    begin(&p);
    expect(&p, REEVE_FRAME_HELLO, 0);
    tell(&p, (struct reeve_frame){.kind = REEVE_FRAME_WELCOME, .epoch = 1});
    tell(&p, (struct reeve_frame){.kind = REEVE_FRAME_END, .epoch = 1});
    p.far->ops->destroy(p.far);
    p.far = NULL;
    bool progress = false, ended = false;
    assert_int_equal(reeve_worker_turn(p.worker, reeve_clock_now(), &progress, &ended, &p.err), REEVE_OK);
    assert_true(ended);
    finish(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_goodbye_that_was_lost_is_said_again, close_gate),
        cmocka_unit_test_setup(a_stop_and_its_cause_are_known_to_a_successor, close_gate),
        cmocka_unit_test_setup(an_ending_that_was_on_its_way_is_told_again, close_gate),
        cmocka_unit_test_setup(what_ended_meanwhile_is_told_once_the_epoch_is_named, close_gate),
        cmocka_unit_test_setup(who_is_lost_after_the_end_is_not_missed, close_gate),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
