/* One row of /tensors: where a tensor lies, and how its bytes are checked. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "store/checkpoint_part.h"
#include "store/make.h"

hid_t reeve_tensor_row_type(void)
{
    const hid_t u64 = H5T_STD_U64LE, u32 = H5T_STD_U32LE;
    hid_t name = H5Tcopy(H5T_C_S1);
    if (name < 0) return name;
    hid_t type = H5I_INVALID_HID;
    if (H5Tset_size(name, REEVE_TENSOR_NAME_BYTES) >= 0 && H5Tset_strpad(name, H5T_STR_NULLPAD) >= 0) {
        const struct reeve_make_member members[] = {
            {"name", name},       {"group", u32},       {"rank", u32},    {"shape_0", u64},
            {"shape_1", u64},     {"shape_2", u64},     {"shape_3", u64}, {"part", u32},
            {"block_count", u32}, {"file_offset", u64}, {"bytes", u64},   {"first_block", u64},
        };
        type = reeve_make_compound(members, sizeof(members) / sizeof(members[0]));
    }
    (void)H5Tclose(name);
    return type;
}

int reeve_tensor_row_order(const void *a, const void *b)
{
    const struct reeve_tensor_row *x = a, *y = b;
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    return memcmp(x->name, y->name, sizeof(x->name));
}

void reeve_tensor_row_path(const struct reeve_tensor_row *row, char out[256])
{
    (void)snprintf(out, 256, "/%s/%.*s", row->group == REEVE_TENSOR_MODEL ? "model" : "optimizer",
                   REEVE_TENSOR_NAME_BYTES, row->name);
}

/* A name that is a link of its own in HDF5 and a word in a message: [a-z0-9_.], not "." */
static bool name_sane(const char name[REEVE_TENSOR_NAME_BYTES])
{
    size_t length = strnlen(name, REEVE_TENSOR_NAME_BYTES);
    if (length == 0 || length == REEVE_TENSOR_NAME_BYTES || strspn(name, ".") == length) return false;
    for (size_t i = length; i < REEVE_TENSOR_NAME_BYTES; i++)
        if (name[i] != '\0') return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") == length;
}

/* Bytes of a tensor of that shape; 0: impossible. */
static uint64_t shape_bytes(uint32_t rank, const uint64_t shape[REEVE_TENSOR_RANK_MAX])
{
    if (rank < 1 || rank > REEVE_TENSOR_RANK_MAX) return 0;
    uint64_t bytes = sizeof(float);
    for (uint32_t i = 0; i < rank; i++) {
        if (shape[i] == 0 || shape[i] > REEVE_CHECKPOINT_FILE_BYTES_MAX / bytes) return 0;
        bytes *= shape[i];
    }
    for (uint32_t i = rank; i < REEVE_TENSOR_RANK_MAX; i++)
        if (shape[i] != 0) return 0;
    return bytes;
}

reeve_status reeve_tensor_row_of(const struct reeve_tensor *t, struct reeve_tensor_row *row, struct reeve_error *err)
{
    memset(row, 0, sizeof(*row));
    (void)snprintf(row->name, sizeof(row->name), "%.*s", REEVE_TENSOR_NAME_BYTES - 1, t->name);
    row->group = t->group;
    row->rank = t->rank;
    memcpy(row->shape, t->shape, sizeof(row->shape));
    row->bytes = shape_bytes(t->rank, t->shape);
    row->block_count = (uint32_t)reeve_block_count(row->bytes);
    if (row->group <= REEVE_TENSOR_OPTIMIZER && row->bytes > 0 && name_sane(row->name)) return REEVE_OK;
    return reeve_fail(
        err, REEVE_INPUT_INVALID,
        "tensor \"%s\" cannot be saved: expected a name of [a-z0-9_.], group 0 or 1, rank 1 to %d and a shape "
        "without zeros",
        row->name, REEVE_TENSOR_RANK_MAX);
}

bool reeve_tensor_row_sane(const struct reeve_tensor_row *row, uint64_t file_bytes, uint64_t block_total)
{
    return row->group <= REEVE_TENSOR_OPTIMIZER && name_sane(row->name) && row->bytes > 0 &&
           row->bytes == shape_bytes(row->rank, row->shape) && row->block_count == reeve_block_count(row->bytes) &&
           row->file_offset <= file_bytes && row->bytes <= file_bytes - row->file_offset &&
           row->first_block <= block_total && row->block_count <= block_total - row->first_block;
}
