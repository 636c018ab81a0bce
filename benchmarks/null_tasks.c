/* Tasks end to end: mpirun -n 1+WORKERS bench-null_tasks [TASKS [AHEAD [POLICY [ROUNDS [FOLDER]]]]]
 *
 * The real master loop, journal and transport on rank 0; the other ranks answer each lease at once. AHEAD tasks are
 * leased to a worker before it has answered the first. POLICY is journal.sync: none | step | always. Prints, as medians
 * over ROUNDS runs, tasks a second from the first lease to the last word, and with one task ahead the time from a
 * worker's word to its next lease (p50 and p99 of all). With POLICY metg: how short tasks may be, which a worker spins
 * for, so that half the time of the cores that the workers can have is spent in them (Task Bench, SC 2020). All tasks
 * must have been done, none twice. Waits spin where each rank has a core. FOLDER is on the disk to measure. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/idle.h"
#include "base/log.h"
#include "base/path.h"
#include "measure.h"
#include "net/mpi_session.h"
#include "net/mpi_transport.h"
#include "run/master_loop.h"

#define RUN_ID 7u
#define AHEAD_MAX 250u
#define IDLE_SLEEP_NS 20000
#define CLOSE_NS (30 * REEVE_SECOND_NS)
#define STUCK_NS (60 * REEVE_SECOND_NS)
#define METG_AHEAD 64u

/* What rank 0 tells the others before each run. */
struct order {
    uint64_t go_on, tasks, ahead, policy, task_ns;
};

struct bench {
    struct reeve_mpi_session session;
    MPI_Comm comm;
    reeve_transport *transport;
    struct reeve_idle idle;
    const char *parent;
    double *trips_ns; /* (trips_max,) of this worker, owned */
    uint64_t trips, trips_max, answered;
    struct reeve_error err;
};

static void stop(const char *what)
{
    (void)fprintf(stderr, "bench-null_tasks: %s\n", what);
    reeve_mpi_session_abort(REEVE_EXIT_INTERNAL);
}

static void check_ok(const struct bench *b, reeve_status st)
{
    if (st != REEVE_OK) stop(b->err.text);
}

static void check_mpi(int rc)
{
    if (rc != MPI_SUCCESS) stop("an MPI call failed");
}

/* ---- the master ---- */

static reeve_master *make_master(struct bench *b, const struct reeve_task_list *list, const struct order *o)
{
    struct reeve_master_config c = {.run_id = RUN_ID,
                                    .workers_max = b->session.size - 1,
                                    .crash_limit = 3,
                                    .credits = (uint32_t)o->ahead,
                                    .slots = (uint32_t)o->ahead,
                                    .seed = 1,
                                    .lease_term_ns = 60 * REEVE_SECOND_NS,
                                    .tasks = list,
                                    .retry_ns = REEVE_SECOND_NS};
    reeve_master *m = NULL;
    memcpy(&c.manifest_digest64, list->digest.bytes, 8);
    check_ok(b, reeve_master_create(&c, NULL, &m, &b->err));
    return m;
}

/* Seconds from the turn that gave out the first lease to the one that heard of the last task. */
static double work_off(struct bench *b, reeve_master_loop *loop, const reeve_master *m, uint64_t tasks)
{
    reeve_time_ns began_ns = 0, done_ns = 0, stuck_ns = reeve_clock_now() + STUCK_NS;
    bool ended = false;
    while (!ended) {
        bool progress = false;
        reeve_time_ns now_ns = reeve_clock_now();
        check_ok(b, reeve_master_loop_turn(loop, now_ns, &progress, &ended, &b->err));
        enum reeve_master_phase phase = reeve_master_get_phase(m);
        if (began_ns == 0 &&
            phase == REEVE_PHASE_LIST) { /* then the list is loaded, and after it the first are leased */
            struct reeve_master_status s;
            reeve_master_get_status(m, &s);
            if (s.leased > 0) began_ns = now_ns;
        }
        if (done_ns == 0 && phase > REEVE_PHASE_LIST) done_ns = reeve_clock_now();
        if (progress) reeve_idle_reset(&b->idle);
        else reeve_idle_wait(&b->idle, IDLE_SLEEP_NS);
        if (now_ns > stuck_ns) stop("a run takes longer than a minute");
    }
    check_ok(b, b->transport->ops->flush(b->transport, reeve_clock_now() + CLOSE_NS, &b->err));
    struct reeve_master_status s;
    reeve_master_get_status(m, &s);
    if (s.done != tasks || s.dead != 0 || began_ns == 0) stop("not all tasks are done");
    return (double)(done_ns - began_ns) * 1e-9;
}

static double run_master(struct bench *b, const struct order *o)
{
    struct reeve_task_list *list = NULL;
    struct reeve_recovered recovered = {.run_id = RUN_ID, .first = true};
    struct reeve_job job = {.name = "null", .journal.sync = (uint32_t)o->policy};
    char folder[REEVE_PATH_BYTES_MAX];
    job.faults.silence_warn_s = 10;
    job.faults.silence_stop_s = 30;
    measure_folder_create(b->parent, folder, sizeof(folder));
    check_ok(b, reeve_task_list_create_null((uint32_t)o->tasks, &list, &b->err));
    recovered.master = make_master(b, list, o);
    struct reeve_master_loop_config config = {.run_dir = folder,
                                              .job = &job,
                                              .digest = list->digest,
                                              .tasks = list,
                                              .workers = b->session.size - 1,
                                              .end_wall_ns = INT64_MAX};
    reeve_master_loop *loop = NULL;
    check_ok(b, reeve_master_loop_create(&config, &recovered, b->transport, NULL, &loop, &b->err));
    double seconds = work_off(b, loop, recovered.master, o->tasks);
    b->err.status = REEVE_OK;
    if (reeve_master_loop_end(loop, &b->err) != REEVE_EXIT_DONE) stop("the run did not end well");
    reeve_master_loop_destroy(loop);
    reeve_recover_fini(&recovered);
    reeve_task_list_destroy(list);
    measure_folder_remove(folder);
    return seconds;
}

/* ---- a worker ---- */

static void work(uint64_t task_ns)
{
    if (task_ns == 0) return;
    for (reeve_time_ns end_ns = reeve_clock_now() + (reeve_time_ns)task_ns; reeve_clock_now() < end_ns;) {}
}

/* The answers to one message leave as one message. */
struct answers {
    size_t bytes;
    unsigned char frames[REEVE_MESSAGE_BYTES_MAX];
    reeve_time_ns sent_ns;
};

static void send_answers(struct bench *b, struct answers *a)
{
    if (a->bytes == 0) return;
    a->sent_ns = reeve_clock_now();
    check_ok(b, b->transport->ops->send(b->transport, 0, a->frames, a->bytes, &b->err));
    a->bytes = 0;
}

static void push(struct answers *a, const struct reeve_frame *frame)
{
    if (!reeve_frame_push(a->frames, sizeof(a->frames), &a->bytes, frame, NULL)) stop("a message is full");
}

/* True: the master has no more. */
static bool take(struct bench *b, const struct order *o, const unsigned char *message, size_t bytes, struct answers *a)
{
    struct reeve_frame f;
    const char *text;
    bool end = false, drain = false;
    for (size_t offset = 0;;) {
        if (reeve_frame_next(message, bytes, &offset, &f, &text, &end) != REEVE_OK) stop("a malformed message");
        if (end) return drain;
        struct reeve_frame answer = {.epoch = f.epoch, .worker = b->session.rank};
        if (f.kind == REEVE_FRAME_LEASE) {
            if (a->sent_ns > 0 && b->trips < b->trips_max)
                b->trips_ns[b->trips++] = (double)(reeve_clock_now() - a->sent_ns);
            work(o->task_ns);
            answer.kind = REEVE_FRAME_DONE;
            answer.task = f.task;
            answer.attempt = f.attempt;
            b->answered++;
            push(a, &answer);
        } else if (f.kind == REEVE_FRAME_DRAIN) {
            answer.kind = REEVE_FRAME_GOODBYE;
            push(a, &answer);
            drain = true;
        }
    }
}

static void run_worker(struct bench *b, const struct order *o)
{
    static unsigned char message[REEVE_MESSAGE_BYTES_MAX];
    struct answers a = {.bytes = 0};
    push(&a, &(struct reeve_frame){.kind = REEVE_FRAME_HELLO, .a = 1});
    send_answers(b, &a);
    a.sent_ns = 0;
    b->answered = 0;
    reeve_time_ns stuck_ns = reeve_clock_now() + STUCK_NS;
    for (bool ended = false; !ended;) {
        uint32_t peer = 0;
        size_t n = 0;
        check_ok(b, b->transport->ops->poll(b->transport, &peer, message, &n, &b->err));
        if (n == 0) {
            reeve_idle_wait(&b->idle, IDLE_SLEEP_NS);
            if (reeve_clock_now() > stuck_ns) stop("a run takes longer than a minute");
            continue;
        }
        reeve_idle_reset(&b->idle);
        ended = take(b, o, message, n, &a);
        send_answers(b, &a);
    }
    check_ok(b, b->transport->ops->flush(b->transport, reeve_clock_now() + CLOSE_NS, &b->err));
}

/* ---- runs ---- */

/* All ranks: carry out one order of rank 0. Seconds on rank 0. */
static double run(struct bench *b, struct order *o)
{
    double seconds = 0;
    unsigned long long answered = 0, all = 0;
    check_mpi(MPI_Bcast(o, sizeof(*o), MPI_BYTE, 0, b->comm));
    if (!o->go_on) return 0;
    check_ok(b, reeve_mpi_transport_create(&b->session, &b->transport, &b->err));
    check_mpi(MPI_Barrier(b->comm));
    if (b->session.rank == 0) {
        seconds = run_master(b, o);
    } else {
        run_worker(b, o);
        answered = b->answered;
    }
    check_mpi(MPI_Allreduce(&answered, &all, 1, MPI_UNSIGNED_LONG_LONG, MPI_SUM, b->comm));
    if (all != o->tasks) stop("some task was done twice, or not at all");
    b->transport->ops->destroy(b->transport);
    return seconds;
}

static double median_rate(struct bench *b, struct order o, size_t rounds)
{
    double *rates = calloc(rounds, sizeof(double));
    if (rates == NULL) stop("out of memory");
    for (size_t r = 0; r < rounds; r++)
        rates[r] = (double)o.tasks / run(b, &o);
    double rate = measure_quantile(rates, rounds, 0.5);
    free(rates);
    return rate;
}

static void measure_metg(struct bench *b, uint64_t tasks, size_t rounds)
{
    double workers = b->session.size - 1, cores = (double)sysconf(_SC_NPROCESSORS_ONLN);
    if (workers > cores) workers = cores;
    double low = 20, high = 2e6; /* ns: at `high` more than half is useful */
    while (high / low > 1.1) {
        double middle = low * (high / low > 4 ? 4 : 1 + (high / low - 1) / 2);
        uint64_t count = tasks;
        if ((double)count * middle > 3e8) count = (uint64_t)(3e8 / middle) + 1;
        double rate = median_rate(b,
                                  (struct order){.go_on = 1,
                                                 .tasks = count,
                                                 .ahead = METG_AHEAD,
                                                 .policy = REEVE_SYNC_NONE,
                                                 .task_ns = (uint64_t)middle},
                                  rounds);
        if (rate * middle * 1e-9 / workers >= 0.5) high = middle;
        else low = middle;
    }
    (void)printf("%u workers: half the time is useful from tasks of %.2f us on\n", b->session.size - 1, high / 1e3);
}

/* The round trips of all workers, on rank 0. */
static void print_trips(struct bench *b)
{
    int mine = (int)b->trips, counts[64] = {0}, places[64] = {0}, all = 0;
    if (b->session.size > 64) stop("at most 64 ranks");
    check_mpi(MPI_Gather(&mine, 1, MPI_INT, counts, 1, MPI_INT, 0, b->comm));
    for (uint32_t i = 0; i < b->session.size; i++) {
        places[i] = all;
        all += counts[i];
    }
    double *trips = calloc((size_t)all + 1, sizeof(double));
    if (trips == NULL) stop("out of memory");
    check_mpi(MPI_Gatherv(b->trips_ns, mine, MPI_DOUBLE, trips, counts, places, MPI_DOUBLE, 0, b->comm));
    if (b->session.rank == 0 && all > 0)
        (void)printf("from a word to the next lease: p50 %.2f us, p99 %.2f us\n",
                     measure_quantile(trips, (size_t)all, 0.5) / 1e3, measure_quantile(trips, (size_t)all, 0.99) / 1e3);
    free(trips);
}

static void measure(struct bench *b, uint64_t tasks, uint64_t ahead, const char *policy, size_t rounds)
{
    struct order o = {.go_on = 1, .tasks = tasks, .ahead = ahead};
    if (strcmp(policy, "metg") == 0) {
        measure_metg(b, tasks, rounds);
        return;
    }
    o.policy = strcmp(policy, "none") == 0     ? REEVE_SYNC_NONE
               : strcmp(policy, "step") == 0   ? REEVE_SYNC_STEP
               : strcmp(policy, "always") == 0 ? REEVE_SYNC_ALWAYS
                                               : UINT64_MAX;
    if (o.policy == UINT64_MAX) stop("POLICY is none, step, always or metg");
    double rate = median_rate(b, o, rounds);
    (void)printf("%u workers, %llu ahead, journal.sync %s: %.0f thousand tasks a second, %.3f us a task\n",
                 b->session.size - 1, (unsigned long long)ahead, policy, rate / 1e3, 1e6 / rate);
}

int main(int argc, char **argv)
{
    struct bench b = {.trips_max = 100000};
    if (reeve_mpi_session_open(&argc, &argv, &b.session, &b.err) != REEVE_OK) {
        (void)fprintf(stderr, "bench-null_tasks: %s\n", b.err.text);
        return REEVE_EXIT_UNAVAILABLE;
    }
    if (b.session.size < 2) stop("start it on two ranks or more");
    reeve_log_init("bench-null_tasks", REEVE_LOG_WARN);
    uint64_t tasks = measure_argument(argc, argv, 1, 1000000, 1);
    uint64_t ahead = measure_argument(argc, argv, 2, 64, 1);
    const char *policy = argc > 3 ? argv[3] : "none";
    size_t rounds = (size_t)measure_argument(argc, argv, 4, 3, 1);
    if (ahead > AHEAD_MAX) stop("AHEAD is more than a message has room for");
    b.parent = argc > 5 ? argv[5] : ".";
    b.comm = MPI_Comm_f2c(b.session.control);
    b.trips_ns = calloc(b.trips_max, sizeof(double));
    if (b.trips_ns == NULL) stop("out of memory");
    reeve_idle_init(&b.idle, b.session.node_size > (uint32_t)sysconf(_SC_NPROCESSORS_ONLN));
    if (ahead > 1) b.trips_max = 0; /* a worker has others to answer meanwhile */
    if (b.session.rank == 0) {
        struct order end = {.go_on = 0};
        measure(&b, tasks, ahead, policy, rounds);
        (void)run(&b, &end);
    } else {
        struct order o = {.go_on = 1};
        while (o.go_on)
            (void)run(&b, &o);
    }
    print_trips(&b);
    free(b.trips_ns);
    (void)reeve_mpi_session_close(&b.session, reeve_clock_now() + CLOSE_NS, REEVE_EXIT_DONE);
    return REEVE_EXIT_DONE;
}
