/* A counting sort of rows by token: split tokens first, in each half by token, for each token by row. */
#include "model/gpt/cuda/occurrences.h"

#include <stdbool.h>
#include <string.h>

#define PIECE GPT_OCCURRENCES_PIECE

/* A split token has more than PIECE rows, so at most 2 pieces for each PIECE + 1 of them. */
size_t gpt_occurrences_split_pieces(size_t N)
{
    return 2 * N / (PIECE + 1);
}

size_t gpt_occurrences_words(size_t N)
{
    return N + (N + 1) + N + (N / (PIECE + 1) + 1);
}

struct arrays {
    uint32_t *piece_begin, *piece_token, *split_begin;
    uint32_t row, piece, split; /* how far they are written */
};

#define PLACED 0x80000000u /* in next[token]: no longer how often it occurs, but where its next row goes */

/* Cuts the tokens that are split, or those that are not, into pieces, and gives each the place of its first row. */
static void cut(struct arrays *a, uint32_t *next, uint32_t V, bool split)
{
    for (uint32_t token = 0; token < V; token++) {
        uint32_t rows = next[token];
        if (rows == 0 || rows >= PLACED || (rows > PIECE) != split) continue;
        next[token] = a->row | PLACED;
        if (split) a->split_begin[a->split++] = a->piece;
        for (uint32_t done = 0; done < rows; done += PIECE) {
            a->piece_begin[a->piece] = a->row + done;
            a->piece_token[a->piece++] = token;
        }
        a->row += rows;
    }
}

static uint32_t pieces_of(const uint32_t *counts, uint32_t V)
{
    uint32_t pieces = 0;
    for (uint32_t token = 0; token < V; token++)
        pieces += (counts[token] + PIECE - 1) / PIECE;
    return pieces;
}

size_t gpt_occurrences_sort(uint32_t *words, uint32_t *scratch, const int32_t *tokens, uint32_t B, uint32_t T,
                            uint32_t V, const uint32_t *copy, struct gpt_occurrences *out)
{
    size_t N = (size_t)B * T;
    memset(scratch, 0, V * sizeof(*scratch));
    for (size_t b = 0; b < B; b++)
        for (size_t t = 0; t < T; t++)
            scratch[tokens[b * (T + 1) + t]]++;

    uint32_t pieces = pieces_of(scratch, V);
    size_t begin_at = N, token_at = begin_at + pieces + 1, split_at = token_at + pieces;
    struct arrays a = {
        .piece_begin = words + begin_at, .piece_token = words + token_at, .split_begin = words + split_at};
    cut(&a, scratch, V, true);
    uint32_t split_pieces = a.piece;
    cut(&a, scratch, V, false);
    a.piece_begin[pieces] = a.row;
    a.split_begin[a.split] = split_pieces;

    for (size_t b = 0; b < B; b++)
        for (size_t t = 0; t < T; t++)
            words[scratch[tokens[b * (T + 1) + t]]++ & ~PLACED] = (uint32_t)(b * T + t);
    *out = (struct gpt_occurrences){.piece_count = pieces,
                                    .split_count = a.split,
                                    .split_piece_count = split_pieces,
                                    .rows = copy,
                                    .piece_begin = copy + begin_at,
                                    .piece_token = copy + token_at,
                                    .split_begin = copy + split_at};
    return split_at + a.split + 1;
}
