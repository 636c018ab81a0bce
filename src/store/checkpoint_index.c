/* index.h5: built in memory by HDF5 and written in one go; read back by the hardened reader, every number checked. */
#include "store/checkpoint_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "store/disk.h"
#include "store/make.h"
#include "store/seal_outside.h"

/* --- attributes: the same table for writing and reading ----------------------------------------------------------- */

struct number {
    const char *name;
    size_t offset; /* in struct reeve_checkpoint_meta */
    size_t bytes;
};
#define NUMBER(field)                                                                                                  \
    {                                                                                                                  \
#field, offsetof(struct reeve_checkpoint_meta, field), sizeof(((struct reeve_checkpoint_meta *)0)->field)      \
    }
static const struct number numbers[] = {
    NUMBER(step),  NUMBER(run_id),  NUMBER(lsn),     NUMBER(queue_digest),
    NUMBER(epoch), NUMBER(workers), NUMBER(wall_ns), NUMBER(threads),
};
static const struct number digests[] = {NUMBER(manifest_digest), NUMBER(job_digest), NUMBER(weights_digest)};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool make_attrs(hid_t file, const struct reeve_checkpoint *c)
{
    const uint8_t *meta = (const uint8_t *)&c->meta;
    bool good = reeve_make_attr_text(file, "format", REEVE_CHECKPOINT_INDEX_FORMAT) &&
                reeve_make_attr_u64(file, "format_version", REEVE_CHECKPOINT_VERSION);
    for (size_t i = 0; i < COUNT(numbers) && good; i++) {
        uint64_t value = 0;
        memcpy(&value, meta + numbers[i].offset, numbers[i].bytes); /* little-endian: u32 widens by itself */
        good = reeve_make_attr_u64(file, numbers[i].name, value);
    }
    for (size_t i = 0; i < COUNT(digests) && good; i++) {
        struct reeve_digest digest;
        char hex[REEVE_DIGEST_HEX_BYTES];
        memcpy(&digest, meta + digests[i].offset, sizeof(digest));
        reeve_digest_hex(digest, hex);
        good = reeve_make_attr_text(file, digests[i].name, hex);
    }
    return good && reeve_make_attr_text(file, "build", c->meta.build) &&
           reeve_make_attr_u64(file, "tensor_count", c->row_count) &&
           reeve_make_attr_u64(file, "part_count", c->part_count) &&
           reeve_make_attr_u64(file, "block_count", c->block_count) &&
           reeve_make_attr_u64(file, "queue_bytes", c->queue_bytes);
}

static reeve_status read_numbers(reeve_h5 *h5, struct reeve_checkpoint *c, struct reeve_error *err)
{
    uint8_t *meta = (uint8_t *)&c->meta;
    reeve_status st = REEVE_OK;
    for (size_t i = 0; i < COUNT(numbers) && st == REEVE_OK; i++) {
        uint64_t value;
        st = reeve_h5_attr_u64(h5, "/", numbers[i].name, &value, err);
        if (st == REEVE_OK && numbers[i].bytes == 4 && value > UINT32_MAX)
            st = reeve_fail(err, REEVE_STORE_CORRUPT, "%s: attribute %s is %llu, expected at most 32 bits", c->path,
                            numbers[i].name, (unsigned long long)value);
        if (st == REEVE_OK) memcpy(meta + numbers[i].offset, &value, numbers[i].bytes);
    }
    return st;
}

static reeve_status read_digests(reeve_h5 *h5, struct reeve_checkpoint *c, struct reeve_error *err)
{
    uint8_t *meta = (uint8_t *)&c->meta;
    reeve_status st = REEVE_OK;
    for (size_t i = 0; i < COUNT(digests) && st == REEVE_OK; i++) {
        struct reeve_digest digest;
        char hex[REEVE_DIGEST_HEX_BYTES];
        st = reeve_h5_attr_text(h5, "/", digests[i].name, hex, sizeof(hex), err);
        if (st == REEVE_OK && !reeve_digest_parse(hex, &digest))
            st = reeve_fail(err, REEVE_STORE_CORRUPT, "%s: attribute %s is no digest", c->path, digests[i].name);
        if (st == REEVE_OK) memcpy(meta + digests[i].offset, &digest, sizeof(digest));
    }
    return st;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static hid_t part_row_type(void)
{
    const hid_t u64 = H5T_STD_U64LE;
    const struct reeve_make_member members[] = {
        {"file_bytes", u64}, {"digest", u64},      {"seal_0", u64},
        {"seal_1", u64},     {"first_block", u64}, {"block_count", u64},
    };
    return reeve_make_compound(members, COUNT(members));
}

/* A table to come: its bytes are copied into the image, at the place that HDF5 gave it. */
struct table {
    const char *path;
    uint64_t count; /* 0: the dataset is left out */
    size_t element_bytes;
    const void *bytes; /* borrowed */
    hid_t type;        /* owned where owns_type */
    bool owns_type;
    uint64_t offset;
};

static bool make_tables(hid_t file, struct table *tables, size_t count)
{
    bool good = reeve_make_group(file, "/queue");
    for (size_t i = 0; i < count && good; i++) {
        if (tables[i].count == 0) continue;
        good = tables[i].type >= 0 && reeve_make_dataset(file, tables[i].path, tables[i].type, 1, &tables[i].count,
                                                         REEVE_MAKE_ZEROS, &tables[i].offset);
    }
    return good;
}

static bool make_image(const struct reeve_checkpoint *c, struct table *tables, size_t count, void **image,
                       size_t *bytes)
{
    struct reeve_make_memory m;
    if (!reeve_make_memory(&m)) return false;
    bool good = make_attrs(m.file, c) && make_tables(m.file, tables, count);
    if (!reeve_make_image(&m, image, bytes)) return false;
    for (size_t i = 0; i < count && good; i++) {
        uint64_t n = tables[i].count * tables[i].element_bytes;
        good = tables[i].offset <= *bytes && n <= *bytes - tables[i].offset;
        if (good && n > 0) memcpy((uint8_t *)*image + tables[i].offset, tables[i].bytes, (size_t)n);
    }
    if (!good) free(*image);
    return good;
}

reeve_status reeve_index_create(struct reeve_checkpoint *c, struct reeve_error *err)
{
    struct reeve_digest seal = {{0}};
    struct table tables[] = {
        {"/seal", sizeof(seal), 1, &seal, H5T_STD_U8LE, false, 0},
        {"/tensors", c->row_count, sizeof(*c->rows), c->rows, reeve_tensor_row_type(), true, 0},
        {"/parts", c->part_count, sizeof(*c->parts), c->parts, part_row_type(), true, 0},
        {"/blocks", c->block_count, sizeof(*c->blocks), c->blocks, H5T_STD_U64LE, false, 0},
        {"/queue/snapshot", c->queue_bytes, 1, c->queue, H5T_STD_U8LE, false, 0},
    };
    void *image = NULL;
    size_t bytes = 0;
    bool good = make_image(c, tables, COUNT(tables), &image, &bytes);
    for (size_t i = 0; i < COUNT(tables); i++)
        if (tables[i].owns_type && tables[i].type >= 0) (void)H5Tclose(tables[i].type);
    if (!good) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "create %s: HDF5 could not build it in memory", c->path);
    reeve_status st = reeve_seal_outside_memory(image, bytes, NULL, 0, tables[0].offset, &seal, err);
    if (st == REEVE_OK) {
        memcpy((uint8_t *)image + tables[0].offset, &seal, sizeof(seal));
        c->digest = reeve_digest_of(image, bytes);
        c->file_bytes = bytes;
        st = reeve_disk_create_unnamed(c->path, image, bytes, err);
    }
    free(image);
    return st;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* The digest of the whole file, and its seal: from here on the file is what it was when it was written. */
static reeve_status check_file(reeve_h5 *h5, struct reeve_checkpoint *c, const uint64_t *expect_digest64,
                               struct reeve_error *err)
{
    struct reeve_digest seal, found;
    uint64_t seal_offset, digest64;
    c->file_bytes = reeve_h5_file_bytes(h5);
    reeve_status st =
        reeve_seal_outside_file(reeve_h5_fd(h5), c->file_bytes, NULL, 0, UINT64_MAX, c->path, &c->digest, err);
    if (st == REEVE_OK) st = reeve_checkpoint_read_seal(h5, c->path, &seal, &seal_offset, err);
    if (st == REEVE_OK)
        st = reeve_seal_outside_file(reeve_h5_fd(h5), c->file_bytes, NULL, 0, seal_offset, c->path, &found, err);
    if (st != REEVE_OK) return st;
    if (!reeve_digest_equal(seal, found))
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: damaged (the seal differs)", c->path);
    memcpy(&digest64, c->digest.bytes, sizeof(digest64));
    if (expect_digest64 != NULL && digest64 != *expect_digest64)
        return reeve_fail(err, REEVE_STORE_CORRUPT,
                          "%s: is not the index that the journal committed (digest %016llx, expected %016llx)", c->path,
                          (unsigned long long)digest64, (unsigned long long)*expect_digest64);
    return REEVE_OK;
}

static reeve_status read_tables(reeve_h5 *h5, struct reeve_checkpoint *c, struct reeve_error *err)
{
    uint64_t tensors, parts, queue_bytes;
    reeve_status st = reeve_h5_attr_u64(h5, "/", "tensor_count", &tensors, err);
    if (st == REEVE_OK) st = reeve_h5_attr_u64(h5, "/", "part_count", &parts, err);
    if (st == REEVE_OK) st = reeve_h5_attr_u64(h5, "/", "block_count", &c->block_count, err);
    if (st == REEVE_OK) st = reeve_h5_attr_u64(h5, "/", "queue_bytes", &queue_bytes, err);
    if (st != REEVE_OK) return st;
    if (tensors > REEVE_CHECKPOINT_TENSORS_MAX || parts > REEVE_CHECKPOINT_PARTS_MAX)
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: says it has %llu tensors in %llu parts: too many", c->path,
                          (unsigned long long)tensors, (unsigned long long)parts);
    void *rows = NULL, *part_rows = NULL, *blocks = NULL;
    st = reeve_checkpoint_read_table(h5, c->path, "/tensors", tensors, sizeof(*c->rows), &rows, err);
    if (st == REEVE_OK)
        st = reeve_checkpoint_read_table(h5, c->path, "/parts", parts, sizeof(*c->parts), &part_rows, err);
    if (st == REEVE_OK)
        st = reeve_checkpoint_read_table(h5, c->path, "/blocks", c->block_count, sizeof(*c->blocks), &blocks, err);
    if (st == REEVE_OK)
        st = reeve_checkpoint_read_table(h5, c->path, "/queue/snapshot", queue_bytes, 1, &c->queue, err);
    c->rows = rows;
    c->row_count = (uint32_t)tensors;
    c->parts = part_rows;
    c->part_count = (uint32_t)parts;
    c->blocks = blocks;
    c->queue_bytes = (size_t)queue_bytes;
    return st;
}

/* Everything that reading will believe: places inside of their part, digests inside of the table, no tensor twice. */
static reeve_status check_tables(const struct reeve_checkpoint *c, struct reeve_error *err)
{
    for (uint32_t p = 0; p < c->part_count; p++)
        if (c->parts[p].file_bytes > REEVE_CHECKPOINT_FILE_BYTES_MAX || c->parts[p].first_block > c->block_count ||
            c->parts[p].block_count > c->block_count - c->parts[p].first_block)
            return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: row %u of /parts is impossible", c->path, p);
    for (uint32_t i = 0; i < c->row_count; i++) {
        const struct reeve_tensor_row *row = &c->rows[i];
        if (row->part >= c->part_count || !reeve_tensor_row_sane(row, c->parts[row->part].file_bytes, c->block_count))
            return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: row %u of /tensors is impossible", c->path, i);
        if (i > 0 && reeve_tensor_row_order(row - 1, row) >= 0)
            return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: rows %u and %u of /tensors are out of order", c->path,
                              i - 1, i);
    }
    return REEVE_OK;
}

reeve_status reeve_index_load(struct reeve_checkpoint *c, uint64_t step, const uint64_t *expect_digest64,
                              struct reeve_error *err)
{
    reeve_h5 *h5;
    reeve_status st = reeve_h5_open(c->path, REEVE_CHECKPOINT_FILE_BYTES_MAX, &h5, err);
    if (st != REEVE_OK) return st;
    st = check_file(h5, c, expect_digest64, err);
    if (st == REEVE_OK) st = reeve_checkpoint_expect_format(h5, c->path, REEVE_CHECKPOINT_INDEX_FORMAT, err);
    if (st == REEVE_OK) st = reeve_checkpoint_expect_attr(h5, c->path, "step", step, err);
    if (st == REEVE_OK) st = read_numbers(h5, c, err);
    if (st == REEVE_OK) st = read_digests(h5, c, err);
    if (st == REEVE_OK) st = reeve_h5_attr_text(h5, "/", "build", c->meta.build, sizeof(c->meta.build), err);
    if (st == REEVE_OK) st = read_tables(h5, c, err);
    if (st == REEVE_OK) st = check_tables(c, err);
    reeve_h5_close(h5);
    return st;
}

void reeve_index_free(struct reeve_checkpoint *c)
{
    free(c->rows);
    free(c->parts);
    free(c->blocks);
    free(c->queue);
    c->rows = NULL;
    c->parts = NULL;
    c->blocks = NULL;
    c->queue = NULL;
}
