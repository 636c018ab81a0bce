/* The hardened HDF5 reader; see reader.h for what is refused, reader_walk.c for how. Payload is read by pread at the
 * place that the walk has checked, so the library's global lock is held for metadata only. */
#include "store/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"
#include "store/reader_walk.h"

#define OUR_SUPERBLOCK 3 /* what libver v110 writes: metadata is checksummed */
#define SUPERBLOCK_MAX 3
#define HEAD_BYTES 9 /* signature and superblock version */
#define FILE_BYTES_MIN 48

static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

/* A failed H5Fclose makes HDF5 crash in its own exit handler: it must not have one. A plug-in is code from a file. */
static void library_init_once(void)
{
    (void)H5dont_atexit();
    (void)H5open();
    (void)H5PLset_loading_state(0);
}

void reeve_h5_library_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Thread_local bool quiet; /* each thread has an error stack of its own, which prints unless told not to */
    (void)pthread_once(&once, library_init_once);
    if (quiet) return;
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    quiet = true;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

/* What can be said of the file without HDF5. */
static reeve_status check_head(reeve_h5 *h, uint64_t file_bytes_max, bool foreign, struct reeve_error *err)
{
    struct stat info;
    unsigned char head[HEAD_BYTES];
    if (fstat(h->fd, &info) != 0) return reeve_fail(err, REEVE_STORE_READ, "stat %s: %m", h->path);
    if (!S_ISREG(info.st_mode)) return reeve_fail(err, REEVE_INPUT_INVALID, "%s: not a regular file", h->path);
    h->file_bytes = (uint64_t)info.st_size;
    if (h->file_bytes < FILE_BYTES_MIN)
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s has %llu bytes: it was cut, or is no HDF5 file", h->path,
                          (unsigned long long)h->file_bytes);
    if (h->file_bytes > file_bytes_max)
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s has %llu bytes; at most %llu are read", h->path,
                          (unsigned long long)h->file_bytes, (unsigned long long)file_bytes_max);
    reeve_status st = reeve_pread_all(h->fd, head, sizeof(head), 0, h->path, err);
    if (st != REEVE_OK) return st;
    if (memcmp(head, signature, sizeof(signature)) != 0)
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s does not start as an HDF5 file does (byte 0)", h->path);
    unsigned version = head[sizeof(signature)];
    if (version > SUPERBLOCK_MAX || (!foreign && version != OUR_SUPERBLOCK))
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: HDF5 superblock version %u at byte 8, expected %u", h->path,
                          version, OUR_SUPERBLOCK);
    return REEVE_OK;
}

static hid_t open_in_library(const char *path, reeve_status *st, char *why, size_t why_bytes)
{
    hid_t file = H5I_INVALID_HID;
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);
    if (fapl < 0) return file;
    /* No lock: it may be missing on the file system, local to the node, or held by a reader for no gain. */
    if (H5Pset_fapl_sec2(fapl) >= 0 && H5Pset_fclose_degree(fapl, H5F_CLOSE_STRONG) >= 0 &&
        H5Pset_file_locking(fapl, false, true) >= 0)
        file = H5Fopen(path, H5F_ACC_RDONLY, fapl);
    if (file < 0) *st = reeve_h5_why(why, why_bytes); /* now: the next call forgets it */
    (void)H5Pclose(fapl);
    return file;
}

/* The library opens by name. Is it the file that we have looked at? */
static bool same_file(const reeve_h5 *h)
{
    void *handle = NULL;
    struct stat ours, theirs;
    return H5Fget_vfd_handle(h->file, H5P_DEFAULT, &handle) >= 0 && handle != NULL && fstat(h->fd, &ours) == 0 &&
           fstat(*(int *)handle, &theirs) == 0 && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

static reeve_status open_checked(reeve_h5 *h, uint64_t file_bytes_max, bool foreign, struct reeve_error *err)
{
    char why[160] = "out of memory";
    /* O_NONBLOCK: a FIFO of that name must not hold us up */
    h->fd = open(h->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (h->fd < 0) return reeve_fail(err, reeve_status_from_errno_read(errno), "open %s: %m", h->path);
    reeve_status st = check_head(h, file_bytes_max, foreign, err);
    if (st != REEVE_OK) return st;
    reeve_status why_st = REEVE_STORE_CORRUPT;
    h->file = open_in_library(h->path, &why_st, why, sizeof(why));
    if (h->file < 0 && why_st == REEVE_STORE_READ)
        return reeve_fail(err, REEVE_STORE_READ, "%s cannot be read (HDF5: %s)", h->path, why);
    if (h->file < 0)
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s is damaged: HDF5 cannot open it (%s)", h->path, why);
    if (!same_file(h)) return reeve_fail(err, REEVE_STORE_CORRUPT, "%s was replaced while it was opened", h->path);
    return reeve_h5_walk(h, err);
}

static reeve_status open_any(const char *path, uint64_t file_bytes_max, bool foreign, reeve_h5 **out,
                             struct reeve_error *err)
{
    reeve_h5_library_init();
    if (strlen(path) >= REEVE_PATH_BYTES_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID, "open %.100s...: path too long", path);
    reeve_h5 *h = calloc(1, sizeof(*h));
    if (h == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "open %s: out of memory", path);
    (void)snprintf(h->path, sizeof(h->path), "%s", path);
    h->fd = -1;
    h->file = H5I_INVALID_HID;
    reeve_status st = open_checked(h, file_bytes_max, foreign, err);
    if (st != REEVE_OK) {
        reeve_h5_close(h);
        return st;
    }
    *out = h;
    return REEVE_OK;
}

reeve_status reeve_h5_open(const char *path, uint64_t file_bytes_max, reeve_h5 **out, struct reeve_error *err)
{
    return open_any(path, file_bytes_max, false, out, err);
}

reeve_status reeve_h5_open_foreign(const char *path, uint64_t file_bytes_max, reeve_h5 **out, struct reeve_error *err)
{
    return open_any(path, file_bytes_max, true, out, err);
}

void reeve_h5_close(reeve_h5 *h)
{
    if (h == NULL) return;
    reeve_h5_library_init(); /* perhaps another thread than the one that opened it */
    if (h->file >= 0) (void)H5Fclose(h->file);
    if (h->fd >= 0) (void)close(h->fd);
    (void)H5Eclear2(H5E_DEFAULT);
    free(h->datasets);
    free(h);
}

int reeve_h5_fd(const reeve_h5 *h)
{
    return h->fd;
}

uint64_t reeve_h5_file_bytes(const reeve_h5 *h)
{
    return h->file_bytes;
}

/* --- datasets --------------------------------------------------------------------------------------------------- */

static int path_order(const void *key, const void *dataset)
{
    return strcmp(key, ((const struct reeve_h5_dataset *)dataset)->path);
}

reeve_status reeve_h5_dataset(reeve_h5 *h, const char *path, struct reeve_h5_dataset *out, struct reeve_error *err)
{
    const struct reeve_h5_dataset *d = NULL;
    if (h->dataset_count > 0) d = bsearch(path, h->datasets, h->dataset_count, sizeof(*h->datasets), path_order);
    if (d == NULL) return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: there is no dataset %s", h->path, path);
    *out = *d;
    return REEVE_OK;
}

/* In the object's header, or nowhere yet: only the library knows. At most 64 KiB, or fill values. */
static reeve_status read_in_library(reeve_h5 *h, const struct reeve_h5_dataset *d, void *out, struct reeve_error *err)
{
    char why[160];
    reeve_status st = REEVE_OK;
    reeve_h5_library_init();
    hid_t set = H5Dopen2(h->file, d->path, H5P_DEFAULT);
    hid_t type = set >= 0 ? H5Dget_type(set) : H5I_INVALID_HID;
    bool good = type >= 0 && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0;
    if (!good) st = reeve_h5_why(why, sizeof(why));
    if (type >= 0) (void)H5Tclose(type);
    if (set >= 0) (void)H5Dclose(set);
    if (good) return REEVE_OK;
    return reeve_fail(err, st, "%s: %s cannot be read (HDF5: %s)", h->path, d->path, why);
}

reeve_status reeve_h5_read(reeve_h5 *h, const struct reeve_h5_dataset *d, void *out, uint64_t bytes_max,
                           struct reeve_error *err)
{
    if (d->bytes > bytes_max)
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: %s has %llu bytes, at most %llu were expected", h->path,
                          d->path, (unsigned long long)d->bytes, (unsigned long long)bytes_max);
    if (d->bytes == 0) return REEVE_OK;
    if (d->file_offset == UINT64_MAX) return read_in_library(h, d, out, err);
    return reeve_pread_all(h->fd, out, (size_t)d->bytes, d->file_offset, h->path, err);
}

/* --- attributes ------------------------------------------------------------------------------------------------- */

static reeve_status bad_attr(reeve_h5 *h, const char *object, const char *name, const char *why,
                             struct reeve_error *err)
{
    char library[160];
    if (reeve_h5_why(library, sizeof(library)) == REEVE_STORE_READ)
        return reeve_fail(err, REEVE_STORE_READ, "%s: attribute %s of %s cannot be read (HDF5: %s)", h->path, name,
                          object, library);
    return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: attribute %s of %s %s", h->path, name, object, why);
}

/* Open a scalar attribute and its type. On failure both are invalid. */
static reeve_status open_attr(reeve_h5 *h, const char *object, const char *name, hid_t *attr, hid_t *type,
                              struct reeve_error *err)
{
    reeve_h5_library_init();
    if (H5Aexists_by_name(h->file, object, name, H5P_DEFAULT) <= 0) return bad_attr(h, object, name, "is missing", err);
    *attr = H5Aopen_by_name(h->file, object, name, H5P_DEFAULT, H5P_DEFAULT);
    if (*attr < 0) return bad_attr(h, object, name, "cannot be opened", err);
    hid_t space = H5Aget_space(*attr);
    hssize_t elements = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    if (space >= 0) (void)H5Sclose(space);
    *type = elements == 1 ? H5Aget_type(*attr) : H5I_INVALID_HID;
    if (*type >= 0) return REEVE_OK;
    (void)H5Aclose(*attr);
    return bad_attr(h, object, name, "is not one value", err);
}

reeve_status reeve_h5_attr_u64(reeve_h5 *h, const char *object, const char *name, uint64_t *out,
                               struct reeve_error *err)
{
    hid_t attr, type;
    uint64_t value = 0;
    reeve_status st = open_attr(h, object, name, &attr, &type, err);
    if (st != REEVE_OK) return st;
    if (H5Tget_class(type) != H5T_INTEGER || H5Tget_sign(type) != H5T_SGN_NONE || H5Tget_size(type) > sizeof(value))
        st = bad_attr(h, object, name, "is not an unsigned integer of at most 64 bits", err);
    else if (H5Aread(attr, H5T_NATIVE_UINT64, &value) < 0) st = bad_attr(h, object, name, "cannot be read", err);
    (void)H5Tclose(type);
    (void)H5Aclose(attr);
    if (st == REEVE_OK) *out = value;
    return st;
}

reeve_status reeve_h5_attr_text(reeve_h5 *h, const char *object, const char *name, char *out, size_t out_bytes,
                                struct reeve_error *err)
{
    hid_t attr, type;
    reeve_status st = open_attr(h, object, name, &attr, &type, err);
    if (st != REEVE_OK) return st;
    size_t bytes = H5Tget_size(type);
    if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0 || bytes == 0)
        st = bad_attr(h, object, name, "is not a text of fixed length", err);
    else if (bytes > out_bytes || (bytes == out_bytes && H5Tget_strpad(type) != H5T_STR_NULLTERM))
        st = bad_attr(h, object, name, "is longer than expected", err);
    else if (H5Aread(attr, type, out) < 0) st = bad_attr(h, object, name, "cannot be read", err);
    if (st == REEVE_OK) {
        if (bytes < out_bytes) out[bytes] = '\0';
        out[out_bytes - 1] = '\0';
        for (size_t n = strlen(out); H5Tget_strpad(type) == H5T_STR_SPACEPAD && n > 0 && out[n - 1] == ' '; n--)
            out[n - 1] = '\0';
    } else if (out_bytes > 0) {
        out[0] = '\0';
    }
    (void)H5Tclose(type);
    (void)H5Aclose(attr);
    return st;
}
