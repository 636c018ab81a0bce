/* See allocation_hosts.h. */
#include "cli/allocation_hosts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/output.h"

#define NAMES_DEADLINE_MS 10000
#define AT_ONCE 32u /* so many nodes are asked at a time: each is a process here, and a word with Slurm's controller */
#define LOOK_NS (5 * REEVE_MILLISECOND_NS)
#define ASK_AGAIN_NS (30 * REEVE_SECOND_NS) /* a node that is there, and still silent */
#define UNSURE_NS (5 * REEVE_SECOND_NS)     /* Slurm does not answer: nothing is known */
#define TIMES_OWN 10                        /* a node that needs so many times as long as this one is gone, not slow */
#define LOST_NS (10 * REEVE_SECOND_NS) /* a node that was found lost is not asked again for the launch that follows */

bool reeve_allocation_hosts_init(struct reeve_allocation_hosts *h, uint32_t workers, uint32_t min_workers)
{
    const char *nodes = getenv("SLURM_JOB_NUM_NODES");
    long count = nodes != NULL ? strtol(nodes, NULL, 10) : 0;
    if (count < 2 || count > 65535 || getenv("SLURM_JOB_NODELIST") == NULL || workers < 2) return false;
    h->workers = workers;
    h->nodes = (uint32_t)count;
    h->min_workers = min_workers < workers ? min_workers : workers;
    /* mpirun starts its daemons with srun. To Slurm those of a launch that lost a node go on, and hold their cores, until
     * it has called that node down: minutes in which the srun of the next launch would wait. */
    (void)setenv("SLURM_OVERLAP", "1", 0);
    return true;
}

/* The nodes of an allocation do not change while it lasts. */
static bool know_names(struct reeve_allocation_hosts *h)
{
    const char *const argv[] = {"scontrol", "show", "hostnames", getenv("SLURM_JOB_NODELIST"), NULL};
    if (h->names[0] != '\0') return true;
    if (reeve_command_run(argv, NAMES_DEADLINE_MS, h->names, sizeof(h->names)) == 0) return true;
    h->names[0] = '\0';
    return false;
}

/* The next name in a list of lines; NULL: there is none. */
static const char *next_name(const char *at, char name[256])
{
    at += strspn(at, "\n");
    size_t n = strcspn(at, "\n");
    if (n == 0) return NULL;
    (void)snprintf(name, 256, "%.*s", (int)n, at);
    return at + n;
}

bool reeve_allocation_hosts_same(const char *node, const char *host)
{
    if (strcmp(node, host) == 0) return true;
    size_t a = strcspn(node, "."), b = strcspn(host, ".");
    bool one_is_short = node[a] == '\0' || host[b] == '\0';
    return one_is_short && a == b && strncmp(node, host, a) == 0;
}

/* ---- a node that is silent ---- */

/* Only what Slurm calls a node of this job is ever asked. */
static bool find_node(struct reeve_allocation_hosts *h, const char *host, char node[256])
{
    if (!know_names(h)) return false;
    for (const char *at = h->names; (at = next_name(at, node)) != NULL;)
        if (reeve_allocation_hosts_same(node, host)) return true;
    return false;
}

static void ask(struct reeve_allocation_hosts *h, const char *node, reeve_time_ns now_ns)
{
    const char *own = getenv("SLURMD_NODENAME");
    (void)snprintf(h->asked, sizeof(h->asked), "%s", node);
    h->lost_ns = 0;
    h->ask_again_ns = now_ns + ASK_AGAIN_NS;
    if (own == NULL || strcmp(own, node) == 0) return; /* this one is there */
    reeve_host_probe_start(&h->suspect, node, now_ns);
    reeve_host_probe_start(&h->control, own, now_ns);
}

static bool is_asking(const struct reeve_allocation_hosts *h)
{
    return h->suspect.child != 0 || h->control.child != 0;
}

/* How long Slurm and a node need today is seen on this one: nobody has to wait for the longest time that there may be. */
static void measure_patience(struct reeve_allocation_hosts *h)
{
    reeve_time_ns patience_ns = TIMES_OWN * h->control.took_ns;
    if (h->control.answer != REEVE_HOST_STARTS || h->suspect.child == 0) return;
    if (patience_ns < REEVE_HOST_PROBE_NS_MIN) patience_ns = REEVE_HOST_PROBE_NS_MIN;
    if (patience_ns < h->suspect.patience_ns) h->suspect.patience_ns = patience_ns;
}

bool reeve_allocation_hosts_is_lost(void *arg, const char *host, reeve_time_ns now_ns)
{
    struct reeve_allocation_hosts *h = arg;
    char node[256];
    if (!is_asking(h)) {
        if (host[0] == '\0') h->ask_again_ns = 0; /* it spoke again: whoever is silent next is asked at once */
        bool again = now_ns >= h->ask_again_ns || !reeve_allocation_hosts_same(h->asked, host);
        if (host[0] == '\0' || !again || !find_node(h, host, node)) return false;
        ask(h, node, now_ns);
    }
    bool asked = is_asking(h);
    enum reeve_host_answer control = reeve_host_probe_look(&h->control, now_ns);
    measure_patience(h);
    enum reeve_host_answer suspect = reeve_host_probe_look(&h->suspect, now_ns);
    if (!asked || is_asking(h) || suspect == REEVE_HOST_STARTS) return false;
    if (control != REEVE_HOST_STARTS) {
        h->ask_again_ns = now_ns + UNSURE_NS;
        return false;
    }
    h->lost_ns = now_ns;
    return reeve_allocation_hosts_same(h->asked, host); /* not if it has spoken meanwhile */
}

/* ---- the next launch ---- */

static bool was_just_lost(const struct reeve_allocation_hosts *h, const char *node, reeve_time_ns now_ns)
{
    return h->lost_ns != 0 && now_ns - h->lost_ns < LOST_NS && strcmp(h->asked, node) == 0;
}

/* Ask `count` nodes at once, until each has answered. */
static void ask_all(const struct reeve_allocation_hosts *h, char names[][256], uint32_t count,
                    struct reeve_host_probe *probes)
{
    reeve_time_ns now_ns = reeve_clock_now();
    for (uint32_t i = 0; i < count; i++) {
        probes[i] = (struct reeve_host_probe){.answer = REEVE_HOST_SILENT};
        if (!was_just_lost(h, names[i], now_ns)) reeve_host_probe_start(&probes[i], names[i], now_ns);
    }
    for (bool all = false; !all; reeve_clock_sleep(LOOK_NS)) {
        all = true;
        for (uint32_t i = 0; i < count; i++)
            if (reeve_host_probe_look(&probes[i], reeve_clock_now()) == REEVE_HOST_ASKED) all = false;
    }
}

/* Does this node start a process? */
static bool slurm_answers(const struct reeve_allocation_hosts *h)
{
    char own[1][256];
    struct reeve_host_probe probe;
    const char *name = getenv("SLURMD_NODENAME");
    if (name == NULL) return true;
    (void)snprintf(own[0], sizeof(own[0]), "%s", name);
    ask_all(h, own, 1, &probe);
    return probe.answer == REEVE_HOST_STARTS;
}

/* Ask the next nodes of the list from *at on; returns how many. */
static uint32_t ask_next(const struct reeve_allocation_hosts *h, const char **at, char names[AT_ONCE][256],
                         struct reeve_host_probe probes[AT_ONCE])
{
    uint32_t count = 0;
    while (count < AT_ONCE && *at != NULL) {
        *at = next_name(*at, names[count]);
        if (*at != NULL) count++;
    }
    ask_all(h, names, count, probes);
    return count;
}

/* Has the launch that runs ranks there? The first one has them everywhere. */
static bool is_in_launch(const struct reeve_allocation_hosts *h, const char *node)
{
    size_t n = strlen(node);
    for (const char *at = h->list; *at != '\0'; at += strcspn(at, ","), at += *at == ',')
        if (strncmp(at, node, n) == 0 && at[n] == ':') return true;
    return h->list[0] == '\0';
}

bool reeve_allocation_hosts_find_lost(void *arg, char lost[256])
{
    struct reeve_allocation_hosts *h = arg;
    static char names[AT_ONCE][256];
    static struct reeve_host_probe probes[AT_ONCE];
    if (!know_names(h) || !slurm_answers(h)) return false;
    const char *at = h->names;
    for (uint32_t count; (count = ask_next(h, &at, names, probes)) > 0;)
        for (uint32_t i = 0; i < count; i++) {
            if (probes[i].answer == REEVE_HOST_STARTS || !is_in_launch(h, names[i])) continue;
            memcpy(lost, names[i], sizeof(names[i]));
            memcpy(h->asked, names[i], sizeof(names[i]));
            h->lost_ns = reeve_clock_now();
            return true;
        }
    return false;
}

/* "n1:3,n2:3" */
static bool add_host(char *list, size_t *used, const char *host, uint32_t slots)
{
    int n = snprintf(list + *used, REEVE_HOST_LIST_BYTES - *used, "%s%s:%" PRIu32, *used > 0 ? "," : "", host, slots);
    if (n < 0 || (size_t)n >= REEVE_HOST_LIST_BYTES - *used) return false;
    *used += (size_t)n;
    return true;
}

bool reeve_allocation_hosts_replace(void *arg, uint32_t restart, struct reeve_placement *placement)
{
    (void)restart;
    struct reeve_allocation_hosts *h = arg;
    static char names[AT_ONCE][256];
    static struct reeve_host_probe probes[AT_ONCE];
    if (!know_names(h) || !slurm_answers(h)) {
        reeve_cli_note("Slurm does not answer; trying the same nodes again");
        return true; /* its controller may be away for a while; the waits between restarts are the patience for that */
    }
    uint32_t per_node = (h->workers + h->nodes - 1) / h->nodes, left = 0, count;
    size_t used = 0;
    const char *at = h->names;
    h->list[0] = '\0';
    while ((count = ask_next(h, &at, names, probes)) > 0) {
        for (uint32_t i = 0; i < count; i++) {
            if (probes[i].answer != REEVE_HOST_STARTS)
                reeve_cli_note("node %s starts nothing any more: going on without it", names[i]);
            else if (add_host(h->list, &used, names[i], per_node + 1)) left++;
        }
    }
    h->lost_ns = 0; /* the next time it is asked like all others */
    uint32_t room = left * per_node;
    placement->workers = h->workers < room ? h->workers : room;
    placement->hosts = h->list;
    if (left > 0 && placement->workers >= h->min_workers) return true;
    reeve_cli_note("%" PRIu32 " of %" PRIu32 " nodes are left, for %" PRIu32 " workers; at least %" PRIu32
                   " are wanted (resources.min_workers)",
                   left, h->nodes, placement->workers, h->min_workers);
    return false;
}
