/* The walk over a file that nobody has vouched for. Order matters: what an object may make the library do (follow a
 * link, open another file, allocate) is looked at before the library is asked for anything that does it. */
#include "store/reader_walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/seal_outside.h"

#define DEPTH_MAX 4
#define OBJECTS_MAX 65536u
#define MEMBERS_MAX 64

struct walk {
    reeve_h5 *h;      /* borrowed */
    haddr_t *objects; /* owned; addresses of all objects, to find one that is reached twice */
    size_t object_count;
    reeve_status st;
    struct reeve_error *err; /* borrowed; may be NULL */
};

/* One group on the way down. */
struct place {
    struct walk *w;
    const char *path; /* "" for the root */
    int depth;
};

struct reason {
    char text[160];
    reeve_status st;
};

/* The driver that reads by system calls says so itself when one fails; whatever else goes wrong is in the bytes. */
static herr_t keep_first(unsigned n, const H5E_error2_t *error, void *arg)
{
    struct reason *r = arg;
    if (n > 0) return 0;
    (void)snprintf(r->text, sizeof(r->text), "%s", error->desc);
    bool system =
        strstr(error->func_name, "sec2") != NULL && error->maj_num == H5E_IO && error->min_num == H5E_READERROR;
    bool open =
        strstr(error->func_name, "sec2") != NULL && error->maj_num == H5E_FILE && error->min_num == H5E_CANTOPENFILE;
    if (system || open) r->st = REEVE_STORE_READ;
    return 0;
}

reeve_status reeve_h5_why(char *text, size_t text_bytes)
{
    struct reason r = {.text = "no reason given", .st = REEVE_STORE_CORRUPT};
    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &r);
    (void)H5Eclear2(H5E_DEFAULT);
    (void)snprintf(text, text_bytes, "%s", r.text);
    return r.st;
}

static reeve_status refuse(struct walk *w, const char *path, const char *why)
{
    w->st = reeve_fail(w->err, REEVE_STORE_CORRUPT, "%s: %s %s", w->h->path, path, why);
    return w->st;
}

static reeve_status refuse_unreadable(struct walk *w, const char *path)
{
    char why[160];
    reeve_status st = reeve_h5_why(why, sizeof(why));
    w->st = reeve_fail(w->err, st, "%s: %s cannot be opened (HDF5: %s)", w->h->path, path, why);
    return w->st;
}

/* --- types ------------------------------------------------------------------------------------------------------ */

/* A byte has no order, whatever the file says. */
static bool little_endian(hid_t type, size_t bytes)
{
    return bytes == 1 || H5Tget_order(type) == H5T_ORDER_LE;
}

static bool plain_integer(hid_t type)
{
    size_t bytes = H5Tget_size(type);
    return (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8) && H5Tget_precision(type) == bytes * 8 &&
           H5Tget_offset(type) == 0 && little_endian(type, bytes);
}

static bool ieee_float(hid_t type)
{
    if (H5Tequal(type, H5T_IEEE_F32LE) > 0 || H5Tequal(type, H5T_IEEE_F64LE) > 0) return true;
    size_t sign, exponent, exponent_bits, mantissa, mantissa_bits;
    return H5Tget_size(type) == 2 && H5Tget_order(type) == H5T_ORDER_LE && H5Tget_precision(type) == 16 &&
           H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) >= 0 && sign == 15 &&
           exponent == 10 && exponent_bits == 5 && mantissa == 0 && mantissa_bits == 10;
}

/* 'u', 'i', 'f' or 's'; 0: not one of the list. */
static char simple_kind(hid_t type)
{
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        if (!plain_integer(type)) return 0;
        return H5Tget_sign(type) == H5T_SGN_NONE ? 'u' : 'i';
    case H5T_FLOAT: return ieee_float(type) ? 'f' : 0;
    case H5T_STRING: return H5Tis_variable_str(type) == 0 ? 's' : 0;
    default: return 0;
    }
}

/* A compound whose members are simple, in order, and do not overlap. */
static bool plain_compound(hid_t type)
{
    int members = H5Tget_nmembers(type);
    if (members < 1 || members > MEMBERS_MAX) return false;
    size_t end = 0, bytes = H5Tget_size(type);
    for (int i = 0; i < members; i++) {
        hid_t member = H5Tget_member_type(type, (unsigned)i);
        if (member < 0) return false;
        size_t at = H5Tget_member_offset(type, (unsigned)i), size = H5Tget_size(member);
        bool good = simple_kind(member) != 0 && size > 0 && at >= end && at <= bytes && size <= bytes - at;
        (void)H5Tclose(member);
        if (!good) return false;
        end = at + size;
    }
    return true;
}

static reeve_status check_type(struct walk *w, hid_t set, struct reeve_h5_dataset *d)
{
    hid_t type = H5Dget_type(set);
    if (type < 0) return refuse_unreadable(w, d->path);
    d->element_bytes = H5Tget_size(type);
    d->type = H5Tget_class(type) == H5T_COMPOUND ? (plain_compound(type) ? 'c' : 0) : simple_kind(type);
    (void)H5Tclose(type);
    if (d->type == 0 || d->element_bytes == 0)
        return refuse(w, d->path,
                      "has a type that is not read: little-endian integers, IEEE floats, fixed-length strings "
                      "and compounds of those are");
    return REEVE_OK;
}

/* --- datasets --------------------------------------------------------------------------------------------------- */

/* How the bytes are stored, from the creation list alone: this opens and reads nothing else. */
static reeve_status check_storage(struct walk *w, hid_t set, const char *path, H5D_layout_t *layout)
{
    hid_t dcpl = H5Dget_create_plist(set);
    if (dcpl < 0) return refuse_unreadable(w, path);
    *layout = H5Pget_layout(dcpl);
    int filters = H5Pget_nfilters(dcpl), outside = *layout == H5D_CONTIGUOUS ? H5Pget_external_count(dcpl) : 0;
    (void)H5Pclose(dcpl);
    if (*layout == H5D_CHUNKED)
        return refuse(w, path,
                      filters > 0 ? "is chunked and filtered (compressed); only contiguous datasets are read: "
                                    "rewrite the file with `h5repack -f NONE -l CONTI OLD NEW`"
                                  : "is chunked; only contiguous datasets are read: rewrite the file with "
                                    "`h5repack -l CONTI OLD NEW`");
    if (*layout == H5D_VIRTUAL) return refuse(w, path, "is virtual (its data is in other files), which is not read");
    if (*layout != H5D_CONTIGUOUS && *layout != H5D_COMPACT) return refuse(w, path, "has an unknown layout");
    if (outside != 0) return refuse(w, path, "has its data in external files, which are not read");
    if (filters != 0) return refuse(w, path, "has filters, which are not read");
    return REEVE_OK;
}

static reeve_status check_shape(struct walk *w, hid_t set, struct reeve_h5_dataset *d)
{
    hsize_t dims[REEVE_H5_RANK_MAX];
    hid_t space = H5Dget_space(set);
    if (space < 0) return refuse_unreadable(w, d->path);
    H5S_class_t kind = H5Sget_simple_extent_type(space);
    int rank = kind == H5S_SIMPLE || kind == H5S_SCALAR ? H5Sget_simple_extent_ndims(space) : -1;
    bool good = rank >= 0 && rank <= REEVE_H5_RANK_MAX && H5Sget_simple_extent_dims(space, dims, NULL) == rank;
    (void)H5Sclose(space);
    if (!good) return refuse(w, d->path, "has no shape, or more than 8 dimensions");
    d->rank = (uint32_t)rank;
    d->bytes = d->element_bytes;
    for (int i = 0; i < rank; i++)
        d->dims[i] = dims[i];
    for (int i = 0; i < rank; i++)
        if (__builtin_mul_overflow(d->bytes, d->dims[i], &d->bytes))
            return refuse(w, d->path, "has a shape whose size does not fit into 64 bits");
    if (d->bytes > w->h->file_bytes) return refuse(w, d->path, "has a shape that is larger than the whole file");
    return REEVE_OK;
}

static reeve_status check_place(struct walk *w, hid_t set, H5D_layout_t layout, struct reeve_h5_dataset *d)
{
    d->file_offset = UINT64_MAX;
    hsize_t stored = H5Dget_storage_size(set);
    if (stored != d->bytes && !(stored == 0 && layout == H5D_CONTIGUOUS))
        return refuse(w, d->path, "has a shape that does not fit what is stored");
    if (layout != H5D_CONTIGUOUS || stored == 0) return REEVE_OK;
    haddr_t at = H5Dget_offset(set);
    if (at == HADDR_UNDEF) return refuse(w, d->path, "has no place in the file");
    if (at > w->h->file_bytes || d->bytes > w->h->file_bytes - at)
        return refuse(w, d->path, "reaches beyond the end of the file");
    d->file_offset = at;
    return REEVE_OK;
}

static struct reeve_h5_dataset *next_dataset(struct walk *w)
{
    reeve_h5 *h = w->h;
    if (h->dataset_count == h->datasets_allocated) {
        size_t room = h->datasets_allocated == 0 ? 16 : h->datasets_allocated * 2;
        struct reeve_h5_dataset *more = realloc(h->datasets, room * sizeof(*more));
        if (more == NULL) {
            w->st = reeve_fail(w->err, REEVE_JOB_NO_MEMORY, "open %s: out of memory", h->path);
            return NULL;
        }
        h->datasets = more;
        h->datasets_allocated = room;
    }
    struct reeve_h5_dataset *d = &h->datasets[h->dataset_count];
    memset(d, 0, sizeof(*d));
    return d;
}

static reeve_status visit_dataset(struct walk *w, hid_t set, const char *path)
{
    H5D_layout_t layout = H5D_LAYOUT_ERROR;
    struct reeve_h5_dataset *d = next_dataset(w);
    if (d == NULL) return w->st;
    (void)snprintf(d->path, sizeof(d->path), "%s", path);
    if (check_storage(w, set, path, &layout) == REEVE_OK && check_type(w, set, d) == REEVE_OK &&
        check_shape(w, set, d) == REEVE_OK && check_place(w, set, layout, d) == REEVE_OK)
        w->h->dataset_count++;
    return w->st;
}

/* --- links and groups ------------------------------------------------------------------------------------------- */

static reeve_status walk_group(struct walk *w, hid_t group, const char *path, int depth);

/* Remember where an object lies. Objects are bounded in number, so a cycle ends, and the duplicates that it leaves are
 * found after the walk. */
static reeve_status remember(struct walk *w, hid_t object, const char *path, H5O_type_t *kind)
{
    H5O_info_t info;
    if (w->object_count == OBJECTS_MAX) return refuse(w, path, "is one object too many: at most 65536 are read");
    if (H5Oget_info2(object, &info, H5O_INFO_BASIC) < 0) return refuse_unreadable(w, path);
    w->objects[w->object_count++] = info.addr;
    *kind = info.type;
    return REEVE_OK;
}

static reeve_status visit_object(const struct place *at, hid_t object, const char *path)
{
    struct walk *w = at->w;
    H5O_type_t kind;
    if (remember(w, object, path, &kind) != REEVE_OK) return w->st;
    if (kind == H5O_TYPE_DATASET) return visit_dataset(w, object, path);
    if (kind != H5O_TYPE_GROUP) return refuse(w, path, "is neither a group nor a dataset");
    if (at->depth == DEPTH_MAX) return refuse(w, path, "lies too deep: groups at most 4 deep are read");
    return walk_group(w, object, path, at->depth + 1);
}

static herr_t visit_link(hid_t group, const char *name, const H5L_info_t *info, void *arg)
{
    const struct place *at = arg;
    struct walk *w = at->w;
    char path[sizeof(((struct reeve_h5_dataset *)NULL)->path)];
    int n = snprintf(path, sizeof(path), "%s/%s", at->path, name);
    if (n < 0 || (size_t)n >= sizeof(path)) (void)refuse(w, path, "...: has a path longer than 255 bytes");
    else if (info->type != H5L_TYPE_HARD)
        (void)refuse(w, path,
                     info->type == H5L_TYPE_SOFT       ? "is a soft link, which is not followed"
                     : info->type == H5L_TYPE_EXTERNAL ? "is a link to another file, which is not followed"
                                                       : "is a user-defined link, which is not followed");
    else {
        hid_t object = H5Oopen(group, name, H5P_DEFAULT);
        if (object < 0) (void)refuse_unreadable(w, path);
        else {
            (void)visit_object(at, object, path);
            (void)H5Oclose(object);
        }
    }
    return w->st == REEVE_OK ? 0 : 1;
}

static reeve_status walk_group(struct walk *w, hid_t group, const char *path, int depth)
{
    struct place at = {w, path, depth};
    hsize_t index = 0;
    if (H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, &index, visit_link, &at) < 0 && w->st == REEVE_OK)
        return refuse_unreadable(w, path[0] != '\0' ? path : "/");
    return w->st;
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

static int address_order(const void *a, const void *b)
{
    haddr_t x = *(const haddr_t *)a, y = *(const haddr_t *)b;
    return x < y ? -1 : x > y;
}

static reeve_status check_no_object_twice(struct walk *w)
{
    qsort(w->objects, w->object_count, sizeof(*w->objects), address_order);
    for (size_t i = 1; i < w->object_count; i++)
        if (w->objects[i] == w->objects[i - 1]) return refuse(w, "/", "reaches an object by two links, or in a circle");
    return REEVE_OK;
}

static reeve_status check_no_overlap(struct walk *w)
{
    reeve_h5 *h = w->h;
    size_t count = 0;
    struct reeve_span *spans = malloc((h->dataset_count + 1) * sizeof(*spans));
    if (spans == NULL) return w->st = reeve_fail(w->err, REEVE_JOB_NO_MEMORY, "open %s: out of memory", h->path);
    for (size_t i = 0; i < h->dataset_count; i++)
        if (h->datasets[i].file_offset != UINT64_MAX)
            spans[count++] = (struct reeve_span){h->datasets[i].file_offset, h->datasets[i].bytes};
    if (!reeve_spans_sort(spans, count, h->file_bytes)) (void)refuse(w, "/", "holds datasets that overlap in the file");
    free(spans);
    return w->st;
}

static int path_order(const void *a, const void *b)
{
    return strcmp(((const struct reeve_h5_dataset *)a)->path, ((const struct reeve_h5_dataset *)b)->path);
}

reeve_status reeve_h5_walk(reeve_h5 *h, struct reeve_error *err)
{
    H5O_type_t kind;
    struct walk w = {.h = h, .err = err};
    w.objects = malloc(OBJECTS_MAX * sizeof(*w.objects));
    if (w.objects == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "open %s: out of memory", h->path);
    hid_t root = H5Gopen2(h->file, "/", H5P_DEFAULT);
    if (root < 0) (void)refuse_unreadable(&w, "/");
    else {
        if (remember(&w, root, "/", &kind) == REEVE_OK && walk_group(&w, root, "", 0) == REEVE_OK &&
            check_no_object_twice(&w) == REEVE_OK)
            (void)check_no_overlap(&w);
        (void)H5Gclose(root);
    }
    free(w.objects);
    if (w.st == REEVE_OK && h->dataset_count > 0)
        qsort(h->datasets, h->dataset_count, sizeof(*h->datasets), path_order);
    return w.st;
}
