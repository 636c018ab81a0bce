/* The seal of a file whose payload has checks of its own: XXH3-128 of the file's bytes in order, less the payload
 * spans, with the 16 bytes of the seal itself as zeros. So every byte is covered once: payload by record sums or block
 * digests, all else (HDF5's metadata, tables, padding, what somebody appended) by the seal. Without spans it is the
 * digest of the whole file. */
#ifndef REEVE_STORE_SEAL_OUTSIDE_H
#define REEVE_STORE_SEAL_OUTSIDE_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "reeve/status.h"

struct reeve_span {
    uint64_t offset;
    uint64_t bytes;
};

/* Sort spans by offset. False: they overlap, or reach beyond file_bytes. */
bool reeve_spans_sort(struct reeve_span *spans, size_t count, uint64_t file_bytes);

/* spans: sorted. seal_offset: where the 16 bytes lie, outside of all spans. STORE_READ | JOB_NO_MEMORY. */
reeve_status reeve_seal_outside_file(int fd, uint64_t file_bytes, const struct reeve_span *spans, size_t count,
                                     uint64_t seal_offset, const char *path, struct reeve_digest *out,
                                     struct reeve_error *err);
/* The same over a file that is still in memory. */
reeve_status reeve_seal_outside_memory(const void *bytes, uint64_t file_bytes, const struct reeve_span *spans,
                                       size_t count, uint64_t seal_offset, struct reeve_digest *out,
                                       struct reeve_error *err);

#endif
