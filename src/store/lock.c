/* The lock of a manifest; see lock.h and docs/format/manifest.md. The file is built in memory, so what reaches the disk
 * is one write, and its seal covers every byte of it. */
#include "store/lock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "store/make.h"
#include "store/reader.h"
#include "store/seal_outside.h"

#define FORMAT "reeve-manifest"
#define FORMAT_VERSION 1
#define LOCK_BYTES_MAX ((uint64_t)16 << 30)
#define DIGEST_TEXT_BYTES (REEVE_DIGEST_HEX_BYTES - 1)
#define BATCH_RECORDS 4096u

/* One element of /shards, as in the file. */
struct record {
    uint64_t path_offset, file_bytes, data_offset, token_count;
    char digest[DIGEST_TEXT_BYTES]; /* as text: h5dump shows what xxhsum prints */
    int32_t priority;
    uint16_t weight;
    uint8_t format, token_bytes;
};
_Static_assert(sizeof(struct record) == 72, "layout is part of format 1");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are copied as they lie in memory");

/* --- writing ---------------------------------------------------------------------------------------------------- */

/* A lock under construction: the image, and where its parts lie. */
struct image {
    uint8_t *bytes; /* owned */
    size_t count;
    uint64_t seal_at, shards_at, paths_at;
};

static hid_t record_type(void)
{
    hid_t text = H5Tcopy(H5T_C_S1);
    if (text < 0) return text;
    hid_t type = H5I_INVALID_HID;
    if (H5Tset_size(text, DIGEST_TEXT_BYTES) >= 0 && H5Tset_strpad(text, H5T_STR_NULLPAD) >= 0) {
        const hid_t u64 = H5T_STD_U64LE;
        const struct reeve_make_member members[] = {
            {"path_offset", u64},      {"file_bytes", u64},      {"data_offset", u64},
            {"token_count", u64},      {"digest", text},         {"priority", H5T_STD_I32LE},
            {"weight", H5T_STD_U16LE}, {"format", H5T_STD_U8LE}, {"token_bytes", H5T_STD_U8LE},
        };
        type = reeve_make_compound(members, sizeof(members) / sizeof(members[0]));
    }
    (void)H5Tclose(text);
    return type;
}

static bool make_attrs(hid_t file, const struct reeve_manifest *m)
{
    char hex[REEVE_DIGEST_HEX_BYTES];
    reeve_digest_hex(m->digest, hex);
    return reeve_make_attr_text(file, "format", FORMAT) &&
           reeve_make_attr_u64(file, "format_version", FORMAT_VERSION) &&
           reeve_make_attr_text(file, "dataset", m->dataset) && reeve_make_attr_text(file, "tokenizer", m->tokenizer) &&
           reeve_make_attr_u64(file, "vocab", m->vocab) && reeve_make_attr_u64(file, "shard_count", m->shard_count) &&
           reeve_make_attr_text(file, "manifest_digest", hex) && reeve_make_attr_text(file, "base_dir", m->base_dir);
}

static bool make_datasets(hid_t file, const struct reeve_manifest *m, struct image *out)
{
    const uint64_t seal = sizeof(struct reeve_digest), shards = m->shard_count;
    hid_t type = record_type();
    bool good = type >= 0 &&
                reeve_make_dataset(file, "/seal", H5T_STD_U8LE, 1, &seal, REEVE_MAKE_ZEROS, &out->seal_at) &&
                reeve_make_dataset(file, "/shards", type, 1, &shards, REEVE_MAKE_ZEROS, &out->shards_at) &&
                reeve_make_dataset(file, "/paths", H5T_STD_U8LE, 1, &m->paths_bytes, REEVE_MAKE_ZEROS, &out->paths_at);
    if (type >= 0) (void)H5Tclose(type);
    return good;
}

/* The file as HDF5 makes it, still without its data. */
static bool make_skeleton(const struct reeve_manifest *m, struct image *out)
{
    struct reeve_make_memory memory;
    void *bytes;
    if (!reeve_make_memory(&memory)) return false;
    bool good = make_attrs(memory.file, m) && make_datasets(memory.file, m, out);
    if (!reeve_make_image(&memory, &bytes, &out->count)) return false;
    out->bytes = bytes;
    if (good) return true;
    free(bytes);
    return false;
}

static struct record record_encode(const struct reeve_shard *s)
{
    char hex[REEVE_DIGEST_HEX_BYTES];
    struct record r = {.path_offset = s->path_offset,
                       .file_bytes = s->file_bytes,
                       .data_offset = s->data_offset,
                       .token_count = s->token_count,
                       .priority = s->priority,
                       .weight = s->weight,
                       .format = s->format,
                       .token_bytes = s->token_bytes};
    reeve_digest_hex(s->digest, hex);
    memcpy(r.digest, hex, DIGEST_TEXT_BYTES);
    return r;
}

static reeve_status fill(struct image *image, const struct reeve_manifest *m, struct reeve_error *err)
{
    for (uint32_t i = 0; i < m->shard_count; i++) {
        struct record r = record_encode(&m->shards[i]);
        memcpy(image->bytes + image->shards_at + (uint64_t)i * sizeof(r), &r, sizeof(r));
    }
    memcpy(image->bytes + image->paths_at, m->paths, m->paths_bytes);
    struct reeve_digest seal;
    reeve_status st = reeve_seal_outside_memory(image->bytes, image->count, NULL, 0, image->seal_at, &seal, err);
    if (st == REEVE_OK) memcpy(image->bytes + image->seal_at, &seal, sizeof(seal));
    return st;
}

reeve_status reeve_lock_write(const char *path, const struct reeve_manifest *m, struct reeve_error *err)
{
    struct image image;
    reeve_status st = reeve_manifest_check(m, err);
    if (st != REEVE_OK) return st;
    REEVE_ASSERT(m->base_dir != NULL && reeve_digest_equal(m->digest, reeve_manifest_digest(m)));
    if (!make_skeleton(m, &image))
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "write %s: HDF5 could not build it in memory", path);
    st = fill(&image, m, err);
    if (st == REEVE_OK) st = reeve_file_replace(path, image.bytes, image.count, true, err);
    free(image.bytes);
    return st;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

struct reading {
    reeve_h5 *h;      /* borrowed */
    const char *path; /* borrowed */
    struct reeve_digest manifest_digest;
    uint64_t shard_count;
};

static reeve_status damaged(const struct reading *r, struct reeve_error *err, const char *what)
{
    return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: %s", r->path, what);
}

/* Every byte of the file, before any of them means something. */
static reeve_status check_seal(const struct reading *r, struct reeve_error *err)
{
    struct reeve_h5_dataset d;
    struct reeve_digest stored, found;
    reeve_status st = reeve_h5_dataset(r->h, "/seal", &d, err);
    if (st != REEVE_OK) return st;
    if (d.type != 'u' || d.bytes != sizeof(stored) || d.file_offset == UINT64_MAX)
        return damaged(r, err, "/seal is not 16 bytes");
    st = reeve_h5_read(r->h, &d, &stored, sizeof(stored), err);
    if (st == REEVE_OK)
        st = reeve_seal_outside_file(reeve_h5_fd(r->h), reeve_h5_file_bytes(r->h), NULL, 0, d.file_offset, r->path,
                                     &found, err);
    if (st == REEVE_OK && !reeve_digest_equal(stored, found))
        st = damaged(r, err, "some byte is not what was written (the seal differs)");
    return st;
}

static reeve_status read_format(struct reading *r, struct reeve_error *err)
{
    char format[32], hex[REEVE_DIGEST_HEX_BYTES];
    uint64_t version = 0;
    reeve_status st = reeve_h5_attr_text(r->h, "/", "format", format, sizeof(format), err);
    if (st == REEVE_OK && strcmp(format, FORMAT) != 0) st = damaged(r, err, "is not the lock of a manifest");
    if (st == REEVE_OK) st = reeve_h5_attr_u64(r->h, "/", "format_version", &version, err);
    if (st == REEVE_OK && version != FORMAT_VERSION)
        st = reeve_fail(err, REEVE_STORE_CORRUPT, "%s: format version %" PRIu64 ", this program reads %d", r->path,
                        version, FORMAT_VERSION);
    if (st == REEVE_OK) st = reeve_h5_attr_text(r->h, "/", "manifest_digest", hex, sizeof(hex), err);
    if (st == REEVE_OK && !reeve_digest_parse(hex, &r->manifest_digest))
        st = damaged(r, err, "manifest_digest is not 32 hex digits");
    if (st == REEVE_OK) st = reeve_h5_attr_u64(r->h, "/", "shard_count", &r->shard_count, err);
    return st;
}

static reeve_status read_names(struct reading *r, struct reeve_manifest *m, struct reeve_error *err)
{
    char base_dir[REEVE_PATH_BYTES_MAX];
    uint64_t vocab = 0;
    reeve_status st = reeve_h5_attr_text(r->h, "/", "dataset", m->dataset, sizeof(m->dataset), err);
    if (st == REEVE_OK) st = reeve_h5_attr_text(r->h, "/", "tokenizer", m->tokenizer, sizeof(m->tokenizer), err);
    if (st == REEVE_OK) st = reeve_h5_attr_u64(r->h, "/", "vocab", &vocab, err);
    if (st == REEVE_OK && vocab > UINT32_MAX) st = damaged(r, err, "vocab does not fit into 32 bits");
    if (st == REEVE_OK) st = reeve_h5_attr_text(r->h, "/", "base_dir", base_dir, sizeof(base_dir), err);
    if (st != REEVE_OK) return st;
    m->vocab = (uint32_t)vocab;
    m->base_dir = strdup(base_dir);
    if (m->base_dir == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "read %s: out of memory", r->path);
    return REEVE_OK;
}

static bool record_decode(const struct record *r, struct reeve_shard *s)
{
    char hex[REEVE_DIGEST_HEX_BYTES];
    memcpy(hex, r->digest, DIGEST_TEXT_BYTES);
    hex[DIGEST_TEXT_BYTES] = '\0';
    *s = (struct reeve_shard){.path_offset = r->path_offset,
                              .file_bytes = r->file_bytes,
                              .data_offset = r->data_offset,
                              .token_count = r->token_count,
                              .priority = r->priority,
                              .weight = r->weight,
                              .format = r->format,
                              .token_bytes = r->token_bytes};
    return reeve_digest_parse(hex, &s->digest);
}

/* In batches: the records need not be in memory twice. */
static reeve_status read_records(const struct reading *r, uint64_t at, struct reeve_manifest *m,
                                 struct reeve_error *err)
{
    reeve_status st = REEVE_OK;
    struct record *batch = malloc(BATCH_RECORDS * sizeof(*batch));
    if (batch == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "read %s: out of memory", r->path);
    for (uint32_t i = 0; st == REEVE_OK && i < m->shard_count; i += BATCH_RECORDS) {
        uint32_t n = m->shard_count - i < BATCH_RECORDS ? m->shard_count - i : BATCH_RECORDS;
        st = reeve_pread_all(reeve_h5_fd(r->h), batch, n * sizeof(*batch), at + (uint64_t)i * sizeof(*batch), r->path,
                             err);
        for (uint32_t k = 0; st == REEVE_OK && k < n; k++)
            if (!record_decode(&batch[k], &m->shards[i + k]))
                st = reeve_fail(err, REEVE_STORE_CORRUPT, "%s: /shards[%" PRIu32 "]: digest is not 32 hex digits",
                                r->path, i + k);
        if (m->shard_count - i <= BATCH_RECORDS) break; /* i + BATCH_RECORDS might not fit into 32 bits */
    }
    free(batch);
    return st;
}

static reeve_status read_shards(const struct reading *r, struct reeve_manifest *m, struct reeve_error *err)
{
    struct reeve_h5_dataset d;
    reeve_status st = reeve_h5_dataset(r->h, "/shards", &d, err);
    if (st != REEVE_OK) return st;
    if (d.type != 'c' || d.rank != 1 || d.element_bytes != sizeof(struct record) || d.file_offset == UINT64_MAX ||
        d.dims[0] != r->shard_count || d.dims[0] == 0 || d.dims[0] > UINT32_MAX)
        return damaged(r, err, "/shards is not a list of shard_count records of 72 bytes");
    m->shards = calloc((size_t)d.dims[0], sizeof(*m->shards)); /* bounded: the file holds 72 bytes for each */
    if (m->shards == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "read %s: out of memory", r->path);
    m->shard_count = (uint32_t)d.dims[0];
    return read_records(r, d.file_offset, m, err);
}

static reeve_status read_paths(const struct reading *r, struct reeve_manifest *m, struct reeve_error *err)
{
    struct reeve_h5_dataset d;
    reeve_status st = reeve_h5_dataset(r->h, "/paths", &d, err);
    if (st != REEVE_OK) return st;
    if (d.type != 'u' || d.rank != 1 || d.element_bytes != 1 || d.bytes == 0)
        return damaged(r, err, "/paths is not text");
    m->paths = malloc((size_t)d.bytes); /* bounded: the file holds as many bytes */
    if (m->paths == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "read %s: out of memory", r->path);
    m->paths_bytes = d.bytes;
    return reeve_h5_read(r->h, &d, m->paths, d.bytes, err);
}

/* Bounds, and that the contents are those that the digest names. What is wrong here is the file, not the user's input.
 */
static reeve_status check_contents(const struct reading *r, struct reeve_manifest *m, struct reeve_error *err)
{
    reeve_status st = reeve_manifest_check(m, err);
    if (st == REEVE_INPUT_INVALID) {
        if (err != NULL) err->status = REEVE_STORE_CORRUPT;
        (void)reeve_error_context(err, "%s", r->path);
        return REEVE_STORE_CORRUPT;
    }
    if (st != REEVE_OK) return st;
    m->digest = reeve_manifest_digest(m);
    if (!reeve_digest_equal(m->digest, r->manifest_digest))
        return damaged(r, err, "manifest_digest is not that of the shards");
    return REEVE_OK;
}

static reeve_status read_all(struct reading *r, struct reeve_manifest *m, struct reeve_error *err)
{
    reeve_status st = check_seal(r, err);
    if (st == REEVE_OK) st = read_format(r, err);
    if (st == REEVE_OK) st = read_names(r, m, err);
    if (st == REEVE_OK) st = read_shards(r, m, err);
    if (st == REEVE_OK) st = read_paths(r, m, err);
    if (st == REEVE_OK) st = check_contents(r, m, err);
    return st;
}

reeve_status reeve_lock_read(const char *path, struct reeve_manifest **out, struct reeve_error *err)
{
    struct reading r = {.path = path};
    struct reeve_manifest *m = calloc(1, sizeof(*m));
    if (m == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "read %s: out of memory", path);
    reeve_status st = reeve_h5_open(path, LOCK_BYTES_MAX, &r.h, err);
    if (st == REEVE_OK) {
        st = read_all(&r, m, err);
        reeve_h5_close(r.h);
    }
    if (st == REEVE_OK) {
        *out = m;
        return st;
    }
    reeve_manifest_destroy(m);
    if (st == REEVE_STORE_CORRUPT)
        (void)reeve_error_context(err, "the locked manifest is damaged (make it again with `reeve manifest lock`)");
    return st;
}
