/* See tasks_lock.h. Made in memory and written as one, like the lock of a manifest. */
#include "store/tasks_lock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "store/make.h"
#include "store/reader.h"
#include "store/seal_outside.h"

#define FORMAT "reeve-tasks"
#define FORMAT_VERSION 1
#define LOCK_BYTES_MAX ((uint64_t)4 << 30)

enum { SEAL, TASKS, AFTERS, TEXT_AT, TEXT, PARTS };
static const char *const part_names[PARTS] = {"/seal", "/tasks", "/afters", "/text_at", "/text"};

/* --- writing ---------------------------------------------------------------------------------------------------- */

static hid_t entry_type(void)
{
    const struct reeve_make_member members[] = {
        {"first_after", H5T_STD_U32LE},  {"priority", H5T_STD_I32LE}, {"time_limit_s", H5T_STD_U32LE},
        {"attempts_max", H5T_STD_U16LE}, {"kind", H5T_STD_U8LE},      {"zero", H5T_STD_U8LE},
    };
    return reeve_make_compound(members, sizeof(members) / sizeof(members[0]));
}

static bool make_parts(hid_t file, const struct reeve_task_list *l, uint64_t at[PARTS])
{
    char hex[REEVE_DIGEST_HEX_BYTES];
    reeve_digest_hex(l->digest, hex);
    const uint64_t counts[PARTS] = {sizeof(struct reeve_digest), (uint64_t)l->task_count + 1,
                                    (uint64_t)l->after_count + 1, l->task_count, l->text_bytes};
    hid_t entry = entry_type();
    const hid_t types[PARTS] = {H5T_STD_U8LE, entry, H5T_STD_U32LE, H5T_STD_U64LE, H5T_STD_U8LE};
    bool good = entry >= 0 && reeve_make_attr_text(file, "format", FORMAT) &&
                reeve_make_attr_u64(file, "format_version", FORMAT_VERSION) &&
                reeve_make_attr_u64(file, "task_count", l->task_count) &&
                reeve_make_attr_u64(file, "after_count", l->after_count) &&
                reeve_make_attr_text(file, "list_digest", hex) && reeve_make_attr_text(file, "folder", l->folder);
    for (int i = 0; i < PARTS && good; i++)
        good = reeve_make_dataset(file, part_names[i], types[i], 1, &counts[i], REEVE_MAKE_ZEROS, &at[i]);
    if (entry >= 0) (void)H5Tclose(entry);
    return good;
}

/* The file with its data but for the seal. */
static bool make_image(const struct reeve_task_list *l, uint8_t **image, size_t *bytes, uint64_t *seal_at)
{
    struct reeve_make_memory memory;
    uint64_t at[PARTS];
    void *made = NULL;
    if (!reeve_make_memory(&memory)) return false;
    bool good = make_parts(memory.file, l, at);
    if (!reeve_make_image(&memory, &made, bytes)) return false;
    if (!good) {
        free(made);
        return false;
    }
    *image = made;
    *seal_at = at[SEAL];
    memcpy(*image + at[TASKS], l->entries, ((size_t)l->task_count + 1) * sizeof(*l->entries));
    memcpy(*image + at[AFTERS], l->afters, (size_t)l->after_count * sizeof(*l->afters));
    memcpy(*image + at[TEXT_AT], l->text_at, (size_t)l->task_count * sizeof(*l->text_at));
    memcpy(*image + at[TEXT], l->text, (size_t)l->text_bytes);
    return true;
}

reeve_status reeve_tasks_lock_write(const char *path, const struct reeve_task_list *l, struct reeve_error *err)
{
    REEVE_ASSERT(l->folder != NULL && reeve_digest_equal(l->digest, reeve_task_list_digest(l)));
    uint8_t *image = NULL;
    size_t bytes = 0;
    uint64_t seal_at = 0;
    struct reeve_digest seal;
    reeve_h5_library_init();
    if (!make_image(l, &image, &bytes, &seal_at))
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "write %s: HDF5 could not build it in memory", path);
    reeve_status st = reeve_seal_outside_memory(image, bytes, NULL, 0, seal_at, &seal, err);
    if (st == REEVE_OK) {
        memcpy(image + seal_at, &seal, sizeof(seal));
        st = reeve_file_replace(path, image, bytes, true, err);
    }
    free(image);
    return st;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

struct reading {
    reeve_h5 *h;      /* borrowed */
    const char *path; /* borrowed */
    struct reeve_digest digest;
    uint64_t task_count, after_count;
};

static reeve_status damaged(const struct reading *r, struct reeve_error *err, const char *what)
{
    return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: %s", r->path, what);
}

/* A dataset of so many elements of so many bytes; count 0: any number but none. */
static reeve_status find_part(const struct reading *r, int part, char type, uint64_t element_bytes, uint64_t count,
                              struct reeve_h5_dataset *d, struct reeve_error *err)
{
    reeve_status st = reeve_h5_dataset(r->h, part_names[part], d, err);
    if (st != REEVE_OK) return st;
    if (d->type == type && d->rank == 1 && d->element_bytes == element_bytes && d->file_offset != UINT64_MAX &&
        (count == 0 ? d->dims[0] > 0 : d->dims[0] == count))
        return REEVE_OK;
    return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: %s is not of the type and size that it should be", r->path,
                      part_names[part]);
}

static reeve_status check_seal(const struct reading *r, struct reeve_error *err)
{
    struct reeve_h5_dataset d;
    struct reeve_digest stored, found;
    reeve_status st = find_part(r, SEAL, 'u', 1, sizeof(stored), &d, err);
    if (st == REEVE_OK) st = reeve_h5_read(r->h, &d, &stored, sizeof(stored), err);
    if (st == REEVE_OK)
        st = reeve_seal_outside_file(reeve_h5_fd(r->h), reeve_h5_file_bytes(r->h), NULL, 0, d.file_offset, r->path,
                                     &found, err);
    if (st == REEVE_OK && !reeve_digest_equal(stored, found))
        st = damaged(r, err, "some byte is not what was written (the seal differs)");
    return st;
}

static reeve_status read_attrs(struct reading *r, char folder[REEVE_PATH_BYTES_MAX], struct reeve_error *err)
{
    char format[32], hex[REEVE_DIGEST_HEX_BYTES];
    uint64_t version = 0;
    reeve_status st = reeve_h5_attr_text(r->h, "/", "format", format, sizeof(format), err);
    if (st == REEVE_OK && strcmp(format, FORMAT) != 0) st = damaged(r, err, "is not a locked task list");
    if (st == REEVE_OK) st = reeve_h5_attr_u64(r->h, "/", "format_version", &version, err);
    if (st == REEVE_OK && version != FORMAT_VERSION)
        st = reeve_fail(err, REEVE_STORE_CORRUPT, "%s: format version %" PRIu64 ", this program reads %d", r->path,
                        version, FORMAT_VERSION);
    if (st == REEVE_OK) st = reeve_h5_attr_u64(r->h, "/", "task_count", &r->task_count, err);
    if (st == REEVE_OK) st = reeve_h5_attr_u64(r->h, "/", "after_count", &r->after_count, err);
    if (st == REEVE_OK &&
        (r->task_count < 1 || r->task_count > REEVE_TASKS_MAX || r->after_count > REEVE_TASK_AFTERS_MAX))
        st = damaged(r, err, "task_count or after_count is out of range");
    if (st == REEVE_OK) st = reeve_h5_attr_text(r->h, "/", "list_digest", hex, sizeof(hex), err);
    if (st == REEVE_OK && !reeve_digest_parse(hex, &r->digest))
        st = damaged(r, err, "list_digest is not 32 hex digits");
    if (st == REEVE_OK) st = reeve_h5_attr_text(r->h, "/", "folder", folder, REEVE_PATH_BYTES_MAX, err);
    return st;
}

static reeve_status read_parts(const struct reading *r, struct reeve_task_list **out, struct reeve_error *err)
{
    struct reeve_h5_dataset d[PARTS];
    reeve_status st = find_part(r, TASKS, 'c', sizeof(struct reeve_task_entry), r->task_count + 1, &d[TASKS], err);
    if (st == REEVE_OK) st = find_part(r, AFTERS, 'u', sizeof(uint32_t), r->after_count + 1, &d[AFTERS], err);
    if (st == REEVE_OK) st = find_part(r, TEXT_AT, 'u', sizeof(uint64_t), r->task_count, &d[TEXT_AT], err);
    if (st == REEVE_OK) st = find_part(r, TEXT, 'u', 1, 0, &d[TEXT], err);
    if (st == REEVE_OK && d[TEXT].bytes > REEVE_TASK_TEXT_BYTES_MAX)
        st = damaged(r, err, "/text is larger than that of any list");
    if (st != REEVE_OK) return st;
    struct reeve_task_list *l = NULL; /* its size is bounded by the file's, which holds all of it */
    st = reeve_task_list_create((uint32_t)r->task_count, (uint32_t)r->after_count, d[TEXT].bytes, &l, err);
    void *const into[PARTS] = {NULL, st == REEVE_OK ? l->entries : NULL, st == REEVE_OK ? l->afters : NULL,
                               st == REEVE_OK ? l->text_at : NULL, st == REEVE_OK ? l->text : NULL};
    for (int i = TASKS; i < PARTS && st == REEVE_OK; i++)
        st = reeve_pread_all(reeve_h5_fd(r->h), into[i],
                             (size_t)(i == AFTERS ? d[i].bytes - sizeof(uint32_t) : d[i].bytes), d[i].file_offset,
                             r->path, err);
    if (st == REEVE_OK) *out = l;
    else reeve_task_list_destroy(l);
    return st;
}

/* What is wrong here is the file, not the user's input. */
static reeve_status check_contents(const struct reading *r, const struct reeve_task_list *l, struct reeve_error *err)
{
    reeve_status st = reeve_task_list_check(l, err);
    if (st == REEVE_INPUT_INVALID) {
        if (err != NULL) err->status = REEVE_STORE_CORRUPT;
        (void)reeve_error_context(err, "%s", r->path);
        return REEVE_STORE_CORRUPT;
    }
    if (st == REEVE_OK && !reeve_digest_equal(reeve_task_list_digest(l), r->digest))
        st = damaged(r, err, "list_digest is not that of the tasks");
    return st;
}

static reeve_status read_all(struct reading *r, struct reeve_task_list **out, struct reeve_error *err)
{
    char folder[REEVE_PATH_BYTES_MAX];
    struct reeve_task_list *l = NULL;
    reeve_status st = check_seal(r, err);
    if (st == REEVE_OK) st = read_attrs(r, folder, err);
    if (st == REEVE_OK) st = read_parts(r, &l, err);
    if (st == REEVE_OK) st = check_contents(r, l, err);
    if (st == REEVE_OK && (l->folder = strdup(folder)) == NULL)
        st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "read %s: out of memory", r->path);
    if (st == REEVE_OK) {
        l->digest = r->digest;
        *out = l;
    } else {
        reeve_task_list_destroy(l);
    }
    return st;
}

reeve_status reeve_tasks_lock_read(const char *path, struct reeve_task_list **out, struct reeve_error *err)
{
    struct reading r = {.path = path};
    reeve_status st = reeve_h5_open(path, LOCK_BYTES_MAX, &r.h, err);
    if (st != REEVE_OK) return st;
    st = read_all(&r, out, err);
    reeve_h5_close(r.h);
    if (st == REEVE_STORE_CORRUPT)
        (void)reeve_error_context(err, "the locked task list is damaged (bring it back from a backup, or start over in "
                                       "another --run-dir)");
    return st;
}
