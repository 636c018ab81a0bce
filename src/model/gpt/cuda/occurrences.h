/* Where each token occurs in a batch, made on the host for the gradient of the embedding: a GPU can then sum the rows of
 * each token in one fixed order, with no atomics. Plain C, so that it is tested where there is no GPU.
 *
 * The occurrences of one token are cut into pieces of at most GPT_OCCURRENCES_PIECE rows. A token with more than one
 * piece is *split*: its pieces are summed apart, and then added up in order. Split tokens come first. */
#ifndef REEVE_MODEL_GPT_CUDA_OCCURRENCES_H
#define REEVE_MODEL_GPT_CUDA_OCCURRENCES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GPT_OCCURRENCES_PIECE 64u

struct gpt_occurrences {
    uint32_t piece_count, split_count;
    uint32_t
        split_piece_count; /* pieces [0, split_piece_count) belong to split tokens, each of the others to its own */
    const uint32_t *rows;  /* (B * T,) rows b * T + t: ascending for each token */
    const uint32_t *piece_begin; /* (piece_count + 1,) into rows */
    const uint32_t *piece_token; /* (piece_count,) */
    const uint32_t *split_begin; /* (split_count + 1,) into pieces */
};

/* The most words that a sort of N rows writes. */
size_t gpt_occurrences_words(size_t N);
/* The most pieces of split tokens among N rows. */
size_t gpt_occurrences_split_pieces(size_t N);

/* tokens (B, T + 1), each in [0, V): of each sequence the first T count. B * T < 2^31.
 *   out  words    (gpt_occurrences_words(B * T),) the four arrays of *out, one behind another
 *   out  out      its pointers are those of the arrays' copies in `copy` (which may be words itself)
 *   scratch       (V,)
 * Returns how many words were written: what there is to copy. O(B * T + V). */
size_t gpt_occurrences_sort(uint32_t *words, uint32_t *scratch, const int32_t *tokens, uint32_t B, uint32_t T,
                            uint32_t V, const uint32_t *copy, struct gpt_occurrences *out);

#ifdef __cplusplus
}
#endif

#endif
