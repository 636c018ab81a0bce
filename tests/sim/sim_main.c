/* The simulator's command line. Exit codes: 0 all promises were kept (or, with --mutate, the one was seen broken that
 * should be); 1 a promise was broken, with the command that shows it again; 64 wrong usage.
 *
 *   reeve-sim --mix general --seeds 2000             seeds 1..2000
 *   reeve-sim --mix general --first 5000 --seeds 10  seeds 5000..5009
 *   reeve-sim --mix power --seed 77                  one seed; if it fails, with the end of its trace
 *   reeve-sim --mix power --seed 77 --trace 500      its last 500 lines in any case
 *   reeve-sim --mix power --seed 77 --without 3,5    leave faults out
 *   reeve-sim --kept FILE                            seeds that failed once: lines of mix, seed, # what it found
 *   reeve-sim --mutate forget-record                 break something on purpose: its checker must see it
 *   reeve-sim --list                                 mixes, mutations */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

struct options {
    uint64_t first, count, without;
    uint32_t mix, trace, mutation;
};

static void print_faults(const struct sim_plan *plan, uint64_t without)
{
    const struct sim_weather *w = &plan->weather;
    printf("  job shape %u, %s, messages take up to %.3f ms, tasks %.0f ms; in a million: %u tasks fail, %u messages "
           "dropped, %u doubled, %u out of order\n",
           plan->shape,
           w->in_job ? (w->one_host ? "losses are survived" : "losses are survived, over several hosts")
           : w->ulfm ? "lost ranks are told"
                     : "a lost rank ends the launch",
           (double)w->delay_ns * 1e-6, (double)w->compute_ns * 1e-6, w->task_fails_ppm, w->drop_ppm, w->duplicate_ppm,
           w->reorder_ppm);
    for (uint32_t i = 0; i < plan->fault_count; i++) {
        char text[160];
        sim_fault_describe(&plan->fault[i], text, sizeof(text));
        printf("  %s fault %u: %s\n", (without >> i & 1) != 0 ? "(left out)" : "          ", i, text);
    }
}

/* Leave out one fault after the other, as long as the same promise is broken. */
static uint64_t minimise(const struct sim_plan *plan, uint64_t without, const char *promise)
{
    struct sim_result r;
    for (bool smaller = true; smaller;) {
        smaller = false;
        for (uint32_t i = 0; i < plan->fault_count; i++) {
            uint64_t fewer = without | (uint64_t)1 << i;
            if (fewer == without) continue;
            sim_run_plan(plan, fewer, SIM_MUTATE_NOTHING, &r);
            if (!r.failed || strcmp(r.promise, promise) != 0) continue;
            without = fewer;
            smaller = true;
        }
    }
    return without;
}

static void print_without(uint64_t without)
{
    const char *before = " --without ";
    for (uint32_t i = 0; i < SIM_FAULTS_MAX; i++) {
        if ((without >> i & 1) == 0) continue;
        printf("%s%u", before, i);
        before = ",";
    }
}

/* Tell what broke, smaller if it can be, and how it went. */
static void tell(const struct options *o, uint64_t seed, const struct sim_result *first)
{
    struct sim_plan plan;
    struct sim_result r;
    sim_plan_draw(seed, o->mix, &plan);
    uint64_t without = minimise(&plan, o->without, first->promise);
    sim_trace_begin();
    sim_run_plan(&plan, without, SIM_MUTATE_NOTHING, &r);
    printf("\nseed %llu: the promise \"%s\" is broken: %s\n", (unsigned long long)seed, r.promise, r.why);
    print_faults(&plan, without);
    sim_trace_print(o->trace > 0 ? o->trace : 60);
    sim_trace_end();
    printf("seed %llu: \"%s\": %s\nagain: reeve-sim --mix %s --seed %llu", (unsigned long long)seed, r.promise, r.why,
           sim_mix_name(o->mix), (unsigned long long)seed);
    print_without(without);
    printf("\n");
}

static int run_seeds(const struct options *o)
{
    uint64_t launches = 0, faults = 0, regroupings = 0, evictions = 0, replacements = 0, events = 0, records = 0;
    uint64_t broken = 0;
    double simulated_s = 0;
    for (uint64_t seed = o->first; seed < o->first + o->count; seed++) {
        struct sim_plan plan;
        struct sim_result r;
        sim_plan_draw(seed, o->mix, &plan);
        sim_run_plan(&plan, o->without, SIM_MUTATE_NOTHING, &r);
        launches += r.launches;
        faults += r.faults;
        regroupings += r.regroupings;
        replacements += r.replacements;
        evictions += r.evictions;
        events += r.events;
        records += r.records;
        simulated_s += (double)r.simulated_ns * 1e-9;
        if (!r.failed) continue;
        tell(o, seed, &r);
        if (++broken == 5) break;
    }
    printf("%s: %llu seeds from %llu, %llu faults, %llu launches, %llu regroupings, %llu put out, %llu "
           "replaced, %llu records read back, %llu events, %.0f simulated seconds: %llu seed%s broke a promise\n",
           sim_mix_name(o->mix), (unsigned long long)o->count, (unsigned long long)o->first, (unsigned long long)faults,
           (unsigned long long)launches, (unsigned long long)regroupings, (unsigned long long)evictions,
           (unsigned long long)replacements, (unsigned long long)records, (unsigned long long)events, simulated_s,
           (unsigned long long)broken, broken == 1 ? "" : "s");
    return broken > 0;
}

static int run_traced(const struct options *o)
{
    struct sim_plan plan;
    struct sim_result r;
    sim_plan_draw(o->first, o->mix, &plan);
    sim_trace_begin();
    sim_run_plan(&plan, o->without, SIM_MUTATE_NOTHING, &r);
    print_faults(&plan, o->without);
    sim_trace_print(o->trace);
    sim_trace_end();
    if (r.failed) printf("the promise \"%s\" is broken: %s\n", r.promise, r.why);
    return r.failed;
}

/* Some seed shows it, and the promise that is broken is the one that should be. */
static int run_mutation(const struct options *o)
{
    const char *promise = sim_mutation_promise(o->mutation);
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct sim_plan plan;
        struct sim_result r;
        sim_plan_draw(seed, sim_mutation_mix(o->mutation), &plan);
        sim_run_plan(&plan, 0, (enum sim_mutation)o->mutation, &r);
        if (!r.failed) continue;
        printf("%s: seen at seed %llu: \"%s\": %s\n", sim_mutation_name(o->mutation), (unsigned long long)seed,
               r.promise, r.why);
        if (strcmp(r.promise, promise) == 0) return 0;
        printf("expected the promise \"%s\" to be the first that is broken\n", promise);
        return 1;
    }
    printf("%s: 200 seeds, and no checker saw it (expected \"%s\")\n", sim_mutation_name(o->mutation), promise);
    return 1;
}

static bool find_name(const char *name, const char *(*name_of)(uint32_t), uint32_t *out)
{
    for (*out = 0; name_of(*out) != NULL; (*out)++)
        if (strcmp(name_of(*out), name) == 0) return true;
    (void)fprintf(stderr, "reeve-sim: '%s' is unknown; see --list\n", name);
    return false;
}

static int run_kept(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        (void)fprintf(stderr, "reeve-sim: open %s: %m\n", path);
        return 64;
    }
    char line[256], mix[32];
    unsigned long long seed;
    uint32_t count = 0, broken = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        struct options o = {.count = 1};
        struct sim_plan plan;
        struct sim_result r;
        if (line[0] == '#' || line[0] == '\n') continue;
        if (sscanf(line, "%31s %llu", mix, &seed) != 2 || !find_name(mix, sim_mix_name, &o.mix)) {
            (void)fprintf(stderr, "reeve-sim: %s: not a mix and a seed: %s", path, line);
            broken++;
            continue;
        }
        count++;
        sim_plan_draw(seed, o.mix, &plan);
        sim_run_plan(&plan, 0, SIM_MUTATE_NOTHING, &r);
        if (r.failed) tell(&o, seed, &r);
        broken += r.failed;
    }
    (void)fclose(file);
    printf("%u seeds that failed once: %u broke a promise\n", count, broken);
    return broken > 0 || count == 0;
}

static int list(void)
{
    printf("mixes:");
    for (uint32_t i = 0; sim_mix_name(i) != NULL; i++)
        printf(" %s", sim_mix_name(i));
    printf("\nmutations:");
    for (uint32_t i = 1; sim_mutation_name(i) != NULL; i++)
        printf(" %s", sim_mutation_name(i));
    printf("\n");
    return 0;
}

static uint64_t parse_without(const char *text)
{
    uint64_t without = 0;
    for (char *end; *text != '\0'; text = *end == ',' ? end + 1 : end) {
        uint64_t n = strtoull(text, &end, 10);
        if (end == text || n >= SIM_FAULTS_MAX) break;
        without |= (uint64_t)1 << n;
    }
    return without;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"mix", 1, NULL, 'm'},    {"seed", 1, NULL, 's'},  {"seeds", 1, NULL, 'n'},
                                          {"first", 1, NULL, 'f'},  {"trace", 1, NULL, 't'}, {"without", 1, NULL, 'w'},
                                          {"mutate", 1, NULL, 'x'}, {"kept", 1, NULL, 'k'},  {"list", 0, NULL, 'l'},
                                          {NULL, 0, NULL, 0}};
    struct options o = {.first = 1, .count = 100};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'm':
            if (!find_name(optarg, sim_mix_name, &o.mix)) return 64;
            break;
        case 's':
            o.first = strtoull(optarg, NULL, 10);
            o.count = 1;
            break;
        case 'n': o.count = strtoull(optarg, NULL, 10); break;
        case 'f': o.first = strtoull(optarg, NULL, 10); break;
        case 't': o.trace = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'w': o.without = parse_without(optarg); break;
        case 'x':
            if (!find_name(optarg, sim_mutation_name, &o.mutation)) return 64;
            break;
        case 'k': return run_kept(optarg);
        case 'l': return list();
        default: return 64;
        }
    }
    if (o.mutation != SIM_MUTATE_NOTHING) return run_mutation(&o);
    if (o.count == 1 && o.trace > 0) return run_traced(&o);
    return run_seeds(&o);
}
