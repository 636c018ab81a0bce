/* Making our own HDF5 files: the few calls that the journal and the checkpoint need, each with the settings that keep
 * a file checkable. libver v110 on both ends (checksummed metadata), no time stamps (equal contents are equal bytes),
 * attributes kept in their object (no heaps), contiguous datasets with a place of their own from the start, so that
 * bytes can go there by pwrite after the library has let go of the file.
 *
 * Nothing here words an error: the caller knows the path. HDF5's own error stack stays silent (reader.h). */
#ifndef REEVE_STORE_MAKE_H
#define REEVE_STORE_MAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hdf5.h>

/* Dataset data from this size on starts at a multiple of it: a page, so that no 64-byte record straddles a sector. */
#define REEVE_MAKE_ALIGNMENT 4096u

/* What a dataset starts with. */
enum reeve_make_fill {
    REEVE_MAKE_ZEROS, /* written, not left as a hole: the space is really there */
    REEVE_MAKE_HOLE,  /* the caller writes every byte later */
};

hid_t reeve_make_file(const char *path); /* a new file on disk; an existing one is an error. < 0: failed */
/* The two halves of it, for make_memory.c: how every file of ours is accessed, and created. */
hid_t reeve_make_access_list(void);
hid_t reeve_make_create(const char *name, hid_t access_list, unsigned flags);

/* A file that is built in memory, so that writing it is ours alone and a full disk is met with an errno. */
struct reeve_make_memory {
    hid_t file;  /* < 0: failed */
    void *bytes; /* owned until reeve_make_image() hands it out */
    size_t bytes_allocated;
};
/* m must stay where it is until reeve_make_image(). */
bool reeve_make_memory(struct reeve_make_memory *m);
/* Close the file and hand out the bytes that it would have on disk; *bytes is the caller's to free. Always closes. */
bool reeve_make_image(struct reeve_make_memory *m, void **bytes, size_t *count);

bool reeve_make_group(hid_t file, const char *path);
bool reeve_make_attr_u64(hid_t file, const char *name, uint64_t value);    /* of the root group */
bool reeve_make_attr_text(hid_t file, const char *name, const char *text); /* fixed length, UTF-8 */
/* *offset: where its data lies in the file; offset may be NULL. Each dataset has a place from the start. */
bool reeve_make_dataset(hid_t file, const char *path, hid_t type, uint32_t rank, const uint64_t *dims,
                        enum reeve_make_fill fill, uint64_t *offset);
/* A packed compound under construction: members in order, little-endian, without gaps. */
struct reeve_make_member {
    const char *name;
    hid_t type;
};
hid_t reeve_make_compound(const struct reeve_make_member *members, size_t count);

#endif
