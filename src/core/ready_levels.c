/* See ready_levels.h. */
#include "core/ready_levels.h"

#include <string.h>

#include "base/error.h"

#define TABLE_BITS 11u
_Static_assert(1u << TABLE_BITS == 2 * READY_LEVELS_MAX, "the table is never more than half full");
_Static_assert(READY_LEVELS_MAX / 64 <= 64, "one word tells which words have bits");

void ready_levels_init(struct ready_levels *l)
{
    memset(l, 0, sizeof(*l));
    l->first = READY_LEVEL_NONE;
}

/* Where in the table this priority is, or would be. Multiplicative hashing: neighbours do not collide. */
static uint32_t table_at(const struct ready_levels *l, int32_t priority)
{
    uint32_t at = (uint32_t)priority * 2654435769u >> (32 - TABLE_BITS);
    while (l->table[at] != 0 && l->level[l->table[at] - 1].priority != priority)
        at = (at + 1) % (2 * READY_LEVELS_MAX);
    return at;
}

/* A priority that was not seen before: those below it move by one place. */
static uint32_t make_level(struct ready_levels *l, uint32_t at, int32_t priority)
{
    if (l->count == READY_LEVELS_MAX) return READY_LEVEL_NONE;
    uint32_t number = l->count++, place = number;
    for (; place > 0 && l->level[l->at_place[place - 1]].priority < priority; place--) {
        l->at_place[place] = l->at_place[place - 1];
        l->level[l->at_place[place]].place = place;
    }
    l->at_place[place] = (uint16_t)number;
    l->level[number] =
        (struct ready_level){.first = READY_LEVEL_NONE, .last = READY_LEVEL_NONE, .priority = priority, .place = place};
    l->table[at] = (uint16_t)(number + 1);
    memset(l->waiting, 0, sizeof(l->waiting));
    l->words = 0;
    for (uint32_t n = 0; n < l->count; n++)
        if (l->level[n].first != READY_LEVEL_NONE) ready_levels_set(l, n, true);
    return number;
}

uint32_t ready_levels_of(struct ready_levels *l, int32_t priority)
{
    if (l->recent < l->count && l->level[l->recent].priority == priority) return l->recent;
    uint32_t at = table_at(l, priority);
    uint32_t number = l->table[at] != 0 ? l->table[at] - 1u : make_level(l, at, priority);
    if (number != READY_LEVEL_NONE) l->recent = number;
    return number;
}

/* The first with tasks in this word or one after it, of which only the bits of `mask` count. */
static uint32_t first_from(const struct ready_levels *l, uint32_t word, uint64_t mask)
{
    uint64_t bits = l->waiting[word] & mask;
    if (bits == 0) {
        uint64_t words = l->words & (word < 63 ? ~(uint64_t)0 << (word + 1) : 0);
        if (words == 0) return READY_LEVEL_NONE;
        word = (uint32_t)__builtin_ctzll(words);
        bits = l->waiting[word];
    }
    return l->at_place[word * 64 + (uint32_t)__builtin_ctzll(bits)];
}

void ready_levels_set(struct ready_levels *l, uint32_t number, bool waiting)
{
    REEVE_ASSERT(number < l->count);
    uint32_t word = l->level[number].place / 64;
    uint64_t bit = (uint64_t)1 << l->level[number].place % 64;
    l->waiting[word] = waiting ? l->waiting[word] | bit : l->waiting[word] & ~bit;
    l->words = l->waiting[word] != 0 ? l->words | (uint64_t)1 << word : l->words & ~((uint64_t)1 << word);
    l->first = first_from(l, 0, ~(uint64_t)0);
}

uint32_t ready_levels_first(const struct ready_levels *l)
{
    return l->first;
}

uint32_t ready_levels_below(const struct ready_levels *l, uint32_t number)
{
    uint32_t place = l->level[number].place;
    return first_from(l, place / 64, place % 64 < 63 ? ~(uint64_t)0 << (place % 64 + 1) : 0);
}
