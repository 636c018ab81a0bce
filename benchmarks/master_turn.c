/* What a task costs the master: bench-master_turn [TASKS [AHEAD [ROUNDS [FOLDER]]]]
 *
 * The real master with a list of TASKS tasks that do nothing and two workers with AHEAD tasks each, and its real turn:
 * frames taken apart, decide, append, apply, frames put together, and once a turn the journal. The workers are a loop
 * that answers every lease; no MPI, and their time is not counted. Three journals: none (memory only), one that the
 * kernel has at the end of each turn (policy `none`), and one that the disk has (policy `always`, a group commit for each
 * turn). Each task must have been done exactly once, and a fresh master that replays the journal must end in the same
 * state. Figures are medians over ROUNDS runs, of one task; FOLDER is on the disk to measure (default: here). */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "core/master.h"
#include "measure.h"
#include "port/transport.h"
#include "store/journal.h"

#define WORKERS 2u
#define RUN_ID 7u
#define AHEAD_MAX 250u /* leases that one message holds */

enum journal_kind { JOURNAL_MEMORY, JOURNAL_FLUSHED, JOURNAL_DURABLE, JOURNAL_KINDS };
static const char *const journal_names[JOURNAL_KINDS] = {"in memory", "journal, page cache", "journal, durable"};

struct message {
    size_t bytes;
    unsigned char frames[REEVE_MESSAGE_BYTES_MAX];
};

struct bench {
    struct reeve_task_list *list;
    reeve_master *master;
    reeve_journal *journal; /* NULL: memory only */
    enum journal_kind kind;
    uint64_t lsn;
    reeve_time_ns now_ns, turn_ns, sync_ns;
    uint64_t turns, done;
    struct message to_worker[WORKERS + 1], to_master[WORKERS + 1];
    struct reeve_error err;
};

static void check_ok(const struct bench *b, reeve_status st)
{
    if (st != REEVE_OK) measure_stop("%s: %s", journal_names[b->kind], b->err.text);
}

static void push(struct message *m, const struct reeve_frame *frame)
{
    if (!reeve_frame_push(m->frames, sizeof(m->frames), &m->bytes, frame, NULL)) measure_stop("a message is full");
}

static reeve_master *new_master(struct bench *b, uint32_t ahead)
{
    struct reeve_master_config c = {.run_id = RUN_ID,
                                    .workers_max = WORKERS,
                                    .crash_limit = 3,
                                    .credits = ahead,
                                    .seed = 1,
                                    .lease_term_ns = 60 * REEVE_SECOND_NS,
                                    .tasks = b->list,
                                    .slots = ahead,
                                    .retry_ns = REEVE_SECOND_NS};
    reeve_master *m = NULL;
    memcpy(&c.manifest_digest64, b->list->digest.bytes, 8);
    check_ok(b, reeve_master_create(&c, NULL, &m, &b->err));
    return m;
}

/* ---- the master's turn, as run/master_loop.c takes it ---- */

static void carry_out(struct bench *b, struct reeve_decision *d)
{
    for (uint32_t i = 0; i < d->event_count; i++) {
        struct reeve_event *ev = &d->events[i];
        ev->epoch = 1;
        if (ev->kind < REEVE_EVENT_VOLATILE) {
            if (b->journal != NULL) {
                reeve_journal_port *port = reeve_journal_as_port(b->journal);
                check_ok(b, port->ops->append(port, ev, &b->err));
            } else {
                ev->lsn = ++b->lsn;
            }
        }
        check_ok(b, reeve_master_apply(b->master, ev, &b->err));
        b->done += ev->kind == REEVE_EVENT_TASK_DONE;
    }
    for (uint32_t i = 0; i < d->frame_count; i++)
        for (uint32_t w = 1; w <= WORKERS; w++)
            if (d->frames[i].to == 0 || d->frames[i].to == w) push(&b->to_worker[w], &d->frames[i].frame);
}

static void take_message(struct bench *b, uint32_t worker)
{
    struct message *m = &b->to_master[worker];
    struct reeve_frame frame;
    struct reeve_master_input in = {.kind = REEVE_INPUT_FRAME, .worker = worker, .frame = &frame};
    bool end = false;
    for (size_t offset = 0; m->bytes > 0 && !end;) {
        struct reeve_decision d;
        check_ok(b, reeve_frame_next(m->frames, m->bytes, &offset, &frame, &in.text, &end));
        if (end) break;
        reeve_master_decide(b->master, &in, b->now_ns, &d);
        if (d.effect != REEVE_EFFECT_NONE) measure_stop("a worker's word was not understood");
        carry_out(b, &d);
    }
    m->bytes = 0;
}

static void turn(struct bench *b)
{
    const struct reeve_master_input tick = {.kind = REEVE_INPUT_TICK};
    struct reeve_decision d;
    reeve_time_ns start_ns = reeve_clock_now();
    b->now_ns = start_ns;
    for (uint32_t w = 1; w <= WORKERS; w++)
        take_message(b, w);
    do {
        reeve_master_decide(b->master, &tick, b->now_ns, &d);
        carry_out(b, &d);
    } while (d.event_count > 0 && !d.yield);
    if (b->journal != NULL) {
        reeve_time_ns before_ns = reeve_clock_now();
        reeve_journal_port *port = reeve_journal_as_port(b->journal);
        check_ok(b, b->kind == JOURNAL_DURABLE ? port->ops->sync(port, &b->err)
                                               : reeve_journal_flush(b->journal, &b->err));
        b->sync_ns += reeve_clock_now() - before_ns;
    }
    b->turn_ns += reeve_clock_now() - start_ns;
    b->turns++;
}

/* ---- what is not measured ---- */

static void answer(struct bench *b, uint32_t worker)
{
    struct message *m = &b->to_worker[worker];
    struct reeve_frame frame;
    const char *text;
    bool end = false;
    for (size_t offset = 0; m->bytes > 0;) {
        check_ok(b, reeve_frame_next(m->frames, m->bytes, &offset, &frame, &text, &end));
        if (end) break;
        if (frame.kind != REEVE_FRAME_LEASE) continue;
        struct reeve_frame done = {.kind = REEVE_FRAME_DONE, .epoch = 1, .task = frame.task, .attempt = frame.attempt};
        push(&b->to_master[worker], &done);
    }
    m->bytes = 0;
}

static void open_run(struct bench *b)
{
    struct reeve_decision d = {.event_count = 1};
    d.events[0] = (struct reeve_event){.kind = REEVE_EVENT_RUN_OPENED, .a = RUN_ID, .arg = WORKERS};
    memcpy(&d.events[0].b, b->list->digest.bytes, 8);
    carry_out(b, &d);
    for (uint32_t i = 0; i < b->list->task_count; i++) { /* added and started, a chunk a turn */
        struct reeve_master_status s;
        turn(b);
        reeve_master_get_status(b->master, &s);
        if (s.ready == b->list->task_count) break;
    }
    for (uint32_t w = 1; w <= WORKERS; w++)
        push(&b->to_master[w], &(struct reeve_frame){.kind = REEVE_FRAME_HELLO, .a = w});
    b->turn_ns = b->sync_ns = 0;
    b->turns = 0;
}

static reeve_status replay_event(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    return reeve_master_apply(arg, ev, err);
}

static void check_replay(struct bench *b, const char *folder, uint32_t ahead)
{
    struct reeve_journal_info info;
    reeve_master *again = new_master(b, ahead);
    check_ok(b, reeve_journal_replay(folder, replay_event, again, &info, &b->err));
    if (reeve_master_digest(again) != reeve_master_digest(b->master))
        measure_stop("the replay of the journal ends in another state");
    reeve_master_destroy(again);
}

static void run(struct bench *b, enum journal_kind kind, const char *parent, uint32_t ahead)
{
    char folder[4096];
    b->kind = kind;
    b->lsn = b->done = 0;
    b->now_ns = reeve_clock_now();
    b->master = new_master(b, ahead);
    b->journal = NULL;
    measure_folder_create(parent, folder, sizeof(folder));
    const struct reeve_journal_info none = {0};
    if (kind != JOURNAL_MEMORY) check_ok(b, reeve_journal_open(folder, &none, 1, RUN_ID, &b->journal, &b->err));
    open_run(b);
    while (b->done < b->list->task_count) {
        turn(b);
        for (uint32_t w = 1; w <= WORKERS; w++)
            answer(b, w);
    }
    struct reeve_master_status s;
    reeve_master_get_status(b->master, &s);
    if (s.done != b->list->task_count || s.dead != 0)
        measure_stop("%u of %u tasks are done", s.done, b->list->task_count);
    check_ok(b, reeve_journal_close(b->journal, &b->err));
    if (kind != JOURNAL_MEMORY) check_replay(b, folder, ahead);
    measure_folder_remove(folder);
    reeve_master_destroy(b->master);
}

int main(int argc, char **argv)
{
    static struct bench b;
    uint32_t tasks = (uint32_t)measure_argument(argc, argv, 1, 1000000, 1);
    uint32_t ahead = (uint32_t)measure_argument(argc, argv, 2, 64, 1);
    size_t rounds = (size_t)measure_argument(argc, argv, 3, 5, 1);
    const char *parent = argc > 4 ? argv[4] : ".";
    if (ahead > AHEAD_MAX) measure_stop("AHEAD is %u; a message has room for %u", ahead, AHEAD_MAX);
    if (reeve_task_list_create_null(tasks, &b.list, &b.err) != REEVE_OK) measure_stop("%s", b.err.text);
    double *ns[JOURNAL_KINDS], *sync[JOURNAL_KINDS], turns = 0;
    for (int k = 0; k < JOURNAL_KINDS; k++) {
        ns[k] = calloc(rounds, sizeof(double));
        sync[k] = calloc(rounds, sizeof(double));
        if (ns[k] == NULL || sync[k] == NULL) measure_stop("out of memory");
    }
    for (size_t r = 0; r < rounds; r++)
        for (int k = 0; k < JOURNAL_KINDS; k++) { /* interleaved: the machine is not the same for long */
            run(&b, (enum journal_kind)k, parent, ahead);
            ns[k][r] = (double)b.turn_ns / tasks;
            sync[k][r] = (double)b.sync_ns / (double)b.turns / 1e3;
            turns = (double)tasks / (double)b.turns;
        }
    (void)printf("%u tasks, %.0f a turn\n", tasks, turns);
    for (int k = 0; k < JOURNAL_KINDS; k++) {
        double task_ns = measure_quantile(ns[k], rounds, 0.5);
        (void)printf("%-20s %8.0f ns a task, %8.0f thousand a second; write or sync %7.1f us a turn\n",
                     journal_names[k], task_ns, 1e6 / task_ns, measure_quantile(sync[k], rounds, 0.5));
        free(ns[k]);
        free(sync[k]);
    }
    reeve_task_list_destroy(b.list);
    return 0;
}
