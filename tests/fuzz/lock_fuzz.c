/* manifest.h5 from anybody. The first byte of the input says whether the seal is made to fit. */
#include <stdlib.h>

#include "fuzz.h"
#include "store/lock.h"

#define SEAL_AT 2048u /* where HDF5 puts it in the files that we write */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reeve_manifest *m = NULL;
    struct reeve_error err;
    if (size == 0) return 0;
    uint8_t *bytes = fuzz_copy(data + 1, size - 1);
    if ((data[0] & 1) != 0) fuzz_seal(bytes, size - 1, SEAL_AT);
    if (reeve_lock_read(fuzz_file("manifest.h5", bytes, size - 1), &m, &err) == REEVE_OK) {
        FUZZ_CHECK(reeve_manifest_check(m, &err) == REEVE_OK, "a lock that was read is out of bounds: %s", err.text);
        reeve_manifest_destroy(m);
    }
    free(bytes);
    return 0;
}
