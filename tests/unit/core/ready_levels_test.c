/* Which priority is first, beside a list that is searched from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "core/ready_levels.h"

/* The highest priority with tasks below `below` (a level's number, or NONE: any). */
static uint32_t search(const struct ready_levels *l, uint32_t below)
{
    uint32_t best = READY_LEVEL_NONE;
    for (uint32_t n = 0; n < l->count; n++) {
        if (l->level[n].first == READY_LEVEL_NONE) continue;
        if (below != READY_LEVEL_NONE && l->level[n].priority >= l->level[below].priority) continue;
        if (best == READY_LEVEL_NONE || l->level[n].priority > l->level[best].priority) best = n;
    }
    return best;
}

static void levels_are_found_in_the_order_of_their_priorities(void **state)
{
    (void)state;
    static struct ready_levels l;
    uint64_t draws = 0;
    for (uint64_t spread = 3; spread < 100000; spread *= 10) {
        ready_levels_init(&l);
        assert_int_equal(ready_levels_first(&l), READY_LEVEL_NONE);
        for (uint32_t i = 0; i < 4000; i++) {
            int32_t priority = (int32_t)reeve_random_below(3, spread, draws++, spread) - (int32_t)(spread / 2);
            if (i == 7) priority = INT32_MIN;
            if (i == 8) priority = INT32_MAX;
            uint32_t n = ready_levels_of(&l, priority);
            if (n == READY_LEVEL_NONE) {
                assert_int_equal(l.count, READY_LEVELS_MAX);
                continue;
            }
            assert_int_equal(l.level[n].priority, priority);
            assert_int_equal(ready_levels_of(&l, priority), n);
            bool waiting = reeve_random_below(3, spread, draws++, 3) > 0;
            l.level[n].first = waiting ? 0 : READY_LEVEL_NONE;
            ready_levels_set(&l, n, waiting);
            if (i % 16 != 0) continue;
            uint32_t at = ready_levels_first(&l);
            assert_int_equal(at, search(&l, READY_LEVEL_NONE));
            for (int hops = 0; at != READY_LEVEL_NONE && hops < 100; hops++) {
                uint32_t below = ready_levels_below(&l, at);
                assert_int_equal(below, search(&l, at));
                at = below;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(levels_are_found_in_the_order_of_their_priorities)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
