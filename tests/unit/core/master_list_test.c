/* The master working a task list off, with its real decide and apply, against simulated workers and journal. The promises:
 * every task ends exactly once, whatever fails and restarts; nothing runs before what it waits for; replaying the durable
 * events gives the live state; a million tasks cost memory by the task and a bounded piece of work a turn. */
#include <malloc.h>

#include "core/master.h"
#include "list_fixture.h"

#define WORKERS_MAX 5
#define SECOND_NS ((reeve_time_ns)1000000000)

struct lease {
    uint32_t task, attempt;
};

struct worker {
    struct lease held[64]; /* in the order of their coming */
    uint32_t count, peak;
    bool gone, winding;
};

struct sim {
    struct fx_random random;
    struct reeve_task_list *list;
    reeve_master *master;
    struct worker worker[WORKERS_MAX + 1];
    uint32_t workers, epoch, slots;
    struct reeve_event *journal; /* owned; grows */
    uint32_t events, room;
    reeve_time_ns now_ns;
    uint32_t fail_percent, *done; /* (task_count,) TASK_DONE on record */
    uint32_t largest_chunk;
    uint64_t task_us; /* how long each task takes */
    struct reeve_error err;
};

static void carry_out(struct sim *s, struct reeve_decision *d);

static void new_master(struct sim *s)
{
    struct reeve_master_config c = {.run_id = 9,
                                    .workers_max = WORKERS_MAX,
                                    .crash_limit = 3,
                                    .credits = 16,
                                    .seed = 1,
                                    .lease_term_ns = 60 * SECOND_NS,
                                    .tasks = s->list,
                                    .slots = s->slots,
                                    .drain_s = 5,
                                    .retry_ns = SECOND_NS / 10};
    memcpy(&c.manifest_digest64, s->list->digest.bytes, 8);
    assert_int_equal(reeve_master_create(&c, NULL, &s->master, &s->err), REEVE_OK);
}

static void give(struct sim *s, struct reeve_master_input in)
{
    struct reeve_decision d;
    reeve_master_decide(s->master, &in, s->now_ns, &d);
    carry_out(s, &d);
}

static void say(struct sim *s, uint32_t w, struct reeve_frame f)
{
    f.epoch = f.kind == REEVE_FRAME_HELLO ? 0 : s->epoch;
    give(s, (struct reeve_master_input){.kind = REEVE_INPUT_FRAME, .worker = w, .frame = &f, .text = ""});
}

static void tick(struct sim *s)
{
    for (int n = 0; n < 100000; n++) {
        struct reeve_master_input in = {.kind = REEVE_INPUT_TICK};
        struct reeve_decision d;
        reeve_master_decide(s->master, &in, s->now_ns, &d);
        if (d.event_count == 0) return;
        carry_out(s, &d);
    }
    fail_msg("the master never comes to rest");
}

/* Fold the journal, and open the run again with so many workers. */
static void open_run(struct sim *s, uint32_t workers)
{
    uint64_t live = s->master != NULL ? reeve_master_digest(s->master) : 0;
    bool compare = s->master != NULL;
    reeve_master_destroy(s->master);
    new_master(s);
    for (uint32_t i = 0; i < s->events; i++)
        if (reeve_master_apply(s->master, &s->journal[i], &s->err) != REEVE_OK) fail_msg("replay: %s", s->err.text);
    if (compare) assert_true(reeve_master_digest(s->master) == live);
    memset(s->worker, 0, sizeof(s->worker));
    s->workers = workers;
    s->epoch++;
    struct reeve_decision d = {.event_count = 1};
    d.events[0] = (struct reeve_event){.kind = REEVE_EVENT_RUN_OPENED, .a = 9, .arg = workers};
    memcpy(&d.events[0].b, s->list->digest.bytes, 8);
    carry_out(s, &d);
}

static void start(struct sim *s, uint32_t workers)
{
    open_run(s, workers);
    for (uint32_t w = 1; w <= workers; w++)
        say(s, w, (struct reeve_frame){.kind = REEVE_FRAME_HELLO, .a = w % 2});
    tick(s);
}

static void begin(struct sim *s, struct reeve_task_list *list, uint32_t workers)
{
    s->list = list;
    if (s->slots == 0) s->slots = 1;
    if (s->task_us == 0) s->task_us = 1000;
    assert_int_equal(reeve_task_list_check(list, &s->err), REEVE_OK);
    s->done = calloc(list->task_count, sizeof(*s->done));
    start(s, workers);
}

static void finish(struct sim *s)
{
    free(s->journal);
    free(s->done);
    reeve_master_destroy(s->master);
    reeve_task_list_destroy(s->list);
}

static void record(struct sim *s, struct reeve_event *ev)
{
    if (s->events == s->room) {
        s->room = s->room == 0 ? 1024 : 2 * s->room;
        s->journal = realloc(s->journal, s->room * sizeof(*s->journal));
        assert_non_null(s->journal);
    }
    ev->lsn = s->events + 1;
    s->journal[s->events++] = *ev;
    if (ev->kind == REEVE_EVENT_TASK_DONE) s->done[ev->task]++;
    if (ev->kind == REEVE_EVENT_TASKS_ADDED && ev->arg > s->largest_chunk) s->largest_chunk = ev->arg;
    if (ev->kind != REEVE_EVENT_TASK_LEASED) return;
    /* nothing is lent before what it waits for has ended */
    const struct reeve_task_list *l = s->list;
    for (uint32_t a = l->entries[ev->task].first_after; a < l->entries[ev->task + 1].first_after; a++) {
        const struct reeve_task *t = reeve_master_task(s->master, l->afters[a] & ~REEVE_TASK_AFTER_ANY);
        bool any = (l->afters[a] & REEVE_TASK_AFTER_ANY) != 0;
        assert_true(t->state == REEVE_STATE_DONE ||
                    (any && (t->state == REEVE_STATE_DEAD || t->state == REEVE_STATE_CANCELLED)));
    }
}

static void receive(struct sim *s, uint32_t w, const struct reeve_frame *f)
{
    struct worker *at = &s->worker[w];
    if (f->kind == REEVE_FRAME_LEASE) {
        assert_true(at->count < 64 && !at->winding);
        at->held[at->count++] = (struct lease){f->task, f->attempt};
        if (at->count > at->peak) at->peak = at->count;
    }
    if (f->kind == REEVE_FRAME_WIND_DOWN) at->winding = true;
    if (f->kind == REEVE_FRAME_DRAIN) at->gone = true;
}

static void carry_out(struct sim *s, struct reeve_decision *d)
{
    for (uint32_t i = 0; i < d->event_count; i++) {
        struct reeve_event *ev = &d->events[i];
        ev->epoch = s->epoch;
        if (ev->kind < REEVE_EVENT_VOLATILE) record(s, ev);
        if (reeve_master_apply(s->master, ev, &s->err) != REEVE_OK) fail_msg("apply: %s", s->err.text);
    }
    for (uint32_t i = 0; i < d->frame_count; i++)
        for (uint32_t w = 1; w <= s->workers; w++)
            if (d->frames[i].to == w || (d->frames[i].to == 0 && reeve_master_worker_active(s->master, w)))
                receive(s, w, &d->frames[i].frame);
}

static struct lease take(struct sim *s, uint32_t w)
{
    struct worker *at = &s->worker[w];
    assert_true(at->count > 0);
    struct lease l = at->held[0];
    memmove(at->held, at->held + 1, --at->count * sizeof(l));
    return l;
}

/* Worker w ends the first task that it holds. */
static void end_one(struct sim *s, uint32_t w, uint16_t kind, reeve_status status)
{
    struct lease l = take(s, w);
    say(s, w,
        (struct reeve_frame){.kind = kind,
                             .task = l.task,
                             .attempt = l.attempt,
                             .arg = (uint32_t)status,
                             .a = reeve_task_result(status != REEVE_OK, 0, s->task_us)});
}

static struct reeve_master_status status_of(const struct sim *s)
{
    struct reeve_master_status out;
    reeve_master_get_status(s->master, &out);
    return out;
}

/* Work until the run ends, or until `turns` have passed. */
static void work(struct sim *s, uint32_t turns)
{
    for (uint32_t n = 0; n < turns && !status_of(s).ended; n++) {
        s->now_ns += SECOND_NS / 100;
        for (uint32_t w = 1; w <= s->workers; w++) {
            if (s->worker[w].count == 0 || fx_below(&s->random, 4) == 0) continue;
            bool fails = fx_below(&s->random, 100) < s->fail_percent;
            if (s->worker[w].winding) end_one(s, w, REEVE_FRAME_RELEASED, REEVE_OK);
            else if (fails) end_one(s, w, REEVE_FRAME_FAILED, REEVE_TASK_FAILED);
            else end_one(s, w, REEVE_FRAME_DONE, REEVE_OK);
        }
        tick(s);
    }
}

/* ---- tests ---- */

static void list_every_task_is_done_once_whatever_fails(void **state)
{ /* Goal: P2 for lists. Method: random graphs, failures, lost workers, restarts at random; the journal is counted. */
    struct fx_random random = fx_random_fresh();
    for (int round = 0; round < 60; round++) {
        struct sim s = {.random = random, .fail_percent = (uint32_t)fx_below(&random, 15)};
        s.random.draws = random.draws + 1000000;
        uint32_t n = 1 + (uint32_t)fx_below(&random, 300), edges = 0;
        struct fx_after *afters = calloc(2 * (size_t)n, sizeof(*afters));
        for (uint32_t i = 0; i < n; i++) /* some wait for an earlier one, some for a later one of the other parity */
            if (i > 0 && fx_below(&random, 3) == 0)
                afters[edges++] = (struct fx_after){i, (uint32_t)fx_below(&random, i) |
                                                           (fx_below(&random, 2) ? REEVE_TASK_AFTER_ANY : 0)};
        struct reeve_task_list *l = fx_list(n, afters, edges);
        free(afters);
        for (uint32_t i = 0; i < n; i++) {
            l->entries[i].priority = (int32_t)fx_below(&random, 3) - 1;
            l->entries[i].attempts_max = 20;
        }
        begin(&s, l, 1 + (uint32_t)fx_below(&random, WORKERS_MAX));
        for (int starts = 0; starts < 6 && !status_of(&s).ended; starts++) {
            work(&s, 1 + (uint32_t)fx_below(&random, 60));
            uint32_t w = 1 + (uint32_t)fx_below(&random, s.workers);
            if (s.workers > 1 && fx_below(&random, 2) && reeve_master_worker_active(s.master, w)) {
                s.worker[w].count = 0;
                give(&s, (struct reeve_master_input){
                             .kind = REEVE_INPUT_WORKER_LOST, .worker = w, .status = REEVE_WORKER_LOST});
            } else if (!status_of(&s).ended) {
                start(&s, 1 + (uint32_t)fx_below(&random, WORKERS_MAX));
            }
            work(&s, 1 + (uint32_t)fx_below(&random, 60));
        }
        if (!status_of(&s).ended) start(&s, 3);
        work(&s, 1000000);
        assert_true(status_of(&s).ended);
        assert_int_equal(status_of(&s).dead, 0);
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(s.done[i], 1);
        start(&s, 2); /* replay equals live, also at the end */
        random.draws += 3;
        finish(&s);
    }
}

/* Goal: no word of a worker leaves its tasks with nobody. Method: it says goodbye while it holds one, and works on; it says
 * so again, and is lost. */
static void list_goodbye_before_the_end_changes_nothing(void **state)
{
    struct sim s = {.random = fx_random_fresh()};
    begin(&s, fx_list(6, NULL, 0), 2);
    assert_true(s.worker[1].count > 0);
    say(&s, 1, (struct reeve_frame){.kind = REEVE_FRAME_GOODBYE});
    assert_true(reeve_master_worker_active(s.master, 1));
    end_one(&s, 1, REEVE_FRAME_DONE, REEVE_OK);
    tick(&s);
    assert_true(s.worker[1].count > 0);
    say(&s, 1, (struct reeve_frame){.kind = REEVE_FRAME_GOODBYE});
    s.worker[1].count = 0;
    give(&s, (struct reeve_master_input){.kind = REEVE_INPUT_WORKER_LOST, .worker = 1, .status = REEVE_WORKER_LOST});
    work(&s, 1000);
    assert_true(status_of(&s).ended);
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(s.done[i], 1);
    start(&s, 2); /* replay equals live */
    finish(&s);
}

static void list_task_that_keeps_failing_is_dead_and_takes_its_dependents(void **state)
{
    struct sim s = {.random = fx_random_fresh()};
    const struct fx_after afters[] = {{1, 0}, {2, 1}, {3, 0 | REEVE_TASK_AFTER_ANY}};
    begin(&s, fx_list(5, afters, 3), 2);
    for (int attempt = 0; attempt < 3; attempt++) {
        for (uint32_t w = 1; w <= 2; w++)
            while (s.worker[w].count > 0)
                if (s.worker[w].held[0].task == 0) end_one(&s, w, REEVE_FRAME_FAILED, REEVE_TASK_FAILED);
                else end_one(&s, w, REEVE_FRAME_DONE, REEVE_OK);
        s.now_ns += 30 * SECOND_NS;
        tick(&s);
    }
    work(&s, 1000);
    struct reeve_master_status st = status_of(&s);
    assert_true(st.ended);
    assert_int_equal(st.dead, 3); /* t0, and t1 and t2 that waited for its success */
    assert_int_equal(st.done, 2);
    assert_int_equal(st.attempts_failed, 3);
    assert_int_equal(s.done[3], 1); /* after_any */
    assert_int_equal(s.journal[s.events - 1].kind, REEVE_EVENT_RUN_ENDED);
    assert_int_equal(s.journal[s.events - 1].arg, 3);
    finish(&s);
}

static void list_retry_is_later_and_elsewhere(void **state)
{
    struct sim s = {.random = fx_random_fresh()};
    begin(&s, fx_list(1, NULL, 0), 2);
    uint32_t first = s.worker[1].count == 1 ? 1 : 2;
    end_one(&s, first, REEVE_FRAME_FAILED, REEVE_TASK_FAILED);
    tick(&s);
    assert_int_equal(s.worker[1].count + s.worker[2].count, 0); /* not at once */
    assert_true(reeve_master_next_due(s.master) >= SECOND_NS / 10);
    s.now_ns = reeve_master_next_due(s.master);
    tick(&s);
    assert_int_equal(s.worker[3 - first].count, 1); /* and not where it failed */
    assert_int_equal(s.worker[3 - first].held[0].attempt, 2);
    finish(&s);
}

static void list_rejected_task_gets_no_second_attempt(void **state)
{
    struct sim s = {.random = fx_random_fresh()};
    begin(&s, fx_list(1, NULL, 0), 1);
    end_one(&s, 1, REEVE_FRAME_FAILED, REEVE_TASK_REJECTED);
    tick(&s);
    assert_true(status_of(&s).ended && status_of(&s).dead == 1);
    finish(&s);
}

static void list_stop_is_heard_by_all_after_a_new_master(void **state)
{ /* Goal: who takes over a run that was asked to stop winds running commands down, and ends it when they have ended. */
    struct sim s = {.random = fx_random_fresh()};
    begin(&s, fx_list(4, NULL, 0), 2);
    assert_int_equal(s.worker[2].count, 1);
    struct lease held = s.worker[2].held[0];
    uint64_t live = reeve_master_digest(s.master);
    reeve_master_destroy(s.master);
    new_master(&s);
    for (uint32_t i = 0; i < s.events; i++)
        assert_int_equal(reeve_master_apply(s.master, &s.journal[i], &s.err), REEVE_OK);
    assert_true(reeve_master_digest(s.master) == live);
    s.epoch++;
    give(&s, (struct reeve_master_input){.kind = REEVE_INPUT_WORKER_LOST, .worker = 1, .status = REEVE_WORKER_LOST});
    give(&s, (struct reeve_master_input){.kind = REEVE_INPUT_REGROUPED, .worker = 2});
    give(&s, (struct reeve_master_input){.kind = REEVE_INPUT_STOP, .status = REEVE_JOB_STOPPED});
    s.worker[2].winding = false; /* that word was lost, too */
    tick(&s);
    const struct reeve_task *t = reeve_master_task(s.master, held.task);
    say(&s, 2,
        (struct reeve_frame){
            .kind = REEVE_FRAME_HOLDING, .task = held.task, .attempt = held.attempt, .a = t->kind, .b = t->sequence});
    say(&s, 2, (struct reeve_frame){.kind = REEVE_FRAME_REJOIN});
    tick(&s);
    assert_true(s.worker[2].winding);
    assert_false(s.worker[2].gone); /* not before its command has ended */
    assert_int_equal(status_of(&s).leased, 1);
    end_one(&s, 2, REEVE_FRAME_DONE, REEVE_OK);
    tick(&s);
    assert_true(s.worker[2].gone);
    assert_int_equal(s.journal[s.events - 1].kind, REEVE_EVENT_RUN_STOPPED);
    assert_int_equal(s.done[held.task], 1);
    finish(&s);
}

static void list_late_word_changes_nothing(void **state)
{
    struct sim s = {.random = fx_random_fresh()};
    begin(&s, fx_list(1, NULL, 0), 2);
    uint32_t w = s.worker[1].count == 1 ? 1 : 2;
    struct lease l = take(&s, w);
    struct reeve_frame f = {.kind = REEVE_FRAME_DONE, .task = l.task, .attempt = l.attempt};
    say(&s, 3 - w, f); /* not its holder */
    f.attempt++;
    say(&s, w, f); /* not this attempt */
    f.task = 77;
    say(&s, w, f); /* no such task */
    assert_int_equal(status_of(&s).done, 0);
    f = (struct reeve_frame){.kind = REEVE_FRAME_COMPUTED, .task = l.task, .attempt = l.attempt};
    say(&s, w, f); /* makes no sense here */
    assert_int_equal(status_of(&s).leased, 1);
    f.kind = REEVE_FRAME_DONE;
    say(&s, w, f);
    say(&s, w, f); /* twice */
    assert_int_equal(s.done[0], 1);
    finish(&s);
}

static void list_credit_grows_with_short_tasks_alone(void **state)
{ /* Goal: no task waits behind a long one. Method: tasks of 1 ms, then of 1 s; the most leases held is counted. */
    struct sim s = {.random = fx_random_fresh(), .slots = 2};
    begin(&s, fx_list(400, NULL, 0), 1);
    assert_int_equal(s.worker[1].count, 2);
    for (int i = 0; i < 40; i++) {
        end_one(&s, 1, REEVE_FRAME_DONE, REEVE_OK);
        tick(&s);
    }
    assert_int_equal(s.worker[1].peak, 16);
    s.task_us = 1000000;
    for (int i = 0; i < 20; i++) {
        end_one(&s, 1, REEVE_FRAME_DONE, REEVE_OK);
        tick(&s);
    }
    assert_int_equal(s.worker[1].count, 2);
    s.task_us = 1000;
    end_one(&s, 1, REEVE_FRAME_DONE, REEVE_OK);
    tick(&s);
    assert_int_equal(s.worker[1].count, 4);
    end_one(&s, 1, REEVE_FRAME_RELEASED, REEVE_OK); /* it gives one back: it runs something long */
    tick(&s);
    assert_int_equal(s.worker[1].count, 3);
    finish(&s);
}

static void list_stop_lends_nothing_more_and_goes_on_later(void **state)
{
    struct sim s = {.random = fx_random_fresh()};
    begin(&s, fx_list(100, NULL, 0), 3);
    work(&s, 10);
    give(&s, (struct reeve_master_input){.kind = REEVE_INPUT_STOP, .status = REEVE_JOB_STOPPED});
    tick(&s);
    for (uint32_t w = 1; w <= 3; w++)
        assert_true(s.worker[w].winding);
    for (int n = 0; n < 1000 && !s.worker[1].gone; n++)
        work(&s, 1);
    assert_true(s.worker[1].gone && !status_of(&s).ended);
    assert_int_equal(s.journal[s.events - 1].kind, REEVE_EVENT_RUN_STOPPED);
    uint32_t before = status_of(&s).done;
    assert_true(before < 100);
    start(&s, 2);
    assert_int_equal(status_of(&s).done, before); /* what is done stays done */
    work(&s, 100000);
    assert_true(status_of(&s).ended);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(s.done[i], 1);
    finish(&s);
}

/* Goal: Ctrl-C while a run starts leaves no worker that nobody tells of the end. */
static void list_stop_before_the_workers_came_is_told_to_them(void **state)
{
    struct sim s = {.random = fx_random_fresh()};
    begin(&s, fx_list(10, NULL, 0), 2);
    open_run(&s, 2); /* all were killed, and it is begun again */
    say(&s, 1, (struct reeve_frame){.kind = REEVE_FRAME_HELLO});
    give(&s, (struct reeve_master_input){.kind = REEVE_INPUT_STOP, .status = REEVE_JOB_STOPPED});
    tick(&s);
    assert_false(s.worker[1].gone);
    say(&s, 2, (struct reeve_frame){.kind = REEVE_FRAME_HELLO});
    tick(&s);
    assert_true(s.worker[1].gone && s.worker[2].gone);
    finish(&s);
}

static void list_task_that_loses_its_workers_is_dead(void **state)
{
    struct sim s = {.random = fx_random_fresh()};
    begin(&s, fx_list(1, NULL, 0), 5);
    for (int lost = 0; lost < 3; lost++) {
        uint32_t w = 1;
        while (s.worker[w].count == 0)
            w++;
        s.worker[w].count = 0;
        give(&s,
             (struct reeve_master_input){.kind = REEVE_INPUT_WORKER_LOST, .worker = w, .status = REEVE_WORKER_LOST});
        tick(&s);
    }
    assert_true(status_of(&s).ended && status_of(&s).dead == 1);
    finish(&s);
}

static void list_of_another_run_is_refused(void **state)
{
    struct sim s = {.random = fx_random_fresh()};
    begin(&s, fx_list(10, NULL, 0), 1);
    struct reeve_event bad[] = {
        {.kind = REEVE_EVENT_TASKS_ADDED, .task = 0, .arg = 1},
        {.kind = REEVE_EVENT_TASKS_ADDED, .task = 10, .arg = 1},
        {.kind = REEVE_EVENT_TASKS_STARTED, .task = 9, .arg = 5},
        {.kind = REEVE_EVENT_TASK_DONE, .task = 3, .worker = 1, .attempt = 7, .a = REEVE_TASK_EXEC},
        {.kind = REEVE_EVENT_TASK_DEAD, .task = 4, .a = REEVE_TASK_NULL},
        {.kind = REEVE_EVENT_TASK_CANCELLED, .task = 400},
        {.kind = REEVE_EVENT_TASK_LEASED, .task = 5, .worker = 1, .attempt = 1, .arg = 6, .a = REEVE_TASK_EXEC},
    };
    uint64_t before = reeve_master_digest(s.master);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(reeve_master_apply(s.master, &bad[i], &s.err), REEVE_STORE_CORRUPT);
    assert_true(before == reeve_master_digest(s.master));
    finish(&s);
}

static size_t heap_bytes(void)
{
    struct mallinfo2 now = mallinfo2();
    return now.uordblks + now.hblkhd;
}

static void list_of_a_million_costs_under_150_bytes_a_task(void **state)
{ /* Goal: memory by the task, and no turn that is as long as the list. Method: the heap before and after; chunk sizes. */
    enum { N = 1000000 };
    struct sim s = {.random = fx_random_fresh()};
    size_t empty = heap_bytes();
    struct reeve_task_list *l = NULL;
    assert_int_equal(reeve_task_list_create_null(N, &l, &s.err), REEVE_OK);
    begin(&s, l, 1);
    size_t done_bytes = N * sizeof(*s.done) + s.room * sizeof(*s.journal);
    size_t bytes = heap_bytes() - empty - done_bytes;
    print_message("%.1f bytes a task\n", (double)bytes / N);
    if (empty > 0) assert_true(bytes < 150u * N); /* 0: a sanitizer's malloc, which tells nothing */
    assert_true(s.largest_chunk <= 4096);
    for (int i = 0; i < 1000; i++) {
        end_one(&s, 1, REEVE_FRAME_DONE, REEVE_OK);
        tick(&s);
    }
    assert_int_equal(status_of(&s).done, 1000);
    finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_every_task_is_done_once_whatever_fails),
        cmocka_unit_test(list_goodbye_before_the_end_changes_nothing),
        cmocka_unit_test(list_task_that_keeps_failing_is_dead_and_takes_its_dependents),
        cmocka_unit_test(list_retry_is_later_and_elsewhere),
        cmocka_unit_test(list_rejected_task_gets_no_second_attempt),
        cmocka_unit_test(list_stop_is_heard_by_all_after_a_new_master),
        cmocka_unit_test(list_late_word_changes_nothing),
        cmocka_unit_test(list_credit_grows_with_short_tasks_alone),
        cmocka_unit_test(list_stop_lends_nothing_more_and_goes_on_later),
        cmocka_unit_test(list_stop_before_the_workers_came_is_told_to_them),
        cmocka_unit_test(list_task_that_loses_its_workers_is_dead),
        cmocka_unit_test(list_of_another_run_is_refused),
        cmocka_unit_test(list_of_a_million_costs_under_150_bytes_a_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
