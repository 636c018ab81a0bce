/* Disk faults: an act is done again and again, and each time another call of it fails, in one of several ways. It must
 * end with a status that fits, in words that name a file; what was acknowledged before must be there, also if the power
 * fails then; and with the fault gone it must go on. So must the next process, which reads what no sync will bring to
 * the disk any more; and what that one was told must be there as well if the power fails after it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "inside.h"

#define POWER_STATES_AFTER_FAULT 2
#define POWER_STATES_AFTER_AGAIN 6

struct tally {
    uint64_t states, found;
};

/* What goes wrong, and how it may end: with OK (somebody did without), or with one of two statuses. */
static const struct {
    const char *name;
    struct fault fault;
    reeve_status may_be, or_be;
} disturbances[] = {
    {"short counts", {.calls = FAULT_WRITE | FAULT_READ, .half = true}, REEVE_OK, REEVE_OK},
    {"EINTR", {.interrupted = true}, REEVE_OK, REEVE_OK},
    {"disk full, and it stays so",
     {.calls = FAULT_WRITE, .error = ENOSPC, .for_good = true},
     REEVE_STORE_WRITE,
     REEVE_STORE_CREATE},
    {"disk full once", {.calls = FAULT_WRITE, .error = ENOSPC}, REEVE_STORE_WRITE, REEVE_STORE_CREATE},
    {"EIO at write", {.calls = FAULT_WRITE, .error = EIO}, REEVE_STORE_WRITE, REEVE_STORE_CREATE},
    {"no room for a new file",
     {.calls = FAULT_CREATE, .error = ENOSPC, .for_good = true},
     REEVE_STORE_WRITE,
     REEVE_STORE_CREATE},
    {"no room set aside", {.calls = FAULT_ALLOCATE, .error = ENOSPC}, REEVE_STORE_WRITE, REEVE_STORE_CREATE},
    {"EIO at sync, once", {.calls = FAULT_SYNC, .error = EIO}, REEVE_STORE_WRITE, REEVE_STORE_CREATE},
    {"EIO at sync, for good",
     {.calls = FAULT_SYNC, .error = EIO, .for_good = true},
     REEVE_STORE_WRITE,
     REEVE_STORE_CREATE},
    {"EIO at close", {.calls = FAULT_CLOSE, .error = EIO}, REEVE_STORE_WRITE, REEVE_STORE_CREATE},
    {"EIO at rename or link", {.calls = FAULT_RENAME, .error = EIO}, REEVE_STORE_WRITE, REEVE_STORE_CREATE},
    {"EIO at read", {.calls = FAULT_READ, .error = EIO}, REEVE_STORE_READ, REEVE_STORE_WRITE},
    {"EIO at open", {.calls = FAULT_OPEN, .error = EIO}, REEVE_STORE_READ, REEVE_STORE_WRITE},
};
#define DISTURBANCES (sizeof(disturbances) / sizeof(disturbances[0]))

/* The folder as it is (n 0), or after a power cut behind operation number `count`. */
static bool judge(const struct crash_case *c, const struct trace *t, const struct disk *d, size_t count, uint64_t n,
                  uint64_t seed, struct tally *tally, char why[CRASH_WHY_BYTES])
{
    struct disk_state s = {
        .count = count, .kind = n == 0 ? CRASH_KILL : CRASH_POWER, .torn = DISK_WHOLE, .seed = seed + n};
    tally->states++;
    return crash_judge(c, t, d, &s, true, why);
}

/* The next process goes on where the act has failed. Then the power fails: at the end, and somewhere on the way there. */
static bool survives_again(const struct crash_case *c, const char *root, uint64_t seed, struct tally *tally,
                           char why[CRASH_WHY_BYTES])
{
    struct trace t;
    trace_get(&t);
    size_t before = t.count;
    if (!crash_again(c, root)) return crash_found(why, CRASH_WHY_BYTES, "the next process did not go on");
    trace_get(&t);
    struct disk *d = disk_create(&t, DISK_ALL_SYNCS);
    bool good = true;
    for (uint64_t n = 1; n <= POWER_STATES_AFTER_AGAIN && good; n++) {
        size_t on_the_way = before + (size_t)reeve_random_below(seed, 7, n, t.count - before + 1);
        good = judge(c, &t, d, n % 2 == 1 ? t.count : on_the_way, n, seed, tally, why);
    }
    disk_destroy(d);
    return good;
}

/* One act under one fault: how it ended, and what is left. */
static bool survives(const struct crash_case *c, size_t which, const struct fault *fault, uint64_t seed,
                     struct tally *tally, char why[CRASH_WHY_BYTES])
{
    char root[FOLDER_BYTES];
    struct trace t;
    crash_fresh(root, "root");
    if (!crash_act_under(c, root, fault)) return crash_found(why, CRASH_WHY_BYTES, "it died");
    reeve_status st = crash_outcome->err.status;
    if (st != REEVE_OK && st != disturbances[which].may_be && st != disturbances[which].or_be)
        return crash_found(why, CRASH_WHY_BYTES, "it ended with %s: %s", reeve_status_name(st),
                           crash_outcome->err.text);
    if (st != REEVE_OK && strchr(crash_outcome->err.text, '/') == NULL)
        return crash_found(why, CRASH_WHY_BYTES, "the words name no file: %s", crash_outcome->err.text);
    trace_get(&t);
    struct disk *d = disk_create(&t, DISK_ALL_SYNCS);
    bool good = true;
    for (uint64_t n = 0; n <= POWER_STATES_AFTER_FAULT && good; n++)
        good = judge(c, &t, d, t.count, n, seed, tally, why);
    disk_destroy(d);
    if (st == REEVE_OK || !good) return good;
    const struct outcome of_act = *crash_outcome;
    good = survives_again(c, root, seed, tally, why);
    if (good) *crash_outcome = of_act;
    return good;
}

/* Every n-th call up to the last, or `tries` of them. */
static bool disturb(const struct crash_case *c, size_t which, const struct options *o, struct tally *tally)
{
    struct fault fault = disturbances[which].fault;
    char root[FOLDER_BYTES], why[CRASH_WHY_BYTES];
    crash_fresh(root, "root");
    fault.no_flags = c->conditions.no_flags;
    fault.no_links = c->conditions.no_links;
    unsigned last = 1;
    if (!fault.half && !fault.interrupted) {
        if (!crash_act_under(c, root, &fault)) return false; /* first is 0: it only counts */
        last = crash_outcome->calls;
    }
    uint64_t tried = 0, ended_well = 0;
    for (unsigned n = 1; n <= last; n++) {
        if (last > o->faults && reeve_random_below(o->seed, 100 + which, n, last) >= o->faults) continue;
        fault.first = fault.half || fault.interrupted ? 0 : n;
        tried++;
        bool good = survives(c, which, &fault, o->seed, tally, why);
        ended_well += good && crash_outcome->err.status == REEVE_OK;
        if (good) continue;
        (void)printf("%s: %s, call %u of %u: %s (%s)\n  again: --case %s --fault %zu:%u\n", c->name,
                     disturbances[which].name, n, last, why, crash_outcome->err.text, c->name, which, n);
        if (++tally->found >= FINDINGS_MAX) return false;
    }
    (void)printf("%s: %s: %llu of %u calls tried; %llu did without\n", c->name, disturbances[which].name,
                 (unsigned long long)tried, last, (unsigned long long)ended_well);
    return true;
}

bool fault_case(const struct crash_case *c, const struct options *o)
{
    struct tally tally = {0};
    double began_s = crash_seconds();
    char root[FOLDER_BYTES], why[CRASH_WHY_BYTES];
    crash_fresh(root, "root");
    crash_act(c, root, false);
    if (c->learn != NULL) c->learn(root);
    if (o->one) {
        struct fault fault = disturbances[o->fault_which].fault;
        fault.first = fault.half || fault.interrupted ? 0 : o->fault_call;
        bool good = survives(c, o->fault_which, &fault, o->seed, &tally, why);
        (void)printf("%s: %s\n", c->name, good ? crash_outcome->err.text : why);
        return good;
    }
    for (size_t which = 0; which < DISTURBANCES && tally.found < FINDINGS_MAX; which++)
        (void)disturb(c, which, o, &tally);
    (void)printf("%s: %llu states after faults, %llu findings; %.1f s\n", c->name, (unsigned long long)tally.states,
                 (unsigned long long)tally.found, crash_seconds() - began_s);
    return tally.found == 0;
}

size_t fault_ways(void)
{
    return DISTURBANCES;
}
