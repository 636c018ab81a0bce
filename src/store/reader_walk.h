/* Inside the hardened reader: what an open file is, and the walk over it. Only reader.c and reader_walk.c include this. */
#ifndef REEVE_STORE_READER_WALK_H
#define REEVE_STORE_READER_WALK_H

#include <hdf5.h>

#include "base/path.h"
#include "store/reader.h"

struct reeve_h5 {
    char path[REEVE_PATH_BYTES_MAX]; /* for messages */
    int fd;                          /* owned */
    hid_t file;                      /* owned */
    uint64_t file_bytes;
    struct reeve_h5_dataset *datasets; /* owned; (dataset_count,) by path once the walk is done */
    size_t dataset_count, datasets_allocated;
};

/* Visit every object, refuse what reader.h says is refused, and list the datasets. */
reeve_status reeve_h5_walk(reeve_h5 *h, struct reeve_error *err);

/* The innermost of HDF5's own words for what just failed in this thread; clears them. Returns what it was: STORE_CORRUPT,
 * or STORE_READ if the system refused to read. */
reeve_status reeve_h5_why(char *text, size_t text_bytes);

#endif
