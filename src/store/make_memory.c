/* An HDF5 file built in memory: the core driver with our own allocator, which keeps the buffer when the library closes
 * the file. H5Fget_file_image() will not do: of a version 3 superblock it clears the "open for writing" mark but not
 * the checksum over it, so that nobody can open the copy. */
#include "store/make.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/reader.h"

#define INCREMENT_BYTES ((size_t)64 << 10) /* HDF5 sets each to zeros */
#define SUPERBLOCK_VERSION_AT 8            /* HDF5 file format specification 3.0, II.A: superblock versions 2 and 3 */
#define SUPERBLOCK_END_AT 28               /* end-of-file address, 8 bytes little-endian: what the file really uses */
#define SUPERBLOCK_BYTES 48

static void *image_realloc(void *old, size_t size, H5FD_file_image_op_t op, void *arg)
{
    struct reeve_make_memory *m = arg;
    (void)op;
    (void)old; /* always m->bytes: one file has one buffer */
    void *bytes = realloc(m->bytes, size);
    if (bytes == NULL) return NULL;
    m->bytes = bytes;
    m->bytes_allocated = size;
    return bytes;
}

static void *image_malloc(size_t size, H5FD_file_image_op_t op, void *arg)
{
    return image_realloc(NULL, size, op, arg);
}

static void *image_memcpy(void *to, const void *from, size_t size, H5FD_file_image_op_t op, void *arg)
{
    (void)op;
    (void)arg;
    return memcpy(to, from, size);
}

/* The library is done with the buffer; we are not. */
static herr_t image_free(void *bytes, H5FD_file_image_op_t op, void *arg)
{
    (void)bytes;
    (void)op;
    (void)arg;
    return 0;
}

static void *udata_copy(void *arg)
{
    return arg;
}

static herr_t udata_free(void *arg)
{
    (void)arg;
    return 0;
}

bool reeve_make_memory(struct reeve_make_memory *m)
{
    reeve_h5_library_init();
    *m = (struct reeve_make_memory){.file = H5I_INVALID_HID};
    H5FD_file_image_callbacks_t calls = {
        .image_malloc = image_malloc,
        .image_memcpy = image_memcpy,
        .image_realloc = image_realloc,
        .image_free = image_free,
        .udata_copy = udata_copy,
        .udata_free = udata_free,
        .udata = m,
    };
    hid_t fapl = reeve_make_access_list();
    if (fapl < 0) return false;
    /* A name only: nothing reaches the disk. But of two files in memory the library knows nothing else to tell them by,
     * and refuses to make one while another of its name is open, in whatever thread. */
    static atomic_uint count;
    char name[32];
    (void)snprintf(name, sizeof(name), "reeve-image-%u", atomic_fetch_add(&count, 1));
    if (H5Pset_fapl_core(fapl, INCREMENT_BYTES, false) >= 0 && H5Pset_file_image_callbacks(fapl, &calls) >= 0)
        m->file = reeve_make_create(name, fapl, H5F_ACC_TRUNC);
    (void)H5Pclose(fapl);
    if (m->file < 0) free(m->bytes);
    return m->file >= 0;
}

/* How much of the buffer is the file: it grows by increments, and the superblock says where the file ends. */
static size_t image_end(const struct reeve_make_memory *m)
{
    const uint8_t *bytes = m->bytes;
    if (m->bytes_allocated < SUPERBLOCK_BYTES || bytes[SUPERBLOCK_VERSION_AT] != 3) return 0;
    uint64_t end;
    memcpy(&end, bytes + SUPERBLOCK_END_AT, sizeof(end));
    return end <= m->bytes_allocated ? (size_t)end : 0;
}

bool reeve_make_image(struct reeve_make_memory *m, void **bytes, size_t *count)
{
    bool good = H5Fclose(m->file) >= 0;
    m->file = H5I_INVALID_HID;
    size_t end = good && m->bytes != NULL ? image_end(m) : 0;
    if (end == 0) {
        free(m->bytes);
        m->bytes = NULL;
        return false;
    }
    *bytes = m->bytes;
    *count = end;
    m->bytes = NULL;
    return true;
}
