/* Where a journal ends. Pure: it sees slots, and knows nothing of files. */
#include "store/journal_tail.h"

#include <stddef.h>
#include <string.h>

#include "base/digest.h"
#include "store/journal_segment.h"

#define SUM_AT offsetof(struct reeve_event, sum)
#define KIND_END (offsetof(struct reeve_event, kind) + sizeof(uint16_t))
#define HEAD_BYTES offsetof(struct reeve_event, kind) /* lsn and epoch: known in advance for every slot */
_Static_assert(SUM_AT == 56 && HEAD_BYTES == 12, "the sum covers the 56 bytes before it; lsn and epoch come first");

uint64_t reeve_record_sum(const struct reeve_event *record, uint64_t seed)
{
    return reeve_digest64(record, SUM_AT, seed);
}

static bool kind_is_durable(uint16_t kind)
{
    return kind > REEVE_EVENT_NONE && kind < REEVE_EVENT_VOLATILE;
}

static bool head_matches(const struct reeve_event *r, uint64_t lsn, uint32_t epoch)
{
    return r->lsn == lsn && r->epoch == epoch && kind_is_durable(r->kind);
}

bool reeve_record_valid(const struct reeve_event *record, uint64_t lsn, uint32_t epoch, uint64_t seed)
{
    return head_matches(record, lsn, epoch) && record->sum == reeve_record_sum(record, seed);
}

static bool is_zero(const struct reeve_event *r)
{
    uint64_t words[sizeof(*r) / 8], any = 0;
    memcpy(words, r, sizeof(words));
    for (size_t i = 0; i < sizeof(words) / 8; i++)
        any |= words[i];
    return any == 0;
}

uint32_t reeve_tail_used(const struct reeve_event *slots, uint32_t from, uint32_t capacity)
{
    uint32_t used = 0;
    for (uint32_t i = from; i < capacity; i++)
        used += !is_zero(&slots[i]);
    return used;
}

/* Could this be a prefix of the record that belongs here, and zeros after it? As much as is there must be right. */
static bool is_cut(const struct reeve_event *r, uint64_t lsn, uint32_t epoch, const uint64_t *seed)
{
    uint8_t bytes[sizeof(*r)];
    memcpy(bytes, r, sizeof(bytes));
    size_t length = sizeof(bytes);
    while (length > 0 && bytes[length - 1] == 0)
        length--;
    struct reeve_event head = {.lsn = lsn, .epoch = epoch};
    if (memcmp(bytes, &head, length < HEAD_BYTES ? length : HEAD_BYTES) != 0) return false;
    if (length >= KIND_END && !kind_is_durable(r->kind)) return false;
    if (length <= SUM_AT || seed == NULL) return true;
    uint64_t sum = reeve_record_sum(r, *seed);
    return memcmp(bytes + SUM_AT, &sum, length - SUM_AT) == 0;
}

/* May slots[j], which is not zero, lie where it lies after an interrupted write?
 * seed: the sum before it, NULL behind a gap. */
static bool is_explained(const struct reeve_event *slots, uint32_t j, uint32_t bad, uint32_t last, uint64_t first_lsn,
                         uint32_t epoch, const uint64_t *seed)
{
    const struct reeve_event *r = &slots[j];
    bool behind_gap = seed == NULL;
    if (j > bad && behind_gap && j % REEVE_SEGMENT_SECTOR_RECORDS != 0) return false; /* sectors go whole */
    if (j > bad && (r->flags & REEVE_RECORD_FLAG_BARRIER) != 0) return false;         /* the gap was durable once */
    if (j == last && is_cut(r, first_lsn + j, epoch, seed)) return true;
    if (j == bad && !behind_gap) return false; /* the caller saw that it is no valid record */
    return head_matches(r, first_lsn + j, epoch) && (behind_gap || r->sum == reeve_record_sum(r, *seed));
}

enum reeve_tail reeve_tail_judge(const struct reeve_event *slots, uint32_t capacity, uint32_t bad, uint64_t first_lsn,
                                 uint32_t epoch, const uint64_t *seed, uint32_t *place)
{
    uint32_t last = capacity;
    while (last > bad && is_zero(&slots[last - 1]))
        last--;
    if (last == bad) return REEVE_TAIL_CLEAN;
    last--;
    bool found = false;
    for (uint32_t j = bad; j <= last; j++) {
        if (is_zero(&slots[j])) continue;
        const uint64_t *before = j == bad ? seed : is_zero(&slots[j - 1]) ? NULL : &slots[j - 1].sum;
        if (!is_explained(slots, j, bad, last, first_lsn, epoch, before)) {
            *place = j;
            return REEVE_TAIL_DAMAGED;
        }
        if (!found) *place = j;
        found = true;
    }
    return REEVE_TAIL_TORN;
}
