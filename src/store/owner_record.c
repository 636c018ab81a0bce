/* The owner's record: printing, parsing, and looking for the process. /proc/PID/stat: proc(5). */
#include "store/owner_record.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"

/* Up to size - 1 bytes of a small file of /proc, without the line feed; "" if it cannot be read. */
static void read_line(const char *path, char *out, size_t size)
{
    out[0] = '\0';
    FILE *file = fopen(path, "re");
    if (file == NULL) return;
    size_t n = fread(out, 1, size - 1, file);
    out[n] = '\0';
    out[strcspn(out, "\n")] = '\0';
    (void)fclose(file);
}

#define UNKNOWN "unknown"
#define FLAG_EXITING 0x4u /* PF_EXITING of include/linux/sched.h; the same since Linux 2.6 */
#define ENDING_NS (30 * REEVE_SECOND_NS)

/* "<boot id>/<pid name space>", "unknown" where /proc does not say. */
static void find_boot(char *out, size_t size)
{
    char boot[40], space[64] = "";
    read_line("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
    ssize_t n = readlink("/proc/self/ns/pid", space, sizeof(space) - 1);
    if (n > 0) space[n] = '\0';
    (void)snprintf(out, size, UNKNOWN);
    unsigned long inode = 0;
    if (boot[0] != '\0' && sscanf(space, "pid:[%lu]", &inode) == 1) (void)snprintf(out, size, "%s/%lu", boot, inode);
}

struct seen {
    char state;
    unsigned flags;
    uint64_t start;
};

/* State, flags and start time (fields 3, 9 and 22) of a process. The name in field 2 may hold spaces and parentheses. */
static bool find_process(long pid, struct seen *out)
{
    char path[64], line[1024];
    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    read_line(path, line, sizeof(line));
    const char *at = strrchr(line, ')');
    if (at == NULL || at[1] != ' ' || at[2] == '\0') return false;
    out->state = at[2];
    at += 2;
    for (int field = 3; field < 22; field++) {
        if (field == 9 && sscanf(at, "%u", &out->flags) != 1) return false;
        at = strchr(at, ' ');
        if (at == NULL) return false;
        at++;
    }
    return sscanf(at, "%" SCNu64, &out->start) == 1;
}

/* It goes into JSON as it is. */
static void make_plain(char *text)
{
    for (char *c = text; *c != '\0'; c++)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ') *c = '_';
}

static void make_nonce(char out[17])
{
    static atomic_uint counter;
    struct {
        uint64_t random;
        int64_t wall, mono;
        long pid;
        unsigned count;
    } seed;
    memset(&seed, 0, sizeof(seed));
    seed.wall = reeve_clock_wall_ns(); /* with the rest, enough where there is no randomness to be had */
    seed.mono = reeve_clock_now();
    seed.pid = (long)getpid();
    seed.count = atomic_fetch_add(&counter, 1);
    if (getrandom(&seed.random, sizeof(seed.random), GRND_NONBLOCK) != (ssize_t)sizeof(seed.random)) seed.random = 0;
    (void)snprintf(out, 17, "%016" PRIx64, reeve_digest64(&seed, sizeof(seed), 0));
}

/* One run folder may be seen by several clusters, and each counts its jobs by itself. */
static void find_job(struct reeve_owner_record *out)
{
    const char *id = getenv("SLURM_JOB_ID"), *cluster = getenv("SLURM_CLUSTER_NAME");
    const char *restart = getenv("SLURM_RESTART_COUNT"); /* not there before the first */
    if (id == NULL || *id == '\0') return;
    int n = snprintf(out->job, sizeof(out->job), "%s/%s", cluster != NULL ? cluster : "", id);
    if (n < 0 || (size_t)n >= sizeof(out->job)) out->job[0] = '\0';
    make_plain(out->job);
    if (out->job[0] != '\0' && restart != NULL) out->restart = (uint32_t)strtoul(restart, NULL, 10);
}

void reeve_owner_record_make(struct reeve_owner_record *out)
{
    struct seen self;
    memset(out, 0, sizeof(*out));
    if (gethostname(out->host, sizeof(out->host) - 1) != 0 || out->host[0] == '\0') strcpy(out->host, UNKNOWN);
    make_plain(out->host);
    find_boot(out->boot, sizeof(out->boot));
    out->pid = (long)getpid();
    out->start = find_process(out->pid, &self) ? self.start : 0;
    reeve_clock_format_utc(reeve_clock_wall_ns(), out->since);
    make_nonce(out->nonce);
    find_job(out);
}

size_t reeve_owner_record_print(const struct reeve_owner_record *r, char text[REEVE_OWNER_RECORD_BYTES])
{
    char job[160] = "";
    if (r->job[0] != '\0')
        (void)snprintf(job, sizeof(job), ", \"job\": \"%s\", \"restart\": %" PRIu32, r->job, r->restart);
    int n = snprintf(text, REEVE_OWNER_RECORD_BYTES,
                     "{\"host\": \"%s\", \"pid\": %ld, \"start\": %" PRIu64 ", \"boot\": \"%s\", \"since\": \"%s\", "
                     "\"nonce\": \"%s\"%s}\n",
                     r->host, r->pid, r->start, r->boot, r->since, r->nonce, job);
    return n < 0 ? 0 : (size_t)n;
}

/* Exactly what print() writes: a record that somebody edited, or that was cut, names nobody. */
bool reeve_owner_record_parse(const char *text, struct reeve_owner_record *out)
{
    char again[REEVE_OWNER_RECORD_BYTES];
    struct reeve_owner_record r;
    memset(&r, 0, sizeof(r));
    int fields = sscanf(text,
                        "{\"host\": \"%255[^\"]\", \"pid\": %ld, \"start\": %" SCNu64 ", \"boot\": \"%63[^\"]\", "
                        "\"since\": \"%20[^\"]\", \"nonce\": \"%16[0-9a-f]\", \"job\": \"%95[^\"]\", \"restart\": "
                        "%" SCNu32 "}",
                        r.host, &r.pid, &r.start, r.boot, r.since, r.nonce, r.job, &r.restart);
    if ((fields != 6 && fields != 8) || r.pid <= 0 || strlen(r.nonce) != 16) return false;
    (void)reeve_owner_record_print(&r, again);
    if (strcmp(again, text) != 0) return false;
    *out = r;
    return true;
}

/* A killed process gives its memory back before it counts as gone, and on a busy machine that takes a while. It runs no code
 * any more, but a write that it had begun may still be under way: it is waited for. */
static bool find_process_settled(long pid, struct seen *out)
{
    reeve_time_ns end_ns = reeve_clock_now() + ENDING_NS;
    while (find_process(pid, out)) {
        bool ending = (out->flags & FLAG_EXITING) != 0 && out->state != 'Z' && out->state != 'X';
        if (!ending || reeve_clock_now() > end_ns) return true;
        reeve_clock_sleep(2 * REEVE_MILLISECOND_NS);
    }
    return false;
}

static enum reeve_owner_life look_for(const struct reeve_owner_record *r, const struct reeve_owner_record *here)
{
    struct seen seen;
    if (strcmp(here->boot, UNKNOWN) == 0 || here->start == 0 || strcmp(here->boot, r->boot) != 0)
        return REEVE_OWNER_UNKNOWN;
    if (!find_process_settled(r->pid, &seen)) /* gone, or of another user in a /proc that hides those */
        return kill((pid_t)r->pid, 0) != 0 && errno == ESRCH ? REEVE_OWNER_DEAD : REEVE_OWNER_UNKNOWN;
    if (seen.start != r->start) return REEVE_OWNER_DEAD; /* another process was given the number */
    return seen.state == 'Z' || seen.state == 'X' ? REEVE_OWNER_DEAD : REEVE_OWNER_LIVES;
}

/* Slurm starts a job anew when it has ended the life before, or given up the node where that ran. A process cut off there
 * is fenced like any owner that was replaced: it stops when it next looks at its lock. */
static bool is_earlier_life(const struct reeve_owner_record *r, const struct reeve_owner_record *here)
{
    return here->job[0] != '\0' && strcmp(r->job, here->job) == 0 && r->restart < here->restart;
}

enum reeve_owner_life reeve_owner_record_life(const struct reeve_owner_record *r)
{
    struct reeve_owner_record here;
    reeve_owner_record_make(&here);
    enum reeve_owner_life life = look_for(r, &here);
    return life == REEVE_OWNER_UNKNOWN && is_earlier_life(r, &here) ? REEVE_OWNER_DEAD : life;
}
