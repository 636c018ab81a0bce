/* What the tests of core/ share: manifests without files, and fresh random numbers whose seed is printed.
 * REEVE_SEED=N repeats a run. */
#ifndef TESTS_UNIT_CORE_FIXTURE_H
#define TESTS_UNIT_CORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "core/manifest.h"
#include "core/plan.h"

struct fx_random { uint64_t seed, draws; };

static inline struct fx_random fx_random_fresh(void)
{
    const char *asked = getenv("REEVE_SEED");
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = asked != NULL ? strtoull(asked, NULL, 10) : (uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec;
    print_message("REEVE_SEED=%llu\n", (unsigned long long)seed);
    return (struct fx_random){seed, 0};
}

static inline uint64_t fx_u64(struct fx_random *r)
{
    return reeve_random_u64(r->seed, 1, r->draws++);
}

static inline uint64_t fx_below(struct fx_random *r, uint64_t bound)
{
    return reeve_random_below(r->seed, 2, r->draws++, bound);
}

/* Shards of raw text with these numbers of tokens; weights NULL: all 1. Paths are "shard-0", "shard-1" ... */
static inline struct reeve_manifest *fx_manifest(uint32_t shards, const uint64_t *tokens, const uint16_t *weights)
{
    struct reeve_manifest *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    (void)snprintf(m->dataset, sizeof(m->dataset), "fixture");
    (void)snprintf(m->tokenizer, sizeof(m->tokenizer), "bytes");
    m->vocab = 256;
    m->shard_count = shards;
    m->shards = calloc(shards > 0 ? shards : 1, sizeof(*m->shards));
    m->paths = calloc(shards + 1, 16);
    assert_non_null(m->shards);
    assert_non_null(m->paths);
    for (uint32_t i = 0; i < shards; i++) {
        m->shards[i] = (struct reeve_shard){
            .path_offset = m->paths_bytes,
            .file_bytes = tokens[i],
            .token_count = tokens[i],
            .weight = weights != NULL ? weights[i] : 1,
            .format = REEVE_SHARD_TEXT,
            .token_bytes = 1,
        };
        m->shards[i].digest.bytes[0] = (uint8_t)(i + 1);
        m->paths_bytes += (uint64_t)snprintf(m->paths + m->paths_bytes, 16, "shard-%u", i) + 1;
    }
    m->digest = reeve_manifest_digest(m);
    return m;
}

static inline reeve_plan *fx_plan(const struct reeve_manifest *m, const struct reeve_plan_config *config)
{
    reeve_plan *p = NULL;
    struct reeve_error err = {0};
    if (reeve_plan_create(m, config, &p, &err) != REEVE_OK) fail_msg("plan: %s", err.text);
    return p;
}

#endif
