/* A keyed permutation of 0..n-1 that needs no table: O(1) memory for any n, one image at a time, and its inverse.
 *
 * A balanced Feistel network permutes the smallest 0..4^h-1 that holds n (at least 0..255); an image that is not below
 * n is permuted again until it is ("cycle walking"): fewer than four passes on average for n > 64.
 * Source: Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002 (cycle walking); Luby and Rackoff,
 * SIAM J. Computing 17, 1988 (the network). Not a cipher: the round function mixes well and keeps no secret. */
#ifndef REEVE_CORE_PERMUTATION_H
#define REEVE_CORE_PERMUTATION_H

#include <stdint.h>

#define REEVE_PERMUTATION_ROUNDS 8
#define REEVE_PERMUTATION_MAX ((uint64_t)1 << 62)

struct reeve_permutation {
    uint64_t n;
    uint64_t round_keys[REEVE_PERMUTATION_ROUNDS];
    unsigned half_bits; /* h: width of each half of the network */
};

/* n 1..REEVE_PERMUTATION_MAX. The same (key, n) gives the same permutation on any machine. */
void reeve_permutation_init(struct reeve_permutation *p, uint64_t key, uint64_t n);

uint64_t reeve_permutation_image(const struct reeve_permutation *p, uint64_t i);    /* i < n; result < n */
uint64_t reeve_permutation_preimage(const struct reeve_permutation *p, uint64_t i); /* its inverse */

#endif
