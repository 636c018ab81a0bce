/* Making our own HDF5 files. See make.h for the settings and why; make_memory.c for those that are built in memory. */
#include "store/make.h"

#include <stdatomic.h>
#include <string.h>

#include "store/reader.h"

#define COMPACT_MAX 64 /* attributes and root links stay in the object header up to here */

/* Both ends v110: what an older or a newer library would write by default differs, ours must not. */
hid_t reeve_make_access_list(void)
{
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);
    if (fapl < 0) return fapl;
    if (H5Pset_libver_bounds(fapl, H5F_LIBVER_V110, H5F_LIBVER_V110) < 0 ||
        H5Pset_fclose_degree(fapl, H5F_CLOSE_STRONG) < 0 ||
        H5Pset_alignment(fapl, REEVE_MAKE_ALIGNMENT, REEVE_MAKE_ALIGNMENT) < 0 ||
        H5Pset_file_locking(fapl, false, true) < 0) { /* flock may be missing or local to a node; we never rely on it */
        (void)H5Pclose(fapl);
        return H5I_INVALID_HID;
    }
    return fapl;
}

hid_t reeve_make_create(const char *name, hid_t fapl, unsigned flags)
{
    hid_t file = H5I_INVALID_HID;
    hid_t fcpl = H5Pcreate(H5P_FILE_CREATE);
    if (fcpl >= 0 && H5Pset_obj_track_times(fcpl, false) >= 0 &&
        H5Pset_attr_phase_change(fcpl, COMPACT_MAX, COMPACT_MAX / 2) >= 0)
        file = H5Fcreate(name, flags, fcpl, fapl);
    if (fcpl >= 0) (void)H5Pclose(fcpl);
    return file;
}

hid_t reeve_make_file(const char *path)
{
    reeve_h5_library_init();
    hid_t fapl = reeve_make_access_list();
    if (fapl < 0) return fapl;
    hid_t file = reeve_make_create(path, fapl, H5F_ACC_EXCL);
    (void)H5Pclose(fapl);
    return file;
}

bool reeve_make_group(hid_t file, const char *path)
{
    hid_t gcpl = H5Pcreate(H5P_GROUP_CREATE);
    hid_t group = H5I_INVALID_HID;
    if (gcpl >= 0 && H5Pset_obj_track_times(gcpl, false) >= 0)
        group = H5Gcreate2(file, path, H5P_DEFAULT, gcpl, H5P_DEFAULT);
    if (gcpl >= 0) (void)H5Pclose(gcpl);
    return group >= 0 && H5Gclose(group) >= 0;
}

static bool write_attr(hid_t file, const char *name, hid_t type, const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attr = H5I_INVALID_HID;
    if (space >= 0) attr = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool good = attr >= 0 && H5Awrite(attr, type, value) >= 0;
    if (attr >= 0 && H5Aclose(attr) < 0) good = false;
    if (space >= 0) (void)H5Sclose(space);
    return good;
}

bool reeve_make_attr_u64(hid_t file, const char *name, uint64_t value)
{
    return write_attr(file, name, H5T_STD_U64LE, &value);
}

bool reeve_make_attr_text(hid_t file, const char *name, const char *text)
{
    size_t length = strlen(text);
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type < 0) return false;
    /* HDF5 has no string of length 0: an empty text is one NUL. */
    bool good = H5Tset_size(type, length > 0 ? length : 1) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0 &&
                H5Tset_cset(type, H5T_CSET_UTF8) >= 0 && write_attr(file, name, type, text);
    (void)H5Tclose(type);
    return good;
}

static hid_t make_dataset_list(enum reeve_make_fill fill)
{
    hid_t dcpl = H5Pcreate(H5P_DATASET_CREATE);
    if (dcpl < 0) return dcpl;
    H5D_fill_time_t when = fill == REEVE_MAKE_ZEROS ? H5D_FILL_TIME_ALLOC : H5D_FILL_TIME_NEVER;
    if (H5Pset_layout(dcpl, H5D_CONTIGUOUS) < 0 || H5Pset_alloc_time(dcpl, H5D_ALLOC_TIME_EARLY) < 0 ||
        H5Pset_fill_time(dcpl, when) < 0 || H5Pset_obj_track_times(dcpl, false) < 0) {
        (void)H5Pclose(dcpl);
        return H5I_INVALID_HID;
    }
    return dcpl;
}

/* How datasets are created. Made once and kept: making and closing a list took a quarter of a dataset's time. Threads that
 * come at once each make one, and the first stays. */
static hid_t dataset_list(enum reeve_make_fill fill)
{
    static _Atomic hid_t kept[2]; /* by enum reeve_make_fill; 0: not yet */
    hid_t first = atomic_load(&kept[fill]);
    if (first != 0) return first;
    hid_t list = make_dataset_list(fill);
    if (list < 0 || atomic_compare_exchange_strong(&kept[fill], &first, list)) return list;
    (void)H5Pclose(list);
    return first;
}

bool reeve_make_dataset(hid_t file, const char *path, hid_t type, uint32_t rank, const uint64_t *dims,
                        enum reeve_make_fill fill, uint64_t *offset)
{
    hsize_t extent[REEVE_H5_RANK_MAX];
    if (rank > REEVE_H5_RANK_MAX) return false;
    for (uint32_t i = 0; i < rank; i++)
        extent[i] = dims[i];
    hid_t dcpl = dataset_list(fill);
    hid_t space = H5Screate_simple((int)rank, extent, NULL);
    hid_t set = H5I_INVALID_HID;
    if (dcpl >= 0 && space >= 0) set = H5Dcreate2(file, path, type, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    haddr_t place = set >= 0 ? H5Dget_offset(set) : HADDR_UNDEF;
    bool good = place != HADDR_UNDEF;
    if (set >= 0 && H5Dclose(set) < 0) good = false;
    if (space >= 0) (void)H5Sclose(space);
    if (good && offset != NULL) *offset = (uint64_t)place;
    return good;
}

hid_t reeve_make_compound(const struct reeve_make_member *members, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += H5Tget_size(members[i].type);
    hid_t type = H5Tcreate(H5T_COMPOUND, bytes);
    if (type < 0) return type;
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        if (H5Tinsert(type, members[i].name, offset, members[i].type) < 0) {
            (void)H5Tclose(type);
            return H5I_INVALID_HID;
        }
        offset += H5Tget_size(members[i].type);
    }
    return type;
}
