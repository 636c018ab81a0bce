/* See crash.h. */
#include "inside.h"

#include <dirent.h>
#include <errno.h>
#include <hdf5.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/path.h"
#include "base/random.h"

#define STATES_DEFAULT 600
#define H5DUMPS_PER_CASE 12
#define PROOF_STATES 400
#define ACT_LIMIT_S 120

struct tally {
    uint64_t prefixes, torn, power, found;
};

static char base[PATH_MAX]; /* where folders are made: in memory where there is such a place */
static char current[CRASH_WHY_BYTES];
static uint64_t states_seen, dump_every, files_read, files_dumped;

/* --- for the cases ------------------------------------------------------------------------------------------------ */

void crash_path(char *out, const char *dir, const char *name)
{
    if (reeve_path_join(out, PATH_MAX, dir, name, NULL) != REEVE_OK) abort();
}

bool crash_found(char *why, size_t why_bytes, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)vsnprintf(why, why_bytes, format, list);
    va_end(list);
    return false;
}

static herr_t read_object(hid_t file, const char *name, const H5O_info_t *info, void *arg)
{
    (void)arg;
    if (info->type != H5O_TYPE_DATASET) return 0;
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    hssize_t count = H5Sget_simple_extent_npoints(space);
    size_t bytes = H5Tget_size(type);
    void *to = count > 0 ? malloc((size_t)count * bytes) : NULL;
    herr_t rc = to != NULL ? H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, to) : -1;
    free(to);
    (void)H5Sclose(space);
    (void)H5Tclose(type);
    (void)H5Dclose(set);
    return rc;
}

static bool h5dump_reads(const char *path)
{
    char command[PATH_MAX + 64];
    (void)snprintf(command, sizeof(command), "h5dump '%s' >/dev/null 2>&1", path);
    files_dumped++;
    return system(command) == 0;
}

bool crash_stock_reads(const char *path, char *why, size_t why_bytes)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0) return crash_found(why, why_bytes, "%s: HDF5 does not open it", path);
    bool good = H5Ovisit(file, H5_INDEX_NAME, H5_ITER_NATIVE, read_object, NULL) >= 0;
    (void)H5Fclose(file);
    files_read++;
    if (!good) return crash_found(why, why_bytes, "%s: HDF5 does not read all of it", path);
    if (dump_every > 0 && states_seen % dump_every == 0 && !h5dump_reads(path))
        return crash_found(why, why_bytes, "%s: h5dump does not read it", path);
    return true;
}

bool crash_stock_reads_all(const char *folder, size_t name_length, char *why, size_t why_bytes)
{
    DIR *dir = opendir(folder);
    bool good = true;
    if (dir == NULL) return true;
    for (const struct dirent *e; good && (e = readdir(dir)) != NULL;) {
        char path[PATH_MAX];
        size_t n = strlen(e->d_name);
        if ((name_length != 0 && n != name_length) || n < 3 || strcmp(e->d_name + n - 3, ".h5") != 0) continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        good = crash_stock_reads(path, why, why_bytes);
    }
    (void)closedir(dir);
    return good;
}

/* --- folders ------------------------------------------------------------------------------------------------------ */

static void make_base(void)
{
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(base, sizeof(base), "/dev/shm/reeve-crash-XXXXXX");
    if (mkdtemp(base) != NULL) return;
    (void)snprintf(base, sizeof(base), "%s/reeve-crash-XXXXXX", tmp != NULL && strlen(tmp) < 200 ? tmp : "/tmp");
    if (mkdtemp(base) == NULL) abort();
}

double crash_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void crash_fresh(char out[FOLDER_BYTES], const char *name)
{
    (void)snprintf(out, FOLDER_BYTES, "%s/%s", base, name);
    if (reeve_remove_tree(out, NULL) != REEVE_OK || mkdir(out, 0777) != 0) abort();
}

/* --- recording ---------------------------------------------------------------------------------------------------- */

struct outcome *crash_outcome;

/* In a child, recorded by what begin() begins. False: it died. */
static bool record(reeve_status (*deed)(const char *, struct reeve_error *), void (*begin)(const char *),
                   const char *root, const struct fault *fault)
{
    int how;
    *crash_outcome = (struct outcome){.ended = false};
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) abort();
    if (pid == 0) {
        (void)alarm(ACT_LIMIT_S);
        fault_set(fault);
        begin(root);
        reeve_status st = deed(root, &crash_outcome->err);
        trace_end();
        crash_outcome->err.status = st;
        crash_outcome->calls = fault_seen();
        crash_outcome->ended = true;
        _exit(0);
    }
    return waitpid(pid, &how, 0) == pid && crash_outcome->ended;
}

bool crash_act_under(const struct crash_case *c, const char *root, const struct fault *fault)
{
    return record(c->act, trace_begin, root, fault);
}

bool crash_again(const struct crash_case *c, const char *root)
{
    return record(c->again, trace_go_on, root, &c->conditions) && crash_outcome->err.status == REEVE_OK;
}

void crash_act(const struct crash_case *c, const char *root, bool sync_lies)
{
    struct fault conditions = c->conditions;
    conditions.sync_lies = sync_lies;
    if (crash_act_under(c, root, &conditions) && crash_outcome->err.status == REEVE_OK) return;
    (void)fprintf(stderr, "%s: the undisturbed program failed: %s\n", c->name, crash_outcome->err.text);
    exit(1);
}

/* --- judging ------------------------------------------------------------------------------------------------------ */

static void promise(const struct trace *t, const struct disk_state *s, struct crash_promise *p)
{
    *p = (struct crash_promise){.power = s->kind != CRASH_KILL};
    for (size_t i = 0; i < s->count; i++) {
        const struct trace_op *op = &t->ops[i];
        if (op->kind != TRACE_MARK) continue;
        p->begun++;
        switch (op->mark) {
        case MARK_FLUSHED:
            if (p->power) break; /* fall through */
        case MARK_SYNCED:
            if (op->a > p->lsn) p->lsn = op->a;
            break;
        case MARK_CHECKPOINT:
            p->step = op->a;
            p->digest64 = op->b;
            break;
        case MARK_WRITTEN: p->version = op->a; break;
        default: break;
        }
    }
}

static void tell_current(int signal)
{
    static const char words[] = "\nthe checker itself died at: ";
    (void)!write(STDERR_FILENO, words, sizeof(words) - 1);
    (void)!write(STDERR_FILENO, current, strlen(current));
    (void)!write(STDERR_FILENO, "\n", 1);
    (void)raise(signal); /* SA_RESETHAND */
}

bool crash_judge(const struct crash_case *c, const struct trace *t, const struct disk *d, const struct disk_state *s,
                 bool disturbed, char why[CRASH_WHY_BYTES])
{
    char folder[FOLDER_BYTES];
    struct crash_promise p;
    why[0] = '\0';
    crash_fresh(folder, "state");
    disk_build(d, s, folder);
    promise(t, s, &p);
    p.disturbed = disturbed;
    disk_describe(d, s, current, sizeof(current));
    states_seen++;
    return c->check(folder, &p, why, CRASH_WHY_BYTES);
}

static void tell(const struct crash_case *c, const struct disk_state *s, const char *why)
{
    (void)printf("%s: %s: %s\n  again: --case %s --state %zu:%d:%lld:%llu", c->name, current, why, c->name, s->count,
                 (int)s->kind, (long long)s->torn, (unsigned long long)s->seed);
    if (getenv("REEVE_KEEP") != NULL) {
        char from[PATH_MAX + 16], to[PATH_MAX + 64];
        struct disk_state again = *s;
        (void)snprintf(from, sizeof(from), "%s/state", base);
        (void)snprintf(to, sizeof(to), "%s/found-%s-%zu", base, c->name, again.count);
        (void)rename(from, to); /* as the checker left it */
        (void)printf("; kept in %s", to);
    }
    (void)printf("\n");
}

/* One state; true: go on. */
static bool visit(const struct crash_case *c, const struct trace *t, const struct disk *d, const struct disk_state *s,
                  bool loud, struct tally *tally)
{
    char why[CRASH_WHY_BYTES];
    if (crash_judge(c, t, d, s, false, why)) return true;
    tally->found++;
    if (loud) tell(c, s, why);
    return tally->found < FINDINGS_MAX;
}

/* After the n-th operation there is nothing new if the next one is a word and not a deed: then that state promises
 * more. */
static bool worth(const struct trace *t, const struct disk *d, size_t count)
{
    return count == t->count || !disk_is_mark(d, count);
}

static bool visit_prefixes(const struct crash_case *c, const struct trace *t, const struct disk *d, uint64_t states,
                           uint64_t seed, bool loud, struct tally *tally)
{
    uint64_t worthy = 0, nth = 0;
    for (size_t i = 0; i <= t->count; i++)
        worthy += worth(t, d, i);
    for (size_t i = 0; i <= t->count; i++) {
        if (!worth(t, d, i)) continue;
        if (worthy > states && i != t->count && reeve_random_below(seed, 1, nth++, worthy) >= states) continue;
        struct disk_state s = {.count = i, .kind = CRASH_KILL, .torn = DISK_WHOLE};
        tally->prefixes++;
        if (!visit(c, t, d, &s, loud, tally)) return false;
    }
    return true;
}

static bool visit_torn(const struct crash_case *c, const struct trace *t, const struct disk *d, uint64_t states,
                       uint64_t seed, bool loud, struct tally *tally)
{
    uint64_t all = 0, nth = 0;
    for (size_t i = 0; i < t->count; i++)
        all += disk_write_bytes(d, i) > 0 ? (disk_write_bytes(d, i) - 1) / 512 : 0;
    for (size_t i = 0; i < t->count; i++)
        for (uint64_t torn = 512; torn < disk_write_bytes(d, i); torn += 512) {
            if (all > states && reeve_random_below(seed, 2, nth++, all) >= states) continue;
            struct disk_state s = {.count = i + 1, .kind = CRASH_KILL, .torn = torn};
            tally->torn++;
            if (!visit(c, t, d, &s, loud, tally)) return false;
        }
    return true;
}

static bool visit_power(const struct crash_case *c, const struct trace *t, const struct disk *d, uint64_t states,
                        uint64_t seed, bool loud, struct tally *tally)
{
    for (uint64_t n = 0; n < states; n++) {
        size_t count = (size_t)reeve_random_below(seed, 3, n, t->count + 1);
        while (!worth(t, d, count))
            count++;
        struct disk_state s = {.count = count,
                               .kind = n % 2 == 0 ? CRASH_POWER : CRASH_POWER_LOOSE,
                               .torn = DISK_WHOLE,
                               .seed = reeve_random_u64(seed, 4, n) >> 32};
        tally->power++;
        if (!visit(c, t, d, &s, loud, tally)) return false;
    }
    return true;
}

/* All prefixes, but not more than half of the states; of the rest as many torn writes as power cuts. */
static void visit_all(const struct crash_case *c, const struct trace *t, const struct disk *d, uint64_t states,
                      uint64_t seed, bool loud, struct tally *tally)
{
    if (!visit_prefixes(c, t, d, states / 2, seed, loud, tally)) return;
    uint64_t left = states > tally->prefixes ? states - tally->prefixes : 0;
    if (!visit_torn(c, t, d, left / 2, seed, loud, tally)) return;
    left = states > tally->prefixes + tally->torn ? states - tally->prefixes - tally->torn : 0;
    (void)visit_power(c, t, d, left, seed, loud, tally);
}

/* --- the cases ---------------------------------------------------------------------------------------------------- */

/* Without syncs the checker must find something: otherwise it looks at nothing. */
static bool proves(const struct crash_case *c, uint64_t seed)
{
    char root[FOLDER_BYTES];
    struct trace t;
    struct tally tally = {.found = FINDINGS_MAX - 1};
    crash_fresh(root, "root");
    crash_act(c, root, true);
    trace_get(&t);
    struct disk *d = disk_create(&t, DISK_ALL_SYNCS);
    bool clean = visit_power(c, &t, d, PROOF_STATES, seed, false, &tally);
    disk_destroy(d);
    if (clean)
        (void)printf("%s: every sync was left out, and the checker found nothing in %d states\n", c->name,
                     PROOF_STATES);
    else
        (void)printf("%s: with every sync left out, the checker finds it in state %llu\n", c->name,
                     (unsigned long long)tally.power);
    return !clean;
}

/* Which single syncs would the checker miss? For each one: is its loss found in so many states after it? A sync whose
 * loss is never found is one too many, or is needed for something that the checker does not look at. */
static bool miss_each(const struct crash_case *c, const struct options *o)
{
    char root[FOLDER_BYTES], why[CRASH_WHY_BYTES];
    struct trace t;
    unsigned syncs = 0, missed = 0;
    crash_fresh(root, "root");
    crash_act(c, root, false);
    if (c->learn != NULL) c->learn(root);
    trace_get(&t);
    for (size_t i = 0; i < t.count; i++) {
        if (t.ops[i].kind != TRACE_SYNC) continue;
        struct disk *d = disk_create(&t, i);
        uint64_t n = 0;
        bool clean = true;
        for (; n < o->each_sync && clean; n++) {
            size_t count = i + 1 + (size_t)reeve_random_below(o->seed, 5, n, t.count - i);
            while (!worth(&t, d, count))
                count++;
            struct disk_state s = {.count = count,
                                   .kind = n % 2 == 0 ? CRASH_POWER : CRASH_POWER_LOOSE,
                                   .torn = DISK_WHOLE,
                                   .seed = reeve_random_u64(o->seed, 6, n) >> 32};
            clean = crash_judge(c, &t, d, &s, false, why);
        }
        char what[256];
        struct disk_state here = {.count = i + 1, .torn = DISK_WHOLE};
        disk_describe(d, &here, what, sizeof(what));
        (void)printf("%s: %s %s: %s\n", c->name, clean ? "NOT MISSED in" : "missed in state", what, clean ? "" : why);
        disk_destroy(d);
        syncs++;
        missed += !clean;
    }
    (void)printf("%s: of %u syncs, the loss of %u is found\n", c->name, syncs, missed);
    return true;
}

static bool run_case(const struct crash_case *c, const struct options *o, uint64_t states)
{
    char root[FOLDER_BYTES];
    struct trace t;
    struct tally tally = {0};
    double began_s = crash_seconds();
    files_read = files_dumped = 0;
    crash_fresh(root, "root");
    crash_act(c, root, false);
    if (c->learn != NULL) c->learn(root);
    trace_get(&t);
    struct disk *d = disk_create(&t, DISK_ALL_SYNCS);
    bool have_h5dump = system("command -v h5dump >/dev/null 2>&1") == 0;
    dump_every = !have_h5dump ? 0 : states > H5DUMPS_PER_CASE ? states / H5DUMPS_PER_CASE : 1;
    if (o->one) (void)visit(c, &t, d, &o->only, true, &tally);
    else visit_all(c, &t, d, states, o->seed, true, &tally);
    disk_destroy(d);
    (void)printf("%s: %zu operations; %llu prefixes, %llu torn writes, %llu power cuts: %llu findings; %llu files read "
                 "by HDF5, %llu by h5dump; %.1f s\n",
                 c->name, t.count, (unsigned long long)tally.prefixes, (unsigned long long)tally.torn,
                 (unsigned long long)tally.power, (unsigned long long)tally.found, (unsigned long long)files_read,
                 (unsigned long long)files_dumped, crash_seconds() - began_s);
    (void)fflush(stdout);
    if (tally.found > 0) return false;
    return o->one || c->no_sync_proof || proves(c, o->seed);
}

static void parse(int argc, char **argv, struct options *o)
{
    const char *seed = getenv("REEVE_TEST_SEED");
    *o = (struct options){.states = STATES_DEFAULT};
    o->seed = seed != NULL ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) * 1000003u + (uint64_t)getpid();
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        int kind = 0;
        long long torn = -1;
        unsigned long long state_seed = 0;
        if (strcmp(argv[i], "--states") == 0) o->states = strtoull(value, NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0) o->seed = strtoull(value, NULL, 0);
        else if (strcmp(argv[i], "--case") == 0) o->only_case = value;
        else if (strcmp(argv[i], "--each-sync") == 0) o->each_sync = strtoull(value, NULL, 0);
        else if (strcmp(argv[i], "--faults") == 0) o->faults = strtoull(value, NULL, 0);
        else if (strcmp(argv[i], "--fault") == 0 && sscanf(value, "%zu:%u", &o->fault_which, &o->fault_call) == 2 &&
                 o->fault_which < fault_ways()) {
            o->one = true;
            o->faults = 1;
        } else if (strcmp(argv[i], "--state") == 0 &&
                   sscanf(value, "%zu:%d:%lld:%llu", &o->only.count, &kind, &torn, &state_seed) == 4) {
            o->only.kind = (enum disk_crash)kind;
            o->only.torn = (uint64_t)torn;
            o->only.seed = state_seed;
            o->one = true;
        } else {
            (void)fprintf(stderr,
                          "usage: %s [--states N | --faults N | --each-sync N] [--seed S]\n"
                          "       %s --case NAME (--state COUNT:KIND:TORN:SEED | --fault WHICH:CALL)\n"
                          "--states: how many crash states; --faults: how many calls are disturbed in each way;\n"
                          "--each-sync: leave out one sync after the other, and look for it in so many states\n",
                          argv[0], argv[0]);
            exit(64);
        }
        i++;
    }
}

int crash_main(int argc, char **argv, const struct crash_case *cases, unsigned count)
{
    struct options o;
    uint64_t shares = 0;
    bool good = true;
    parse(argc, argv, &o);
    make_base();
    trace_init();
    crash_outcome = mmap(NULL, sizeof(*crash_outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (crash_outcome == MAP_FAILED) abort();
    reeve_log_init("crash", REEVE_LOG_ERROR);
    (void)H5dont_atexit();
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    struct sigaction action = {.sa_handler = tell_current, .sa_flags = SA_RESETHAND | SA_NODEFER};
    (void)sigaction(SIGSEGV, &action, NULL);
    (void)sigaction(SIGABRT, &action, NULL);
    (void)printf("seed %llu (--seed or REEVE_TEST_SEED repeats it), in %s\n", (unsigned long long)o.seed, base);
    for (unsigned i = 0; i < count; i++)
        shares += cases[i].share;
    for (unsigned i = 0; i < count; i++)
        if (o.only_case == NULL || strcmp(o.only_case, cases[i].name) == 0)
            good = (o.each_sync > 0 ? miss_each(&cases[i], &o)
                    : o.faults > 0  ? fault_case(&cases[i], &o)
                                    : run_case(&cases[i], &o, o.states * cases[i].share / shares)) &&
                   good;
    if (getenv("REEVE_KEEP") == NULL) (void)reeve_remove_tree(base, NULL);
    return good ? 0 : 1;
}
