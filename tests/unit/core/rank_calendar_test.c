/* The calendar of ranks beside a sorted array: the same rank is first after every change, whatever the ranks are like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "core/rank_calendar.h"

#define ITEMS 6000u

struct fx {
    struct reeve_rank_calendar calendar;
    uint32_t *places;
    struct reeve_rank *sorted; /* (count,) first rank first */
    bool *is_in;               /* (ITEMS,) */
    uint32_t count;
    uint64_t seed, draws;
};

static uint64_t draw(struct fx *f, uint64_t below)
{
    return reeve_random_below(f->seed, 1, f->draws++, below);
}

static void fx_init(struct fx *f, uint64_t seed)
{
    *f = (struct fx){.seed = seed};
    f->places = calloc(ITEMS, sizeof(*f->places));
    f->sorted = calloc(ITEMS, sizeof(*f->sorted));
    f->is_in = calloc(ITEMS, sizeof(*f->is_in));
    assert_true(f->places != NULL && f->sorted != NULL && f->is_in != NULL);
    assert_true(reeve_rank_calendar_init(&f->calendar, ITEMS, f->places));
}

static void fx_fini(struct fx *f)
{
    reeve_rank_calendar_fini(&f->calendar);
    free(f->is_in);
    free(f->sorted);
    free(f->places);
}

static bool seen_right(const void *context, struct reeve_rank rank)
{
    const struct fx *f = context;
    return reeve_rank_item(rank) < ITEMS && f->is_in[reeve_rank_item(rank)];
}

static void check(struct fx *f)
{
    assert_int_equal(f->calendar.count, f->count);
    assert_true(reeve_rank_calendar_check(&f->calendar, f, seen_right));
}

static void check_first(struct fx *f)
{
    struct reeve_rank first;
    bool any = reeve_rank_calendar_first(&f->calendar, &first);
    assert_int_equal(any, f->count > 0);
    if (!any) return;
    assert_true(first.high == f->sorted[0].high && first.low == f->sorted[0].low);
}

static void add(struct fx *f, uint64_t high, uint32_t item)
{
    struct reeve_rank rank = {high, draw(f, 4) << 32 | item};
    uint32_t at = f->count;
    while (at > 0 && reeve_rank_before(rank, f->sorted[at - 1]))
        at--;
    memmove(&f->sorted[at + 1], &f->sorted[at], (f->count - at) * sizeof(rank));
    f->sorted[at] = rank;
    f->is_in[item] = true;
    f->count++;
    reeve_rank_calendar_insert(&f->calendar, rank);
}

static void take(struct fx *f, uint32_t at)
{
    struct reeve_rank rank = f->sorted[at];
    f->count--;
    memmove(&f->sorted[at], &f->sorted[at + 1], (f->count - at) * sizeof(rank));
    f->is_in[reeve_rank_item(rank)] = false;
    (void)reeve_rank_calendar_remove(&f->calendar, rank);
}

static uint32_t free_item(struct fx *f)
{
    uint32_t item = (uint32_t)draw(f, ITEMS);
    while (f->is_in[item])
        item = (item + 1) % ITEMS;
    return item;
}

/* Ranks as they may be: `step` is how many were drawn before. */
static uint64_t any_high(struct fx *f, unsigned kind, uint64_t step)
{
    switch (kind) {
    case 0: return draw(f, UINT64_MAX);                         /* anywhere */
    case 1: return step;                                        /* each behind all others */
    case 2: return UINT64_MAX - step;                           /* each before all others */
    case 3: return draw(f, 3);                                  /* mostly equal */
    case 4: return (uint64_t)1 << draw(f, 64);                  /* close together and far apart */
    default: return step * 1000 + draw(f, 1 + draw(f, 500000)); /* as delays are: behind a time that goes on */
    }
}

static void calendar_gives_the_first_rank_whatever_the_ranks_are_like(void **state)
{ /* Method: grow, stay, shrink, for each kind of ranks; what leaves is mostly the first, or one from anywhere. */
    (void)state;
    for (unsigned kind = 0; kind < 6; kind++) {
        struct fx f;
        fx_init(&f, 11 + kind);
        uint64_t steps = 0;
        const unsigned grow_percent[] = {90, 50, 15, 70, 0};
        for (size_t phase = 0; phase < sizeof(grow_percent) / sizeof(grow_percent[0]); phase++)
            for (uint32_t i = 0; i < 6000; i++) {
                bool grow = draw(&f, 100) < grow_percent[phase];
                if (grow && f.count < ITEMS) add(&f, any_high(&f, kind, steps++), free_item(&f));
                else if (f.count > 0) take(&f, draw(&f, 4) > 0 ? 0 : (uint32_t)draw(&f, f.count));
                check_first(&f);
                if (i % 256 == 0) check(&f);
            }
        while (f.count > 0) {
            take(&f, 0);
            check_first(&f);
        }
        check(&f);
        fx_fini(&f);
    }
}

static void calendar_is_full_only_when_all_items_are_in_it(void **state)
{ /* Goal: memory never runs out, however ranks are spread (it would abort). Method: thin out all that there is, to what
   * leaves most buckets, and fill up again in one place, many times. */
    (void)state;
    struct fx f;
    fx_init(&f, 3);
    for (uint32_t i = 0; i < ITEMS; i++)
        add(&f, draw(&f, (uint64_t)1 << 62), i);
    for (uint64_t round = 0; round < 12; round++) {
        check(&f);
        for (uint32_t at = 0; at < f.count; at++) /* few are left of each hundred */
            for (uint32_t n = 0; n < 60 + 20 * (round % 4) && at < f.count; n++)
                take(&f, at);
        check(&f);
        uint64_t place = draw(&f, (uint64_t)1 << 62);
        while (f.count < ITEMS)
            add(&f, place + draw(&f, 1000), free_item(&f));
        check_first(&f);
    }
    check(&f);
    fx_fini(&f);
}

static void calendar_tells_when_others_came_near(void **state)
{ /* Method: all that is near is what can be first before it says so again. */
    (void)state;
    struct fx f;
    fx_init(&f, 5);
    for (uint32_t i = 0; i < ITEMS; i++)
        add(&f, draw(&f, UINT64_MAX), i);
    uint32_t told = 0, since = 0, near = f.calendar.near.count;
    for (; f.count > 0; since++) {
        struct reeve_rank first = f.sorted[0];
        memmove(&f.sorted[0], &f.sorted[1], --f.count * sizeof(first));
        f.is_in[reeve_rank_item(first)] = false;
        if (!reeve_rank_calendar_remove(&f.calendar, first)) continue;
        assert_int_equal(since + 1, near);
        near = f.calendar.near.count;
        since = UINT32_MAX; /* counted up at once */
        told++;
    }
    assert_true(told >= ITEMS / RANK_BUCKET_MAX - 1);
    fx_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calendar_gives_the_first_rank_whatever_the_ranks_are_like),
        cmocka_unit_test(calendar_is_full_only_when_all_items_are_in_it),
        cmocka_unit_test(calendar_tells_when_others_came_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
