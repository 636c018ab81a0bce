/* The hardened HDF5 reader: every HDF5 file that Reeve opens for reading comes through here, as untrusted input.
 *
 * Opening checks: size cap, HDF5 signature, plug-in loading off, read-only, hard links only (no soft, external or
 * user-defined ones), bounded number of objects, groups at most 4 deep, datasets contiguous or compact without filters
 * or external storage, rank <= 8, no product of dimensions that overflows or exceeds the file, types from an allow-list
 * (integers, IEEE floats, fixed strings, compounds of those, little-endian). STORE_CORRUPT names the file and the place. */
#ifndef REEVE_STORE_READER_H
#define REEVE_STORE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reeve/status.h"

typedef struct reeve_h5 reeve_h5; /* one open file */

#define REEVE_H5_RANK_MAX 8

struct reeve_h5_dataset {
    char path[256];          /* "/model/h.0.ln_1.weight" */
    uint32_t rank;
    uint64_t dims[REEVE_H5_RANK_MAX];
    uint64_t element_bytes;
    uint64_t bytes;          /* product of dims x element_bytes */
    uint64_t file_offset;    /* of the first byte in the file (contiguous layout); UINT64_MAX: compact, or none allocated */
    char type;               /* 'u' unsigned, 'i' signed, 'f' float, 's' fixed string, 'c' compound */
};

/* Open a file of ours: superblock version 3 only, whose metadata is checksummed. INPUT_MISSING | INPUT_PERMISSION |
 * STORE_CORRUPT | STORE_READ | JOB_NO_MEMORY. Cost: O(objects). The file may grow in place or be replaced afterwards. */
reeve_status reeve_h5_open(const char *path, uint64_t file_bytes_max, reeve_h5 **out, struct reeve_error *err);
/* The same for a file that others made (token files from h5py): any superblock version; all other checks hold. */
reeve_status reeve_h5_open_foreign(const char *path, uint64_t file_bytes_max, reeve_h5 **out, struct reeve_error *err);
void reeve_h5_close(reeve_h5 *h); /* takes NULL */
int reeve_h5_fd(const reeve_h5 *h); /* a read-only descriptor of the same file, for pread; borrowed until close */
uint64_t reeve_h5_file_bytes(const reeve_h5 *h);

/* Find a dataset. STORE_CORRUPT if it is not there or is not as described above. */
reeve_status reeve_h5_dataset(reeve_h5 *h, const char *path, struct reeve_h5_dataset *out, struct reeve_error *err);
/* Read a whole dataset of at most bytes_max raw bytes (as stored, little-endian) into out. */
reeve_status reeve_h5_read(reeve_h5 *h, const struct reeve_h5_dataset *d, void *out, uint64_t bytes_max,
                           struct reeve_error *err);
/* Scalar attributes of the root group or of a dataset (object path). */
reeve_status reeve_h5_attr_u64(reeve_h5 *h, const char *object, const char *name, uint64_t *out, struct reeve_error *err);
reeve_status reeve_h5_attr_text(reeve_h5 *h, const char *object, const char *name, char *out, size_t out_bytes,
                                struct reeve_error *err); /* fixed-length UTF-8/ASCII string */

/* Before the first HDF5 call of each thread (everything in store/ does it): no plug-ins, H5dont_atexit, and no printing
 * of the error stack, which is the thread's own. Cheap when repeated. */
void reeve_h5_library_init(void);

#endif
