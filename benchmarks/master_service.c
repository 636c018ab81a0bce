/* What the master does for a task, and how long it takes: nanoseconds of one core, without the network. The real frames,
 * decide, append (a journal in the folder that is named), apply, lease, frames; in turns of 256 messages, each ended by
 * the journal's flush, as the master's loop does it under journal.sync: step.
 *
 *   bench-master_service FOLDER [WORKERS...]     a fresh folder below FOLDER; default: 64 640 6400 25600 102400 workers
 *
 * A line for each number of workers, medians over turns and over steps: ns a task (COMPUTED in, the next LEASE out); ns a
 * worker and step (REDUCED in); ns a task of the step that is committed and of the next one that is opened, its first
 * leases among it; ns a turn for looking through the outboxes of all workers. tests/sim/scale.c reads them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "measure.h"
#include "port/transport.h"
#include "scale_job.h"
#include "store/journal.h"

#define TURN_MESSAGES 256u
#define TASKS_PER_WORKER 4u
#define CREDITS 2u
#define TASKS_MIN 1200000u /* measured for each number of workers, or STEPS_MAX steps */
#define STEPS_MAX 1000u
#define TURNS_MAX 200000u

struct outbox {
    size_t used;
    unsigned char bytes[REEVE_MESSAGE_BYTES_MAX]; /* as the loop has it */
};

struct bench {
    struct scale_job job;
    reeve_journal *journal;
    struct outbox *outbox;     /* (workers + 1,) */
    struct reeve_frame *lease; /* ring: what workers hold, in order of granting */
    uint32_t *holder;
    uint64_t granted, answered;
    uint32_t ring;
};

static void append(void *arg, struct reeve_event *ev)
{
    struct bench *b = arg;
    struct reeve_error err = {0};
    reeve_journal_port *port = reeve_journal_as_port(b->journal);
    if (port->ops->append(port, ev, &err) != REEVE_OK) measure_stop("%s", err.text);
}

static void send(void *arg, uint32_t worker, const struct reeve_frame *frame)
{
    struct bench *b = arg;
    struct outbox *o = &b->outbox[worker];
    if (!reeve_frame_push(o->bytes, sizeof(o->bytes), &o->used, frame, NULL)) {
        o->used = 0; /* sent */
        (void)reeve_frame_push(o->bytes, sizeof(o->bytes), &o->used, frame, NULL);
    }
    if (frame->kind != REEVE_FRAME_LEASE) return;
    b->lease[b->granted % b->ring] = *frame;
    b->holder[b->granted++ % b->ring] = worker;
}

/* Take one message as the loop does. */
static void take(struct bench *b, uint32_t worker, const unsigned char *message, size_t bytes,
                 const struct scale_sink *sink)
{
    size_t offset = 0;
    struct reeve_frame f;
    const char *text;
    _Bool end;
    while (reeve_frame_next(message, bytes, &offset, &f, &text, &end) == REEVE_OK && !end)
        (void)scale_give(&b->job, worker, &f, sink);
}

/* The loop looks for something to send at every worker, each turn. */
static reeve_time_ns walk(struct bench *b)
{
    reeve_time_ns begin_ns = reeve_clock_now();
    for (uint32_t w = 1; w <= b->job.workers; w++)
        if (b->outbox[w].used != 0) b->outbox[w].used = 0;
    return reeve_clock_now() - begin_ns;
}

/* One turn: answers of up to 256 workers, then what follows from them. */
static reeve_time_ns turn(struct bench *b, const struct scale_sink *sink, uint32_t *answers)
{
    static unsigned char message[TURN_MESSAGES][128];
    static uint32_t from[TURN_MESSAGES];
    static size_t bytes[TURN_MESSAGES];
    uint32_t n = 0;
    for (; n < TURN_MESSAGES && b->answered < b->granted; n++, b->answered++) {
        struct reeve_frame f = scale_answer(&b->lease[b->answered % b->ring]);
        bytes[n] = 0;
        (void)reeve_frame_push(message[n], sizeof(message[n]), &bytes[n], &f, NULL);
        from[n] = b->holder[b->answered % b->ring];
    }
    struct reeve_error err = {0};
    reeve_time_ns begin_ns = reeve_clock_now();
    for (uint32_t i = 0; i < n; i++)
        take(b, from[i], message[i], bytes[i], sink);
    (void)scale_tick(&b->job, sink);
    (void)reeve_journal_flush(b->journal, &err);
    *answers = n;
    return reeve_clock_now() - begin_ns;
}

static void measure(const char *folder, uint32_t workers)
{
    struct bench b = {0};
    struct reeve_error err = {0};
    struct reeve_journal_info info = {0};
    char dir[4096];
    (void)snprintf(dir, sizeof(dir), "%s/%u", folder, workers);
    scale_job_create(&b.job, workers, TASKS_PER_WORKER, CREDITS);
    if (reeve_journal_open(dir, &info, 1, 1, &b.journal, &err) != REEVE_OK) measure_stop("%s", err.text);
    b.ring = workers * CREDITS + 1;
    b.outbox = calloc((size_t)workers + 1, sizeof(*b.outbox));
    b.lease = calloc(b.ring, sizeof(*b.lease));
    b.holder = calloc(b.ring, sizeof(*b.holder));
    double *turns = calloc(TURNS_MAX, sizeof(*turns)), *walks = calloc(TURNS_MAX, sizeof(*walks)), opens[STEPS_MAX],
           sums[STEPS_MAX];
    if (b.outbox == NULL || b.lease == NULL || b.holder == NULL || turns == NULL || walks == NULL)
        measure_stop("out of memory");
    const struct scale_sink sink = {.append = append, .send = send, .arg = &b};
    uint32_t turn_count = 0, steps = 0;
    uint64_t tasks = 0;
    (void)scale_tick(&b.job, &sink); /* opens step 1; its shard is staged first */
    uint32_t staged;
    (void)turn(&b, &sink, &staged);
    struct reeve_master_status s;
    for (; tasks < TASKS_MIN && steps < STEPS_MAX; steps++) {
        for (uint32_t done = 0, n; done < b.job.tasks; done += n, tasks += n) {
            double turn_ns = (double)turn(&b, &sink, &n);
            double walk_ns = (double)walk(&b);
            if (turn_count == TURNS_MAX) continue;
            walks[turn_count] = walk_ns;
            turns[turn_count++] = turn_ns / n;
        }
        reeve_master_get_status(b.job.master, &s);
        if (s.phase != REEVE_PHASE_REDUCE) measure_stop("step %u: not all of it is computed", steps + 1);
        struct reeve_frame reduced = scale_reduced(&b.job, s.step + 1);
        reeve_time_ns begin_ns = reeve_clock_now();
        for (uint32_t w = 1; w <= workers; w++)
            (void)scale_give(&b.job, w, &reduced, &sink);
        reeve_time_ns middle_ns = reeve_clock_now();
        (void)scale_tick(&b.job, &sink); /* commits, opens the next, and grants its first leases */
        (void)reeve_journal_flush(b.journal, &err);
        sums[steps] = (double)(middle_ns - begin_ns) / workers;
        opens[steps] = (double)(reeve_clock_now() - middle_ns) / b.job.tasks;
    }
    printf("%7u %10.1f %10.1f %10.1f %12.0f\n", workers, measure_quantile(turns, turn_count, 0.5),
           measure_quantile(sums, steps, 0.5), measure_quantile(opens, steps, 0.5),
           measure_quantile(walks, turn_count, 0.5));
    (void)fflush(stdout);
    (void)reeve_journal_close(b.journal, NULL);
    free(walks);
    free(turns);
    free(b.outbox);
    free(b.lease);
    free(b.holder);
    scale_job_destroy(&b.job);
}

int main(int argc, char **argv)
{
    static const uint32_t usual[] = {64, 640, 6400, 25600, 102400};
    if (argc < 2) {
        (void)fprintf(stderr, "usage: bench-master_service FOLDER [WORKERS...]\n");
        return 64;
    }
    char folder[4096];
    measure_folder_create(argv[1], folder, sizeof(folder));
    printf(
        "# ns of one core: workers, a task, a worker and step, a step's end and begin per task, outboxes per turn\n");
    for (int i = 2; i < argc; i++)
        measure(folder, (uint32_t)strtoul(argv[i], NULL, 10));
    for (size_t i = 0; argc == 2 && i < sizeof(usual) / sizeof(usual[0]); i++)
        measure(folder, usual[i]);
    measure_folder_remove(folder);
    return 0;
}
