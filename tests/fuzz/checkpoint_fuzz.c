/* A checkpoint whose index or part is from anybody. The first byte of the input says which of them it is, and whether
 * the index's seal is made to fit; the other files are ours. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "store/checkpoint.h"
#include "seeds.h"

#define SEAL_AT 2048u

static void read_it(const char *run)
{
    struct reeve_error err;
    reeve_checkpoint *c = NULL;
    if (reeve_checkpoint_open(run, SEED_STEP, NULL, &c, &err) != REEVE_OK) return;
    size_t queue_bytes = 0;
    const uint8_t *queue = reeve_checkpoint_queue(c, &queue_bytes);
    volatile uint8_t last = queue_bytes > 0 ? queue[queue_bytes - 1] : 0;
    (void)last;
    for (uint32_t i = 0; i < reeve_checkpoint_tensor_count(c); i++) {
        struct reeve_tensor t;
        reeve_checkpoint_tensor(c, i, &t);
        FUZZ_CHECK(t.rank >= 1 && t.rank <= REEVE_TENSOR_RANK_MAX, "tensor %u has rank %u", i, t.rank);
    }
    struct reeve_tensor tensors[SEED_TENSORS];
    seed_tensors(tensors);
    (void)reeve_checkpoint_read(c, tensors, SEED_TENSORS, &err);
    seed_tensors_free(tensors);
    (void)reeve_checkpoint_verify(c, NULL, &err);
    reeve_checkpoint_close(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *ours[2];
    static size_t ours_bytes[2];
    static char names[2][PATH_MAX];
    if (ours[0] == NULL) {
        seed_checkpoint(fuzz_folder());
        for (unsigned i = 0; i < 2; i++) {
            seed_checkpoint_name(i, names[i]);
            ours[i] = seed_load(fuzz_folder(), names[i], &ours_bytes[i]);
        }
    }
    if (size == 0) return 0;
    unsigned which = data[0] & 1;
    uint8_t *bytes = fuzz_copy(data + 1, size - 1);
    if ((data[0] & 2) != 0) fuzz_seal(bytes, size - 1, SEAL_AT);
    (void)fuzz_file(names[which], bytes, size - 1);
    (void)fuzz_file(names[1 - which], ours[1 - which], ours_bytes[1 - which]);
    read_it(fuzz_folder());
    free(bytes);
    return 0;
}
