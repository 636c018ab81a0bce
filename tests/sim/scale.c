/* How far one master goes: the real master (decide, apply, queue) with up to 10^5 simulated workers, where each thing that
 * it does takes the time that bench-master_service measured. And what two levels would give: a master on each node that
 * gets its tasks in bundles from the one above, and serves its own workers.
 *
 *   reeve-sim-scale SERVICE_FILE [--message-ns N] [--workers N,N...] [--task-us N,N... | --metg]
 *
 * A line for each pair of worker count and task length: the time of a step, against what it would be if dispatch took no
 * time, for one level and for two. With --metg a line for each worker count: the shortest task with which half of a
 * step is useful (the minimum effective task granularity of Task Bench, SC 2020). Time runs as in sim.h; a master is
 * one core that does one thing after the other, in the order of arrival. docs/scale.md has a table, a plot, and what
 * follows from it. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "scale_job.h"
#include "sim.h"

#define TASKS_PER_WORKER 4u
#define CREDITS 2u
#define NODE_WORKERS 64u /* of a node master; also the tasks of a bundle */
#define STEPS 3u         /* the first is not counted */
#define LATENCY_NS 5000  /* of a message between two processes */
#define HOP_NS 10000     /* of the all-reduce, for each doubling of the number of workers: a small model */
#define SIZES_MAX 16u

/* Measured on one core: see benchmarks/master_service.c. */
struct service {
    uint32_t workers;
    double task_ns, worker_ns, open_ns;
};

struct worker {
    uint32_t waiting; /* leases behind the one in hand */
    uint32_t queue[CREDITS + 1];
    bool busy;
};

/* A master of a node; two levels only. */
struct node {
    double busy_ns;
    uint32_t ready;     /* tasks that it may hand out */
    uint32_t credit;    /* that its workers have, together */
    uint32_t computing; /* workers that compute; the others are free */
    uint32_t waiting;   /* tasks that lie with its workers and are not begun */
    uint32_t bundle[8]; /* ring: leases of the root that are not done, in order; done[] of each */
    uint32_t done[8], first, count;
};

struct scale {
    struct sim sim;
    struct scale_job job;
    struct reeve_frame *lease; /* (tasks,) of the open step, by micro-batch */
    struct worker *worker;     /* one level: (workers + 1,) */
    struct node *node;         /* two levels: (nodes + 1,); NULL: one level */
    const struct service *root, *leaf;
    uint32_t workers; /* that compute */
    double message_ns, task_ns, busy_ns;
    reeve_time_ns commit_ns[STEPS + 1];
    uint32_t commits;
    struct reeve_frame sum; /* REDUCED of the open step, the same for all */
    double turn_begin_ns, turn_ns;
    uint32_t turn_frames, sent; /* of a turn that lasts: how many leases will leave in it, and have left */
};

static void computed_at_worker(struct sim *s, void *arg, uint64_t number);
static void computed_at_node(struct sim *s, void *arg, uint64_t number);
static void task_at_node(struct sim *s, void *arg, uint64_t number);
static void answer_at_node(struct sim *s, void *arg, uint64_t number);
static void served(struct sim *s, void *arg, uint64_t number);
static void reduced(struct sim *s, void *arg, uint64_t number);

static double task_length(struct scale *x)
{
    return x->task_ns * (0.9 + 0.2e-6 * (double)sim_below(&x->sim, 1000000));
}

/* ---- the root ---- */

/* It gets to an answer when it has done what came before. */
static void arrive(struct sim *s, void *arg, uint64_t number)
{
    struct scale *x = arg;
    if (x->busy_ns < (double)s->now_ns) x->busy_ns = (double)s->now_ns;
    x->busy_ns += x->root->task_ns + 2 * x->message_ns;
    sim_at(s, (reeve_time_ns)x->busy_ns, served, x, number);
}

static void arrive_reduced(struct sim *s, void *arg, uint64_t number)
{
    struct scale *x = arg;
    if (x->busy_ns < (double)s->now_ns) x->busy_ns = (double)s->now_ns;
    x->busy_ns += x->root->worker_ns + 2 * x->message_ns;
    sim_at(s, (reeve_time_ns)x->busy_ns, reduced, x, number);
}

static void lease_at_worker(struct sim *s, void *arg, uint64_t number);
static void bundle_at_node(struct sim *s, void *arg, uint64_t number);
static void sum_at_node(struct sim *s, void *arg, uint64_t number);

/* Frames of a long turn (a step that is opened) leave while it goes on: the loop's turns are short. */
static void send(void *arg, uint32_t w, const struct reeve_frame *f)
{
    struct scale *x = arg;
    double share = x->turn_frames > 0 ? (double)++x->sent / x->turn_frames : 1.0;
    if (share > 1.0) share = 1.0;
    reeve_time_ns at_ns = (reeve_time_ns)(x->turn_begin_ns + share * x->turn_ns) + LATENCY_NS;
    if (f->kind == REEVE_FRAME_LEASE) {
        if (f->a == REEVE_TASK_GRADIENT) x->lease[f->arg] = *f;
        else x->lease[0] = *f;
        sim_at(&x->sim, at_ns, x->node == NULL ? lease_at_worker : bundle_at_node, x, (uint64_t)w << 32 | f->arg);
    }
    if (f->kind == REEVE_FRAME_REDUCE) {
        reeve_time_ns sum_ns = (reeve_time_ns)(HOP_NS * ceil(log2((double)x->workers + 1)));
        sim_at(&x->sim, at_ns + sum_ns, x->node == NULL ? arrive_reduced : sum_at_node, x, (uint64_t)w << 32);
    }
}

static void append(void *arg, struct reeve_event *ev)
{
    struct scale *x = arg;
    if (ev->kind == REEVE_EVENT_STEP_COMMITTED) x->commit_ns[x->commits++] = x->sim.now_ns;
    if (ev->kind != REEVE_EVENT_STEP_OPENED) return;
    x->turn_ns = x->root->open_ns * x->job.tasks;
    x->turn_frames = x->job.workers * CREDITS < x->job.tasks ? x->job.workers * CREDITS : x->job.tasks;
    x->sent = 0;
    x->busy_ns = x->turn_begin_ns + x->turn_ns;
}

static void root_turn(struct scale *x, uint32_t worker, const struct reeve_frame *f)
{
    const struct scale_sink sink = {.append = append, .send = send, .arg = x};
    x->turn_begin_ns = (double)x->sim.now_ns;
    x->turn_ns = 0;
    x->turn_frames = 0;
    (void)scale_give(&x->job, worker, f, &sink);
    if (x->commits < STEPS) (void)scale_tick(&x->job, &sink);
    if (x->commits == STEPS) x->sim.complete = true;
}

static void served(struct sim *s, void *arg, uint64_t number)
{
    struct scale *x = arg;
    (void)s;
    struct reeve_frame f = scale_answer(&x->lease[(uint32_t)number]);
    root_turn(x, (uint32_t)(number >> 32), &f);
}

static void reduced(struct sim *s, void *arg, uint64_t number)
{
    struct scale *x = arg;
    (void)s;
    if (x->sum.step != x->commits + 1) x->sum = scale_reduced(&x->job, x->commits + 1);
    root_turn(x, (uint32_t)(number >> 32), &x->sum);
}

/* ---- workers of one level ---- */

static void begin_task(struct scale *x, uint32_t w)
{
    struct worker *at = &x->worker[w];
    if (at->busy || at->waiting == 0) return;
    uint32_t task = at->queue[0];
    at->waiting--;
    memmove(at->queue, at->queue + 1, sizeof(at->queue[0]) * at->waiting);
    at->busy = true;
    double length_ns = x->lease[task].a == REEVE_TASK_GRADIENT ? task_length(x) : 0; /* staging: nothing to read */
    sim_at(&x->sim, x->sim.now_ns + (reeve_time_ns)length_ns, computed_at_worker, x, (uint64_t)w << 32 | task);
}

static void lease_at_worker(struct sim *s, void *arg, uint64_t number)
{
    struct scale *x = arg;
    (void)s;
    struct worker *at = &x->worker[number >> 32];
    REEVE_ASSERT(at->waiting <= CREDITS);
    at->queue[at->waiting++] = (uint32_t)number;
    begin_task(x, (uint32_t)(number >> 32));
}

static void computed_at_worker(struct sim *s, void *arg, uint64_t number)
{
    struct scale *x = arg;
    x->worker[number >> 32].busy = false;
    sim_at(s, s->now_ns + LATENCY_NS, arrive, x, number);
    begin_task(x, (uint32_t)(number >> 32));
}

/* ---- nodes of two levels ---- */

/* Hand out what can be: each task costs its share of the node master's time, and goes to whoever is free. */
static void node_hand_out(struct scale *x, uint32_t n)
{
    struct node *node = &x->node[n];
    for (; node->ready > 0 && node->credit > 0; node->ready--, node->credit--) {
        if (node->busy_ns < (double)x->sim.now_ns) node->busy_ns = (double)x->sim.now_ns;
        node->busy_ns += x->leaf->task_ns + 2 * x->message_ns;
        sim_at(&x->sim, (reeve_time_ns)node->busy_ns + LATENCY_NS, task_at_node, x, n);
    }
}

static void begin_at_node(struct scale *x, uint64_t n)
{
    sim_at(&x->sim, x->sim.now_ns + (reeve_time_ns)task_length(x), computed_at_node, x, n);
}

static void task_at_node(struct sim *s, void *arg, uint64_t number)
{
    struct scale *x = arg;
    struct node *node = &x->node[number];
    (void)s;
    if (node->computing == NODE_WORKERS) node->waiting++;
    else {
        node->computing++;
        begin_at_node(x, number);
    }
}

static void bundle_at_node(struct sim *s, void *arg, uint64_t number)
{
    struct scale *x = arg;
    uint32_t n = (uint32_t)(number >> 32), task = (uint32_t)number;
    if (x->lease[task].a != REEVE_TASK_GRADIENT) { /* staging */
        sim_at(s, s->now_ns + LATENCY_NS, arrive, x, number);
        return;
    }
    struct node *node = &x->node[n];
    REEVE_ASSERT(node->count < 8);
    uint32_t at = (node->first + node->count++) % 8;
    node->bundle[at] = task;
    node->done[at] = 0;
    node->ready += NODE_WORKERS;
    node_hand_out(x, n);
}

static void computed_at_node(struct sim *s, void *arg, uint64_t number)
{
    struct scale *x = arg;
    struct node *node = &x->node[number];
    if (node->waiting > 0) {
        node->waiting--;
        begin_at_node(x, number);
    } else {
        node->computing--;
    }
    sim_at(s, s->now_ns + LATENCY_NS, answer_at_node, x, number);
}

/* Completions are counted to the oldest bundle that is not full: the sum does not care which of them it was. */
static void answer_at_node(struct sim *s, void *arg, uint64_t number)
{
    struct scale *x = arg;
    struct node *node = &x->node[number];
    node->credit++;
    if (++node->done[node->first] == NODE_WORKERS) {
        sim_at(s, s->now_ns + LATENCY_NS, arrive, x, number << 32 | node->bundle[node->first]);
        node->first = (node->first + 1) % 8;
        node->count--;
    }
    node_hand_out(x, (uint32_t)number);
}

/* Its workers report the sum to it, and it to the root. */
static void sum_at_node(struct sim *s, void *arg, uint64_t number)
{
    struct scale *x = arg;
    double all_ns = NODE_WORKERS * (x->leaf->worker_ns + 2 * x->message_ns);
    sim_at(s, s->now_ns + (reeve_time_ns)all_ns + 2 * LATENCY_NS, arrive_reduced, x, number);
}

/* ---- one pair of worker count and task length ---- */

static const struct service *service_for(const struct service *list, uint32_t count, uint32_t workers)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i].workers >= workers) return &list[i];
    return &list[count - 1];
}

/* Seconds of a step; the plan's tasks are bundles if there are two levels. */
static double simulate(const struct service *list, uint32_t count, uint32_t workers, double task_ns, double message_ns,
                       bool two_levels)
{
    struct scale x = {.workers = workers, .task_ns = task_ns, .message_ns = message_ns};
    uint32_t peers = two_levels ? workers / NODE_WORKERS : workers;
    scale_job_create(&x.job, peers, TASKS_PER_WORKER, CREDITS);
    x.root = service_for(list, count, peers);
    x.leaf = service_for(list, count, NODE_WORKERS);
    x.lease = calloc(x.job.tasks, sizeof(*x.lease));
    x.worker = calloc((size_t)peers + 1, sizeof(*x.worker));
    x.node = two_levels ? calloc((size_t)peers + 1, sizeof(*x.node)) : NULL;
    REEVE_ASSERT(x.lease != NULL && x.worker != NULL && (!two_levels || x.node != NULL));
    for (uint32_t n = 1; two_levels && n <= peers; n++)
        x.node[n].credit = NODE_WORKERS * CREDITS;
    x.sim.plan.seed = 1;
    struct reeve_frame alive = {.kind = REEVE_FRAME_HEARTBEAT, .epoch = 1};
    root_turn(&x, 1, &alive);
    (void)sim_run_until(&x.sim, INT64_MAX);
    double step_s = (double)(x.commit_ns[STEPS - 1] - x.commit_ns[0]) * 1e-9 / (STEPS - 1);
    free(x.sim.heap);
    free(x.node);
    free(x.worker);
    free(x.lease);
    scale_job_destroy(&x.job);
    return step_s;
}

static uint32_t read_service(const char *path, struct service *list)
{
    char line[256];
    uint32_t count = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        (void)fprintf(stderr, "reeve-sim-scale: open %s: %m\n", path);
        exit(66);
    }
    while (count < SIZES_MAX && fgets(line, sizeof(line), file) != NULL) {
        struct service *at = &list[count];
        if (sscanf(line, "%u %lf %lf %lf", &at->workers, &at->task_ns, &at->worker_ns, &at->open_ns) == 4) count++;
    }
    (void)fclose(file);
    if (count > 0) return count;
    (void)fprintf(stderr, "reeve-sim-scale: %s: no line of four numbers; make it with bench-master_service\n", path);
    exit(65);
}

/* In us, a tenth too long at most. */
static double shortest_task_us(const struct service *list, uint32_t count, uint32_t workers, double message_ns,
                               bool two_levels)
{
    double low_ns = 10, high_ns = 1e10;
    while (high_ns / low_ns > 1.1) {
        double task_ns = sqrt(low_ns * high_ns);
        double step_s = simulate(list, count, workers, task_ns, message_ns, two_levels);
        if (TASKS_PER_WORKER * task_ns * 1e-9 / step_s >= 0.5) high_ns = task_ns;
        else low_ns = task_ns;
    }
    return high_ns * 1e-3;
}

static void print_metg(const struct service *list, uint32_t count, const double *workers, uint32_t worker_count,
                       double message_ns)
{
    printf("# workers   half of a step is useful from tasks of so many us: one level, two levels\n");
    for (uint32_t w = 0; w < worker_count; w++) {
        printf("%9.0f %12.1f", workers[w], shortest_task_us(list, count, (uint32_t)workers[w], message_ns, false));
        if (workers[w] < NODE_WORKERS) printf("            -\n"); /* not one node */
        else printf(" %12.1f\n", shortest_task_us(list, count, (uint32_t)workers[w], message_ns, true));
        (void)fflush(stdout);
    }
}

static uint32_t parse_list(const char *text, double *out)
{
    uint32_t count = 0;
    for (char *end; *text != '\0' && count < SIZES_MAX; text = *end == ',' ? end + 1 : end) {
        out[count++] = strtod(text, &end);
        if (end == text) exit(64);
    }
    return count;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"message-ns", 1, NULL, 'm'},
                                          {"workers", 1, NULL, 'w'},
                                          {"task-us", 1, NULL, 't'},
                                          {"metg", 0, NULL, 'g'},
                                          {NULL, 0, NULL, 0}};
    bool metg = false;
    double message_ns = 200, workers[SIZES_MAX], task_us[SIZES_MAX];
    uint32_t worker_count = parse_list("64,640,6400,25600,102400", workers);
    uint32_t task_count = parse_list("1000,10000,100000,1000000", task_us);
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 'm') message_ns = strtod(optarg, NULL);
        else if (c == 'w') worker_count = parse_list(optarg, workers);
        else if (c == 't') task_count = parse_list(optarg, task_us);
        else if (c == 'g') metg = true;
        else return 64;
    }
    if (optind + 1 != argc) {
        (void)fprintf(stderr, "usage: reeve-sim-scale SERVICE_FILE [options]; see the head of tests/sim/scale.c\n");
        return 64;
    }
    struct service list[SIZES_MAX];
    uint32_t count = read_service(argv[optind], list);
    printf("# %u tasks a worker and step, a message costs a master %.0f ns; times in ms, tasks in 1000/s\n",
           TASKS_PER_WORKER, message_ns);
    if (metg) {
        print_metg(list, count, workers, worker_count, message_ns);
        return 0;
    }
    printf("# workers   task  ideal step | one level: step  useful  tasks | two levels: step  useful  tasks\n");
    for (uint32_t t = 0; t < task_count; t++)
        for (uint32_t w = 0; w < worker_count; w++) {
            double task_ns = task_us[t] * 1000, tasks = workers[w] * TASKS_PER_WORKER;
            double ideal_s = TASKS_PER_WORKER * task_ns * 1e-9;
            double one_s = simulate(list, count, (uint32_t)workers[w], task_ns, message_ns, false);
            double two_s = simulate(list, count, (uint32_t)workers[w], task_ns, message_ns, true);
            if (one_s < 0.9 * ideal_s || two_s < 0.9 * ideal_s) {
                (void)fprintf(stderr, "reeve-sim-scale: a step took less time than its tasks\n");
                return 70;
            }
            printf("%9.0f %9.1f %9.1f %12.1f %6.3f %8.1f %12.1f %6.3f %8.1f\n", workers[w], task_us[t] * 1e-3,
                   ideal_s * 1e3, one_s * 1e3, ideal_s / one_s, tasks / one_s * 1e-3, two_s * 1e3, ideal_s / two_s,
                   tasks / two_s * 1e-3);
            (void)fflush(stdout);
        }
    return 0;
}
