/* What the queue costs with many tasks waiting: bench-queue [WAITING_MAX [TASKS]]
 *
 * For 10^3, 10^4 ... WAITING_MAX waiting tasks and each kind of queue, TASKS tasks go through it in groups of 64: 64 are
 * picked and leased, 64 completed and retired, and 64 added, so that as many wait as before. Figures are medians over
 * the groups, of one task; `mean` is that of all tasks but the hundredth of the groups that took longest (what is done once
 * in many groups is in no median); `worst` is the longest half of a group, with whatever the machine did meanwhile. The
 * invariants are checked before and after, and the order of the tasks while they are leased. One core, no MPI, no
 * files. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "core/queue.h"
#include "measure.h"

#define GROUP 64u /* tasks timed at once: the clock itself costs 20 ns */
#define WORKERS 64u
#define LEASE_NS (30 * REEVE_SECOND_NS)
#define NODE 0

struct bench;

struct variant {
    const char *name, *what;
    void (*add)(struct bench *b);
    int32_t priorities;
    bool delayed;
};

struct bench {
    const struct variant *variant;
    reeve_queue *queue;
    uint32_t waiting;
    uint64_t added;
    reeve_time_ns now_ns;                              /* the queue's time: 1 us a task */
    reeve_task_id *chain;                              /* (WORKERS,) the last task of each chain */
    uint64_t *last_key;                                /* (priorities,) of the last task leased in each priority */
    double *lease_ns, *complete_ns, *both_ns, *add_ns; /* (groups,) a task */
    size_t groups;
};

static reeve_task_id add(struct bench *b, struct reeve_task_spec spec)
{
    reeve_task_id id;
    spec.kind = REEVE_TASK_STAGE;
    spec.key = b->added++;
    if (reeve_queue_add(b->queue, &spec, &id) != REEVE_OK) measure_stop("%s: no room for a task", b->variant->name);
    return id;
}

static void add_plain(struct bench *b)
{
    int32_t priority = (int32_t)reeve_random_below(1, 1, b->added, (uint64_t)b->variant->priorities);
    reeve_queue_start(b->queue, add(b, (struct reeve_task_spec){.priority = priority}));
}

static void add_affine(struct bench *b)
{
    uint32_t group = 1 + (uint32_t)reeve_random_below(1, 2, b->added, WORKERS);
    reeve_queue_start(b->queue, add(b, (struct reeve_task_spec){.affinity = REEVE_AFFINITY_SOFT, .group = group}));
}

/* Due at a random moment of the time that the waiting tasks take. */
static void add_delayed(struct bench *b)
{
    reeve_time_ns at = b->now_ns + 1 + (reeve_time_ns)reeve_random_below(1, 3, b->added, 2000ull * b->waiting);
    reeve_queue_start(b->queue, add(b, (struct reeve_task_spec){.not_before_ns = at}));
}

/* One of WORKERS chains: each task waits for the one before it, so all but a few are blocked. */
static void add_chained(struct bench *b)
{
    uint32_t c = (uint32_t)(b->added % WORKERS);
    bool first = b->added < WORKERS;
    reeve_task_id before = b->chain[c];
    b->chain[c] = add(b, (struct reeve_task_spec){0});
    if (!first && reeve_queue_after(b->queue, b->chain[c], before, false) != REEVE_OK)
        measure_stop("dependencies: no room for an edge");
    reeve_queue_start(b->queue, b->chain[c]);
}

static const struct variant variants[] = {
    {"fifo", "first come, first served", add_plain, 1, false},
    {"priorities", "8 priorities at random", add_plain, 8, false},
    {"many priorities", "1000 priorities at random", add_plain, 1000, false},
    {"affinity", "soft, to one of 64 workers at random", add_affine, 1, false},
    {"delays", "each due at a random time; with its waking", add_delayed, 1, true},
    {"dependencies", "64 chains of tasks", add_chained, 1, false},
};

static void wake_due(struct bench *b)
{
    reeve_task_id id;
    while (reeve_queue_due(b->queue, b->now_ns, &id))
        if (reeve_queue_wake(b->queue, id) != REEVE_OK) measure_stop("%s: a due task is not delayed", b->variant->name);
}

static void check_order(struct bench *b, const struct reeve_task *t)
{
    uint64_t *last = &b->last_key[t->priority];
    bool in_order = b->variant->add != add_affine && !b->variant->delayed;
    if (in_order && *last != UINT64_MAX && t->key <= *last) measure_stop("%s: out of order", b->variant->name);
    *last = t->key;
}

static double lease_group(struct bench *b, reeve_task_id *ids)
{
    const reeve_queue *q = b->queue;
    reeve_time_ns start_ns = reeve_clock_now();
    if (b->variant->delayed) wake_due(b);
    for (uint32_t i = 0; i < GROUP; i++) {
        reeve_worker_id worker = {1 + i % WORKERS};
        /* Fewer are due than are asked for: time goes on. */
        while (reeve_queue_pick(q, worker, NODE, false, &ids[i]) != REEVE_OK) {
            if (!b->variant->delayed) measure_stop("%s: no task is ready", b->variant->name);
            b->now_ns = reeve_queue_next_due(q) > b->now_ns ? reeve_queue_next_due(q) : b->now_ns;
            wake_due(b);
        }
        uint32_t attempt = reeve_queue_task(q, ids[i])->attempt + 1;
        if (reeve_queue_lease(b->queue, ids[i], worker, attempt, b->now_ns + LEASE_NS + 2000ll * b->waiting) !=
            REEVE_OK)
            measure_stop("%s: a task that was picked cannot be leased", b->variant->name);
    }
    double ns = (double)(reeve_clock_now() - start_ns) / GROUP;
    for (uint32_t i = 0; i < GROUP; i++)
        check_order(b, reeve_queue_task(q, ids[i]));
    return ns;
}

static double complete_group(struct bench *b, const reeve_task_id *ids)
{
    reeve_time_ns start_ns = reeve_clock_now();
    for (uint32_t i = 0; i < GROUP; i++) {
        if (reeve_queue_done(b->queue, ids[i], (reeve_worker_id){1 + i % WORKERS}, 1) != REEVE_OK)
            measure_stop("%s: a task under its lease cannot be completed", b->variant->name);
        reeve_queue_retire(b->queue, ids[i]);
    }
    return (double)(reeve_clock_now() - start_ns) / GROUP;
}

static double add_group(struct bench *b)
{
    reeve_time_ns start_ns = reeve_clock_now();
    for (uint32_t i = 0; i < GROUP; i++)
        b->variant->add(b);
    return (double)(reeve_clock_now() - start_ns) / GROUP;
}

static void check(const struct bench *b)
{
    const char *wrong = reeve_queue_check(b->queue);
    if (wrong != NULL) measure_stop("%s: the queue is broken: %s", b->variant->name, wrong);
}

/* Of all but the longest hundredth; values (count,) are sorted. */
static double mean_of_most(const double *values, size_t count)
{
    size_t most = count - count / 100;
    double sum = 0;
    for (size_t i = 0; i < most; i++)
        sum += values[i];
    return sum / (double)most;
}

static void measure(const struct variant *v, uint32_t waiting, size_t groups)
{
    struct bench b = {.variant = v, .waiting = waiting, .groups = groups, .now_ns = 1};
    struct reeve_queue_limits limits = {
        .tasks_max = waiting + GROUP, .edges_max = waiting + GROUP, .workers_max = WORKERS, .nodes_max = 1};
    if (v->add != add_chained) limits.edges_max = 0;
    size_t before = measure_resident_bytes();
    if (reeve_queue_create(&limits, &b.queue, NULL) != REEVE_OK) measure_stop("out of memory");
    b.chain = calloc(WORKERS, sizeof(*b.chain));
    b.last_key = calloc((size_t)v->priorities, sizeof(*b.last_key));
    b.lease_ns = calloc(groups, sizeof(double));
    b.complete_ns = calloc(groups, sizeof(double));
    b.both_ns = calloc(groups, sizeof(double));
    b.add_ns = calloc(groups, sizeof(double));
    if (!b.chain || !b.last_key || !b.lease_ns || !b.complete_ns || !b.both_ns || !b.add_ns)
        measure_stop("out of memory");
    for (int32_t p = 0; p < v->priorities; p++)
        b.last_key[p] = UINT64_MAX;
    for (uint32_t i = 0; i < waiting; i++)
        v->add(&b);
    double bytes = (double)(measure_resident_bytes() - before) / waiting;
    check(&b);
    double worst = 0;
    reeve_task_id ids[GROUP];
    for (size_t g = 0; g < groups; g++) {
        b.now_ns += 1000ll * GROUP;
        b.lease_ns[g] = lease_group(&b, ids);
        b.complete_ns[g] = complete_group(&b, ids);
        b.add_ns[g] = add_group(&b);
        double longest = b.lease_ns[g] > b.complete_ns[g] ? b.lease_ns[g] : b.complete_ns[g];
        if (longest * GROUP > worst) worst = longest * GROUP;
    }
    check(&b);
    for (size_t g = 0; g < groups; g++)
        b.both_ns[g] = b.lease_ns[g] + b.complete_ns[g];
    (void)printf("%-16s %8u  %6.0f %6.0f %6.0f %6.0f %6.0f %6.0f  %10.1f  %5.0f\n", v->name, waiting,
                 measure_quantile(b.lease_ns, groups, 0.5), measure_quantile(b.complete_ns, groups, 0.5),
                 measure_quantile(b.both_ns, groups, 0.5), mean_of_most(b.both_ns, groups),
                 measure_quantile(b.both_ns, groups, 0.99), measure_quantile(b.add_ns, groups, 0.5), worst / 1e3,
                 bytes);
    (void)fflush(stdout);
    free(b.add_ns);
    free(b.both_ns);
    free(b.complete_ns);
    free(b.lease_ns);
    free(b.last_key);
    free(b.chain);
    reeve_queue_destroy(b.queue);
}

int main(int argc, char **argv)
{
    uint64_t waiting_max = measure_argument(argc, argv, 1, 1000000, GROUP);
    uint64_t tasks = measure_argument(argc, argv, 2, 2000000, GROUP);
    for (size_t v = 0; v < sizeof(variants) / sizeof(variants[0]); v++)
        (void)printf("%-16s %s\n", variants[v].name, variants[v].what);
    (void)printf("\n%-16s %8s  %6s %6s %6s %6s %6s %6s  %10s  %5s\n", "ns a task", "waiting", "lease", "compl.", "both",
                 "mean", "p99", "add", "worst, us", "bytes");
    for (size_t v = 0; v < sizeof(variants) / sizeof(variants[0]); v++)
        for (uint64_t waiting = 1000; waiting <= waiting_max; waiting *= 10)
            measure(&variants[v], (uint32_t)waiting, (size_t)(tasks / GROUP));
    return 0;
}
