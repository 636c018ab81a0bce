/* Measuring a shard: where its tokens lie, how many there are, and the digest that names its bytes. The accepted
 * formats are written down in docs/format/shards.md. */
#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"
#include "store/reader.h"
#include "store/shard_file.h"

#define LLMC_HEADER_BYTES 1024u /* 256 little-endian int32: magic, version, number of tokens, zeros */

/* What llm.c's and its Llama 3 branch's data scripts write. */
static const struct llmc_kind {
    uint32_t magic, version, token_bytes;
} llmc_kinds[] = {{20240520, 1, 2}, {20240801, 7, 4}};
#define LLMC_KINDS (sizeof(llmc_kinds) / sizeof(llmc_kinds[0]))

static const unsigned char hdf5_signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

static const struct llmc_kind *llmc_kind_of(uint32_t magic)
{
    for (size_t i = 0; i < LLMC_KINDS; i++)
        if (llmc_kinds[i].magic == magic) return &llmc_kinds[i];
    return NULL;
}

int reeve_shard_guess_format(const char *path)
{
    unsigned char head[8] = {0};
    uint32_t magic;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return 0;
    ssize_t n;
    do
        n = pread(fd, head, sizeof(head), 0);
    while (n < 0 && errno == EINTR);
    (void)close(fd);
    memcpy(&magic, head, sizeof(magic));
    if (n == (ssize_t)sizeof(head) && memcmp(head, hdf5_signature, sizeof(head)) == 0) return REEVE_SHARD_HDF5;
    if (n >= (ssize_t)sizeof(magic) && llmc_kind_of(magic) != NULL) return REEVE_SHARD_LLMC;
    return 0;
}

/* --- one function per format: token_bytes, data_offset, token_count ------------------------------------------------
 */

static reeve_status measure_text(const char *path, struct reeve_shard *shard, struct reeve_error *err)
{
    if (shard->token_bytes > 1)
        return reeve_fail(err, REEVE_INPUT_INVALID, "shard %s: a token of text is 1 byte, not %u; remove the dtype",
                          path, shard->token_bytes);
    shard->token_bytes = 1;
    shard->data_offset = 0;
    shard->token_count = shard->file_bytes;
    return REEVE_OK;
}

static reeve_status measure_nanogpt(const char *path, struct reeve_shard *shard, struct reeve_error *err)
{
    if (shard->token_bytes != 0 && shard->token_bytes != 2)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "shard %s: a raw token has 2 bytes, not %u; correct the dtype, or write the tokens to HDF5", path,
                          shard->token_bytes);
    shard->token_bytes = 2;
    if (shard->file_bytes % 2 != 0)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "shard %s: %" PRIu64 " bytes are not a whole number of 2-byte tokens; it was cut (write it "
                          "again), or is text (`format: text`)",
                          path, shard->file_bytes);
    shard->data_offset = 0;
    shard->token_count = shard->file_bytes / 2;
    return REEVE_OK;
}

static reeve_status read_llmc_header(int fd, const char *path, uint64_t file_bytes, uint32_t header[3],
                                     struct reeve_error *err)
{
    if (file_bytes < LLMC_HEADER_BYTES)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "shard %s: %" PRIu64
                          " bytes, but the header of an llm.c file alone has %u; write the file again",
                          path, file_bytes, LLMC_HEADER_BYTES);
    return reeve_pread_all(fd, header, 3 * sizeof(header[0]), 0, path, err);
}

static reeve_status measure_llmc(int fd, const char *path, struct reeve_shard *shard, struct reeve_error *err)
{
    uint32_t header[3];
    reeve_status st = read_llmc_header(fd, path, shard->file_bytes, header, err);
    if (st != REEVE_OK) return st;
    const struct llmc_kind *kind = llmc_kind_of(header[0]);
    if (kind == NULL)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "shard %s: byte 0: magic number %" PRIu32
                          ", expected 20240520 or 20240801; if it is raw u16, "
                          "say `format: nanogpt`",
                          path, header[0]);
    if (header[1] != kind->version)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "shard %s: byte 4: version %" PRIu32 ", expected %" PRIu32 "; write it with a current script",
                          path, header[1], kind->version);
    uint64_t expected = LLMC_HEADER_BYTES + (uint64_t)header[2] * kind->token_bytes;
    if (expected != shard->file_bytes)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "shard %s: byte 8: %" PRIu32 " tokens make %" PRIu64 " bytes, the file has %" PRIu64
                          "; copy or write it again",
                          path, header[2], expected, shard->file_bytes);
    shard->token_bytes = (uint8_t)kind->token_bytes;
    shard->data_offset = LLMC_HEADER_BYTES;
    shard->token_count = header[2];
    return REEVE_OK;
}

/* The reader calls everything that it refuses a damaged store; here it is the user's input. */
static reeve_status as_input(reeve_status st, const char *path, struct reeve_error *err)
{
    if (st != REEVE_STORE_CORRUPT) return st;
    if (err != NULL) {
        err->status = REEVE_INPUT_INVALID;
        (void)reeve_error_context(err, "shard");
    }
    return REEVE_INPUT_INVALID;
}

static reeve_status measure_hdf5(const char *path, struct reeve_shard *shard, struct reeve_error *err)
{
    reeve_h5 *h = NULL;
    struct reeve_h5_dataset d;
    reeve_status st = reeve_h5_open_foreign(path, INT64_MAX, &h, err);
    if (st == REEVE_OK) st = reeve_h5_dataset(h, "/tokens", &d, err);
    if (st == REEVE_OK && reeve_h5_file_bytes(h) != shard->file_bytes)
        st = reeve_fail(err, REEVE_INPUT_CHANGED, "shard %s: changed while it was read", path);
    reeve_h5_close(h);
    if (st != REEVE_OK) return as_input(st, path, err);
    if (d.rank != 1 || d.type != 'u' || d.element_bytes > 4)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "shard %s: /tokens has %" PRIu32 " dimensions and %" PRIu64
                          "-byte elements of kind '%c'; expected "
                          "1 dimension of u1, u2 or u4: rewrite it with h5py's astype('<u2')",
                          path, d.rank, d.element_bytes, d.type);
    if (d.dims[0] > 0 && d.file_offset == UINT64_MAX)
        return reeve_fail(
            err, REEVE_INPUT_INVALID,
            "shard %s: /tokens has no bytes of its own in the file (compact, or never written); rewrite it "
            "with `h5repack -l CONTI OLD NEW`",
            path);
    shard->token_bytes = (uint8_t)d.element_bytes;
    shard->data_offset = d.dims[0] > 0 ? d.file_offset : 0;
    shard->token_count = d.dims[0];
    return REEVE_OK;
}

static reeve_status measure_format(int fd, const char *path, struct reeve_shard *shard, struct reeve_error *err)
{
    switch (shard->format) {
    case REEVE_SHARD_TEXT:
        return measure_text(path, shard, err);
    case REEVE_SHARD_LLMC:
        return measure_llmc(fd, path, shard, err);
    case REEVE_SHARD_NANOGPT:
        return measure_nanogpt(path, shard, err);
    case REEVE_SHARD_HDF5:
        return measure_hdf5(path, shard, err);
    default:
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "shard %s: unknown format %u; expected text, llm.c, nanogpt or hdf5", path, shard->format);
    }
}

/* --- measuring and checking ----------------------------------------------------------------------------------------
 */

reeve_status reeve_shard_measure(const char *path, struct reeve_shard *shard, struct reeve_error *err)
{
    struct reeve_shard found = *shard;
    int fd;
    reeve_status st = reeve_shard_file_open(path, &fd, &found.file_bytes, err);
    if (st != REEVE_OK) return st;
    if (found.file_bytes == 0)
        st = reeve_fail(err, REEVE_INPUT_INVALID,
                        "shard %s: the file is empty; a shard has at least one token: remove it from the manifest",
                        path);
    if (st == REEVE_OK) st = measure_format(fd, path, &found, err);
    if (st == REEVE_OK && found.token_count == 0)
        st = reeve_fail(
            err, REEVE_INPUT_INVALID,
            "shard %s: it says that it has no tokens; a shard has at least one: remove it from the manifest", path);
    if (st == REEVE_OK) st = reeve_shard_file_digest(fd, path, found.file_bytes, -1, NULL, &found.digest, err);
    (void)close(fd);
    if (st == REEVE_OK) *shard = found;
    return st;
}

reeve_status reeve_shard_check(const struct reeve_manifest *m, reeve_shard_id id, struct reeve_error *err)
{
    REEVE_ASSERT(id.v < m->shard_count);
    const struct reeve_shard *locked = &m->shards[id.v];
    char path[REEVE_PATH_BYTES_MAX];
    struct reeve_digest digest;
    uint64_t file_bytes;
    int fd;
    reeve_status st = reeve_path_join(path, sizeof(path), m->base_dir, reeve_manifest_path(m, id), err);
    if (st == REEVE_OK) st = reeve_shard_file_open(path, &fd, &file_bytes, err);
    if (st != REEVE_OK) return st;
    st = reeve_shard_file_check_size(path, file_bytes, locked, err);
    if (st == REEVE_OK) st = reeve_shard_file_digest(fd, path, file_bytes, -1, NULL, &digest, err);
    if (st == REEVE_OK) st = reeve_shard_file_check_digest(path, digest, locked, err);
    (void)close(fd);
    return st;
}
