/* One segment of a journal. Nothing in a file is believed before the hardened reader, the name and the seal agree. */
#include "store/journal_segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/error.h"
#include "store/disk.h"
#include "store/make.h"
#include "store/seal_outside.h"

#define FORMAT "reeve-journal"
#define FORMAT_VERSION 1u
#define NAME_LENGTH 28 /* EEEEEEEE-LLLLLLLLLLLLLLLL.h5 */
#define RECORD_BYTES sizeof(struct reeve_event)
#define FILE_BYTES_MAX ((uint64_t)REEVE_SEGMENT_RECORDS_MAX * RECORD_BYTES + (1u << 20))

/* --- names -------------------------------------------------------------------------------------------------------- */

reeve_status reeve_segment_path(const char *run_dir, const struct reeve_segment_name *name, char *out, size_t out_bytes,
                                struct reeve_error *err)
{
    char file[64];
    (void)snprintf(file, sizeof(file), "journal/%08x-%016llx.h5", name->epoch, (unsigned long long)name->first_lsn);
    return reeve_path_join(out, out_bytes, run_dir, file, err);
}

static bool parse_name(const char *text, struct reeve_segment_name *out)
{
    if (strlen(text) != NAME_LENGTH || strspn(text, "0123456789abcdef") != 8 || text[8] != '-' ||
        strspn(text + 9, "0123456789abcdef") != 16 || strcmp(text + 25, ".h5") != 0)
        return false;
    out->epoch = (uint32_t)strtoul(text, NULL, 16);
    out->first_lsn = strtoull(text + 9, NULL, 16);
    return true;
}

static int name_order(const void *a, const void *b)
{
    const struct reeve_segment_name *x = a, *y = b;
    if (x->epoch != y->epoch) return x->epoch < y->epoch ? -1 : 1;
    return x->first_lsn < y->first_lsn ? -1 : x->first_lsn > y->first_lsn;
}

static bool push_name(struct reeve_segment_name **names, size_t *count, size_t *room, struct reeve_segment_name name)
{
    if (*count == *room) {
        size_t larger = *room == 0 ? 64 : *room * 2;
        struct reeve_segment_name *grown = realloc(*names, larger * sizeof(**names));
        if (grown == NULL) return false;
        *names = grown;
        *room = larger;
    }
    (*names)[(*count)++] = name;
    return true;
}

reeve_status reeve_segment_list(const char *run_dir, struct reeve_segment_name **names, size_t *count,
                                struct reeve_error *err)
{
    char dir_path[REEVE_PATH_BYTES_MAX];
    reeve_status st = reeve_path_join(dir_path, sizeof(dir_path), run_dir, "journal", err);
    if (st != REEVE_OK) return st;
    *names = NULL;
    *count = 0;
    size_t room = 0;
    DIR *dir = opendir(dir_path);
    if (dir == NULL && errno == ENOENT) return REEVE_OK;
    if (dir == NULL) return reeve_fail(err, reeve_status_from_errno_read(errno), "read folder %s: %m", dir_path);
    errno = 0;
    for (struct dirent *entry; st == REEVE_OK && (entry = readdir(dir)) != NULL; errno = 0) {
        struct reeve_segment_name name;
        if (parse_name(entry->d_name, &name) && !push_name(names, count, &room, name))
            st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "read folder %s: out of memory", dir_path);
    }
    if (st == REEVE_OK && errno != 0) st = reeve_fail(err, REEVE_STORE_READ, "read folder %s: %m", dir_path);
    (void)closedir(dir);
    if (st != REEVE_OK) {
        free(*names);
        *names = NULL;
        return st;
    }
    if (*count > 0) qsort(*names, *count, sizeof(**names), name_order);
    return REEVE_OK;
}

/* --- creating ----------------------------------------------------------------------------------------------------- */

/* The fields of struct reeve_event, so that h5dump and h5py show a record by name. */
static hid_t event_type(void)
{
    const hid_t u64 = H5T_STD_U64LE, u32 = H5T_STD_U32LE, u16 = H5T_STD_U16LE;
    const struct reeve_make_member members[] = {
        {"lsn", u64},    {"epoch", u32},   {"kind", u16}, {"flags", u16}, {"step", u64}, {"task", u32},
        {"worker", u32}, {"attempt", u32}, {"arg", u32},  {"a", u64},     {"b", u64},    {"sum", u64},
    };
    return reeve_make_compound(members, sizeof(members) / sizeof(members[0]));
}

static bool make_datasets(hid_t file, struct reeve_segment *s, uint64_t *seal_offset)
{
    const uint64_t seal_bytes = sizeof(struct reeve_digest), one = 1, records = s->capacity;
    hid_t type = event_type();
    bool good =
        type >= 0 && reeve_make_dataset(file, "/seal", H5T_STD_U8LE, 1, &seal_bytes, REEVE_MAKE_ZEROS, seal_offset) &&
        reeve_make_dataset(file, "/chain_start", H5T_STD_U64LE, 1, &one, REEVE_MAKE_ZEROS, &s->chain_start_offset) &&
        reeve_make_dataset(file, "/events", type, 1, &records, REEVE_MAKE_ZEROS, &s->events_offset);
    if (type >= 0) (void)H5Tclose(type);
    return good;
}

/* The bytes of a fresh segment; *seal_offset and the offsets in s are found on the way. */
static bool make_image(struct reeve_segment *s, uint64_t *seal_offset, void **image, size_t *bytes)
{
    struct reeve_make_memory m;
    if (!reeve_make_memory(&m)) return false;
    bool good = reeve_make_attr_text(m.file, "format", FORMAT) &&
                reeve_make_attr_u64(m.file, "format_version", FORMAT_VERSION) &&
                reeve_make_attr_u64(m.file, "epoch", s->name.epoch) &&
                reeve_make_attr_u64(m.file, "first_lsn", s->name.first_lsn) &&
                reeve_make_attr_u64(m.file, "run_id", s->run_id) && make_datasets(m.file, s, seal_offset);
    if (!reeve_make_image(&m, image, bytes)) return false;
    good = good && s->events_offset % REEVE_SEGMENT_SECTOR_BYTES == 0;
    if (!good) free(*image);
    return good;
}

/* What the seal leaves out: the records, and the sum that the first of them goes on from. */
static bool unsealed(const struct reeve_segment *s, uint64_t file_bytes, struct reeve_span spans[2])
{
    spans[0] = (struct reeve_span){s->chain_start_offset, sizeof(uint64_t)};
    spans[1] = (struct reeve_span){s->events_offset, (uint64_t)s->capacity * RECORD_BYTES};
    return reeve_spans_sort(spans, 2, file_bytes);
}

reeve_status reeve_segment_create(const char *run_dir, const struct reeve_segment_name *name, uint32_t capacity,
                                  uint64_t run_id, uint64_t chain_start, struct reeve_segment *out,
                                  struct reeve_error *err)
{
    struct reeve_segment s = {.name = *name, .run_id = run_id, .capacity = capacity, .fd = -1};
    reeve_status st = reeve_segment_path(run_dir, name, s.path, sizeof(s.path), err);
    if (st != REEVE_OK) return st;
    void *image;
    size_t bytes;
    uint64_t seal_offset;
    struct reeve_span spans[2];
    struct reeve_digest seal;
    if (!make_image(&s, &seal_offset, &image, &bytes))
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "create %s: HDF5 could not build it in memory", s.path);
    bool apart = unsealed(&s, bytes, spans);
    REEVE_ASSERT(apart); /* the library has just said where they are */
    st = reeve_seal_outside_memory(image, bytes, spans, 2, seal_offset, &seal, err);
    if (st == REEVE_OK) {
        memcpy((uint8_t *)image + seal_offset, &seal, sizeof(seal));
        memcpy((uint8_t *)image + s.chain_start_offset, &chain_start, sizeof(chain_start));
        st = reeve_disk_create(s.path, image, bytes, err);
    }
    free(image);
    if (st != REEVE_OK) return st;
    s.fd = open(s.path, O_RDWR | O_CLOEXEC);
    if (s.fd < 0) {
        st = reeve_disk_fail(err, errno, "open", s.path, 0);
        (void)unlink(s.path); /* whoever tries again must find the name free */
        return st;
    }
    *out = s;
    return REEVE_OK;
}

reeve_status reeve_segment_start(const struct reeve_segment *s, uint64_t chain_start, struct reeve_error *err)
{
    return reeve_disk_write(s->fd, &chain_start, sizeof(chain_start), s->chain_start_offset, s->path, err);
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static reeve_status check_attr(struct reeve_segment *s, const char *name, uint64_t expected, struct reeve_error *err)
{
    uint64_t value;
    reeve_status st = reeve_h5_attr_u64(s->h5, "/", name, &value, err);
    if (st != REEVE_OK || value == expected) return st;
    return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: attribute %s is %llu, expected %llu", s->path, name,
                      (unsigned long long)value, (unsigned long long)expected);
}

static reeve_status check_attrs(struct reeve_segment *s, struct reeve_error *err)
{
    char format[32];
    reeve_status st = reeve_h5_attr_text(s->h5, "/", "format", format, sizeof(format), err);
    if (st == REEVE_OK && strcmp(format, FORMAT) != 0)
        st = reeve_fail(err, REEVE_STORE_CORRUPT, "%s: format is \"%s\", expected \"%s\"", s->path, format, FORMAT);
    if (st == REEVE_OK) st = check_attr(s, "format_version", FORMAT_VERSION, err);
    if (st == REEVE_OK) st = check_attr(s, "epoch", s->name.epoch, err);
    if (st == REEVE_OK) st = check_attr(s, "first_lsn", s->name.first_lsn, err);
    if (st == REEVE_OK) st = reeve_h5_attr_u64(s->h5, "/", "run_id", &s->run_id, err);
    return st;
}

static reeve_status find(struct reeve_segment *s, const char *path, char type, uint64_t element_bytes,
                         uint64_t elements, struct reeve_h5_dataset *d, struct reeve_error *err)
{
    reeve_status st = reeve_h5_dataset(s->h5, path, d, err);
    if (st != REEVE_OK) return st;
    if (d->rank == 1 && d->type == type && d->element_bytes == element_bytes && d->file_offset != UINT64_MAX &&
        d->dims[0] > 0 && (elements == 0 || d->dims[0] == elements))
        return REEVE_OK;
    return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: %s has another type or shape than a journal's", s->path, path);
}

static reeve_status check_seal(struct reeve_segment *s, const struct reeve_h5_dataset *d, struct reeve_error *err)
{
    struct reeve_digest stored, found;
    struct reeve_span spans[2];
    if (!unsealed(s, reeve_h5_file_bytes(s->h5), spans))
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: /events and /chain_start overlap", s->path);
    reeve_status st = reeve_h5_read(s->h5, d, &stored, sizeof(stored), err);
    if (st == REEVE_OK)
        st = reeve_seal_outside_file(s->fd, reeve_h5_file_bytes(s->h5), spans, 2, d->file_offset, s->path, &found, err);
    if (st == REEVE_OK && !reeve_digest_equal(stored, found))
        st = reeve_fail(err, REEVE_STORE_CORRUPT, "%s: damaged outside of its records (the seal differs)", s->path);
    return st;
}

static reeve_status check_structure(struct reeve_segment *s, struct reeve_error *err)
{
    struct reeve_h5_dataset seal, start, events;
    reeve_status st = check_attrs(s, err);
    if (st == REEVE_OK) st = find(s, "/seal", 'u', 1, sizeof(struct reeve_digest), &seal, err);
    if (st == REEVE_OK) st = find(s, "/chain_start", 'u', sizeof(uint64_t), 1, &start, err);
    if (st == REEVE_OK) st = find(s, "/events", 'c', RECORD_BYTES, 0, &events, err);
    if (st != REEVE_OK) return st;
    if (events.dims[0] > REEVE_SEGMENT_RECORDS_MAX || events.file_offset % REEVE_SEGMENT_SECTOR_BYTES != 0)
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: /events is too long or does not start at a sector", s->path);
    s->capacity = (uint32_t)events.dims[0];
    s->events_offset = events.file_offset;
    s->chain_start_offset = start.file_offset;
    return check_seal(s, &seal, err);
}

reeve_status reeve_segment_open(const char *run_dir, const struct reeve_segment_name *name, struct reeve_segment *out,
                                struct reeve_error *err)
{
    *out = (struct reeve_segment){.name = *name, .fd = -1};
    reeve_status st = reeve_segment_path(run_dir, name, out->path, sizeof(out->path), err);
    if (st == REEVE_OK) st = reeve_h5_open(out->path, FILE_BYTES_MAX, &out->h5, err);
    if (st != REEVE_OK) return st;
    out->fd = reeve_h5_fd(out->h5);
    st = check_structure(out, err);
    if (st != REEVE_OK) reeve_segment_close(out);
    return st;
}

reeve_status reeve_segment_read_start(const struct reeve_segment *s, uint64_t *chain_start, struct reeve_error *err)
{
    return reeve_pread_all(s->fd, chain_start, sizeof(*chain_start), s->chain_start_offset, s->path, err);
}

reeve_status reeve_segment_read(const struct reeve_segment *s, uint32_t from, struct reeve_event *slots,
                                struct reeve_error *err)
{
    return reeve_pread_all(s->fd, slots + from, (size_t)(s->capacity - from) * RECORD_BYTES,
                           s->events_offset + (uint64_t)from * RECORD_BYTES, s->path, err);
}

void reeve_segment_close(struct reeve_segment *s)
{
    if (s->h5 != NULL) reeve_h5_close(s->h5); /* the descriptor is the reader's */
    else if (s->fd >= 0) (void)close(s->fd);
    s->h5 = NULL;
    s->fd = -1;
}
