/* See chaos.h. */
#include "base/random.h"
#include "cli/chaos.h"

enum { STREAM_KIND = 1, STREAM_WAIT, STREAM_PICK, STREAM_AGAIN, STREAM_PAIR, STREAM_OTHER };

/* How often each kind comes, where all are wanted. */
static const uint32_t weight[REEVE_CHAOS_KINDS] = {
    [REEVE_CHAOS_KILL_WORKER] = 6, [REEVE_CHAOS_KILL_MASTER] = 2, [REEVE_CHAOS_KILL_LAUNCHER] = 1,
    [REEVE_CHAOS_STOP] = 1,        [REEVE_CHAOS_TORN_WRITE] = 1,  [REEVE_CHAOS_DISK_FULL] = 1,
};

const char *reeve_chaos_kind_name(enum reeve_chaos_kind kind)
{
    static const char *const names[REEVE_CHAOS_KINDS] = {"kill worker", "kill master", "kill launcher",
                                                         "stop",        "torn write",  "disk full"};
    return kind < REEVE_CHAOS_KINDS ? names[kind] : "?";
}

static enum reeve_chaos_kind draw_kind(uint64_t seed, uint32_t index, uint32_t kinds)
{
    uint32_t total = 0;
    for (uint32_t k = 0; k < REEVE_CHAOS_KINDS; k++)
        total += (kinds & 1u << k) != 0 ? weight[k] : 0;
    uint64_t at = reeve_random_below(seed, STREAM_KIND, index, total);
    for (uint32_t k = 0; k < REEVE_CHAOS_KINDS; k++) {
        uint32_t w = (kinds & 1u << k) != 0 ? weight[k] : 0;
        if (at < w) return (enum reeve_chaos_kind)k;
        at -= w;
    }
    return REEVE_CHAOS_KINDS; /* kinds is 0: asserted against by the caller */
}

struct reeve_chaos_strike reeve_chaos_plan(uint64_t seed, uint32_t index, uint32_t kinds, reeve_time_ns every_ns)
{
    double wait = (0.5 + reeve_random_uniform(seed, STREAM_WAIT, index)) * (double)every_ns;
    struct reeve_chaos_strike s = {
        .kind = draw_kind(seed, index, kinds),
        .wait_ns = (reeve_time_ns)wait,
        .pick = reeve_random_u64(seed, STREAM_PICK, index),
        .pick_other = reeve_random_u64(seed, STREAM_OTHER, index),
    };
    bool kill = s.kind <= REEVE_CHAOS_KILL_LAUNCHER;
    s.at_once = index > 0 && kill && reeve_random_below(seed, STREAM_AGAIN, index, 8) == 0;
    s.pair = s.kind <= REEVE_CHAOS_KILL_MASTER && reeve_random_below(seed, STREAM_PAIR, index, 8) == 0;
    return s;
}
