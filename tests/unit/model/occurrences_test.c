/* gpt_occurrences_sort(): each row is in exactly one piece, of its own token, in ascending order, however often a token
 * occurs; and nothing is written beyond what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fresh.h"
#include "model/gpt/cuda/occurrences.h"

#define MARK 0xdeadbeefu

static uint32_t token_of_row(const int32_t *tokens, uint32_t T, uint32_t row)
{
    return (uint32_t)tokens[row / T * (T + 1) + row % T];
}

/* A sort is a function of the tokens that can be checked alone: pieces partition the rows; a token's pieces follow each
 * other, all but its last are full; split tokens are those with several pieces, and come first. */
static void expect_sorted(const struct gpt_occurrences *o, const int32_t *tokens, uint32_t N, uint32_t T)
{
    bool *seen = calloc(N, sizeof(bool));
    assert_int_equal(o->piece_begin[0], 0);
    assert_int_equal(o->piece_begin[o->piece_count], N);
    for (uint32_t p = 0; p < o->piece_count; p++) {
        uint32_t begin = o->piece_begin[p], end = o->piece_begin[p + 1];
        assert_in_range(end, begin + 1, begin + GPT_OCCURRENCES_PIECE);
        bool goes_on = p > 0 && o->piece_token[p] == o->piece_token[p - 1];
        if (goes_on) assert_int_equal(begin - o->piece_begin[p - 1], GPT_OCCURRENCES_PIECE);
        if (goes_on) assert_true(p < o->split_piece_count);
        for (uint32_t i = begin; i < end; i++) {
            uint32_t row = o->rows[i];
            assert_in_range(row, 0, N - 1);
            assert_false(seen[row]);
            seen[row] = true;
            assert_int_equal(token_of_row(tokens, T, row), o->piece_token[p]);
            if (i > begin || goes_on) assert_true(row > o->rows[i - 1]);
        }
    }
    free(seen);
}

static void expect_split(const struct gpt_occurrences *o)
{
    for (uint32_t s = 0; s < o->split_count; s++) {
        uint32_t begin = o->split_begin[s], end = o->split_begin[s + 1];
        assert_in_range(end, begin + 2, o->split_piece_count);
        for (uint32_t p = begin; p < end; p++)
            assert_int_equal(o->piece_token[p], o->piece_token[begin]);
        if (end < o->piece_count) assert_int_not_equal(o->piece_token[end], o->piece_token[begin]);
    }
    assert_int_equal(o->split_begin[o->split_count], o->split_piece_count);
    for (uint32_t p = o->split_piece_count; p + 1 < o->piece_count; p++)
        assert_true(o->piece_token[p] < o->piece_token[p + 1]); /* so each has one piece */
}

static void expect_good(const int32_t *tokens, uint32_t B, uint32_t T, uint32_t V)
{
    uint32_t N = B * T;
    size_t room = gpt_occurrences_words(N);
    uint32_t *words = malloc((room + 1) * sizeof(*words)), *scratch = malloc((V + 1) * sizeof(*scratch));
    words[room] = scratch[V] = MARK;
    struct gpt_occurrences o;
    memset(&o, 0xff, sizeof(o));
    size_t used = gpt_occurrences_sort(words, scratch, tokens, B, T, V, words, &o);
    assert_true(used <= room);
    assert_int_equal(words[room], MARK);
    assert_int_equal(scratch[V], MARK);
    assert_true(o.rows == words && o.split_begin + o.split_count + 1 == words + used);
    assert_true(o.split_piece_count <= gpt_occurrences_split_pieces(N));
    expect_sorted(&o, tokens, N, T);
    expect_split(&o);
    free(words), free(scratch);
}

/* tokens (B, T + 1) of which a share is `frequent`; the last of each sequence must not count, so it is a wild one. */
static int32_t *fresh_tokens(uint32_t B, uint32_t T, uint32_t V, uint32_t frequent_percent)
{
    int32_t *tokens = malloc((size_t)B * (T + 1) * sizeof(*tokens));
    for (uint32_t b = 0; b < B; b++) {
        for (uint32_t t = 0; t < T; t++)
            tokens[b * (T + 1) + t] =
                (int32_t)(fresh_between(0, 99) < frequent_percent ? V / 2 : fresh_between(0, V - 1));
        tokens[b * (T + 1) + T] = INT32_MAX;
    }
    return tokens;
}

static void every_row_is_in_one_piece_of_its_token(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        uint32_t B = fresh_between(1, 9), T = fresh_between(1, round % 3 == 0 ? 700 : 40), V = fresh_between(1, 60);
        if (round % 5 == 0) V = fresh_between(1000, 60000);
        int32_t *tokens = fresh_tokens(B, T, V, round % 4 * 30);
        expect_good(tokens, B, T, V);
        free(tokens);
    }
}

/* Method: one token, or each of V, exactly n times, around multiples of a piece. */
static void pieces_are_cut_where_they_are_full(void **state)
{
    (void)state;
    const uint32_t counts[] = {1, 2, 63, 64, 65, 127, 128, 129, 4096};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        for (uint32_t V = 1; V <= 3; V++) {
            uint32_t T = counts[i] * V;
            int32_t *tokens = malloc((T + 1) * sizeof(*tokens));
            for (uint32_t t = 0; t <= T; t++)
                tokens[t] = (int32_t)(t % V);
            expect_good(tokens, 1, T, V);
            free(tokens);
        }
}

static void pointers_are_those_of_the_copy(void **state)
{
    (void)state;
    const int32_t tokens[] = {1, 0, 1, 9};
    uint32_t words[16], elsewhere[16] = {0}, scratch[2];
    struct gpt_occurrences o;
    size_t used = gpt_occurrences_sort(words, scratch, tokens, 1, 3, 2, elsewhere, &o);
    const uint32_t expected[] = {1, 0, 2, /* begin */ 0, 1, 3, /* token */ 0, 1, /* split */ 0};
    assert_int_equal(used, sizeof(expected) / sizeof(expected[0]));
    assert_memory_equal(words, expected, sizeof(expected));
    assert_true(o.rows == elsewhere && o.piece_begin == elsewhere + 3 && o.piece_token == elsewhere + 6);
    assert_true(o.split_begin == elsewhere + 8 && o.piece_count == 2 && o.split_count == 0);
}

int main(void)
{
    fresh_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_in_one_piece_of_its_token),
        cmocka_unit_test(pieces_are_cut_where_they_are_full),
        cmocka_unit_test(pointers_are_those_of_the_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
