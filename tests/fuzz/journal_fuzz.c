/* A journal from anybody, replayed into a master as recovery does. The first byte of the input says what the rest is:
 *   0  one whole segment file
 *   1  the records of a segment, as they are
 *   2  the records of a segment whose numbers, epoch and sums are made to fit: events that anybody may have signed
 * Whatever it is, replay and verify must agree on where it ends, and the second replay must give the same state. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "master.h"
#include "store/journal.h"
#include "store/journal_tail.h"
#include "seeds.h"

#define NAME "journal/00000001-0000000000000001.h5"
#define EVENTS_AT 4096u

static reeve_status visit(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    return reeve_master_apply(arg, ev, err);
}

static void sign(struct reeve_event *slots, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        slots[i].lsn = i + 1;
        slots[i].epoch = 1;
        slots[i].kind = (uint16_t)(1 + slots[i].kind % (REEVE_EVENT_VOLATILE - 1));
        slots[i].flags |= REEVE_RECORD_FLAG_BARRIER;
        slots[i].sum = sum = reeve_record_sum(&slots[i], sum);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *ours;
    static size_t ours_bytes;
    struct reeve_error err;
    struct reeve_journal_info info;
    struct reeve_journal_check check;
    if (ours == NULL) {
        seed_journal(fuzz_folder());
        ours = seed_load(fuzz_folder(), NAME, &ours_bytes);
    }
    if (size == 0) return 0;
    size_t records = (size - 1) / sizeof(struct reeve_event);
    if (data[0] % 3 == 0) (void)fuzz_file(NAME, data + 1, size - 1);
    else {
        uint8_t *bytes = fuzz_copy(ours, ours_bytes);
        struct reeve_event slots[SEED_SEGMENT];
        memset(slots, 0, sizeof(slots));
        if (records > SEED_SEGMENT) records = SEED_SEGMENT;
        memcpy(slots, data + 1, records * sizeof(slots[0]));
        if (data[0] % 3 == 2) sign(slots, records);
        memcpy(bytes + EVENTS_AT, slots, sizeof(slots));
        (void)fuzz_file(NAME, bytes, ours_bytes);
        free(bytes);
    }
    reeve_master *m = fuzz_master_create(NULL);
    reeve_status st = reeve_journal_replay(fuzz_folder(), visit, m, &info, &err);
    if (st == REEVE_OK) {
        FUZZ_CHECK(reeve_journal_verify(fuzz_folder(), &check, &err) == REEVE_OK, "replayed, and not verified: %s",
                   err.text);
        FUZZ_CHECK(check.info.last_lsn == info.last_lsn, "verify ends elsewhere than replay");
        reeve_master *again = fuzz_master_create(NULL);
        FUZZ_CHECK(reeve_journal_replay(fuzz_folder(), visit, again, &info, &err) == REEVE_OK &&
                       reeve_master_digest(again) == reeve_master_digest(m),
                   "two replays of one journal differ");
        reeve_master_destroy(again);
    }
    reeve_master_destroy(m);
    return 0;
}
