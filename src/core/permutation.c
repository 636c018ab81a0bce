/* Feistel network and cycle walking; see permutation.h. */
#include "core/permutation.h"

#include "base/error.h"
#include "base/random.h"

/* A domain of at least 4^4: on a handful of elements a network of this kind reaches only some of the permutations. */
#define HALF_BITS_MIN 4u

#define STREAM_ROUND_KEYS 0x6665697374656c31u /* names this use of the key: "feistel1" */

void reeve_permutation_init(struct reeve_permutation *p, uint64_t key, uint64_t n)
{
    REEVE_ASSERT(n >= 1 && n <= REEVE_PERMUTATION_MAX);
    unsigned bits = n > 1 ? 64u - (unsigned)__builtin_clzll(n - 1) : 0;
    p->n = n;
    p->half_bits = (bits + 1) / 2 > HALF_BITS_MIN ? (bits + 1) / 2 : HALF_BITS_MIN;
    for (uint32_t r = 0; r < REEVE_PERMUTATION_ROUNDS; r++)
        p->round_keys[r] = reeve_random_u64(key, STREAM_ROUND_KEYS, r);
}

/* Half a block in, 64 mixed bits out. Constants: D. Stafford's variant 13 of the MurmurHash3 finaliser, as in
 * SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
static uint64_t mix(uint64_t half, uint64_t round_key)
{
    uint64_t x = half + round_key;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t encrypt(const struct reeve_permutation *p, uint64_t block)
{
    uint64_t mask = ((uint64_t)1 << p->half_bits) - 1;
    uint64_t left = block >> p->half_bits;
    uint64_t right = block & mask;
    for (int r = 0; r < REEVE_PERMUTATION_ROUNDS; r++) {
        uint64_t next = left ^ (mix(right, p->round_keys[r]) & mask);
        left = right;
        right = next;
    }
    return left << p->half_bits | right;
}

static uint64_t decrypt(const struct reeve_permutation *p, uint64_t block)
{
    uint64_t mask = ((uint64_t)1 << p->half_bits) - 1;
    uint64_t left = block >> p->half_bits;
    uint64_t right = block & mask;
    for (int r = REEVE_PERMUTATION_ROUNDS - 1; r >= 0; r--) {
        uint64_t before = right ^ (mix(left, p->round_keys[r]) & mask);
        right = left;
        left = before;
    }
    return left << p->half_bits | right;
}

/* The walk ends: it goes along a cycle of the network that began below n. */
uint64_t reeve_permutation_image(const struct reeve_permutation *p, uint64_t i)
{
    REEVE_ASSERT(i < p->n);
    do
        i = encrypt(p, i);
    while (i >= p->n);
    return i;
}

uint64_t reeve_permutation_preimage(const struct reeve_permutation *p, uint64_t i)
{
    REEVE_ASSERT(i < p->n);
    do
        i = decrypt(p, i);
    while (i >= p->n);
    return i;
}
