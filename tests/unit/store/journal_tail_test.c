/* The judge of a journal's end, alone: what an interrupted write leaves, and what it cannot have left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/journal_tail.h"

/* A record that belongs to an LSN. */
static struct reeve_event event_of(uint64_t lsn)
{
    return (struct reeve_event){.kind = (uint16_t)(1 + lsn % 23),
                                .step = lsn * 3,
                                .task = (uint32_t)lsn,
                                .a = lsn * 0x9e3779b97f4a7c15u,
                                .b = ~lsn};
}

static void fill(struct reeve_event *slots, uint32_t count, uint32_t barrier_at)
{
    uint64_t sum = 7;
    for (uint32_t i = 0; i < count; i++) {
        slots[i] = event_of(100 + i);
        slots[i].lsn = 100 + i;
        slots[i].epoch = 3;
        if (i == barrier_at) slots[i].flags |= REEVE_RECORD_FLAG_BARRIER;
        slots[i].sum = reeve_record_sum(&slots[i], sum);
        sum = slots[i].sum;
    }
}

static void tail_flip_in_the_last_record_is_no_cut_write(void **state)
{ /* Goal: a flip in an acknowledged last record is not taken for a torn write. Method: every bit; only a flip that
   * zeroes the last byte can look like a cut one. */
    struct reeve_event slots[16] = {0};
    uint32_t place;
    fill(slots, 5, 0);
    for (size_t bit = 0; bit < 512; bit++) {
        struct reeve_event kept = slots[4];
        uint64_t seed = slots[3].sum;
        ((uint8_t *)&slots[4])[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum reeve_tail tail = reeve_tail_judge(slots, 16, 4, 100, 3, &seed, &place);
        assert_int_equal(place, 4);
        if (((const uint8_t *)&slots[4])[63] != 0) assert_int_equal(tail, REEVE_TAIL_DAMAGED);
        assert_int_not_equal(tail, REEVE_TAIL_CLEAN);
        slots[4] = kept;
    }
}

static void tail_gap_before_a_sync_is_damage(void **state)
{ /* Goal: the mark of a sync forbids a gap before it, and only then. Method: zero sector 1, with the mark at each slot.
   */
    uint32_t place;
    for (uint32_t mark = 0; mark < 24; mark++) {
        struct reeve_event slots[32] = {0};
        fill(slots, 24, mark);
        uint64_t seed = slots[7].sum;
        memset(&slots[8], 0, 8 * sizeof(slots[0]));
        enum reeve_tail tail = reeve_tail_judge(slots, 32, 8, 100, 3, &seed, &place);
        assert_int_equal(tail, mark >= 16 ? REEVE_TAIL_DAMAGED : REEVE_TAIL_TORN);
        memset(&slots[16], 0, sizeof(slots[0])); /* a gap that ends inside a sector is not of the disk's making */
        assert_int_equal(reeve_tail_judge(slots, 32, 8, 100, 3, &seed, &place), REEVE_TAIL_DAMAGED);
        assert_int_equal(place, 17);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tail_flip_in_the_last_record_is_no_cut_write),
        cmocka_unit_test(tail_gap_before_a_sync_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
